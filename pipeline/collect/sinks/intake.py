"""What every sink does before and after it keeps a batch: duplicates, order, answers, accounting."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from math import ceil

import msgspec

from pipeline.collect.batch import Batch, Member, Refused, Why
from pipeline.collect.sinks.dedupe import Ring
from pipeline.collect.sinks.order import Order
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COLLECT_FORGOTTEN
from pipeline.telemetry.metrics import count, gauge, observe

log = logging.get(__name__)

_WEIGHT = 0.2
"""Of the latest commit in the mean rate at which the backlog is kept."""
LONGEST_SECS = 60
_MEMBER_BYTES = 100
"""What a member takes beside its value."""
_TICK_SECS = 0.002
"""Requests of pages that come one by one are let go a few at a time."""


class Ticket(msgspec.Struct, eq=False):
    """A batch on its way into a sink."""

    batch: Batch
    """Its members that are no repeats; there is one at least."""
    same: list[bytes]
    size: int
    repeats: int
    came: float
    outcome: asyncio.Future[int]
    """Done when the batch is kept or refused."""
    after: list[tuple[Batch, asyncio.Future[int]]] | None = None
    """Batches that repeat a member of it: looked at when it is kept, refused when it is."""


class Intake:
    """Takes batches; gives those to ``ready`` that are to be kept now; is told by `over` what became of them.

    A list given to ``ready`` is to be written in the order of `places`, all of it before the next one. A
    batch that repeats a member under way waits for that one, and is refused with it. To be used from one
    event loop, the one that runs at the first `hand`.

    What ``ready`` raises is a fault of ours: the batches that it was given are answered with it.
    """

    def __init__(
        self,
        ready: Callable[[list[Ticket]], None],
        *,
        dedupe_secs: float,
        order_secs: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ready, self._clock = ready, clock
        self.ring = Ring(dedupe_secs)
        self.drain = Drain()
        self.waiting_bytes = 0
        """What was handed over and is neither kept nor refused."""
        self._order: Order[Ticket] | None = Order(order_secs) if order_secs > 0 else None
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: dict[bytes, Ticket] = {}
        self._under_way: dict[Ticket, None] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._forgotten = 0

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that it is used from."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    @property
    def retry_secs(self) -> int:
        """In how many seconds what waits now will be kept, 1 to 60."""
        return self.drain.retry_secs(self.waiting_bytes)

    def measure(self) -> None:
        """Bring the metrics up to date; for once a second."""
        oldest = next(iter(self._under_way), None)
        gauge("collect_oldest_waiting_seconds", 0.0 if oldest is None else self._clock() - oldest.came)
        gauge("collect_remembered", len(self.ring))
        forgotten = self.ring.forgotten
        if forgotten > self._forgotten:
            COLLECT_FORGOTTEN.happened(log, forgotten - self._forgotten, remembered=len(self.ring))
            self._forgotten = forgotten

    def kept(self, tickets: Sequence[Ticket], size: int, secs: float) -> None:
        """Note down that batches were kept, as so many bytes, in so long."""
        self.drain.kept(size, secs)
        observe("collect_commit_seconds", secs)
        count("collect_kept_lines_total", sum([len(ticket.batch.members) for ticket in tickets]))
        count("collect_kept_bytes_total", size)

    def hand(self, batch: Batch) -> asyncio.Future[int]:
        """Return how many members were repeats, once all are kept. The future raises Refused, or a fault."""
        outcome: asyncio.Future[int] = (self._loop or self.loop).create_future()
        self._take(batch, outcome)
        return outcome

    def over(self, tickets: Sequence[Ticket], failed: Exception | None = None) -> None:
        """Take what became of batches, all alike, and answer them."""
        now = self._clock()
        for ticket in tickets:
            self.waiting_bytes -= ticket.size
            del self._under_way[ticket]
            for digest in ticket.same:
                del self._in_flight[digest]
            if failed is None:
                self.ring.add(ticket.same, now)
            tell(ticket.outcome, failed, ticket.repeats)
        for ticket in tickets:
            for batch, outcome in ticket.after or ():
                if outcome.done():
                    continue
                if failed is None:
                    self._take(batch, outcome)
                else:
                    tell(outcome, failed)
        if self._emptied is not None and not self._under_way:
            self._emptied.set_result(None)
            self._emptied = None

    async def emptied(self) -> None:
        """Let everything go that waits for others, and return when nothing is under way."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for together in self._order.release_all() if self._order is not None else ():
            self._give(together)
        if self._under_way:
            self._emptied = self.loop.create_future()
            await self._emptied

    def _take(self, batch: Batch, outcome: asyncio.Future[int]) -> None:
        now, ring = self._clock(), self.ring
        ring.expire(now)
        members: Sequence[Member] = batch.members
        if len(members) == 1:
            only = members[0].same
            same = [] if only is None else [only]
        else:
            same = [member.same for member in members if member.same is not None]
        in_flight = self._in_flight
        if in_flight and not in_flight.keys().isdisjoint(same):
            other = next(in_flight[digest] for digest in same if digest in in_flight)
            if other.after is None:
                other.after = []
            other.after.append((batch, outcome))
            return
        repeats = 0
        if not ring.known.isdisjoint(same) or (len(same) > 1 and len(set(same)) < len(same)):
            members, same = self._without_repeats(members)
            repeats = len(batch.members) - len(members)
            batch = Batch(members, batch.received_ms, batch.is_page, batch.are_good is True)
        if not members:
            outcome.set_result(repeats)
            return
        size = _MEMBER_BYTES * len(members)
        for member in members:
            size += len(member.value or b"")
        ticket = Ticket(batch, same, size, repeats, now, outcome)
        self._under_way[ticket] = None
        self.waiting_bytes += size
        for digest in same:
            in_flight[digest] = ticket
        if batch.is_page and self._order is not None:
            self._order.hold(ticket, now)
            self._tick_later(self._order)
        else:
            self._give([ticket])

    def _give(self, tickets: list[Ticket]) -> None:
        try:
            self._ready(tickets)
        except Exception as fault:  # or they would wait for ever, and their repeats with them
            self.over(tickets, fault)

    def _without_repeats(self, members: Iterable[Member]) -> tuple[list[Member], list[bytes]]:
        known, own = self.ring.known, dict[bytes, None]()
        fresh = []
        for member in members:
            if member.same is not None:
                if member.same in known or member.same in own:
                    continue
                own[member.same] = None
            fresh.append(member)
        return fresh, list(own)

    def _tick_later(self, order: Order[Ticket]) -> None:
        if self._timer is None and (due := order.due()) is not None:
            self._timer = self.loop.call_later(max(due - self._clock(), _TICK_SECS), self._tick, order)

    def _tick(self, order: Order[Ticket]) -> None:
        self._timer = None
        for together in order.release(self._clock()):
            self._give(together)
        self._tick_later(order)


