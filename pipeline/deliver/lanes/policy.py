"""What follows from the end of an attempt: pure decisions; no sockets, no clocks, no globals.

| answer | decision |
|---|---|
| 2xx | delivered: nothing to decide |
| 408, 425, 429 (configurable), 5xx, timeout, connection fault | retry: exponential backoff, full jitter |
| 410 | the webhook is disabled; the delivery stays pending |
| 403 with Retry-After | as 429: some limit by it (GitHub's secondary limits) |
| 3xx | dead: redirects are never followed, and the same URL would redirect again |
| other 4xx | dead |
| 2xx without an end, in no HTTP, or that cannot be read where it must be | retry three times, then dead |
| guard refusal, a request that cannot be sent | dead |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from pipeline.config.models.webhooks.delivery import RetrySettings
from pipeline.deliver.http.attempt import Fault
from pipeline.deliver.lanes.limits.retry_after import retry_after_secs
from pipeline.deliver.requests.oauth import REFUSALS

UNREADABLE_ATTEMPTS = 4
"""How often a request is sent whose 2xx answers nobody can read: the receiver has it by then."""
BROKEN = frozenset({"protocol", "head-limit", "closed", "reset", "timeout"})
"""Faults of an answer that has begun."""
ENDLESS = frozenset({"closed", "reset", "timeout", "head-limit"})
"""Those of one that does not end, or not within bounds."""

FIRST_SHARE, SOON_SHARE = 1 / 640, 1 / 40
"""Delay of a delivery that failed by bad luck, as a fraction of the shortest delay, doubled from one to the
other. The first time it does not wait, except for those already in the queue."""
USUAL_SECS = 1.0


class RetryAt(msgspec.Struct, frozen=True, gc=False):
    """Send it again after this many seconds."""

    delay_secs: float
    asked_secs: float = 0.0
    """The part of the delay that the receiver asked for: it must not be shortened."""
    lucky: bool = False
    """True: it failed by bad luck, and is retried soon."""


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """Dead letter; the reason is a stable kebab-case word."""

    reason: str


class Disable(msgspec.Struct, frozen=True, gc=False):
    """The receiver is gone for good (410): stop sending to this webhook, keep what is pending."""


Decision: TypeAlias = RetryAt | Rejected | Disable

DISABLE = Disable()


def decide(
    status: int,
    fault: Fault | None,
    retry_after: str | None,
    *,
    attempt: int,
    age_secs: float,
    settings: RetrySettings,
    wall_secs: float,
    random: Callable[[], float],
    begun: int = 0,
    before: int = 0,
    lucky: int = 0,
    date: str | None = None,
) -> Decision:
    """Return what follows from an attempt that was not a success.

    status: of the response, 0 with a fault. begun: the status with which a faulty answer began. before: the
    previous attempt's status. retry_after, date: the raw headers. attempt: how many have ended, this one
    included. age_secs: since the match. wall_secs: unix time, for a date in Retry-After. random: a number in
    [0, 1). lucky: how many failures of one delivery count as bad luck at this receiver, which answers others
    (limits/throttle.py).
    """
    asked = retry_after_secs(retry_after, wall_secs, date) if retry_after else 0.0
    if fault is None:
        if status == 410:
            return DISABLE
        if status < 500 and (429 if status == 403 and asked else status) not in settings.statuses:
            return Rejected(f"status-{status}")
        # Of 3xx and 4xx only the listed ones get here; of the rest 5xx and non-standard ones.
    elif fault in ("guard-refused", "request"):
        return Rejected("guard-refused" if fault == "guard-refused" else "request-invalid")
    spent = settings.max_attempts is not None and attempt >= settings.max_attempts
    if fault == "unreadable" or (fault in BROKEN and 200 <= begun < 300):
        # Rows on disk only record that earlier answers were of this kind.
        if spent or (attempt >= UNREADABLE_ATTEMPTS and 200 <= before < 300):
            return Rejected("answer-unreadable")
    elif spent:
        return Rejected("max-attempts")
    if fault == "retry-when" or not may_be_soon(status, asked, settings):
        lucky = 0
    if attempt <= lucky and age_secs < settings.max_age_secs:
        return RetryAt(soon_secs(attempt, settings, random), lucky=True)
    # Bad luck says nothing about the receiver: the backoff starts after it.
    return backoff(attempt - lucky, age_secs, asked, settings, random)


def decide_token(
    status: int,
    refusals: int,
    *,
    attempt: int,
    age_secs: float,
    settings: RetrySettings,
    random: Callable[[], float],
) -> RetryAt | Rejected:
    """Return what follows for a delivery when no token was issued.

    status: of the token endpoint, if it refused; 0 if it was unreachable or made no sense. refusals:
    consecutive ones. A refusal is final after `max_attempts` of the delivery, or after `REFUSALS` in a row
    where none is set.
    """
    tries, most = (attempt, settings.max_attempts) if settings.max_attempts else (refusals, REFUSALS)
    if status and tries >= most:
        return Rejected(f"token-status-{status}")
    if settings.max_attempts and attempt >= settings.max_attempts:
        return Rejected("max-attempts")
    return backoff(attempt, age_secs, 0.0, settings, random)


def may_be_soon(status: int, asked_secs: float, settings: RetrySettings) -> bool:
    """Return whether a delivery may be retried before its backoff, if its failure is bad luck.

    Not where the receiver asks to wait, nor where the owner does: by a longer delay than the default, or by
    counting attempts.
    """
    patient = status in (425, 429) or asked_secs > 0.0
    return not patient and settings.min_delay_secs <= USUAL_SECS and settings.max_attempts is None


def soon_secs(attempt: int, settings: RetrySettings, random: Callable[[], float]) -> float:
    """Return the delay after the ``attempt``-th failure, if that was bad luck."""
    if attempt == 1:
        return 0.0
    share = min(SOON_SHARE, FIRST_SHARE * 2.0 ** min(attempt - 1, 10))
    return settings.min_delay_secs * share * (0.5 + random())


def backoff(
    attempt: int, age_secs: float, asked_secs: float, settings: RetrySettings, random: Callable[[], float]
) -> RetryAt | Rejected:
    """Return the next attempt's delay, or a rejection where none fits before ``max_age``.

    Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): uniform between zero and
    ``min_delay * 2^(attempt-1)``, at most ``max_delay``; never below a quarter of ``min_delay``, so that no
    delivery hammers. ``Retry-After`` is a lower bound: jitter is added to it.
    """
    left = settings.max_age_secs - age_secs
    floor = max(asked_secs, settings.min_delay_secs / 4)
    if left <= floor:
        return Rejected("max-age")
    # 2**60 seconds exceed any max_delay; the bound keeps the power a float.
    ceiling = min(settings.max_delay_secs, settings.min_delay_secs * 2.0 ** min(attempt - 1, 60))
    delay = max(floor, asked_secs + random() * ceiling)
    return RetryAt(min(delay, left), asked_secs)
