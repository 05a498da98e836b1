"""Merge topics that are written independently into the one order that the join relies on (promise P3).

A source partition reads partition i of each topic: its **sides**. Records leave in the order of their
broker times, made monotone per side (running maximum); at equal times the side named first goes first, so
user-property topics are named before event topics: an update precedes an event of the same time.

Nothing has to be read twice and no clock is asked. A record leaves when no other side can still bring an
earlier one. Of a side with records in its queue the first one tells; an empty side

- has already passed the record's time, or
- has been read up to an end that was asked for after the record had been appended. What is appended to it
  later was not yet acknowledged when the record was, or
- has reached the offset where it is to stop.

A record was appended before a question if it was fetched before it, or lies below an end answered before
it: so a backlog needs two questions, not one per fetch.

Transactions: the end is that of the log, decided or not. A producer's commit is acknowledged before the
markers that make it readable are written, so the committed end would let an event pass that was produced
after the commit. But nobody waits long for a transaction that stays open: ``undecided_ms`` after it was
appended a record is content with the committed end.

Pure: whoever fetches says what came (`add`, `reached`, `answer`) and what time it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice, repeat
from typing import Generic, NamedTuple, TypeAlias, TypeVar

T = TypeVar("T")

BEFORE_ALL = -(1 << 62)
"""Floor of a side that has brought nothing yet: earlier than any time."""


UNDECIDED_MS = 1000
"""How long a record waits for open transactions. Markers follow a commit within milliseconds."""
_ENDS_EVERY_MS = 50


class Waiting(NamedTuple, Generic[T]):
    """A fetched record: its offset, its monotone time (ms), when it was fetched (ms, any clock)."""

    offset: int
    time: int
    fetched_ms: int
    item: T


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
    """Offset up to which it is fetched: the next record is at this one or above."""
    floor: int = BEFORE_ALL
    """Monotone time (ms) of the last record fetched."""
    stop: int | None = None
    """Offset before which it ends; None: it never does."""
    released_floor: int = BEFORE_ALL
    """Monotone time (ms) of the last record that left: kept with the position, a restart begins with it."""
    queue: deque[Waiting[T]] = field(default_factory=deque)
    known_ends: deque[tuple[int, int]] = field(default_factory=deque)
    """Its ends as answered before: when (ms), and offset."""
    asked: list[Proof] = field(default_factory=list)
    """Answered ends that are not reached yet: at most one of the log and one of what is committed."""
    covers: dict[str, int] = field(default_factory=dict)
    """Per other side, the offset below which records need not wait for this one."""
    progress_ms: int = 0
    """When it last brought something."""

    @property
    def next_offset(self) -> int:
        """Offset of the first record that has not left: where a restart goes on."""
        return self.queue[0].offset if self.queue else self.position

    @property
    def done(self) -> bool:
        """True when it stands where it is to stop; records may still be in the queue."""
        return self.stop is not None and self.position >= self.stop


class Question(NamedTuple):
    """Ask the broker for the end of every side."""

    covers: Covers
    """What reaching the answered ends will prove, see `Side.covers`."""
    committed: bool
    """True: the end of what is committed; False: the end of the log."""


class Alignment(Generic[T]):
    """The merge of one source partition. Sides are given in the order of ties: user properties first."""

    def __init__(
        self, sides: Sequence[Side[T]], *, max_wait_ms: int | None = None, undecided_ms: int = UNDECIDED_MS
    ) -> None:
        self.sides = tuple(sides)
        self.max_wait_ms = max_wait_ms
        self.undecided_ms = undecided_ms
        self.unaligned = 0
        """Records that left because a side brought nothing for ``max_wait_ms``."""
        self.held_by: Side[T] | None = None
        """The side for which the last `take` stopped early; None if nothing waits."""
        self._held: Side[T] | None = None
        """The side whose first record waits for it."""
        self._question: Question | None = None
        for side in self.sides:
            if side.released_floor == BEFORE_ALL:
                side.released_floor = side.floor

    def add(
        self, side: Side[T], offsets: Sequence[int], times_ms: Sequence[int], items: Sequence[T], now_ms: int
    ) -> None:
        """Records were fetched, in their order. Those beyond its stop are not taken and only end it."""
        if side.stop is not None and offsets and offsets[-1] >= side.stop:
            self.reached(side, offsets[-1], now_ms)
            offsets = offsets[: bisect_left(offsets, side.stop)]
        if not offsets:
            return
        floors = islice(accumulate(times_ms, max, initial=side.floor), 1, None)
        side.queue.extend(map(Waiting, offsets, floors, repeat(now_ms), items))
        side.floor = side.queue[-1].time
        # An end may have been reported already that lies behind a transaction marker after the last record.
        side.position = max(side.position, offsets[-1] + 1)
        side.progress_ms = now_ms

    def reached(self, side: Side[T], offset: int, now_ms: int) -> None:
        """The side was read up to ``offset`` (its end for now): no record lies before it."""
        side.progress_ms = now_ms
        side.position = max(side.position, offset)

    def ask(self, now_ms: int) -> Question | None:
        """Return a question if its answer can release something; then wait for `answer` or `lost`."""
        if self._held is None or self.held_by is None or self._question is not None:
            return None
        if not self.held_by.asked:
            covers = {side.name: max(side.position, self._end_known_at(side, now_ms)) for side in self.sides}
            self._question = Question(covers, committed=False)
        elif not any(proof.committed for proof in self.held_by.asked):
            # It waits for the end of the log, which an open transaction may keep out of reach.
            before = now_ms - self.undecided_ms
            covers = {side.name: self._appended_by(side, before) for side in self.sides}
            if self._held.queue[0].offset < covers[self._held.name]:
                self._question = Question(covers, committed=True)
        return self._question

    def _end_known_at(self, side: Side[T], when_ms: int) -> int:
        """Return an offset below which every record was surely appended at that time."""
        return max((end for at, end in side.known_ends if at <= when_ms), default=0)

    def _appended_by(self, side: Side[T], when_ms: int) -> int:
        offset = self._end_known_at(side, when_ms)
        for waiting in side.queue:
            if waiting.fetched_ms > when_ms:
                break
            offset = max(offset, waiting.offset + 1)
        return offset

    def answer(self, question: Question, ends: Mapping[str, int], now_ms: int) -> None:
        """The ends of all sides, queried after the question was returned."""
        self._question = None
        for side in self.sides:
            end = ends[side.name]
            known = side.known_ends
            if not known or now_ms >= known[-1][0] + _ENDS_EVERY_MS:
                known.append((now_ms, end))
                while len(known) > 1 and known[1][0] <= now_ms - self.undecided_ms:
                    known.popleft()
            # An older end is reached sooner: replacing it could starve a record behind a busy side.
            if not any(proof.committed == question.committed for proof in side.asked):
                until = end if side.stop is None else min(end, side.stop)
                side.asked.append(Proof(until, question.covers, question.committed))

    def lost(self, question: Question) -> None:
        """The question failed; another one may be asked."""
        if self._question is question:
            self._question = None

    def take(self, limit: int, now_ms: int) -> list[tuple[Side[T], Waiting[T]]]:
        """Return the records that may leave now, in order, at most ``limit``."""
        taken: list[tuple[Side[T], Waiting[T]]] = []
        self.held_by = self._held = None
        for side in self.sides:
            for proof in [proof for proof in side.asked if side.position >= proof.end]:
                side.asked.remove(proof)
                for name, offset in proof.covers.items():
                    side.covers[name] = max(offset, side.covers.get(name, 0))
        while len(taken) < limit:
            first = self._first()
            if first is None or not self._run(first, limit, now_ms, taken):
                break
        return taken

    def take_up_to(self, ends: Sequence[int], limit: int) -> list[tuple[Side[T], Waiting[T]]] | None:
        """Return the records below an offset per side, in order; None while one of them may not be fetched.

        For a replay: which records leave together was decided before, so nothing waits for another side.
        """
        if any(side.position < end for side, end in zip(self.sides, ends, strict=True)):
            return None
        taken: list[tuple[Side[T], Waiting[T]]] = []
        while len(taken) < limit:
            below = zip(self.sides, ends, strict=True)
            waiting = [side for side, end in below if side.queue and side.queue[0].offset < end]
            if not waiting:
                break
            first = min(waiting, key=lambda side: side.queue[0].time)
            taken.append((first, first.queue.popleft()))
            first.released_floor = taken[-1][1].time
        return taken

    def _first(self) -> Side[T] | None:
        """Return the side whose record is next by time; of equal times the side named first."""
        waiting = [side for side in self.sides if side.queue]
        return min(waiting, key=lambda side: side.queue[0].time) if waiting else None

    def _run(self, side: Side[T], limit: int, now_ms: int, taken: list[tuple[Side[T], Waiting[T]]]) -> bool:
        """Take records of the side as long as they are next; False when one of them must wait."""
        queue = side.queue
        bounds: list[tuple[int, int, Side[T]]] = []
        earlier = True  # whether the other side is named before this one: then it wins a tie
        for other in self.sides:
            if other is side:
                earlier = False
            elif other.queue:
                bounds.append((other.queue[0].time + (not earlier), -1, other))
            elif not other.done:
                bounds.append((other.floor + (not earlier), other.covers.get(side.name, 0), other))
        while queue and len(taken) < limit:
            head = queue[0]
            unaligned = False
            for time_bound, offset_bound, other in bounds:
                if head.time < time_bound or head.offset < offset_bound:
                    continue
                if other.queue:
                    return True  # the other side's record is next
                if not self._waited(head, other, now_ms):
                    self._held, self.held_by = side, other
                    return False
                unaligned = True
            self.unaligned += unaligned
            taken.append((side, queue.popleft()))
            side.released_floor = head.time
        return True

    def _waited(self, head: Waiting[T], other: Side[T], now_ms: int) -> bool:
        """True when the other side has brought nothing for ``max_wait_ms`` since the record was fetched."""
        if self.max_wait_ms is None:
            return False
        return now_ms - max(head.fetched_ms, other.progress_ms) >= self.max_wait_ms
