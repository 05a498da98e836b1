"""When one of several processes may sleep longer: after nothing has come for a while.

Bytewax wakes a worker every millisecond, whether or not there is anything to do. A worker with all shards
sleeps in the source's poll instead (`Rest`); here that would hold up the chunks of other processes. So the
thread's timer slack is raised: a chunk from another process still ends a wait at once, and only what the
source brings is late, by `LATE_SECS` at most.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.model.process.threads import USUAL_SECS, allow_late

DOZES_AFTER_SECS = 1.0
LATE_SECS = 0.009
"""With the millisecond of Bytewax's own wait, a hundred looks a second, as in a single idle process."""


class Doze:
    """One per process of a multi-process job; called on its worker's thread."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        allow: Callable[[float], None] = allow_late,
    ) -> None:
        self._clock = clock
        self._allow = allow
        self._came_at = 0.0
        self.dozing = False
        """True while waits may end late. A source is then polled whenever the worker wakes."""
        self._begun = False

    def came(self) -> None:
        """Something has come, from the source or from another process."""
        self._came_at = self._clock()
        if self.dozing or not self._begun:
            # The thread has inherited the slack of the thread that waits for its end.
            self._begun, self.dozing = True, False
            self._allow(USUAL_SECS)

    def nothing(self) -> None:
        """Nothing has come just now."""
        if not self.dozing and self._clock() - self._came_at >= DOZES_AFTER_SECS:
            self.dozing = True
            self._allow(LATE_SECS)
