"""What holds a lane back: adaptive concurrency, the token bucket, the circuit breaker.

All three are plain arithmetic on the times they are given.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

START = 16
"""Concurrency at the start: high enough that a good receiver is fast from the first request."""
SHRINK = 0.7
TOLERANCE = 2.0
SLACK_SECS = 0.02
FORGET_SECS = 10.0
"""A receiver that has become slower for good is believed within this time, at low concurrency."""


class Concurrency:
    """How many requests may be in flight: grows while latency is flat, shrinks on overload.

    Growth and shrinking follow Vector's adaptive request concurrency and Netflix' gradient limits: one
    step per round trip, additive growth (doubling until the first sign of overload), multiplicative
    decrease. Rising latency alone never shrinks it below `START`: over a quick network the queue may be
    our own.
    """

    __slots__ = ("_at", "_base", "_max", "_next_step", "_starting", "limit", "round_trip")

    def __init__(self, most: int) -> None:
        self._max = max(1, most)
        self.limit = float(min(START, self._max))
        self._starting = True
        self._base = 0.0
        self._at = 0.0
        self._next_step = 0.0
        self.round_trip = 0.0
        """Seconds of a request, smoothed; 0 before the first."""

    def resize(self, most: int) -> None:
        """Change the most that is allowed."""
        self._max = max(1, most)
        self.limit = min(self.limit, float(self._max))

    def restart(self) -> None:
        """Begin gently: the receiver has just come back."""
        self.limit = 1.0
        self._starting = True
        self._base = 0.0

    def succeeded(self, now: float, count: int, round_trip: float, in_flight: int) -> None:
        """Learn from answers that came in one loop turn; ``in_flight`` counts them too."""
        self.round_trip += (round_trip - self.round_trip) * (0.3 if self.round_trip else 1.0)
        if self._base == 0.0 or round_trip < self._base:
            self._base = round_trip
        elif in_flight <= START:
            # With more in flight a longer round trip may be our own queue at the receiver.
            self._base += (round_trip - self._base) * min(1.0, (now - self._at) / FORGET_SECS)
        self._at = now
        if self.limit >= self._max and now < self._next_step:
            return
        if self.round_trip > self._base * TOLERANCE + SLACK_SECS:
            self._starting = False
            if now >= self._next_step and self.limit > START:
                self._next_step = now + self.round_trip
                self.limit = max(float(START), self.limit * 0.9)
        elif in_flight >= self.limit - 1:
            step = count if self._starting else count / self.limit
            self.limit = min(float(self._max), self.limit + step)

    def overloaded(self, now: float) -> None:
        """Learn from a timeout, a 429 or a 5xx; those of one round trip count once."""
        self._starting = False
        if now >= self._next_step:
            self._next_step = now + max(self.round_trip, 0.05)
            self.limit = max(1.0, self.limit * SHRINK)


class TokenBucket:
    """A rate limit: at most ``rate`` requests per second, with bursts of a tenth of a second."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._burst = max(1.0, rate / 10)
        self._tokens = self._burst
        self._at = now

    def wait(self, now: float) -> float:
        """Return the seconds until a token is there; 0 where one is."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        # A hair under one token counts: the timer was set for this very moment.
        return 0.0 if self._tokens >= 0.999_999 else (1.0 - self._tokens) / self._rate

    def take(self) -> None:
        """Use a token; call it after `wait` returned 0."""
        self._tokens -= 1.0


BreakerState: TypeAlias = Literal["closed", "open", "half-open"]

WINDOW_SECS = 15.0
MIN_REQUESTS = 10
THRESHOLD = 0.5
PROBES = 2
FIRST_OPEN_SECS = 1.0
MAX_OPEN_SECS = 60.0


class Breaker:
    """Stops sending where at least half of the recent requests failed; probes until it has healed.

    The window is the running and the previous span of `WINDOW_SECS`. Open times double up to a minute.
    """

    __slots__ = ("_bad", "_good", "_healed", "_old", "_open_secs", "_turn", "probes", "state", "until")

    def __init__(self) -> None:
        self.state: BreakerState = "closed"
        self.until = 0.0
        """When it lets probes through, while it is open."""
        self.probes = 0
        """Probes in flight, while it is half-open."""
        self._open_secs = FIRST_OPEN_SECS
        self._healed = 0
        self._good = self._bad = 0
        self._old = (0, 0)
        self._turn = 0.0

    def allows(self, now: float) -> bool:
        """True where a request may be sent now; an open breaker becomes half-open when its time is up."""
        if self.state == "closed":
            return True
        if self.state == "open":
            if now < self.until:
                return False
            self.state = "half-open"
            self.probes = 0
            self._healed = 0
        return self.probes + self._healed < PROBES

    def succeeded(self, now: float, count: int = 1) -> bool:
        """Count good answers; True where this closes the breaker."""
        if self.state == "closed":
            self._advance(now)
            self._good += count
            return False
        # It is there, if not well: one that fails half of its requests must not be left alone for minutes.
        self._open_secs = FIRST_OPEN_SECS
        if self.state == "half-open":
            self._healed += count
            if self._healed >= PROBES:
                self.close(now)
                return True
        return False

    def failed(self, now: float, asked_secs: float = 0.0) -> None:
        """Count a failure; ``asked_secs`` is what the receiver's Retry-After asked for."""
        if self.state == "half-open":
            self._open(now, asked_secs)
        elif self.state == "closed":
            self._advance(now)
            self._bad += 1
            bad = self._bad + self._old[1]
            total = self._good + self._old[0] + bad
            if total >= MIN_REQUESTS and bad >= total * THRESHOLD:
                self._open(now, asked_secs)

    def _open(self, now: float, asked_secs: float) -> None:
        self.state = "open"
        self.until = now + max(self._open_secs, min(asked_secs, MAX_OPEN_SECS))
        self._open_secs = min(MAX_OPEN_SECS, self._open_secs * 2)

    def close(self, now: float) -> None:
        """Let everything through again."""
        self.state = "closed"
        self._open_secs = FIRST_OPEN_SECS
        self._good = self._bad = 0
        self._old = (0, 0)
        self._turn = now

    def _advance(self, now: float) -> None:
        if now - self._turn >= WINDOW_SECS:
            fresh = now - self._turn < 2 * WINDOW_SECS
            self._old = (self._good, self._bad) if fresh else (0, 0)
            self._good = self._bad = 0
            self._turn = now
