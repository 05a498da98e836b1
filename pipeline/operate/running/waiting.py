"""Why something is still pending: from a running job's lanes, or from a stopped job's rows."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.deliver.halts import Halts
from pipeline.model.json import Plain, Value
from pipeline.model.printable import one_line
from pipeline.model.times import format_iso
from pipeline.outbox.reading.view import Owed, configured, owed_each

LOOKED_AT = 1_000
"""Rows examined per webhook: a million must not delay the status."""
_UNTIL = {"down": ", probed at", "stopped": ", not before"}
LAST = 200
"""Characters of what was said last, which may be half a page."""
SAID = {
    "gone": "its receiver answered 410",
    "down": "its receiver is down",
    "token": "an access token is awaited",
    "off": "it is off in the config that the job ran last",
    "unknown": "it is not in the config that the job ran last",
    "due": "not due",
    "rate": "its rate is the limit",
    "stopped": "to be sent by the next run",
    "sending": "being sent",
}
"""What the words mean; others (paused, disabled) are self-explanatory."""


@dataclass(slots=True, frozen=True)
class Waiting(Plain):
    """Why a webhook's deliveries are pending."""

    why: str
    """paused, disabled, gone, off, unknown, down, token, rate, due, sending, stopped."""
    due_at: str | None
    """When the next one is due, or its receiver probed, if that is what it waits for, or will."""
    last: str | None
    """The last answer of its receiver, or token endpoint."""

    def line(self, webhook: str, pending: int) -> str:
        """Return it in words."""
        until = f"{_UNTIL.get(self.why, ' until')} {self.due_at[11:19]} UTC" if self.due_at else ""
        text = f"{webhook}: {pending:,} pending, {SAID.get(self.why, self.why)}{until}"
        said = one_line(self.last or "")
        said = said if len(said) <= LAST else f"{said[: LAST - 1]}…"
        return f"{text}; {said}" if said else text


def waiting(
    state: Path, webhooks: Mapping[str, Mapping[str, int]], lanes: Mapping[str, Mapping[str, Value]] | None
) -> dict[str, Waiting]:
    """Return the reason for each webhook that has pending deliveries.

    lanes: the fields of `LaneStats`, while a job runs.
    """
    off = {webhook: "off" for webhook, is_on in configured(state).items() if not is_on}
    halted = off | Halts(state).all()
    found: dict[str, Waiting] = {}
    silent = []
    for webhook, counts in webhooks.items():
        lane = lanes.get(webhook) if lanes is not None else None
        if not counts["pending"]:
            continue
        if lane is not None:
            why, last = str(lane["why"]) or "sending", _said(int(lane["status"]), str(lane["error"]))
            # If it can be sent now, the last error explains nothing.
            told = last if why in ("down", "token", "due") else None
            found[webhook] = Waiting(why, str(lane["due_at"]) or None, told)
        else:
            silent.append(webhook)
    if silent:
        with owed_each(state) as owed:
            found |= {
                webhook: _by_rows(owed(webhook), halted.get(webhook), runs=lanes is not None)
                for webhook in silent
            }
    return found


def _said(status: int, text: str) -> str | None:
    """Return what a receiver answered, in one text; a token endpoint's status stands in its text."""
    if not status or text.startswith("oauth2: "):
        return text or None
    return f"status {status}: {text}" if text else f"status {status}"


def _by_rows(owed: Iterable[Owed], halt: str | None, *, runs: bool) -> Waiting:
    """Return why a webhook's rows wait that no lane has; runs: whether a job does."""
    rows = [one.progress for one in islice(owed, LOOKED_AT)]
    last = next((_said(row.status, row.excerpt) for row in rows if row.attempt), None)
    if halt is not None:
        return Waiting(halt, None, last)
    due_ms = min((row.due_ms for row in rows), default=0)
    due_at = format_iso(due_ms) if due_ms > time.time() * 1000 else None
    return Waiting("due" if runs and due_at else "stopped", due_at, last)
