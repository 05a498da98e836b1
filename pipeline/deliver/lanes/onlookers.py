"""Observers of finished requests: the recent attempts of each webhook, kept for people, and a tap.

All in memory, and without secrets: requests hold slots. Without a tap, a failure is noted where it is judged,
and of the successes only one now and then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.limits.outages import probe_at
from pipeline.outbox.handover import Delivery, Outcome, Request, Result
from pipeline.telemetry.log import get

log = get(__name__)

FAILURES = 200
"""Failed attempts kept per webhook."""
SUCCESSES = 50
GOOD_SECS = 0.1
"""How often a success is kept, over all webhooks: enough to see what is sent, at no cost to sending."""
GOOD_AT_ONCE = 20
"""After a silence so many are kept without a pause: of a few that come together, each webhook has some."""
BYTES = 16 << 20
"""Memory for the attempts of all webhooks."""
LEAST_BYTES = 4096
"""Memory for the attempts of one webhook, however many webhooks there are."""
LARGE = 64 * 1024
"""Larger bodies are not kept."""
USUAL_BYTES = 500
"""Memory of an attempt besides its body."""


class Kept(msgspec.Struct, frozen=True, gc=False):
    """An attempt as it ended."""

    at_ms: int
    request: Request
    has_body: bool
    """False where it was too large to be kept: the request has none then."""
    attempt: int
    outcome: Outcome
    status: int
    reason: str
    """Why it was given up; "" where it was not."""
    due_ms: int
    """When it is retried; 0: it is not."""
    probe_ms: int
    """When its receiver is probed next; 0: it is not down. The others are sent only once a probe succeeds."""
    took_secs: float | None
    """From request to answer; None where nothing was sent."""
    excerpt: str
    """The beginning of the answer, or what went wrong; without secrets."""


class Trip(NamedTuple):
    """A request that ended in this turn."""

    secs: float | None
    """From request to answer; None where nothing was sent."""
    probe_ms: int = 0
    """As in `Kept`."""


Trips: TypeAlias = Callable[[Delivery], Trip]
"""Returns the trip of a request that ended in this turn."""


class Tap(Protocol):
    """Sees every result before it is written down."""

    def results(self, results: list[Result], trips: Trips, now_ms: int) -> None:
        """Take the results of one shard and loop turn."""


class Attempts:
    """The recent attempts of each webhook. Written by the engine's thread, read by any."""

    def __init__(self, most_bytes: int = BYTES) -> None:
        self._rings: dict[str, tuple[deque[Kept], deque[Kept]]] = {}
        """Failures and successes."""
        self._bytes: dict[str, int] = {}
        self._most_bytes = most_bytes

    def note(self, result: Result, trip: Trip, now_ms: int) -> None:
        """Keep one attempt; drop the oldest of its webhook."""
        delivery, outcome = result.delivery, result.outcome
        request, progress = delivery.request, delivery.progress
        has_body = len(request.body) <= LARGE
        due_ms, probe_ms = (progress.due_ms, trip.probe_ms) if outcome is Outcome.RETRY else (0, 0)
        kept = Kept(
            now_ms, request if has_body else msgspec.structs.replace(request, body=b""), has_body,
            progress.attempt, outcome, progress.status, result.reason, due_ms, probe_ms, trip.secs,
            progress.excerpt,
        )  # fmt: skip
        name = request.webhook_id
        rings = self._rings.get(name)
        if rings is None:
            rings = self._rings[name] = (deque(), deque())
        is_good = outcome is Outcome.DELIVERED
        ring = rings[is_good]
        ring.append(kept)
        size = self._bytes.get(name, 0) + _bytes(kept)
        if len(ring) > (SUCCESSES if is_good else FAILURES):
            size -= _bytes(ring.popleft())
        most = max(LEAST_BYTES, self._most_bytes // len(self._rings))
        while size > most and (rings[0] or rings[1]):
            # Successes are the least informative.
            size -= _bytes((rings[1] or rings[0]).popleft())
        self._bytes[name] = size

    def forget(self, webhook_ids: Collection[str]) -> None:
        """Drop what is kept of these."""
        for webhook_id in webhook_ids:
            self._rings.pop(webhook_id, None)
            self._bytes.pop(webhook_id, None)

    def of(self, webhook_id: str | None = None) -> list[Kept]:
        """Return what is kept of one webhook or of all, newest first."""
        rings = list(self._rings.values()) if webhook_id is None else [self._rings.get(webhook_id, ())]
        found = [kept for pair in rings for ring in pair for kept in list(ring)]
        return sorted(found, key=lambda kept: -kept.at_ms)


def _bytes(kept: Kept) -> int:
    return USUAL_BYTES + len(kept.request.body) + len(kept.excerpt)


class Onlookers:
    """What the engine tells observers. Used by its thread alone."""

    def __init__(self) -> None:
        self.attempts: Attempts | None = None
        self.tap: Tap | None = None
        """Nearly always None."""
        self.failed: list[Result] = []
        """Failures of this turn."""
        self.next_good = inf
        """When the next success is to be kept."""
        self._ended: list[tuple[Sequence[Attempt], float]] = []
        """Attempts that ended in this turn, and when."""
        self._trips: dict[int, tuple[Attempt, float]] | None = None

    def keep(self, attempts: Attempts) -> None:
        """Keep recent attempts there from now on."""
        self.attempts, self.next_good = attempts, 0.0

    def forget(self, webhook_ids: Collection[str]) -> None:
        """Drop what is kept of these webhooks."""
        if self.attempts is not None:
            self.attempts.forget(webhook_ids)

    def took(self, attempts: Sequence[Attempt], now: float) -> None:
        """Note that these ended now."""
        self._ended.append((attempts, now))
        self._trips = None

    def good(self, attempts: Sequence[Attempt], more: Collection[int], now: float, now_ms: int) -> None:
        """Keep one of these successes. more: the statuses of some, beside 2xx."""
        self.next_good = max(self.next_good, now - GOOD_AT_ONCE * GOOD_SECS) + GOOD_SECS
        for attempt in reversed(attempts):
            if (
                self.attempts is not None
                and attempt.fault is None
                and (200 <= attempt.status < 300 or attempt.status in more)
            ):
                result = Result(attempt.items[0], Outcome.DELIVERED)
                self.attempts.note(result, Trip(now - attempt.started), now_ms)
                return

    def wanted(self) -> bool:
        """Return whether anybody observes the results of this turn."""
        return self.tap is not None or bool(self.failed or self._ended)

    def see(self, posted: Iterable[list[Result]], now_ms: int) -> None:
        """Show the results of a turn. A failure here does not stop them from being written down."""
        failed, self.failed = self.failed, []
        try:
            if self.attempts is not None:
                for result in failed:
                    self.attempts.note(result, self._trip(result.delivery), now_ms)
            if self.tap is not None:
                for results in posted:
                    self.tap.results(results, self._trip, now_ms)
        except Exception as error:
            self.tap = None
            log.error("a tap ends: it failed", exc_info=error)
        self._ended, self._trips = [], None

    def _trip(self, delivery: Delivery) -> Trip:
        # Few deliveries need it: most turns need no table.
        trips = self._trips
        if trips is None:
            trips = self._trips = {
                id(each): (attempt, now)
                for attempts, now in self._ended
                for attempt in attempts
                for each in attempt.items
            }
        found = trips.get(id(delivery))
        if found is None:
            return Trip(None)
        attempt, now = found
        lane: Lane = attempt.owner
        probed = probe_at(lane) if lane.throttle.down else inf
        return Trip(now - attempt.started, 0 if probed == inf else lane.clock.steady_ms(probed))
