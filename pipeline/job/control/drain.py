"""The end of a process's work: when a source may end, and how long pending requests may still be sent."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.job.control.peers import Peers
from pipeline.model.errors import StartAnew
from pipeline.telemetry import log

_log = log.get("job")


class Sending(Protocol):
    """The delivery engine, as the drain uses it."""

    def begin_drain(self, deadline_secs: float) -> None:
        """Start sending what can be sent before the deadline."""

    def is_drained(self) -> bool:
        """True where nothing more can complete before that deadline."""

    def drain(self, deadline_secs: float) -> bool:
        """Send what can be sent before the deadline."""

    def stop(self) -> None:
        """End; requests in flight are aborted and stay owed."""


class Owing(Protocol):
    """A shard, as the drain uses it."""

    @property
    def waits_for_commit(self) -> bool:
        """True where something can only be sent after the epoch's end."""


class Drain:
    """One drain deadline per process: from the first end of its input, sooner after a signal.

    shards: how many the whole job has. partitions: its source partitions, once the source has listed them.
    """

    def __init__(
        self,
        engine: Sending,
        shards: int,
        partitions: Sequence[str],
        *,
        secs: float = 30.0,
        stop_secs: float = 5.0,
        others: Peers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stopping = False
        """Set by a signal: sources end, the job stops cleanly."""
        self.anew: StartAnew | None = None
        """Why the process is to start anew once it has stopped."""
        self.finished = False
        """True once the last epoch may end: the engine has stopped."""
        self._engine = engine
        self._shards = shards
        self._partitions = partitions
        self._secs, self._stop_secs = secs, stop_secs
        self._others = others
        self._clock = clock
        self._deadline = math.inf
        self._here: list[Owing] = []
        self._workers: set[int] = set()
        self._at_end: set[int] = set()
        self._arrived: set[tuple[int, str]] = set()
        self._lock = threading.Lock()
        self._all_ended = threading.Event()

    @property
    def secs(self) -> float:
        """How long a drain that starts now may take."""
        return self._stop_secs if self.stopping else self._secs

    @property
    def left_secs(self) -> float:
        """How long it may still take; infinite before it begins."""
        return max(0.0, self._deadline - self._clock())

    def start_anew(self, why: StartAnew) -> None:
        """Stop as after a signal; then the process starts anew."""
        if self.anew is None:
            _log.info("stopping to start anew", reason=str(why))
        self.anew, self.stopping = why, True

    def opened(self, shard: Owing) -> None:
        """A shard is open, and this thread works for it."""
        self._here.append(shard)
        self._workers.add(threading.get_ident())

    def is_alone(self) -> bool:
        """Return whether this process has all shards of the job, and one worker all of them."""
        return len(self._here) == self._shards and len(self._workers) == 1

    def ended(self, shard: int, partition: str) -> None:
        """A shard has received everything of the partition."""
        self._arrived.add((shard, partition))

    def has_all(self) -> bool:
        """Return whether every source partition has ended and all its records are with their shards here."""
        return len(self._arrived) == len(self._here) * len(self._partitions)

    def is_drained(self) -> bool:
        """Return whether a source may end: what was read has been sent, or cannot be in time.

        Called repeatedly once there is nothing more to read; epochs continue meanwhile, so that rows on disk
        come back. The first call starts the deadline, a signal shortens it.
        """
        if not self.stopping and not self.has_all():
            return False
        self._begin()
        if self._clock() >= self._deadline:
            return True
        own = self.drained_shards()
        if self._others is None:
            return own == self._shards
        return self.has_all() and own == len(self._here) and self._others.are_drained(own, self._shards)

    def drained_shards(self) -> int:
        """Return how many shards of this process have nothing more to do before the deadline."""
        if not self._here or not self.has_all():
            return 0
        self._begin()
        if any(shard.waits_for_commit for shard in self._here) or not self._engine.is_drained():
            return 0
        return len(self._here)

    def finish(self) -> None:
        """Finish what can be finished, then stop the engine; once per process, before its last epoch.

        Each worker calls it for each of its shards; a worker's first call waits for the other workers.
        """
        with self._lock:
            if threading.get_ident() in self._at_end:
                return
            self._at_end.add(threading.get_ident())
            last = self._at_end >= self._workers
        if not last:
            self._all_ended.wait(self._secs)
            return
        self.finished = True
        self._engine.drain(max(0.0, min(self.secs, self._deadline - self._clock())))
        self._engine.stop()
        self._all_ended.set()

    def _begin(self) -> None:
        secs = self.secs
        with self._lock:
            deadline = self._clock() + secs
            if deadline >= self._deadline:
                return
            self._deadline = deadline
        self._engine.begin_drain(secs)
