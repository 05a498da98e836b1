"""Aligns the ends of epochs across the processes of a job: otherwise the first ones wait for the last.

Each process ends its source's epochs `epoch` after its own previous end, and Bytewax reads nothing more
before the epoch is durable everywhere. So a process that has been late once stays late, and in every epoch
the others stand still until it has caught up, spinning on a core. Each process measures how long it waits;
then it ends one epoch that much later, and with it all that follow: Bytewax takes the time before it polls,
so a poll that sleeps past the end moves it.

Even then an epoch's end takes some 40 ms, in which Bytewax looks without a pause whether it is over, unless
the source wants to be polled later: by most of what the last ends took.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from math import inf

WINDOW_SECS = 0.004
"""A poll this shortly before the epoch's end may sleep past it; there is one about every millisecond."""
LEAST_SECS = 0.03
"""Shorter waits are left alone: processes need some of it in any case to tell one another."""
MOST_SECS = 0.25
"""At most this much in one step, as the poll holds up everything in its process; the rest follows."""
SPARED = 0.75
"""The fraction of the shortest of the last ends that a source need not be polled in."""
EPOCHS = 3
"""This many epochs in a row must have waited: a single late one says nothing."""


class Skew:
    """One per process, where a job has several; called by its worker."""

    def __init__(
        self,
        epoch_secs: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._epoch_secs = epoch_secs
        self._clock = clock
        self._sleep = sleep
        self._ended_at = inf
        """When this process's source ended its last epoch."""
        self._is_awaited = self._is_ending = False
        """Whether the other processes are still to end that epoch, and whether it is to be durable."""
        self._ends: deque[float] = deque(maxlen=EPOCHS)
        """Seconds from the end of the last epochs here until they were durable everywhere."""
        self._waits: deque[float] = deque(maxlen=EPOCHS)
        """Seconds that the last epochs waited for the other processes."""

    def ended(self) -> None:
        """A source partition of this process ends its epoch."""
        self._ended_at = self._clock()
        self._is_awaited = self._is_ending = True

    def all_ended(self) -> None:
        """Those of all processes have ended it: a later step is asked for its snapshot."""
        if self._is_awaited:
            self._is_awaited = False
            self._waits.append(self._clock() - self._ended_at)

    def durable(self) -> None:
        """The last epoch is durable in all processes."""
        if self._is_ending:
            self._is_ending = False
            self._ends.append(self._clock() - self._ended_at)

    def polled(self) -> None:
        """The source is polled: sleep past the epoch's end if it is to come later."""
        left = self._ended_at + self._epoch_secs - self._clock()
        if not 0 < left < WINDOW_SECS or len(self._waits) < EPOCHS:
            return
        early = min(self._waits)
        self._waits.clear()
        if early >= LEAST_SECS:
            self._sleep(left + min(early - LEAST_SECS / 2, MOST_SECS))

    def pause_secs(self, since: float) -> float:
        """Return how long a partition need not be polled again: 0, unless its last poll ends the epoch.

        since: how much later that was than the poll that ended the epoch before: Bytewax goes by that.
        """
        if since < self._epoch_secs:
            return 0.0
        return min(SPARED * min(self._ends, default=0.0), MOST_SECS)