class IntakeSink(ABC):
    """What all sinks behind an intake have in common."""

    _intake: Intake
    _closing = False

    def measure(self) -> None:
        """Bring the metrics up to date; for once a second."""
        self._intake.measure()

    async def keep(self, batch: Batch) -> int:
        """Return how many members were repeats, when all of them are kept. Raises Refused."""
        return await self.hand(batch)

    def hand(self, batch: Batch) -> asyncio.Future[int]:
        """Return what `keep` waits for; giving it up does not take the batch back."""
        why = Why.STOPPING if self._closing else self._refuses(batch)
        if why is None:
            return self._intake.hand(batch)
        refused: asyncio.Future[int] = self._intake.loop.create_future()
        refused.set_exception(Refused(why, self._intake.retry_secs))
        return refused

    async def close(self) -> None:
        """Keep what was handed over, and close; what comes now is refused."""
        if not self._closing:
            self._closing = True
            await self._intake.emptied()
            self._end()

    def _refuses(self, batch: Batch) -> Why | None:
        """Return why a batch is not taken."""
        return None

    @abstractmethod
    def _end(self) -> None:
        """Let go of what is open."""


def tell(outcome: asyncio.Future[int], failed: Exception | None, repeats: int = 0) -> None:
    """Answer whoever waits, unless it has given up."""
    if outcome.done():
        return
    if failed is None:
        outcome.set_result(repeats)
    elif isinstance(failed, Refused):
        # One of its own: a raised exception collects the frames of whoever waits.
        outcome.set_exception(Refused(failed.why, failed.retry_secs))
    else:
        outcome.set_exception(failed)


class Drain:
    """How fast a sink keeps what waits, as a moving mean over its commits."""

    def __init__(self) -> None:
        self._bytes_per_sec = 0.0

    def kept(self, size: int, secs: float) -> None:
        """Take what one commit kept, and how long it took."""
        rate = size / max(secs, 1e-6)
        before = self._bytes_per_sec or rate
        self._bytes_per_sec = before + _WEIGHT * (rate - before)

    def retry_secs(self, waiting_bytes: int) -> int:
        """Return in how many seconds the backlog is gone, 1 to 60; 1 where nothing is known yet."""
        if not self._bytes_per_sec:
            return 1
        return max(1, min(LONGEST_SECS, ceil(waiting_bytes / self._bytes_per_sec)))
