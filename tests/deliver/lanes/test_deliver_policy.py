"""What follows from the end of an attempt, as tables."""

from __future__ import annotations

import dataclasses
import random
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.models.webhooks.delivery import RetrySettings
from pipeline.deliver.lanes.limits.retry_after import MAX_RETRY_AFTER_SECS, retry_after_secs
from pipeline.deliver.lanes.policy import Disable, Rejected, RetryAt, decide

NOW = 1_800_000_000.0
DEFAULT = RetrySettings()


def judged(
    status: int = 0,
    fault: Any = None,
    retry_after: str | None = None,
    *,
    attempt: int = 1,
    age_secs: float = 0.0,
    settings: RetrySettings = DEFAULT,
    luck: float = 0.5,
) -> Any:
    return decide(
        status,
        fault,
        retry_after,
        attempt=attempt,
        age_secs=age_secs,
        settings=settings,
        wall_secs=NOW,
        random=lambda: luck,
    )


@pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 409, 413, 422, 451])
def test_redirects_and_other_4xx_die_at_once(status: int) -> None:
    assert judged(status) == Rejected(f"status-{status}")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 511, 599])
def test_what_may_pass_is_retried(status: int) -> None:
    assert isinstance(judged(status), RetryAt)


def test_a_403_that_asks_to_wait_is_a_rate_limit() -> None:
    """As GitHub's secondary limits say it."""
    assert judged(403, retry_after="60", luck=0.0) == RetryAt(60.0, 60.0)
    for senseless in ("0", "soon", ""):
        assert judged(403, retry_after=senseless) == Rejected("status-403")
    no_limits = RetrySettings(statuses=[408])
    assert judged(403, retry_after="60", settings=no_limits) == Rejected("status-403")
    assert judged(404, retry_after="60") == Rejected("status-404")


@pytest.mark.parametrize(
    "fault",
    ["timeout", "connect", "dns", "tls", "reset", "closed", "protocol", "head-limit", "proxy", "auth"],
)
def test_connection_faults_are_retried(fault: str) -> None:
    assert isinstance(judged(fault=fault), RetryAt)


def test_a_guard_refusal_dies_with_its_reason() -> None:
    assert judged(fault="guard-refused") == Rejected("guard-refused")
    assert judged(fault="request") == Rejected("request-invalid")


def test_410_disables_whatever_the_status_list_says() -> None:
    assert judged(410) == Disable()
    assert judged(410, settings=RetrySettings(statuses=[410])) == Disable()


def test_the_list_of_retried_statuses_is_the_users() -> None:
    settings = RetrySettings(statuses=[404, 302])
    assert isinstance(judged(404, settings=settings), RetryAt)
    assert isinstance(judged(302, settings=settings), RetryAt)
    assert judged(429, settings=settings) == Rejected("status-429")
    assert isinstance(judged(503, settings=settings), RetryAt)


@pytest.mark.parametrize(
    ("attempt", "ceiling"), [(1, 1), (2, 2), (3, 4), (10, 512), (12, 2048), (13, 3600), (2000, 3600)]
)
def test_backoff_doubles_up_to_an_hour(attempt: int, ceiling: float) -> None:
    assert judged(500, attempt=attempt, luck=0.999_999_9).delay_secs == pytest.approx(ceiling, rel=1e-3)
    assert judged(500, attempt=attempt, luck=0.5).delay_secs == pytest.approx(ceiling / 2)
    assert judged(500, attempt=attempt, luck=0.0).delay_secs == pytest.approx(0.25)


def test_jitter_is_full() -> None:
    draw = random.Random(7).random
    delays = [judged(500, attempt=8, luck=draw()).delay_secs for _ in range(2000)]
    assert min(delays) < 2
    assert max(delays) > 126
    assert sum(delays) / len(delays) == pytest.approx(64, rel=0.05)


def test_max_attempts_counts_the_first() -> None:
    settings = RetrySettings(max_attempts=3)
    assert isinstance(judged(500, attempt=2, settings=settings), RetryAt)
    assert judged(500, attempt=3, settings=settings) == Rejected("max-attempts")


def test_a_retry_never_lies_beyond_max_age() -> None:
    settings = RetrySettings(max_age_secs=100.0)
    assert judged(500, attempt=13, age_secs=40, settings=settings).delay_secs <= 60
    assert judged(500, age_secs=99.9, settings=settings) == Rejected("max-age")
    assert judged(500, age_secs=500, settings=settings) == Rejected("max-age")
    assert judged(503, None, "90", age_secs=40, settings=settings) == Rejected("max-age")


def test_retry_after_is_a_lower_bound_with_jitter_on_top() -> None:
    assert judged(503, None, "120", luck=0.0) == RetryAt(120.0, 120.0)
    assert judged(429, None, "120", attempt=3, luck=0.5) == RetryAt(122.0, 120.0)
    assert judged(500, None, "0", attempt=5, luck=0.5).delay_secs == pytest.approx(8)


@pytest.mark.parametrize(
    ("value", "secs"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("1.5", 1.5),
        ("5, 5", 5.0),
        ("5,  90", 90.0),
        (", ".join(2 * [formatdate(NOW + 90, usegmt=True)]), 90.0),
        ("-7", 0.0),
        ("+7", 0.0),
        ("1e9", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("٣", 0.0),
        ("inf", 0.0),
        ("nan", 0.0),
        ("99999999", MAX_RETRY_AFTER_SECS),
        ("9" * 400, 0.0),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        (formatdate(NOW + 10 * 86_400, usegmt=True), MAX_RETRY_AFTER_SECS),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECS),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
    ],
)
def test_retry_after_in_every_form(value: str, secs: float) -> None:
    assert retry_after_secs(value, NOW) == pytest.approx(secs)


@given(st.text(max_size=200))
def test_no_retry_after_can_break_or_freeze_anything(value: str) -> None:
    assert 0.0 <= retry_after_secs(value, NOW) <= MAX_RETRY_AFTER_SECS


@given(
    status=st.integers(0, 999),
    retry_after=st.one_of(st.none(), st.integers(-10, 10**9).map(str)),
    attempt=st.integers(1, 10**6),
    age_secs=st.floats(-1e6, 1e9),
    max_age=st.floats(1, 1e7),
    luck=st.floats(0, 1, exclude_max=True),
)
def test_every_retry_is_within_its_bounds(
    status: int, retry_after: str | None, attempt: int, age_secs: float, max_age: float, luck: float
) -> None:
    settings = dataclasses.replace(DEFAULT, max_age_secs=max_age)
    decision = judged(
        status, None, retry_after, attempt=attempt, age_secs=age_secs, settings=settings, luck=luck
    )
    if isinstance(decision, RetryAt):
        assert 0.25 <= decision.delay_secs <= max_age - age_secs
        assert decision.delay_secs <= settings.max_delay_secs + decision.asked_secs + 1e-6
        assert decision.delay_secs >= decision.asked_secs
