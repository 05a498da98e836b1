"""Merge topics that are written independently into the one order that the join relies on (promise P3).

A source partition reads partition i of each topic: its **sides**. Records leave in the order of their
broker times, made monotone per side (running maximum); at equal times the side named first goes first, so
user-property topics are named before event topics: an update precedes an event of the same time.

Sides of events alone do not wait for one another: nothing that one of them holds changes what another means.

Nothing has to be read twice. A record leaves when no other side can still bring an
earlier one. Of a side with records in its queue the first one tells; an empty side

- has already passed the record's time, or
- has been read up to an end that was asked for after the record had been appended. What is appended to it
  later was not yet acknowledged when the record was, or
- has reached the offset where it is to stop.

A record was appended before a question if it was fetched before it, or lies below an end answered before
it: so a backlog needs two questions, not one per fetch.

A record can reach the broker after one of the other side that it precedes: its producer waited for more, or
the two are written by different services. So the end is asked for when a record has **settled**: when the
clock is ``settle_ms`` past its time, at most so long after it was fetched. What comes later still is counted
(`Alignment.late`): read again, it would leave before what had left.

A change of a table is written long after its commit, by Debezium, and an event that follows the commit may be
there first. Such topics are merged by the time of the commit, which their records say; a snapshot's rows,
which say none, go before all that has not left.

Transactions: the end is that of the log, decided or not. A producer's commit is acknowledged before the
markers that make it readable are written, so the committed end would let an event pass that was produced
after the commit. But nobody waits long for a transaction that stays open: ``undecided_ms`` after it was
appended a record is content with the committed end.

Pure: whoever fetches says what came (`add`, `reached`, `answer`) and what time it is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from pipeline.sources.chunk import CHUNK_BYTES, fitting
from pipeline.sources.topics.merging.side import BEFORE_ALL, Covers, Proof, Run, Side

T = TypeVar("T")

UNDECIDED_MS = 1000
"""How long a record waits for open transactions. Markers follow a commit within milliseconds."""
_ENDS_EVERY_MS = 50


class Question(NamedTuple):
    """Ask the broker for the end of every side."""

    covers: Covers
    """What reaching the answered ends will prove, see `Side.covers`."""
    committed: bool
    """True: the end of what is committed; False: the end of the log."""


class Alignment(Generic[T]):
    """The merge of one source partition. Sides are given in the order of ties: user properties first."""

    def __init__(
        self,
        sides: Sequence[Side[T]],
        *,
        max_wait_ms: int | None = None,
        undecided_ms: int = UNDECIDED_MS,
        settle_ms: int = 0,
        size_of: Callable[[T], int] | None = None,
    ) -> None:
        self.sides = tuple(sides)
        self.size_of = size_of
        """Bytes of a record; None: chunks are bounded by their records alone."""
        self.max_wait_ms = max_wait_ms
        self.undecided_ms = undecided_ms
        self.settle_ms = settle_ms
        self.wall_ms: int | None = None
        """The clock (unix ms), set before each call; None: records settle by when they were fetched, and none
        is ahead of it."""
        self.late: dict[str, int] = {}
        """Per side, the records that left after a later record of another side."""
        self.unaligned = 0
        """Records that left because a side brought nothing for ``max_wait_ms``."""
        self.held_by: Side[T] | None = None
        """The side for which the last `take` stopped early; None if nothing waits."""
        self._held: Side[T] | None = None
        """The side whose first record waits for it."""
        self._question: Question | None = None
        for side in self.sides:
            side.size_of = size_of
            if side.released_floor == BEFORE_ALL:
                side.released_floor = side.floor

    def add(
        self,
        side: Side[T],
        offsets: Sequence[int],
        times_ms: Sequence[int],
        items: Sequence[T],
        now_ms: int,
        own_ms: Sequence[int] | None = None,
    ) -> None:
        """Add records that were fetched, in order. Those beyond the side's stop only end it.

        own_ms: see `Side.add`.
        """
        if side.stop is not None and offsets and offsets[-1] >= side.stop:
            self.reached(side, offsets[-1], now_ms)
            offsets = offsets[: bisect_left(offsets, side.stop)]
            times_ms, items = times_ms[: len(offsets)], items[: len(offsets)]
            own_ms = None if own_ms is None else own_ms[: len(offsets)]
        if not offsets:
            return
        side.add(offsets, times_ms, items, now_ms, self.wall_ms, own_ms)
        # An end may have been reported already that lies behind a transaction marker after the last record.
        side.position = max(side.position, offsets[-1] + 1)
        side.progress_ms = now_ms

    def reached(self, side: Side[T], offset: int, now_ms: int) -> None:
        """Note that the side was read up to ``offset`` (its current end)."""
        side.progress_ms = now_ms
        side.position = side.told_end = max(side.position, offset)

    def ask(self, now_ms: int) -> Question | None:
        """Return a question if its answer can release something; then wait for `answer` or `lost`."""
        if self._held is None or self.held_by is None or self._question is not None:
            return None
        if not self.held_by.asked:
            covers = {side.name: self._settled_by(side, now_ms) for side in self.sides}
            if self._held.next_offset < covers[self._held.name]:
                self._question = Question(covers, committed=False)
        elif not any(proof.committed for proof in self.held_by.asked):
            # It waits for the end of the log, which an open transaction may keep out of reach.
            before = now_ms - max(self.undecided_ms, self.settle_ms)
            covers = {side.name: self._appended_by(side, before) for side in self.sides}
            if self._held.next_offset < covers[self._held.name]:
                self._question = Question(covers, committed=True)
        return self._question

    def _settled_by(self, side: Side[T], now_ms: int) -> int:
        settled = side.settled(self.settle_ms, now_ms, self.wall_ms)
        return max(settled, self._end_known_at(side, now_ms - self.settle_ms))

    def _end_known_at(self, side: Side[T], when_ms: int) -> int:
        """Return an offset below which every record was surely appended at that time."""
        return max((end for at, end in side.known_ends if at <= when_ms), default=0)

    def _appended_by(self, side: Side[T], when_ms: int) -> int:
        fetched = max((end for at, end in side.fetches if at <= when_ms), default=0)
        return max(fetched, self._end_known_at(side, when_ms))

    def answer(self, question: Question, ends: Mapping[str, int], now_ms: int) -> None:
        """Take the ends of all sides, queried after the question was returned."""
        if question is not self._question:
            return
        self._question = None
        for side in self.sides:
            end = ends[side.name]
            known = side.known_ends
            if not known or now_ms >= known[-1][0] + _ENDS_EVERY_MS:
                known.append((now_ms, end))
                while len(known) > 1 and known[1][0] <= now_ms - max(self.undecided_ms, self.settle_ms):
                    known.popleft()
            # An older end is reached sooner: replacing it could starve a record behind a busy side.
            if not any(proof.committed == question.committed for proof in side.asked):
                until = end if side.stop is None else min(end, side.stop)
                side.asked.append(Proof(until, question.covers, question.committed))

    def begin_anew(self, side: Side[T]) -> None:
        """Start a side with an empty queue anew as another topic: what was known of its log is void."""
        side.asked.clear()
        side.covers.clear()
        side.fetches.clear()
        side.known_ends.clear()
        for other in self.sides:
            other.asked.clear()
        self._question = self.held_by = self._held = None

    def lost(self, question: Question) -> None:
        """Note that the question failed; another one may be asked."""
        if self._question is question:
            self._question = None

    def take(self, limit: int, now_ms: int) -> list[Run[T]]:
        """Return the records that may leave now, in order, at most ``limit``, and as many as make a chunk."""
        taken: list[Run[T]] = []
        room = CHUNK_BYTES
        self.held_by = self._held = None
        for side in self.sides:
            for proof in [proof for proof in side.asked if side.position >= proof.end]:
                side.asked.remove(proof)
                for name, offset in proof.covers.items():
                    side.covers[name] = max(offset, side.covers.get(name, 0))
        while limit > 0:
            first = self._first()
            if first is None:
                break
            number, unaligned = self._free(first, limit, now_ms)
            if number == 0:
                break
            self.unaligned += unaligned
            if self.size_of is not None:
                sizes = list(map(self.size_of, first.items[:number]))
                number = fitting(sizes, room)
                room -= sum(sizes[:number])
            taken.append(self._release(first, number))
            limit = limit - number if room >= 0 else 0
        return taken

    def _release(self, side: Side[T], number: int) -> Run[T]:
        """Release the first records of a side, and count those that are late."""
        earlier = True  # whether the other side is named before this one: then it wins a tie
        passed = BEFORE_ALL
        for other in self.sides:
            if other is side:
                earlier = False
            elif other.released_floor != BEFORE_ALL and not (side.is_events and other.is_events):
                passed = max(passed, other.released_floor + (not earlier))
        if side.times[0] < passed:
            self.late[side.name] = self.late.get(side.name, 0) + side.late(number, passed)
        return side.release(number)

    def take_up_to(self, ends: Sequence[int], limit: int) -> list[Run[T]] | None:
        """Return the records below an offset per side, in order; None while one of them is not fetched yet.

        For a replay: which records leave together was decided before, so nothing waits for another side.
        """
        if any(side.position < end for side, end in zip(self.sides, ends, strict=True)):
            return None
        taken: list[Run[T]] = []
        while limit > 0:
            waiting = {
                index: side.times[0]
                for index, (side, end) in enumerate(zip(self.sides, ends, strict=True))
                if side.offsets and side.offsets[0] < end
            }
            if not waiting:
                break
            index = min(waiting, key=waiting.__getitem__)
            first = self.sides[index]
            free = min(limit, bisect_left(first.offsets, ends[index]))
            for other, time in waiting.items():
                if other != index:
                    free = min(free, bisect_left(first.times, time + (index < other)))
            taken.append(self._release(first, free))
            limit -= free
        return taken

    def _first(self) -> Side[T] | None:
        """Return the side whose record is next by time; of equal times the side named first."""
        waiting = [side for side in self.sides if side.offsets]
        return min(waiting, key=lambda side: side.times[0]) if waiting else None

    def _free(self, side: Side[T], limit: int, now_ms: int) -> tuple[int, bool]:
        """Return how many records of the side that is next may leave now, and whether without alignment.

        Where its first one must wait it is noted for which side: the one to ask about.
        """
        free, unaligned = min(limit, len(side.offsets)), False
        earlier = True  # whether the other side is named before this one: then it wins a tie
        for other in self.sides:
            if other is side:
                earlier = False
            elif other.tells:
                free = bisect_left(side.times, other.times[0] + (not earlier), 0, free)
            elif not other.done and not (side.is_events and other.is_events):
                passed = bisect_left(side.times, other.floor + (not earlier), 0, free)
                free = bisect_left(side.offsets, other.covers.get(side.name, 0), passed, free)
                if free == 0:
                    if not self._waited(side, other, now_ms):
                        self._held, self.held_by = side, other
                        return 0, False
                    free, unaligned = 1, True
        return free, unaligned

    def _waited(self, side: Side[T], other: Side[T], now_ms: int) -> bool:
        """True when the other side has brought nothing for ``max_wait_ms`` since the record was fetched."""
        if self.max_wait_ms is None:
            return False
        wait_ms = max(self.max_wait_ms, self.settle_ms)
        return now_ms - max(side.first_fetched_ms, other.progress_ms) >= wait_ms
