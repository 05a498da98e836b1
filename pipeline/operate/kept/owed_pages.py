"""Pending requests on disk by page, the earliest due first, and a summary per webhook.

Work is capped: what could not be read in time is reported, never silently left out.
"""

from __future__ import annotations

import heapq
import time
from dataclasses import dataclass
from hashlib import blake2b
from operator import itemgetter
from pathlib import Path
from typing import Final

from pipeline.model.json import Plain
from pipeline.operate.kept.outbox import Owing, selected
from pipeline.operate.kept.paging import PAGE, PAGE_SECS, Deadline, place_of_cursor
from pipeline.operate.kept.rows import last_answer
from pipeline.outbox.reading.view import Owed, accounting, owed_each

_PLACE_BYTES: Final = 24


@dataclass(slots=True, frozen=True)
class OwedPage:
    """Some of the pending requests, the earliest due first."""

    rows: list[Owed]
    later: str | None
    """The cursor of the next page; None: there are no more."""
    looked_at: int
    is_complete: bool
    """False: time was up, and unread requests may be due before these."""


def page(
    state: Path, owing: Owing, after: str | None = None, limit: int = PAGE, secs: float | None = PAGE_SECS
) -> OwedPage:
    """Return the next selected requests. after: the cursor; None: from the earliest on.

    secs: time limit; None: none. Raises UsageError for an invalid cursor or webhook, StateError.
    """
    deadline = Deadline(secs)
    start = b"" if after is None else place_of_cursor(after, _PLACE_BYTES)
    looked_at, is_complete = 0, True
    # Only the page's rows are kept in memory, not a million to show fifty.
    first: list[tuple[bytes, Owed]] = []
    for one in selected(state, owing):
        looked_at += 1
        place = place_of(one)
        if place > start:
            first.append((place, one))
            if len(first) > 20 * limit:
                first = heapq.nsmallest(limit + 1, first, key=itemgetter(0))
        if deadline.is_up(looked_at):
            is_complete = False
            break
    first = heapq.nsmallest(limit + 1, first, key=itemgetter(0))
    later = first[limit - 1][0].hex() if len(first) > limit else None
    return OwedPage([one for _, one in first[:limit]], later, looked_at, is_complete)


def place_of(one: Owed) -> bytes:
    """Return a request's position in due order; equal ones by time of match."""
    due, created = max(0, one.progress.due_ms), max(0, one.request.created_ms)
    tail = blake2b(one.row, digest_size=_PLACE_BYTES - 16).digest()
    return due.to_bytes(8, "big") + created.to_bytes(8, "big") + tail


@dataclass(slots=True)
class Owes(Plain):
    """What one webhook owes."""

    webhook: str
    pending: int
    """All of it, by its counters: also what a running job holds only in memory."""
    now: int = 0
    """On disk, and due."""
    later: int = 0
    """On disk, and not due yet."""
    oldest_ms: int | None = None
    """When the oldest of those read was matched."""
    due_ms: int | None = None
    """When the next one is due, if none is due now."""
    attempts: int = 0
    """The largest number of attempts."""
    last: str = ""
    """The outcome of a last attempt among them."""
    response: str = ""
    """The beginning of that answer."""


@dataclass(slots=True, frozen=True)
class OwesAll:
    """What each webhook with pending requests owes."""

    webhooks: list[Owes]
    is_complete: bool
    """False: time was up, and the numbers on disk are lower bounds."""
    others: int = 0
    """Webhooks that owe less than these, which were not read."""


def summary(state: Path, secs: float | None = PAGE_SECS, most: int | None = None) -> OwesAll:
    """Return how much each webhook owes, what is due, since when, and its receiver's last answer.

    most: webhooks; if more owe something, those that owe most.
    """
    found = {
        name: Owes(name, counts["pending"])
        for name, counts in accounting(state)["webhooks"].items()
        if counts["pending"]
    }
    others = 0 if most is None else max(0, len(found) - most)
    if others:
        most_owed = heapq.nlargest(len(found) - others, found.values(), key=lambda one: one.pending)
        found = {one.webhook: one for one in most_owed}
    now_ms = time.time_ns() // 1_000_000
    begun = time.monotonic()
    looked_at, is_complete = 0, True
    # Each webhook gets its share of the time: one with a million rows hides no other.
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
