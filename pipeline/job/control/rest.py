"""When a worker sleeps: if records arrive one by one, it lets some gather and handles them together.

What a record costs at a low rate is not work but wake-ups: Bytewax wakes the worker every millisecond whether
or not there is anything to do, each hand-over wakes the engine's thread, and with each the interpreter's lock
changes hands. So while little comes, nothing is read as long as a chunk walks, and then the worker sleeps in
the source's poll: for what is left of `Reader.gather_secs` since the last look, and where the reader hears
what comes, until something does. Where it does not, and nothing has come for a while, for `IDLE_SECS` at a
time. The engine is woken once for all of a look, just before that sleep: any sooner, the two threads would
take the interpreter's lock from one another several times. As soon as much comes the worker never sleeps.

Only a worker that has all shards of the job may rest: nobody else waits for it then. Others do not sleep, and
wake the engine as they go; but while little comes they look for it less often (`pause_secs`), and where
nothing comes they doze (`Doze`).
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
"""Of `Reader.gather_secs`, where walks take long: what is gathered then waits for these, too."""
WALK_SECS = 0.1
"""What no chunk takes to its shard, unless a commit comes between: the source is read all the same then."""


class Gathering(Protocol):
    """What sends: the delivery engine."""

    def hold(self) -> None:
        """What is handed over from now on may wait for `release`, and for what else comes until then."""

    def release(self) -> None:
        """Send what was held, and from now on what comes."""


class Rest:
    """One per process. The steps call it, all on the worker's thread.

    may_rest: whether the worker has all shards. engine: is woken once for all that one look has brought.
    doze: of one of several processes, what is told when something comes, and when nothing does.
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
        """The source partitions of this round, and of the one before, with their readers."""
        self._looked_at = 0.0
        self._came_at = clock()
        self._gave = self._flows = False
        """Whether the last round has brought something, and the one before it, too."""
        self._records = self._bytes = 0
        self._much, self._quiet, self._has_little = True, False, False
        self._hurry = False
        self._gather_secs = GATHER_SECS
        self._walk_secs, self._began = 0.0, 0.0
        """How long a chunk walks from its source to its shards, smoothed, and when the present one began."""

    @property
    def resting(self) -> bool:
        """True while the worker rests: a source is then to be polled at once, and sleeps itself."""
        return self._quiet

    @property
    def pause_secs(self) -> float:
        """How long a worker that may not rest lets pass between two looks; 0 where much comes."""
        return 0.0 if self._quiet or not self._has_little else self._gather_secs * LEAST_SHARE

    @property
    def dozing(self) -> bool:
        """True while the worker may be woken late: whenever it is, its sources are to be looked at."""
        return self._doze is not None and self._doze.dozing

    @property
    def all_arrived(self) -> bool:
        """True where the worker has all shards of the job, and nothing is on its way to them."""
        return self._walking == 0 and self._may_rest()

    def walks(self, chunks: int) -> None:
        """So many more chunks are on their way to shards; fewer, where negative; 0: nothing has come."""
        if self._doze is not None:
            self._doze.came() if chunks else self._doze.nothing()
        self._walking += chunks
        if self._walking <= 0 and not self._quiet:
            self.release()

    def polled(self) -> None:
        """A source partition is polled, whatever comes of it: what has arrived at its shards is sent now."""
        if self._walking <= 0:
            self.release()

    def leave(self) -> None:
        """A source partition is read no more, and perhaps not polled either: nothing waits for that."""
        self._quiet = False
        self.release()

    def may_look(self, partition: str, reader: Reader) -> bool:
        """Return whether a source partition is to be read now; sleeps before a new round of them.

        reader: that of the partition; it may listen where it is the only one.
        """
        if self._quiet and self._walking > 0:
            if self._clock() - self._looked_at < WALK_SECS:
                return False
            self.release()  # what was handed over waits no longer for what has not arrived
        if partition in self._seen:
            self._next_round(reader)
        self._seen[partition] = reader
        return True

    def took(self, chunk: RawChunk | None, *, hurry: bool, gather_secs: float = GATHER_SECS) -> None:
        """A source partition gave this. hurry: its reader expects an answer at any moment."""
        self._gather_secs = gather_secs
        self._hurry = self._hurry or hurry
        if chunk is not None:
            self._records += len(chunk.lines)
            if self._records < MUCH:
                self._bytes += sum([len(line) for line in chunk.lines if line is not None])
            if self._quiet and not self._holding:
                self._holding = True
                self._began = self._clock()
                self._engine.hold()

    def release(self) -> None:
        """Send what was handed over: the worker is about to sleep, or to do something else for long."""
        if self._holding:
            self._holding = False
            self._engine.release()
            took = min(self._clock() - self._began, self._gather_secs)  # a commit may have come between
            self._walk_secs += (took - self._walk_secs) * 0.1

    def _next_round(self, reader: Reader) -> None:
        """Learn from the last round, and sleep until the next one is due."""
        now = self._clock()
        self._flows, self._gave = self._gave and self._records > 0, self._records > 0
        if self._gave:
            self._came_at = now
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
        # Of two rounds: after a commit one of several may be looked at a moment later than the others.
        readers = self._seen_before | self._seen
        may_hear = len(readers) == 1 and not self._hurry and reader.hears
        if self._hurry:
            due = now + ANSWER_SECS
        elif is_idle:
            # What is heard after long is read at once: there is nothing to gather it with.
            due = now if may_hear else self._looked_at + IDLE_SECS
        else:
            due = self._looked_at + self._gathering()
        if due > now:
            self._sleep(due - now)
        if self._flows:
            return  # there will be something: to listen for it costs as much as to read
        if may_hear:
            reader.hear(IDLE_SECS if is_idle else self._gather_secs)
        elif is_idle and not self._hurry:
            for _ in range(IDLE_LOOKS):
                if not all(one.is_still() for one in readers.values()):
                    break
                self._sleep(IDLE_SECS)

    def _gathering(self) -> float:
        most = self._gather_secs
        return min(most, max(most * LEAST_SHARE, most * 1.2 - 3 * self._walk_secs))
