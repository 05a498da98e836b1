"""Limits how much a source takes at once while commits are slow.

While an epoch is committed the worker does nothing else, and where that takes longer than `epoch`, Bytewax
ends the next epoch after a single `next_batch`: one chunk per commit, and throughput collapses under a load
that the disk could well bear. So the first batch after a slow commit holds as many chunks as are processed in
about the time of the commit, as long as the engine keeps up: twice as many each time that was not enough,
half as many when the engine was still busy with the last ones.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf

from pipeline.job.control.skew import Skew
from pipeline.telemetry import log
from pipeline.telemetry.happenings import COMMITS_FAST, COMMITS_SLOW

SLOW_SHARE = 0.5
"""The fraction of an epoch from which a commit is slow."""
SLOW_SECS = 0.1
"""Faster commits are never slow, however short the epoch."""
ENDING_SECS = 0.008
"""This long before an epoch's end, its remaining work is done at once: a few looks at a busy source."""
OVERDUE_SECS = 0.1
"""An epoch that ends later than this has lasted because nothing came (`lull`)."""
SPELL = 3
"""Consecutive slow commits that are reported; ten times as many fast ones end the spell."""
START_CHUNKS = 3
"""Some 500 records: what the engine holds without writing to disk (DESIGN 9, 4)."""
MAX_CHUNKS = 500

_log = log.get("job")


class Pace:
    """One per process; the worker calls what changes it, any thread may call `is_slow`.

    A source says when a commit is over (`committed`); in a process without one nobody asks how long it took.

    skew: in a job of several processes, aligns the ends of this one's epochs with the others'.
    """

    def __init__(
        self, epoch_secs: float, clock: Callable[[], float] = time.monotonic, *, skew: Skew | None = None
    ) -> None:
        self.skew = skew
        self._slow_after = max(SLOW_SECS, SLOW_SHARE * epoch_secs)
        self._ending_after = epoch_secs - min(ENDING_SECS, epoch_secs * SLOW_SHARE)
        self._ending_at = inf
        self._clock = clock
        self.commit_secs = 0.0
        """Duration of the last epoch's commit, of all shards and of Bytewax's own store."""
        self._begun: float | None = None
        self._read_at = 0.0
        self._read = 0
        self._secs_per_chunk = 0.0
        self._chunks = START_CHUNKS
        self._wanted_more = False
        self._slow_ones = self._fast_ones = 0
        self._in_spell = False

    def committing(self) -> None:
        """A store of this epoch is about to be committed."""
        if self._begun is None:
            self._begun = self._clock()
            if self.skew is not None:
                self.skew.all_ended()
            self._ending_at = self._begun + self._ending_after

    def committed(self) -> None:
        """The epoch is durable and its commit over; a second call for the same epoch is ignored."""
        if self._begun is None:
            return
        if self._read:
            self._secs_per_chunk = max(0.0, self._begun - self._read_at) / self._read
        self._read = 0
        self.commit_secs = self._clock() - self._begun
        self._begun = None
        if self.commit_secs < self._slow_after:
            self._chunks = START_CHUNKS
        elif self._wanted_more:
            self._chunks = min(self._chunks * 2, MAX_CHUNKS)
        self._wanted_more = False
        self._tell()

    def left(self) -> None:
        """A store has done its part, in a process that polls no source: nothing waits for the others."""
        self._begun = None

    def engine_was_busy(self) -> None:
        """The engine had not finished the last batch when the next one was due."""
        self._chunks = max(1, self._chunks // 2)

    def chunks(self) -> int:
        """Return how many chunks the first batch after this commit may hold; 1 where commits are fast."""
        if self.commit_secs < self._slow_after:
            return 1
        if self._secs_per_chunk * self._chunks <= self.commit_secs:
            return self._chunks
        return max(1, int(self.commit_secs / self._secs_per_chunk))

    def read(self, chunks: int, *, all_allowed: bool) -> None:
        """This many chunks were read for the first batch. all_allowed: there may be more."""
        self._read += chunks
        self._read_at = self._clock()
        self._wanted_more = self._wanted_more or all_allowed

    def is_ending(self) -> bool:
        """Return whether the present epoch is about to end: usually it starts where the previous one ends.

        One that is overdue was a lull: what comes then is to be sent, not prepared for the end.
        """
        return 0.0 <= self._clock() - self._ending_at < OVERDUE_SECS

    def is_slow(self) -> bool:
        """Return whether the source is waiting for a slow commit."""
        begun = self._begun
        return begun is not None and self._clock() - begun > self._slow_after

    def _tell(self) -> None:
        if self.commit_secs >= self._slow_after:
            self._slow_ones, self._fast_ones = self._slow_ones + 1, 0
        else:
            self._slow_ones, self._fast_ones = 0, self._fast_ones + 1
        if self._slow_ones == SPELL and not self._in_spell:
            self._in_spell = True
            COMMITS_SLOW.happened(
                _log, commit_secs=round(self.commit_secs, 2),
                remedy="put the state directory on a faster disk, or raise `epoch`",
            )  # fmt: skip
        elif self._in_spell and self._fast_ones >= 10 * SPELL:
            self._in_spell = False
            COMMITS_FAST.happened(_log)
