"""What slows a lane down: the throttle driven by good and bad answers, and the rate limit.

Pure arithmetic on the times it is given.
"""

from __future__ import annotations

from functools import lru_cache
from math import log, sqrt

SMOOTHING = 1 / 50
"""Weight of one answer in the share of good ones."""
GAIN = 10.0
"""A lane uses this many times its share of good answers of its slots: all from 0.1 on, half at 0.05. Whether
fewer at once would do better is found out by trials (concurrency.py), not guessed from the share."""
SURE, LIKELY = 1e-6, 1e-4
"""Probabilities below which a run of failures is not chance: of a lane (it is down), of one delivery."""
LEAST_FAILURES, MOST_FAILURES = 10, 200
"""Consecutive failures that mean an outage, whatever the share was."""
PROBED_AGAIN = 4
"""How often one delivery is also the next probe: a receiver that fails every request a few times before it
accepts it would seem down for long if each probe were another request's first try."""
MOST_SOON = 60
"""How often a delivery may be retried soon."""
RECENT_SECS = 1.0
"""A receiver that has given a good answer within this time is up."""
AFTER_OUTAGE = 0.005
"""The share assumed after the first good answer that ends an outage: it leaves a quarter of the slots."""
FIRST_PAUSE_SECS, PAUSE_SHARE, LAST_PAUSE_SECS = 0.05, 0.25, 30.0
"""Pause between two probes: a fraction of the outage so far, within these bounds. Short at first: ten
consecutive failures may also come from a receiver that fails nine in ten."""
HURRIED_SECS = 0.5
"""How long a lane waits that has exhausted its receiver's patience."""
MAX_ASKED_SECS = 60.0
"""A Retry-After holds the whole lane back no longer than this: it may have been meant for one request."""
EARNED, SAVED = 2.0, 100.0
"""Answers that ask to slow down are accepted at twice the rate of good ones, with this many saved up."""


def explained(share: float, probability: float) -> float:
    """Return how many consecutive failures chance explains at this share of good answers."""
    return log(probability) / log(1.0 - min(max(share, 1e-3), 0.999))


@lru_cache(maxsize=64)
def _tries_soon(share: float) -> int:
    """Cached: it is asked once per failure, and the share changes once per turn."""
    return max(1, min(MOST_SOON, int(explained(share, LIKELY))))


class Throttle:
    """Sends while some share of answers is good; probes when nothing is good any more.

    Client-side throttling by the share of good answers (Site Reliability Engineering, ch. 21), also for
    receivers that fail at random: one of two backends is down. An outage is a run of failures that chance
    does not explain. Then one request at a time is a probe, twenty a second at first, ever fewer later; the
    first good answer ends the outage, and the lane starts gently.
    """

    __slots__ = (
        "_credit",
        "_down_since",
        "_patience",
        "_row",
        "down",
        "good_at",
        "part",
        "probing",
        "share",
        "until",
    )

    def __init__(self) -> None:
        self.share = 1.0
        """Of good answers, smoothed."""
        self.part = 1.0
        """Fraction of the lane's slots that may be used."""
        self.down = False
        """True in an outage: probes only."""
        self.until = 0.0
        """Nothing is sent before."""
        self.probing = 0
        """Probes in flight."""
        self.good_at = float("-inf")
        """When the last good answer came."""
        self._row = 0
        self._patience = float(LEAST_FAILURES)
        self._down_since = 0.0
        self._credit = SAVED

    def allows(self, now: float) -> bool:
        """Return whether a request may be sent now."""
        return now >= self.until and not (self.down and self.probing)

    def lucky(self, now: float) -> int:
        """Return how many failures of one delivery count as bad luck while others succeed; 0: none.

        Such a delivery is retried soon. One that fails more often waits as after any failure.
        """
        if self.down or now - self.good_at > RECENT_SECS:
            return 0
        return _tries_soon(self.share)

    def succeeded(self, now: float, count: int = 1, bad: int = 0) -> bool:
        """Record the good answers of one loop turn, and the bad ones among them.

        Return True where they end an outage.
        """
        self.good_at = now
        self._credit = min(SAVED, self._credit + EARNED * count)
        if self.share == 1.0 and not bad and not self._row:
            return False
        ended, self.down = self.down, False
        if ended:
            self.share, self.until, self._credit = AFTER_OUTAGE, 0.0, SAVED
        self._row = 0
        self._learn(count, bad)
        return ended

    def failed(self, now: float, count: int = 1, asked_secs: float = 0.0, *, slow_down: bool = False) -> bool:
        """Record the failures of a loop turn without good answers; True where an outage begins.

        asked_secs: the longest Retry-After among them. slow_down: they say "too fast".
        """
        asked_secs = min(asked_secs, MAX_ASKED_SECS)
        if self.down:
            self._pause(now, asked_secs)
            return False
        if not self._row:
            # The share is an estimate: the receiver may be worse.
            least = self.share - sqrt(self.share * (1.0 - self.share) * SMOOTHING / 2)
            self._patience = min(MOST_FAILURES, max(LEAST_FAILURES, explained(least, SURE)))
        self._row += count
        self.missed(now, count, slow_down=slow_down)
        if self._row < self._patience:
            return False
        self.down = True
        self._down_since = now
        self._pause(now, asked_secs)
        return True

    def missed(self, now: float, count: int, *, slow_down: bool = False) -> None:
        """Record failures that do not count as consecutive: they were sent before the last good answer."""
        self._learn(0, count)
        if slow_down:
            self.hurried(now, count)

    def hurried(self, now: float, count: int) -> None:
        """Record failures that say "too fast"."""
        self._credit = max(0.0, self._credit - count)
        if not self._credit:
            self.until = now + HURRIED_SECS

    def retry_now(self, now: float) -> None:
        """Probe now."""
        self.until = min(self.until, now)

    def _learn(self, good: int, bad: int) -> None:
        """Answers of one turn count alike: which came first is unknown."""
        kept = (1.0 - SMOOTHING) ** (good + bad)
        share = self.share * kept + good / (good + bad) * (1.0 - kept)
        self.share = share if share < 0.999 else 1.0
        self.part = min(1.0, self.share * GAIN)

    def _pause(self, now: float, asked_secs: float) -> None:
        pause = min(LAST_PAUSE_SECS, max(FIRST_PAUSE_SECS, (now - self._down_since) * PAUSE_SHARE))
        self.until = max(self.until, now + max(pause, asked_secs))


class TokenBucket:
    """A rate limit: at most ``rate`` requests per second, with bursts of a tenth of a second."""

    __slots__ = ("_at", "_burst", "_tokens", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._burst = max(1.0, rate / 10)
        self._tokens = self._burst
        self._at = now

    def wait(self, now: float) -> float:
        """Return the seconds until a token is available; 0 where one is."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self.rate)
        self._at = now
        # Slightly less than one token counts: the timer was set for this very moment.
        return 0.0 if self._tokens >= 0.999_999 else (1.0 - self._tokens) / self.rate

    def take(self) -> None:
        """Use a token; call it after `wait` returned 0."""
        self._tokens -= 1.0
