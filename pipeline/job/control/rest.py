"""When a worker sleeps: if records arrive one by one, it lets some gather and handles them together.

At a low rate a record's cost is not work but wake-ups: Bytewax wakes the worker every millisecond whether or
not there is anything to do, each hand-over wakes the engine's thread, and with each the GIL changes hands. So
while little comes, nothing is read as long as a chunk is in flight, and then the worker sleeps in the
source's poll: for the rest of `Reader.gather_secs` since the last look or, where the reader can be notified,
until something comes; after a pause it gathers nothing before. Where it cannot be notified, and nothing has
come for a while, it sleeps for `IDLE_SECS` at a time. The engine is woken once per look, just before that
sleep: any sooner, and the two threads would take the GIL from each other several times. As soon as much
comes the worker never sleeps.

Only a worker that has all shards of the job may rest: nobody else waits for it then. Others do not sleep, and
wake the engine as they go; but while little comes they poll less often (`pause_secs`), and where nothing
comes they doze (`Doze`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from pipeline.job.control.doze import Doze
from pipeline.sources.chunk import RawChunk
from pipeline.sources.reader import GATHER_SECS, Reader

ANSWER_SECS = 0.0004
"""How soon to look again while a reader expects an answer."""
IDLE_AFTER_SECS = 1.0
IDLE_SECS = 0.010
"""Between two looks after that: the first record is late by so much at most."""
IDLE_LOOKS = 4
"""So many looks only ask whether there is anything new, between two that read."""
MUCH, MUCH_BYTES = 64, 1 << 16
"""Records or bytes of one look from which on more may be waiting: the next look comes at once."""
LEAST_SHARE = 2 / 3
"""Minimum fraction of `Reader.gather_secs` where chunks are slow: what is gathered then waits for
these, too."""
PAUSE = 1.2
"""Multiple of `Reader.gather_secs` between two records after which the next one is not gathered with any;
what a sleep takes longer than asked is less."""
WALK_SECS = 0.1
"""Longer than any chunk takes to its shard, unless a commit intervenes: then the source is read anyway."""


class Gathering(Protocol):
    """The delivery engine, as the rest uses it."""

    def hold(self, *, few: bool) -> None:
        """Later hand-overs may wait for `release`, and for what else comes until then.

        few: little has come, so the worker keeps up. After a pause much may come where little is expected.
        """

    def release(self) -> None:
        """Send what was held, and later hand-overs at once."""


class Rest:
    """One per process. The steps call it, all on the worker's thread.

    may_rest: whether the worker has all shards. engine: woken once for everything that one look has brought.
    doze: in a multi-process job, told when something comes, and when nothing does.
    """

    def __init__(
        self,
        may_rest: Callable[[], bool],
        engine: Gathering,
        *,
        doze: Doze | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._may_rest = may_rest
        self._engine = engine
        self._doze = doze
        self._clock = clock
        self._sleep = sleep
        self._walking = 0
        self._holding = False
        self._seen: dict[str, Reader] = {}
        self._seen_before: dict[str, Reader] = {}
        """The source partitions of this round, and of the previous one, with their readers."""
        self._looked_at = 0.0
        self._came_at = clock()
        self._gave = self._flows = False
        """Whether the last round has brought something, and the one before it, too."""
        self._records = self._bytes = 0
        self._gave_at = 0.0
        self._is_sparse = False
        """Whether the last round has brought nothing, or one record after a pause."""
        self._much, self._quiet, self._has_little = True, False, False
        self._hurry = False
        self._gather_secs = GATHER_SECS
        self._walk_secs, self._began = 0.0, 0.0
        """How long a chunk takes from its source to its shards, smoothed, and when the present
        one started."""

    @property
    def resting(self) -> bool:
        """True while the worker rests: a source is then to be polled at once, and sleeps itself."""
        return self._quiet

    @property
    def idles(self) -> bool:
        """True while the worker rests and nothing has come for a while: then each look waits before it."""
        return self._quiet and self._walking <= 0 and self._clock() - self._came_at >= IDLE_AFTER_SECS

    @property
    def pause_secs(self) -> float:
        """Pause between two looks of a worker that may not rest; 0 where much comes."""
        return 0.0 if self._quiet or not self._has_little else self._gather_secs * LEAST_SHARE

    @property
    def trickles(self) -> bool:
        """True while little comes now and then: neither a backlog nor silence."""
        return self._has_little and not self.dozing

    @property
    def dozing(self) -> bool:
        """True while the worker may be woken late: its sources are then polled whenever it is."""
        return self._doze is not None and self._doze.dozing

    @property
    def all_arrived(self) -> bool:
        """True where the worker has all shards of the job, and no chunk is in flight to them."""
        return self._walking == 0 and self._may_rest()

    def walks(self, chunks: int) -> None:
        """This many more chunks are in flight to shards; negative: have arrived; 0: nothing has come."""
        if self._doze is not None:
            self._doze.came() if chunks else self._doze.nothing()
        self._walking += chunks
        if self._walking <= 0 and not self._quiet:
            self.release()

    def polled(self) -> None:
        """A source partition is polled, whatever comes of it: what has reached its shards is sent now."""
        if self._walking <= 0:
            self.release()

    def leave(self) -> None:
        """A source partition is read no more, and perhaps not polled either: nothing waits for it."""
        self._quiet = False
        self.release()

    def may_look(self, partition: str, reader: Reader) -> bool:
        """Return whether to read a source partition now; sleeps before a new round.

        reader: the partition's; it may wait for a notification where it is the only one.
        """
        if self._quiet and self._walking > 0:
            if self._clock() - self._looked_at < WALK_SECS:
                return False
            self.release()  # what was handed over no longer waits for what has not arrived
        if partition in self._seen:
            self._next_round(reader)
        self._seen[partition] = reader
        return True

    def took(self, chunk: RawChunk | None, *, hurry: bool, gather_secs: float = GATHER_SECS) -> None:
        """A source partition yielded this. hurry: its reader expects an answer at any moment."""
        self._gather_secs = gather_secs
        self._hurry = self._hurry or hurry
        if chunk is not None:
            self._records += len(chunk.lines)
            if self._records < MUCH:
                self._bytes += sum([len(line) for line in chunk.lines if line is not None])
            if self._quiet and not self._holding:
                self._holding = True
                self._began = self._clock()
                self._engine.hold(few=self._records < MUCH and self._bytes < MUCH_BYTES)

    def release(self) -> None:
        """Send what was handed over: the worker is about to sleep, or be busy elsewhere for long."""
        if self._holding:
            self._holding = False
            self._engine.release()
            took = min(self._clock() - self._began, self._gather_secs)  # a commit may have come between
            self._walk_secs += (took - self._walk_secs) * 0.1

    def _next_round(self, reader: Reader) -> None:
        """Learn from the last round, and sleep until the next one is due."""
        now = self._clock()
        self._flows, self._gave = self._gave and self._records > 0, self._records > 0
        paused = self._looked_at - self._gave_at >= PAUSE * self._gather_secs
        self._is_sparse = not self._gave or (self._records == 1 and paused)
        if self._gave:
            self._came_at, self._gave_at = now, self._looked_at
        much = self._records >= MUCH or self._bytes >= MUCH_BYTES
        # Two rounds: the last lines of a block are few.
        self._has_little = not much and not self._much
        self._quiet = self._has_little and self._may_rest()
        self._much = much
        if self._quiet:
            self._sleep_until_due(now, reader)
            now = self._clock()
        self._looked_at = now
        self._records = self._bytes = 0
        self._hurry = False
        self._seen, self._seen_before = {}, self._seen

    def _sleep_until_due(self, now: float, reader: Reader) -> None:
        is_idle = now - self._came_at >= IDLE_AFTER_SECS
        # Over two rounds: after a commit one of several may be polled a moment later than the others.
        readers = self._seen_before | self._seen
        may_hear = len(readers) == 1 and not self._hurry and reader.hears
        if self._hurry:
            due = now + ANSWER_SECS
        elif may_hear and (is_idle or self._is_sparse):
            # After a pause a record is read at once: there is nothing to gather it with.
            due = now
        elif is_idle:
            due = self._looked_at + IDLE_SECS
        else:
            due = self._looked_at + self._gathering()
        if due > now:
            self._sleep(due - now)
        if self._flows and not self._is_sparse:
            return  # more is coming: waiting for a notification costs as much as reading
        if may_hear:
            # As long as gathering and listening: where nothing comes it looks no more often.
            few = self._gather_secs * (2 if self._is_sparse else 1)
            reader.hear(IDLE_SECS if is_idle else few)
        elif is_idle and not self._hurry:
            for _ in range(IDLE_LOOKS):
                if not all(one.is_still() for one in readers.values()):
                    break
                self._sleep(IDLE_SECS)

    def _gathering(self) -> float:
        most = self._gather_secs
        return min(most, max(most * LEAST_SHARE, most * 1.2 - 3 * self._walk_secs))
