"""The sink that keeps batches in a folder: all that waits is one group, one write, one sync."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.collect.batch import Batch, Member, Refused, Why
from pipeline.collect.sinks.dedupe import Ring
from pipeline.collect.sinks.drain import Drain
from pipeline.collect.sinks.recording.folder import Folder
from pipeline.collect.sinks.recording.keeper import Keeper
from pipeline.collect.sinks.recording.line import line_rests
from pipeline.collect.sinks.recording.mend import lately, mend
from pipeline.collect.sinks.recording.order import Order, places
from pipeline.collect.sinks.recording.settings import RecordingSettings
from pipeline.collect.sinks.recording.writer import Group, Writer
from pipeline.telemetry import log as logging

log = logging.get(__name__)

GROUP_BYTES = 4 << 20
GROUP_LINES = 1 << 16
"""A group takes no further request beyond these."""
DISK_SECS = 10
"""When it is worth coming again after the disk refused."""


@dataclass(slots=True, eq=False)
class _Ticket:
    """A batch on its way."""

    batch: Batch
    """Its members that are no repeats."""
    rests: list[bytes]
    same: list[bytes]
    size: int
    repeats: int
    came: float
    outcome: asyncio.Future[int]
    """Done when the batch is kept or refused."""
    after: list[tuple[Batch, asyncio.Future[int]]] = field(default_factory=list)
    """Batches that repeat a member of it, looked at when it is kept, refused when it is."""


@dataclass(slots=True)
class _Under:
    """The group under way."""

    first: int
    tickets: list[_Ticket] = field(default_factory=list)
    size: int = 0


class RecordingSink:
    """Keeps batches in a folder; one per folder, used from one event loop.

    Raises StateError where another collector has the folder or what stands there cannot be gone on from;
    Fatal where the disk refuses.
    """

    def __init__(
        self,
        settings: RecordingSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        clock_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._clock = clock
        self._folder = Folder(settings.folder)
        try:
            mend(self._folder)
            self._ring = Ring(settings.dedupe_secs)
            now, now_ms = clock(), clock_ms()
            for at_ms, digest in lately(
                self._folder, now_ms - settings.dedupe_secs * 1000, self._ring.max_entries
            ):
                self._ring.add((digest,), now - max(0, now_ms - at_ms) / 1000)
            self._keeper = Keeper(self._folder, settings)
            known = self._folder.known
            self._next_line, self._last_ms = known.next_line, known.time_ms
            self._head = f'{{"hookline":1,"source":"collect-{known.id}/0","offset":'.encode()
            self._writer = Writer(
                self._folder,
                self._keeper,
                self._written,
                segment_bytes=settings.segment_bytes,
                segment_secs=settings.segment_secs,
                clock=clock,
            )
        except BaseException:
            self._folder.close()
            raise
        self._writer.start()
        self._keeper.start()
        self._new_file = True
        """Nothing was written to the segment: its first line has to be later than all before it."""
        self._order: Order[_Ticket] = Order(settings.order_secs)
        self._orders = settings.order_secs > 0
        self._ready: list[list[_Ticket]] = []
        self._under: _Under | None = None
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight: dict[bytes, _Ticket] = {}
        self._waiting_bytes = 0
        self._drain = Drain()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._refusing = False
        self._closing = False
        self._idle: asyncio.Future[None] | None = None

    @property
    def waiting_bytes(self) -> int:
        """What was handed over and is not on disk yet."""
        return self._waiting_bytes

    @property
    def retry_secs(self) -> int:
        """In how many seconds what waits now will be kept, 1 to 60."""
        return self._drain.retry_secs(self._waiting_bytes)

    @property
    def trouble(self) -> Why | None:
        """DISK while the last group was refused by the disk."""
        return Why.DISK if self._refusing else None

    async def keep(self, batch: Batch) -> int:
        """Return how many members were repeats, when all of them are on disk. Raises Refused."""
        return await self.hand(batch)

    def hand(self, batch: Batch) -> asyncio.Future[int]:
        """Return what `keep` waits for; giving it up does not take the batch back."""
        self._loop = self._loop or asyncio.get_running_loop()
        outcome: asyncio.Future[int] = self._loop.create_future()
        if self._closing:
            outcome.set_exception(Refused(Why.STOPPING, 1))
        else:
            self._take(batch, outcome)
        return outcome

    def _take(self, batch: Batch, outcome: asyncio.Future[int]) -> None:
        if outcome.done():
            return
        now = self._clock()
        self._ring.expire(now)
        members: Sequence[Member] = batch.members
        same = [member.same for member in members if member.same is not None]
        digests = set(same)
        in_flight = self._in_flight
        if not in_flight.keys().isdisjoint(digests):
            other = next(in_flight[digest] for digest in same if digest in in_flight)
            other.after.append((batch, outcome))
            return
        repeats = 0
        if len(digests) < len(same) or not self._ring.known.isdisjoint(digests):
            members, same = self._without_repeats(members)
            repeats = len(batch.members) - len(members)
            batch = Batch(members, batch.received_ms, batch.is_page)
        if not members:
            outcome.set_result(repeats)
            return
        rests = line_rests(members)
        ticket = _Ticket(batch, rests, same, sum(map(len, rests)), repeats, now, outcome)
        self._waiting_bytes += ticket.size
        for digest in same:
            in_flight[digest] = ticket
        if batch.is_page and self._orders:
            self._order.hold(ticket, now)
            self._tick_later()
        else:
            self._ready.append([ticket])
            self._wake()

    def _without_repeats(self, members: Sequence[Member]) -> tuple[list[Member], list[bytes]]:
        known, own = self._ring.known, dict[bytes, None]()
        fresh = []
        for member in members:
            if member.same is not None:
                if member.same in known or member.same in own:
                    continue
                own[member.same] = None
            fresh.append(member)
        return fresh, list(own)

    def _tick_later(self) -> None:
        if self._timer is None and self._loop is not None:
            due = self._order.due()
            if due is not None:
                # Not sooner: what comes one by one is released a few at a time.
                self._timer = self._loop.call_later(max(due - self._clock(), 0.002), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._ready += self._order.release(self._clock())
        self._tick_later()
        self._wake()

    def _wake(self) -> None:
        # What else is read in this turn of the loop goes along.
        if self._under is None and not self._woken and self._ready and self._loop is not None:
            self._woken = True
            self._loop.call_soon(self._begin)

    def _begin(self) -> None:
        """Let what is ready be written."""
        self._woken = False
        if self._under is not None or not self._ready:
            return
        first = number = self._next_line
        under = self._under = _Under(first)
        begins = self._writer.wants_new_segment()
        last_ms = self._last_ms + 1 if begins or self._new_file else self._last_ms
        head = self._head
        lines: list[bytes] = []
        taken = 0
        for unit in self._ready:
            if under.size >= GROUP_BYTES or number - first >= GROUP_LINES:
                break
            taken += 1
            for received_ms, rests in _in_order(unit):
                last_ms = max(last_ms, received_ms)
                at = b',"time":%d' % last_ms
                for rest in rests:
                    lines += (head, b"%d" % number, at, rest)
                    number += 1
            under.tickets += unit
            under.size += sum(ticket.size for ticket in unit)
        del self._ready[:taken]
        # Not given back where the group is refused: a reader may have seen its lines.
        self._next_line, self._last_ms = number, last_ms
        self._new_file = False
        self._writer.put(Group(b"".join(lines), first, last_ms, begins))

    def _written(self, failed: Exception | None, secs: float) -> None:
        """Take what became of the group under way; in the writer's thread."""
        assert self._loop is not None  # a group was handed over
        self._loop.call_soon_threadsafe(self._over, failed, secs)

    def _over(self, failed: Exception | None, secs: float) -> None:
        under, self._under = self._under, None
        assert under is not None  # it is this one's
        self._refusing = failed is not None
        if failed is None:
            self._drain.kept(under.size, secs)
        elif not self._writer.seen:
            self._next_line = under.first
        if self._ready:
            self._begin()
        now = self._clock()
        if failed is not None:
            log.error("events cannot be kept", folder=str(self._folder.path), reason=str(failed))
        for ticket in under.tickets:
            self._waiting_bytes -= ticket.size
            for digest in ticket.same:
                del self._in_flight[digest]
            if failed is None:
                self._ring.add(ticket.same, now)
            _tell(ticket.outcome, failed, ticket.repeats)
        for ticket in under.tickets:
            for batch, outcome in ticket.after:
                if failed is None:
                    self._take(batch, outcome)
                else:
                    _tell(outcome, failed, 0)
        if self._idle is not None and self._under is None and not self._ready:
            self._idle.set_result(None)

    async def close(self) -> None:
        """Keep what was handed over, and let the folder go; what comes now is refused."""
        if self._closing:
            return
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        self._ready += self._order.release_all()
        self._wake()
        if self._under is not None or self._ready:
            self._idle = asyncio.get_running_loop().create_future()
            await self._idle
        self._keeper.close()
        try:
            self._writer.close(self._next_line)
        except OSError as error:
            # The next start finds it as after a crash.
            log.warning("the folder was not closed", folder=str(self._folder.path), reason=str(error))
        self._folder.close()


def _tell(outcome: asyncio.Future[int], failed: Exception | None, repeats: int) -> None:
    if outcome.done():  # whoever asked has given up
        return
    if failed is None:
        outcome.set_result(repeats)
    else:
        outcome.set_exception(Refused(Why.DISK, DISK_SECS))


def _in_order(unit: Sequence[_Ticket]) -> Iterable[tuple[int, Sequence[bytes]]]:
    """Return the lines' rests in the order to write them in, each with when it was received."""
    if len(unit) == 1:
        return ((unit[0].batch.received_ms, unit[0].rests),)
    order = places([ticket.batch for ticket in unit])
    return ((unit[number].batch.received_ms, (unit[number].rests[index],)) for number, index in order)
