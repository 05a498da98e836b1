"""Pending requests on disk by page, the earliest due first, and a summary per webhook.

Work is capped: what could not be looked at in time is said, never left out in silence.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.model.json import Value
from pipeline.operate.kept.answers import last_answer
from pipeline.operate.kept.outbox import Owing, selected
from pipeline.operate.kept.paging import PAGE, PAGE_SECS, Deadline, place_of_cursor
from pipeline.outbox.reading.view import Owed, accounting, owed_each

_PLACE_BYTES: Final = 24


class Placed(NamedTuple):
    """A request, and its place in the order in which they are due."""

    place: bytes
    owed: Owed


@dataclass(slots=True, frozen=True)
class OwedPage:
    """Some of what waits, what is due first in front."""

    rows: list[Owed]
    later: str | None
    """The cursor of the next page; None: there are no more."""
    looked_at: int
    is_complete: bool
    """False: time was up, and what was not looked at may be due before these."""


def page(
    state: Path, owing: Owing, after: str | None = None, limit: int = PAGE, secs: float | None = PAGE_SECS
) -> OwedPage:
    """Return the next of what is selected. after: the cursor; None: from what is due first on.

    secs: how long to look; None: as long as it takes. Raises UsageError for no cursor or webhook, StateError.
    """
    deadline = Deadline(secs)
    start = b"" if after is None else place_of_cursor(after, _PLACE_BYTES)
    looked_at, is_complete = 0, True
    # The first of them are at hand at any time: a million rows are not kept to show fifty.
    first: list[Placed] = []
    for one in selected(state, owing):
        looked_at += 1
        place = place_of(one)
        if place > start:
            first.append(Placed(place, one))
            if len(first) > 20 * limit:
                first = heapq.nsmallest(limit + 1, first, key=_by_place)
        if deadline.is_up(looked_at):
            is_complete = False
            break
    first = heapq.nsmallest(limit + 1, first, key=_by_place)
    later = first[limit - 1].place.hex() if len(first) > limit else None
    return OwedPage([one.owed for one in first[:limit]], later, looked_at, is_complete)


def place_of(one: Owed) -> bytes:
    """Return where a request is in the order in which they are due; what was matched first, first."""
    due, created = max(0, one.progress.due_ms), max(0, one.request.created_ms)
    tail = blake2b(one.row, digest_size=_PLACE_BYTES - 16).digest()
    return due.to_bytes(8, "big") + created.to_bytes(8, "big") + tail


def _by_place(placed: Placed) -> bytes:
    return placed.place


@dataclass(slots=True)
class Owes:
    """What one webhook owes."""

    webhook: str
    pending: int
    """All of it, by its counters: also what a running job holds in memory only."""
    now: int = 0
    """On disk, and due."""
    later: int = 0
    """On disk, and not due yet."""
    oldest_ms: int | None = None
    """When the first of it was matched; of what was looked at."""
    due_ms: int | None = None
    """When the next of it is due, where none is due now."""
    attempts: int = 0
    """The most that one of them has had."""
    last: str = ""
    """How the last attempt of one of those ended."""
    response: str = ""
    """How that answer begins."""

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        return asdict(self)


@dataclass(slots=True, frozen=True)
class OwesAll:
    """What each webhook owes that owes anything."""

    webhooks: list[Owes]
    is_complete: bool
    """False: time was up, and what is on disk is that at least."""
    others: int = 0
    """Webhooks that owe less than these, which were not looked at."""


def summary(state: Path, secs: float | None = PAGE_SECS, most: int | None = None) -> OwesAll:
    """Return how much each webhook owes, what is due, since when, and what its receiver said last.

    most: webhooks; where more owe something, those that owe most.
    """
    found = {
        name: Owes(name, counts["pending"])
        for name, counts in accounting(state)["webhooks"].items()
        if counts["pending"]
    }
    others = 0 if most is None else max(0, len(found) - most)
    if others:
        found = dict(heapq.nlargest(len(found) - others, found.items(), key=_by_pending))
    now_ms = time.time_ns() // 1_000_000
    begun = time.monotonic()
    looked_at, is_complete = 0, True
    # Webhook by webhook, each in its share of the time: one with a million rows hides no other.
    with owed_each(state) as owed:
        for at, one in enumerate(found.values(), 1):
            deadline = Deadline(None if secs is None else begun + secs * at / len(found) - time.monotonic())
            for row in owed(one.webhook):
                looked_at += 1
                _take(one, row, now_ms)
                if deadline.is_up(looked_at):
                    is_complete = False
                    break
    return OwesAll(list(found.values()), is_complete, others)


def _by_pending(named: tuple[str, Owes]) -> int:
    return named[1].pending


def _take(one: Owes, row: Owed, now_ms: int) -> None:
    request, progress = row.request, row.progress
    if progress.due_ms <= now_ms:
        one.now += 1
    else:
        one.later += 1
        if one.due_ms is None or progress.due_ms < one.due_ms:
            one.due_ms = progress.due_ms
    if one.oldest_ms is None or request.created_ms < one.oldest_ms:
        one.oldest_ms = request.created_ms
    if progress.attempt > one.attempts:
        one.attempts = progress.attempt
        one.last, one.response = last_answer(progress), progress.excerpt
