"""What follows from the end of an attempt: pure decisions, no sockets, no clocks, no globals.

| answer | decision |
|---|---|
| 2xx | delivered |
| 408, 425, 429 (configurable), 5xx, timeout, connection fault | retry: exponential backoff, full jitter |
| 410 | the webhook is disabled; the delivery stays pending |
| 3xx | dead: redirects are never followed, and the same URL would redirect again |
| other 4xx | dead |
| guard refusal, a request that cannot be sent | dead |
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeAlias

from pipeline.config.models.delivery import RetrySettings
from pipeline.deliver.http.attempt import Fault
from pipeline.deliver.requests.oauth import REFUSALS

MAX_RETRY_AFTER_SECS = 24 * 3600.0
"""The most that a Retry-After is believed: a broken header must not put a delivery off for years."""

FIRST_SHARE, SOON_SHARE = 1 / 640, 1 / 40
"""Of the shortest delay: what a delivery waits that failed by bad luck, doubled from the one to the other.
The first time it does not wait, but for those that are in the queue already."""
USUAL_SECS = 1.0


@dataclass(slots=True, frozen=True)
class Delivered:
    """The receiver took it."""


@dataclass(slots=True, frozen=True)
class RetryAt:
    """Send it again after this many seconds."""

    delay_secs: float
    asked_secs: float = 0.0
    """The part of the delay that the receiver asked for: it must not be shortened."""
    lucky: bool = False
    """True: it failed by bad luck, and is tried again soon."""


@dataclass(slots=True, frozen=True)
class Rejected:
    """Dead letter; the reason is a stable kebab-case word."""

    reason: str


@dataclass(slots=True, frozen=True)
class Disable:
    """The receiver is gone for good (410): stop sending to this webhook, keep what is pending."""


Decision: TypeAlias = Delivered | RetryAt | Rejected | Disable

DELIVERED = Delivered()
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
    lucky: int = 0,
) -> Decision:
    """Return what follows from one attempt.

    status: of the response, 0 with a fault. retry_after: the header as it came. attempt: how many have
    ended, this one included. age_secs: since the match. wall_secs: unix time, for a date in Retry-After.
    random: a number in [0, 1). lucky: how many failures of one delivery are bad luck at this receiver, which
    answers others (throttle.py).
    """
    if fault is None:
        if 200 <= status < 300:
            return DELIVERED
        if status == 410:
            return DISABLE
        if status < 500 and status not in settings.statuses:
            return Rejected(f"status-{status}")
        # Of 3xx and 4xx only the listed ones come here; of the rest 5xx and what no standard knows.
    elif fault in ("guard-refused", "request"):
        return Rejected("guard-refused" if fault == "guard-refused" else "request-invalid")
    if settings.max_attempts is not None and attempt >= settings.max_attempts:
        return Rejected("max-attempts")
    asked = retry_after_secs(retry_after, wall_secs) if retry_after else 0.0
    if not may_be_soon(status, asked, settings):
        lucky = 0
    if attempt <= lucky and age_secs < settings.max_age_secs:
        share = min(SOON_SHARE, FIRST_SHARE * 2.0 ** min(attempt - 1, 10)) if attempt > 1 else 0.0
        return RetryAt(settings.min_delay_secs * share * (0.5 + random()), lucky=True)
    # Bad luck has not made the receiver any worse: the backoff begins after it.
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
    """Return what follows for a delivery from a token that was not given.

    status: of the token endpoint, where it refused; 0 where it could not be reached or made no sense.
    refusals: how many came in a row. A refusal is final after `max_attempts` of the delivery, or after
    `REFUSALS` in a row where none is set.
    """
    tries, most = (attempt, settings.max_attempts) if settings.max_attempts else (refusals, REFUSALS)
    if status and tries >= most:
        return Rejected(f"token-status-{status}")
    if settings.max_attempts and attempt >= settings.max_attempts:
        return Rejected("max-attempts")
    return backoff(attempt, age_secs, 0.0, settings, random)


def may_be_soon(status: int, asked_secs: float, settings: RetrySettings) -> bool:
    """Return whether a delivery may be tried again before its backoff, should its failure be bad luck.

    Not where the receiver asks for patience, nor where the owner does: by a longer delay than the usual one,
    or by counting attempts.
    """
    patient = status in (425, 429) or asked_secs > 0.0
    return not patient and settings.min_delay_secs <= USUAL_SECS and settings.max_attempts is None


def backoff(
    attempt: int, age_secs: float, asked_secs: float, settings: RetrySettings, random: Callable[[], float]
) -> RetryAt | Rejected:
    """Return the next attempt's delay, or a rejection where none fits before ``max_age``.

    Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"): uniform between zero and
    ``min_delay * 2^(attempt-1)``, at most ``max_delay``; never under a quarter of ``min_delay``, so that
    no delivery hammers. ``Retry-After`` is a lower bound: jitter is added to it.
    """
    left = settings.max_age_secs - age_secs
    floor = max(asked_secs, settings.min_delay_secs / 4)
    if left <= floor:
        return Rejected("max-age")
    # 2**60 seconds exceed any max_delay; the bound keeps the power a float.
    ceiling = min(settings.max_delay_secs, settings.min_delay_secs * 2.0 ** min(attempt - 1, 60))
    delay = max(floor, asked_secs + random() * ceiling)
    return RetryAt(min(delay, left), asked_secs)


def retry_after_secs(value: str, wall_secs: float) -> float:
    """Return the seconds a Retry-After header asks for: 0 where it makes no sense, at most a day."""
    text = value.strip()
    if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,9})?", text):
        return min(float(text), MAX_RETRY_AFTER_SECS)
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return 0.0
    return min(max(0.0, at - wall_secs), MAX_RETRY_AFTER_SECS)
