"""How many requests of a lane may be in flight. Pure arithmetic on the times it is given.

While answers are good, latency decides: growing and shrinking follow Vector's adaptive request concurrency
and Netflix's gradient limits. While more than a tenth fail, trials decide (after PCC Vivace, NSDI 2018): is
our load the cause? The measure is the share of good answers. Where failures are random, or one of two
backends is down, it is the same at any limit, and a lower one only costs good answers. Where a receiver sheds
overload, it doubles with half of the slots.
"""

from __future__ import annotations

START = 16
"""Initial concurrency: high enough that a good receiver is fast from the first request."""
TOLERANCE = 2.0
SLACK_SECS = 0.02
FORGET_SECS = 10.0
"""A receiver that has become permanently slower is believed within this time, at low concurrency."""
TOLERATED = 0.1
"""Share of failures that changes nothing."""
ENOUGH, ENOUGH_GOOD, SURELY = 40, 30, 400
"""Answers that conclude a trial: this many with this many good ones, or this many in any case."""
BETTER, WORSE = 1.4, 0.7
"""Between half and twice the slots the share stays (1) or doubles or halves: the middle tells them apart."""
HOLD_SECS = 10.0
"""Pause between two trials once one has found its optimum."""


class Concurrency:
    """How many requests may be in flight: grows while that brings more good answers.

    Rising latency alone never shrinks it below `START`: on a fast network the queue may be our own.
    """

    __slots__ = (
        "_at",
        "_bad",
        "_base",
        "_capped_until",
        "_direction",
        "_gentle",
        "_good",
        "_hold_until",
        "_max",
        "_next_step",
        "_rested",
        "_share",
        "_starting",
        "_trial_at",
        "limit",
        "round_trip",
    )

    def __init__(self, most: int) -> None:
        self._max = max(1, most)
        self.limit = float(min(START, self._max))
        self._starting = True
        self._gentle = False
        """Few requests have been tried so far: the first trial tries more."""
        self._base = 0.0
        self._at = 0.0
        self._capped_until = 0.0
        self._next_step = 0.0
        self.round_trip = 0.0
        """Seconds per request, smoothed; 0 before the first."""
        self._calm()

    def _calm(self) -> None:
        self._direction = 0
        """Of the last trial: down, up; 0 while failures are tolerable."""
        self._share = 0.0
        self._rested = False
        self._hold_until = 0.0
        self._begin(0.0)

    def _begin(self, at: float) -> None:
        """Start a new measurement at this time."""
        self._good = self._bad = 0
        self._trial_at = at

    def resize(self, most: int) -> None:
        """Change the maximum."""
        self._max = max(1, most)
        self.limit = min(self.limit, float(self._max))

    def restart(self) -> None:
        """Start gently: the receiver has just come back."""
        self.limit = 1.0
        self._starting = self._gentle = True
        self._base = 0.0
        self._calm()

    def cap(self, limit: int, until: float) -> None:
        """Limit it for now, whatever the answers: our side has no room for more."""
        self.limit = min(self.limit, float(max(1, limit)))
        self._capped_until = until

    def succeeded(self, now: float, count: int, round_trip: float, in_flight: int, slots: int = 0) -> None:
        """Learn from good answers of one loop turn.

        in_flight: includes them. slots: what was allowed, where that is less than the limit.
        """
        self.round_trip += (round_trip - self.round_trip) * (0.3 if self.round_trip else 1.0)
        if self._base == 0.0 or round_trip < self._base:
            self._base = round_trip
        elif in_flight <= START:
            # With more in flight a longer round trip may be our own queue at the receiver.
            self._base += (round_trip - self._base) * min(1.0, (now - self._at) / FORGET_SECS)
        self._at = now
        if self._direction or (self.limit >= self._max and now < self._next_step):
            return
        if self.round_trip > self._base * TOLERANCE + SLACK_SECS:
            self._starting = False
            if now >= self._next_step and self.limit > START:
                self._next_step = now + self.round_trip
                self.limit = max(float(START), self.limit * 0.9)
        elif in_flight >= (slots or self.limit) - 1 and now >= self._capped_until:
            step = count if self._starting else count / self.limit
            self.limit = min(float(self._max), self.limit + step)

    def ended(self, now: float, good: int, bad: int) -> None:
        """Learn from all answers of one loop turn."""
        if not bad and not self._direction and not self._bad:
            return
        if now < self._trial_at:
            # They were sent under the previous limit.
            return
        self._good += good
        self._bad += bad
        answers = self._good + self._bad
        if answers < ENOUGH or (self._good < ENOUGH_GOOD and answers < SURELY):
            return
        if self._bad <= answers * TOLERATED:
            self._calm()
        elif now >= self._hold_until:
            self._starting = False
            self._try(now, self._good / answers)
        else:
            self._begin(now)

    def _try(self, now: float, found: float) -> None:
        """Judge the last trial by the share it found, and start the next."""
        before, self._share = self._share, found
        if self._direction == 0:
            # Measure once more before any trial: the limit may have grown meanwhile.
            self._direction = 1 if self._gentle else -1
            self._gentle = False
            self._rested = True
            self._begin(now + self.round_trip)
            return
        if self._rested:
            self._rested = False
        elif self._direction < 0 and found < before * BETTER:
            # Our load is not the cause: fewer requests have only brought fewer good answers.
            self._direction = 1
        elif self._direction > 0 and found < before * WORSE:
            # This was too much: go back.
            self.limit = max(1.0, self.limit / 2)
            self._direction = -1
            self._rest(now)
            return
        limit = min(float(self._max), max(1.0, self.limit * (2.0 if self._direction > 0 else 0.5)))
        if limit == self.limit:
            # The optimum is reached: later try the other direction.
            self._direction = -self._direction
            self._rest(now)
            return
        self.limit = limit
        self._begin(now + self.round_trip)

    def _rest(self, now: float) -> None:
        self._rested = True
        self._hold_until = now + HOLD_SECS
        self._begin(now + self.round_trip)
