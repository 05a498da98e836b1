"""One row per webhook: what its file says, and its counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pipeline.model.json import Plain, Value
from pipeline.model.words import one_of
from pipeline.operate.overview.sampler import Sampler
from pipeline.operate.overview.standing import Standing
from pipeline.outbox.counters import WEBHOOK

_HOST: Final = re.compile(r"(?:[a-z]+://)?((?:\$\{[^}]*\}|[^/?#\s])+)")
_DEFAULT: Final = re.compile(r"\$\{(\w+):-[^}]*\}")

STATES: Final = ("active", "failing", "down", "paused", "disabled", "gone", "off", "unknown", "broken")
"""active; failing and down by its receiver; paused, disabled, gone (410) by a halt; off: ``enabled: false``;
unknown: in no file; broken: its file has errors."""


@dataclass(slots=True, frozen=True)
class WebhookRow(Plain):
    """One webhook. Counts are cumulative; rates are per second over the last minute, None where unknown."""

    id: str
    file: str
    """"" for one that is in no file any more."""
    description: str
    enabled: bool
    """`enabled` in its file."""
    state: str
    """Its present state, one of `STATES`."""
    trigger: str
    all_events: bool
    """True: every event fires it, without a condition."""
    method: str
    host: str
    matched: int
    delivered: int
    dead: int
    pending: int
    suppressed: int
    matched_rate: float | None
    delivered_rate: float | None
    dead_rate: float | None
    p99_ms: float | None
    status: int
    """Status of the last answer that was not a success; 0 where there was none."""
    error: str
    why: str
    """Why its next delivery waits, in a word; "" where it does not."""
    errors: int
    """Number of errors in its file."""


def rows(listed: Iterable[Mapping[str, Value]], stands: Standing, sampler: Sampler) -> list[WebhookRow]:
    """Return a row for each webhook of the files, and for each other one that has counts.

    listed: as returned by `Workbench.webhooks`.
    """
    found = [_row(one, stands, sampler) for one in listed]
    known = {row.id for row in found}
    gone = [name for name, counts in stands.webhooks.items() if name not in known and any(counts.values())]
    return found + [_row({"id": name}, stands, sampler) for name in gone]


def _row(one: Mapping[str, Value], stands: Standing, sampler: Sampler) -> WebhookRow:
    file = str(one.get("file") or "")
    id = str(one.get("id") or file)
    counts = stands.webhooks.get(id, {})
    lane = stands.lanes.get(id, {})
    words, all_events = trigger_words(one.get("trigger")) if file else ("in no file", False)
    enabled, errors = bool(one.get("enabled", True)), int(one.get("errors", 0))
    return WebhookRow(
        id=id,
        file=file,
        description=str(one.get("description") or ""),
        enabled=enabled,
        state=_state(id, file, lane, stands, enabled=enabled, errors=errors),
        trigger=words,
        all_events=all_events,
        method=str(one.get("method") or ""),
        host=host_of(str(one.get("url") or "")),
        **{name: counts.get(name, 0) for name in WEBHOOK},
        matched_rate=sampler.rate(id, "matched"),
        delivered_rate=sampler.rate(id, "delivered"),
        dead_rate=sampler.rate(id, "dead"),
        p99_ms=lane.get("p99_ms") or None,
        status=lane.get("status", 0),
        error=str(lane.get("error", "")),
        why=str(lane.get("why", "")),
        errors=errors,
    )


def _state(
    name: str, file: str, lane: Mapping[str, Value], stands: Standing, *, enabled: bool, errors: int
) -> str:
    if not file:
        return "unknown"
    halt = stands.halted.get(name)
    if halt is not None:
        return halt
    if errors:
        return "broken"
    if not enabled:
        return "off"
    receiver = lane.get("receiver", "well")
    return receiver if receiver in ("failing", "down") else "active"


def trigger_words(trigger: Value) -> tuple[str, bool]:
    """Return a trigger in words, and whether every event fires it."""
    if not isinstance(trigger, dict) or not trigger.keys() & {"events", "changes"}:
        return "no trigger", False
    kind = "changes" if "changes" in trigger else "events"
    names = trigger[kind]
    names = [names] if isinstance(names, str) else names if isinstance(names, list) else [str(names)]
    words = ", ".join(str(name) for name in names)
    where = trigger.get("where")
    conditions = len(where) if isinstance(where, (list, dict)) else 0
    every = kind == "events" and "*" in names
    if every:
        words = "all events" if len(names) == 1 else words
    said = words if kind == "events" else f"changes of {words}" if words != "*" else "any change of a user"
    return said + (f", {conditions} condition{'s' * (conditions > 1)}" if conditions else ""), (
        every and not conditions
    )


def host_of(url: str) -> str:
    """Return a URL's host, without parts that may be secret."""
    found = _HOST.match(_DEFAULT.sub(r"${\1}", url))
    return found[1].rpartition("@")[2] if found else ""


SORTS: Final = (
    "id", "state", "trigger", "host", "matched", "delivered", "dead", "pending", "matched_rate", "p99_ms",
    "error",
)  # fmt: skip
"""What a list may be sorted by."""
_WORDS: Final = frozenset({"id", "trigger", "host"})


@dataclass(slots=True, frozen=True)
class Listing:
    """Which webhooks a list shows, and in which order."""

    text: str = ""
    """In id, description, trigger or host, ignoring case."""
    state: str = ""
    """One of `STATES`, or ``attention``: every webhook that needs a look."""
    sort: str = "id"
    desc: bool = False

    def of(self, found: Sequence[WebhookRow]) -> list[WebhookRow]:
        """Return those rows in this order. Raises UsageError for an unknown sort key or state."""
        one_of(self.sort, SORTS, "column")
        if self.state:
            one_of(self.state, (*STATES, "attention"), "state")
        text = self.text.casefold()
        chosen = [row for row in found if self._holds(row, text)]

        def key(row: WebhookRow) -> tuple[bool, float | str, str]:
            value = getattr(row, self.sort)
            if self.sort == "state":
                return False, -STATES.index(value), row.id
            if self.sort in _WORDS:
                return False, str(value).casefold(), row.id
            if self.sort == "error":
                return False, str(value or row.status or ""), row.id
            return value is None, value or 0, row.id

        return sorted(chosen, key=key, reverse=self.desc)

    def _holds(self, row: WebhookRow, text: str) -> bool:
        if self.state == "attention":
            if not wants_look(row):
                return False
        elif self.state and row.state != self.state:
            return False
        return not text or any(
            text in one.casefold() for one in (row.id, row.description, row.trigger, row.host)
        )


def wants_look(row: WebhookRow) -> bool:
    """Return whether a person should look at a webhook."""
    return (
        row.state in ("failing", "down", "gone", "broken", "unknown") or row.all_events or bool(row.dead_rate)
    )
