"""The heartbeat of a process's worker: when it last ran, and where it is stuck if it has not since."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

STILL_SECS = 10.0
"""After this long without a turn a worker is reported as stalled, and the job is not ready."""
EPOCHS = 3
"""A worker without a source partition turns once per epoch."""
STUCK_SECS = 60.0
"""After this long it is not alive either: a supervisor may restart the job."""


class Pulse:
    """The steps call `turned` whenever Bytewax calls them, sources `polled`; any thread may ask how long ago
    that was. A source that is no longer polled is stalled even if its worker turns.
    """

    __slots__ = ("_clock", "_last", "_polled", "_resumed", "_thread", "still_after")

    def __init__(self, epoch_secs: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.still_after = max(STILL_SECS, EPOCHS * epoch_secs)
        self._clock = clock
        self._last: float | None = None
        self._polled: dict[str, float] = {}
        self._resumed = 0.0
        self._thread = 0

    def turned(self) -> None:
        """The worker turns; costs a tenth of a microsecond."""
        self._last = self._clock()
        self._thread = threading.get_ident()

    def polled(self, partition: str) -> None:
        """The worker turns, and polls this partition of the source."""
        self.turned()
        self._polled[partition] = self._last  # type: ignore[assignment]  # just set

    def read_out(self, partition: str) -> None:
        """The partition is at its end: it is not polled again."""
        self._polled.pop(partition, None)

    @property
    def polls(self) -> bool:
        """Whether a source partition of this process is polled."""
        return bool(self._polled)

    def resumed(self) -> None:
        """The whole process was paused until now: no worker could turn."""
        self._resumed = self._clock()

    def still_secs(self) -> float:
        """Return the seconds since the worker last turned, or polled its most neglected partition; 0 before
        its first turn.
        """
        if self._last is None:
            return 0.0
        since = min(self._polled.copy().values(), default=self._last)
        return max(0.0, self._clock() - max(since, self._resumed))

    def is_still(self) -> bool:
        """Return whether the worker is stalled: nothing is read, committed or stopped meanwhile."""
        return self.still_secs() > self.still_after

    def is_stuck(self) -> bool:
        """Return whether it has been stalled for so long that only a restart is likely to help."""
        return self.still_secs() > max(self.still_after, STUCK_SECS)

    def place(self) -> str:
        """Return where the worker's thread is now: the innermost Python line, or "" where unknown."""
        frame = sys._current_frames().get(self._thread)
        if frame is None:
            return ""
        return f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_name}"
