"""When an epoch may last longer than `epoch`: as long as nothing happens in it.

The end of an epoch costs the same whether or not anything has happened: every shard is called, and Bytewax
commits five times. It ends one only between two polls of a source. So while nothing comes a partition polls
itself, and Bytewax turns again with the next record, command or config version, or after `MOST_SECS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

MOST_SECS = 10.0
EMPTY_EPOCHS = 3
"""This many epochs without anything new come first and end as usual: what follows from a record, a command or
a config version is done by then."""


class Lull:
    """One per process, for the only source partition of a job.

    is_quiet: whether no work can come but from the source and from people; asked once per epoch.
    """

    def __init__(self, is_quiet: Callable[[], bool], clock: Callable[[], float] = time.monotonic) -> None:
        self._is_quiet = is_quiet
        self._clock = clock
        self._seen: object = None
        self._empty = 0
        self._until = 0.0

    def begins(self, seen: object) -> None:
        """An epoch begins, as the last one is durable. seen: the same as before where nothing has come."""
        self._empty = self._empty + 1 if seen == self._seen else 0
        self._seen = seen
        may_last = self._empty >= EMPTY_EPOCHS and self._is_quiet()
        self._until = self._clock() + MOST_SECS if may_last else 0.0

    def lasts(self, *, wanted: bool) -> bool:
        """Return whether to poll again before Bytewax turns; once False, so it stays in this epoch.

        wanted: something has come, or waits for Bytewax.
        """
        if wanted or self._clock() >= self._until:
            self._until = 0.0
        return self._until > 0.0
