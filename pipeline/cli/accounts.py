"""The accounting of P6 as a person reads it: at the end of a run and in `hookline status`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.cli.output import print_text, table
from pipeline.cli.page.colours import RED, YELLOW
from pipeline.model.printable import one_line
from pipeline.model.words import counted

SHOWN = 12
"""Names of events in a summary."""
COLUMNS = ("matched", "delivered", "dead", "pending", "suppressed")


def records_line(records: Mapping[str, int]) -> str:
    """Return ``1,000 records read: 900 events, 90 updates, 9 links, 1 invalid``."""
    kinds = ", ".join(counted(records[f"{kind}s"], kind) for kind in ("event", "update", "link"))
    return f"{counted(records['read'], 'record')} read: {kinds}, {records['invalid']:,} invalid"


def order_lines(records: Mapping[str, int]) -> list[str]:
    """Return what a person must know of order, links and recordings; nothing where all was well."""
    lines = []
    late = [
        counted(records[f"late_{kind}s"], kind) for kind in ("update", "event") if f"late_{kind}s" in records
    ]
    if late:
        lines.append(
            f"came too late for the as-of join: {' and '.join(late)} (counted per partition; "
            "raise `join.settle` above what producers linger)"
        )
    if "ahead" in records:
        lines.append(f"stamped more than a minute ahead of the clock: {counted(records['ahead'], 'record')}")
    if "unordered" in records:
        lines.append(
            f"not in order of time in files that are merged by it: {counted(records['unordered'], 'record')} "
            "(the as-of join takes each file's own order: sort the files by time)"
        )
    if "twice" in records:
        lines.append(f"left out, since the recording holds them twice: {counted(records['twice'], 'line')}")
    if "ignored" in records:
        lines.append(f"left out as their shape says (`ignore`): {counted(records['ignored'], 'record')}")
    if "timeless" in records:
        without = counted(records["timeless"], "event")
        lines.append(f"without a time: {without} (a shape's `time` says which field holds it)")
    if "aliases_refused" in records:
        lines.append(
            f"alias calls that joined no users: {records['aliases_refused']:,} (raise `join.max_merged`; "
            "`hookline dlq list --webhook -` has them)"
        )
    return lines


def dropped_lines(records: Mapping[str, int], webhooks: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return how many dead letters are kept no longer; nothing where all are."""
    found = [(one_line(name), counts["dropped"]) for name, counts in webhooks.items() if "dropped" in counts]
    if "dropped" in records:
        found.append(("records", records["dropped"]))
    if not found:
        return []
    each = ", ".join(f"{number:,} of {name}" for name, number in found)
    return [f"dead letters dropped, by age or by `dead_letters.max_bytes`: {each}"]


def show_webhooks(records: Mapping[str, int], webhooks: Mapping[str, Mapping[str, int]]) -> None:
    """Print one row per webhook, the sum where there are several, and what became of dead letters."""
    rows: list[tuple[Any, ...]] = [
        (webhook_id, *[counts[column] for column in COLUMNS]) for webhook_id, counts in webhooks.items()
    ]
    if len(rows) > 1:
        rows.append(("(all)", *[sum(row[index + 1] for row in rows) for index in range(len(COLUMNS))]))
    table(("webhook", *COLUMNS), rows, right=COLUMNS, colours={"dead": RED, "pending": YELLOW})
    print_text(*dead_lines(webhooks), *dropped_lines(records, webhooks))


def silent_lines(
    state: Path, records: Mapping[str, int], webhooks: Mapping[str, Mapping[str, int]]
) -> list[str]:
    """Return what to do where events came and an enabled webhook matched none; nothing where all matched
    something.
    """
    from pipeline.outbox.reading.view import configured

    enabled = configured(state)
    silent = [
        one_line(name)
        for name, counts in webhooks.items()
        if not counts["matched"] and enabled.get(name, True)
    ]
    if not silent or not records["events"]:
        return []
    which = silent[0] if len(silent) == 1 else f"{len(silent)} webhooks"
    return [f"{which} matched nothing: `hookline explain --event FILE --line N` names the clause that fails"]


def dead_lines(webhooks: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return where dead letters are listed with their reasons; nothing where there are none."""
    dead = sum(counts["dead"] for counts in webhooks.values())
    return [f"given up: {dead:,}, `hookline dlq list` says why"] if dead else []


def show_names(names: Sequence[str]) -> None:
    """Print the names of the events that were seen: a trigger that waits for another one never fires."""
    if names:
        shown = ", ".join(one_line(name) or '""' for name in names[:SHOWN])
        more = f" and {len(names) - SHOWN} more (--json has all)" if len(names) > SHOWN else ""
        print_text(f"\nevents seen: {shown}{more}")


def invalid_hint(state: Path, records: Mapping[str, int]) -> str:
    """Return why records were invalid, and, where most were, how to learn their shape; "" where none was."""
    number = records["invalid"]
    if not number:
        return ""
    most = 2 * number > records["read"]
    if not any(records[kind] for kind in ("events", "updates", "links")):
        which = "none of the records could be"
    elif most:
        which = f"most of the records ({number:,} of {records['read']:,}) could not be"
    else:
        which = f"{counted(number, 'record')} could not be"
    told = f"{which} understood. {_first_reason(state)}".strip()
    return f"{told} `hookline sniff FILE` says which shape they have." if most else told


def _first_reason(state: Path) -> str:
    """Return why one of the invalid records is invalid, and how to list the others; "" where none is kept."""
    from pipeline.operate.kept.dlq import Selection, select
    from pipeline.outbox.reading.dead_letter_json import reason_of

    found = next(select(state, Selection(webhook="-")), None)
    if found is None:
        return ""
    return f"One of them: {reason_of(found)}. `hookline dlq list --webhook -` shows them."
