"""The hint printed when most records could not be parsed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def format_hint(state: Path, records: Mapping[str, int]) -> str:
    """Return the hint where more than half of the records were invalid; "" otherwise."""
    if not records["invalid"] or 2 * records["invalid"] <= records["read"]:
        return ""
    none = not any(records[kind] for kind in ("events", "updates", "links"))
    many = f"most of the records ({records['invalid']:,} of {records['read']:,})"
    which = "none of the records could be" if none else f"{many} could not be"
    told = f"{which} understood. {_first_reason(state)}"
    return f"{told} `hookline sniff FILE` says which shape they have."


def _first_reason(state: Path) -> str:
    """Return why one of the invalid records is invalid, and how to list the others."""
    from pipeline.operate.kept.dlq import Selection, select
    from pipeline.outbox.reading.dead_letter_json import reason_of

    found = next(select(state, Selection(webhook="-")), None)
    said = "" if found is None else f"One of them: {reason_of(found)}. "
    return f"{said}`hookline dlq list --webhook -` shows them."
