"""One topic partition in the merge: its records in a queue, with their times made monotone.

A stamp far ahead poisons nobody: one that lies more than `AHEAD_MS` beyond the clock and beyond everything
the side has brought is no time. Such a record takes the time of the next one that has one, and the clock's
while none has come; it lifts no later record's time.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

BEFORE_ALL = -(1 << 62)
"""Floor of a side that has brought nothing yet: earlier than any time."""
AHEAD_MS = 60_000
"""How far a stamp may lie beyond the clock and its side's maximum: clocks differ."""

Covers: TypeAlias = Mapping[str, int]


class Proof(NamedTuple):
    """When the side has been read up to ``end``, records of other sides below ``covers`` may pass it."""

    end: int
    covers: Covers
    committed: bool


@dataclass(slots=True)
class Side(Generic[T]):
    """One topic partition of the merge."""

    name: str
    position: int
    """Offset up to which it is fetched: the next record has this offset or a higher one."""
    floor: int = BEFORE_ALL
    """Monotone time (ms) of the last record fetched that is not ahead of the clock."""
    stop: int | None = None
    """Offset before which it ends; None: it never does."""
    released_floor: int = BEFORE_ALL
    """Monotone time (ms) of the last record that left: kept with the position, a restart begins with it."""
    offsets: list[int] = field(default_factory=list)
    """The records that are fetched and have not left, in columns: offset, ..."""
    stamps: list[int] = field(default_factory=list)
    """... broker time (ms) ..."""
    times: list[int] = field(default_factory=list)
    """... that time (or the record's own) made monotone ..."""
    items: list[T] = field(default_factory=list)
    """... and the record itself."""
    size_of: Callable[[T], int] | None = None
    """Bytes of a record; None: they are not counted."""
    held_bytes: int = 0
    """Of all in the queue."""
    ahead: int = 0
    """How many records at the end of the queue are ahead of the clock, with none behind them that is not."""
    clamped: list[int] = field(default_factory=list)
    """Offsets of all in the queue that are ahead of the clock."""
    clamped_before: Collection[int] = ()
    """Of those below ``decided_until``: which of them were ahead of the clock, as decided before a crash."""
    decided_until: int = 0
    """Below this offset nothing is decided again."""
    fetches: deque[tuple[int, int]] = field(default_factory=deque)
    """When they were fetched (ms, any clock): time of a fetch, and the offset after its last record."""
    known_ends: deque[tuple[int, int]] = field(default_factory=deque)
    """Its ends as answered before: when (ms), and offset."""
    asked: list[Proof] = field(default_factory=list)
    """Answered ends that are not reached yet: at most one of the log and one of what is committed."""
    covers: dict[str, int] = field(default_factory=dict)
    """Per other side, the offset below which records need not wait for this one."""
    is_events: bool = False
    """True if it holds only events: another side of events need not wait for it."""
    progress_ms: int = 0
    """When it last brought something."""
    told_end: int = -1
    """The end of it that was told last."""
    left: int = -1
    """Offset after the last record that left."""
    epoch: int = -1
    """Epoch of the leader that wrote that one; -1 if unknown."""

    @property
    def next_offset(self) -> int:
        """Offset of the first record that has not left: where a restart goes on."""
        return self.offsets[0] if self.offsets else self.position

    @property
    def first_fetched_ms(self) -> int:
        """When the first record that has not left was fetched."""
        return self.fetches[0][0]

    @property
    def done(self) -> bool:
        """True when it has reached its stop; records may still be in the queue."""
        return self.stop is not None and self.position >= self.stop

    @property
    def tells(self) -> bool:
        """True when its first record says that nothing earlier will come; one ahead of the clock does not."""
        return len(self.offsets) > self.ahead or (self.done and bool(self.offsets))

    def add(
        self,
        offsets: Sequence[int],
        stamps: Sequence[int],
        items: Sequence[T],
        now_ms: int,
        wall_ms: int | None,
        own: Sequence[int] | None = None,
    ) -> None:
        """Add records that were fetched, in order.

        wall_ms: the clock (unix ms) then; None: there is none, and nothing is ahead of it.
        own: what the records themselves say of their times (ms), in the place of ``stamps``.
        """
        times = stamps if own is None else own
        if self._are_plain(offsets, times, wall_ms):
            self.times += islice(accumulate(times, max, initial=self.floor), 1, len(times) + 1)
            self.floor = self.times[-1]
        else:
            self._add_times(offsets, times, wall_ms)
        self.offsets += offsets
        self.stamps += stamps
        self.items += items
        self.fetches.append((now_ms, offsets[-1] + 1))
        if self.size_of is not None:
            self.held_bytes += sum(map(self.size_of, items))

    def _are_plain(self, offsets: Sequence[int], stamps: Sequence[int], wall_ms: int | None) -> bool:
        if self.ahead or (offsets[0] < self.decided_until and self.clamped_before):
            return False
        if wall_ms is None or offsets[-1] < self.decided_until:
            return True
        return max(stamps) <= max(wall_ms, self.floor) + AHEAD_MS

    def _add_times(self, offsets: Sequence[int], stamps: Sequence[int], wall_ms: int | None) -> None:
        for offset, stamp in zip(offsets, stamps, strict=True):
            if offset < self.decided_until:
                is_ahead = offset in self.clamped_before
            else:
                is_ahead = wall_ms is not None and stamp > max(wall_ms, self.floor) + AHEAD_MS
            if is_ahead:
                latest = self.times[-1] if self.ahead else self.floor
                self.times.append(latest if wall_ms is None else max(wall_ms, latest))
                self.clamped.append(offset)
                self.ahead += 1
                continue
            self.floor = max(self.floor, stamp)
            if self.ahead:
                begin = len(self.times) - self.ahead
                self.times[begin:] = [min(self.floor, time) for time in self.times[begin:]]
                self.ahead = 0
            self.times.append(self.floor)

    def settled(self, settle_ms: int, now_ms: int, wall_ms: int | None) -> int:
        """Return the offset below which all records have settled, by the clock or since their fetch."""
        if not settle_ms or not self.offsets:
            return self.position
        settled = 0
        for fetched_ms, end in self.fetches:
            if fetched_ms > now_ms - settle_ms:
                break
            settled = end
        if wall_ms is not None and settled < self.position:
            old = bisect_right(self.times, wall_ms - settle_ms)
            settled = max(settled, self.offsets[old] if old < len(self.offsets) else self.position)
        return settled

    def late(self, number: int, after_ms: int) -> int:
        """Return how many of the first records are earlier than what has left of another side."""
        return bisect_left(self.times, after_ms, 0, number)

    def release(self, number: int) -> Run[T]:
        """Release the first records, and return them."""
        clamped: list[int] = []
        if self.clamped:
            clamped = self.clamped[: bisect_right(self.clamped, self.offsets[number - 1])]
            del self.clamped[: len(clamped)]
        run = Run(
            self,
            self.offsets[:number],
            self.stamps[:number],
            self.items[:number],
            self.first_fetched_ms,
            clamped,
        )
        if self.size_of is not None:
            self.held_bytes -= sum(map(self.size_of, run.items))
        good = number
        for offset in reversed(clamped):
            good -= good > 0 and self.offsets[good - 1] == offset
        if good:
            self.released_floor = self.times[good - 1]
        self.ahead = min(self.ahead, len(self.offsets) - number)
        for column in (self.offsets, self.stamps, self.times, self.items):
            del column[:number]
        while self.fetches and self.fetches[0][1] <= self.next_offset:
            self.fetches.popleft()
        return run


class Run(NamedTuple, Generic[T]):
    """Records of one side that leave one after another."""

    side: Side[T]
    offsets: list[int]
    stamps: Sequence[int]
    """Their broker times (ms)."""
    items: list[T]
    fetched_ms: int
    """When the first of them was fetched."""
    clamped: Sequence[int] = ()
    """Offsets of those that were ahead of the clock."""
