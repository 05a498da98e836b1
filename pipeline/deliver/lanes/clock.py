"""The engine's clocks: delays are measured on a monotonic clock, stored times on a wall clock.

`steady_ms` is a wall clock that never steps while the process lives: the wall time of the start plus the
monotonic time since. Due times are stored in it, so moving the machine's clock by an hour neither delays nor
hurries a retry.
"""

from __future__ import annotations

import os
import time
from collections.abc import MutableMapping
from dataclasses import dataclass

KEPT = "_HOOKLINE_STEADY_OFFSET"
"""Environment variable of a process that re-executes itself because the clock was set back."""

_started = time.time() - time.monotonic()


def keep_steady(environment: MutableMapping[str, str]) -> None:
    """Let a process started with this environment continue this one's steady clock.

    The due times on disk are stored in it: by the clock that was set back they would be late by the step.
    """
    environment[KEPT] = repr(max(_started, float(environment.get(KEPT, _started))))


STEP_MS = 1000
"""A larger difference between the two wall clocks counts as a step."""
AHEAD_MS = 60_000
"""A time further ahead of both clocks than this was written under another clock."""


@dataclass(slots=True)
class Moment:
    """One time by the two wall clocks, in unix milliseconds: ``first`` by the one that is behind.

    steady: the milliseconds since the last step, or since the process began.
    """

    first: int
    last: int
    steady: int

    def age_ms(self, since_ms: int) -> int:
        """Return the age of something stamped by the wall clock, which may have been stepped since.

        By the clock that makes it younger, so that no step ages it; by the other one where it would be in the
        future: stamped after a step forward, or before one back, it still ages. If it is in the future of
        both (stamped long ago, under a clock that ran ahead) it is as old as the last step.
        """
        age = self.first - since_ms
        if age >= 0:
            return age
        age = self.last - since_ms
        return max(0, age) if age >= -AHEAD_MS else self.steady


class Clock:
    """The machine's clocks."""

    def __init__(self) -> None:
        self._offset = max(self.wall() - self.now(), float(os.environ.get(KEPT, "-inf")))
        self._stepped_ms = self.steady_ms(self.now())
        self._apart_ms = int(self.wall() * 1000) - self._stepped_ms

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def wall(self) -> float:
        """Return unix seconds by the machine's clock; it may step."""
        return time.time()

    def cpu(self) -> float:
        """Return the CPU seconds of this process."""
        return time.process_time()

    def steady_ms(self, now: float) -> int:
        """Return the unix milliseconds of a monotonic time, free of steps since the start."""
        return int((now + self._offset) * 1000)

    def moment(self, now: float, wall: float) -> Moment:
        """Return a monotonic time together with the machine's clock, for computing ages."""
        steady_ms, wall_ms = self.steady_ms(now), int(wall * 1000)
        apart_ms = wall_ms - steady_ms
        if abs(apart_ms - self._apart_ms) > STEP_MS:
            self._apart_ms, self._stepped_ms = apart_ms, steady_ms
        since_ms = steady_ms - self._stepped_ms
        if apart_ms > 0:
            return Moment(steady_ms, wall_ms, since_ms)
        return Moment(wall_ms, steady_ms, since_ms)

    def age_secs(self, since_ms: int, now: float) -> float:
        """Return the present age of something stamped by the wall clock; see `Moment`."""
        return self.moment(now, self.wall()).age_ms(since_ms) / 1000

    def monotonic_of(self, steady_ms: int) -> float:
        """Return the monotonic time of a steady wall time."""
        return steady_ms / 1000 - self._offset
