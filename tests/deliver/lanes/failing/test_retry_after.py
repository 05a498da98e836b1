"""What a Retry-After header asks for, in every form of a date and in every zone of the machine."""

from __future__ import annotations

import time

import pytest

from pipeline.deliver.lanes.limits.retry_after import MAX_RETRY_AFTER_SECS, retry_after_secs

NOW = 1_795_867_200  # 2026-11-28T12:00:00Z, a Saturday


@pytest.fixture(params=["UTC", "America/New_York", "Asia/Tokyo"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone")
@pytest.mark.parametrize(
    "written",
    [
        "Sat, 28 Nov 2026 12:00:42 GMT",
        "Saturday, 28-Nov-26 12:00:42 GMT",
        "Sat Nov 28 12:00:42 2026",
        "Sat, 28 Nov 2026 12:00:42 -0000",
        "Sat, 28 Nov 2026 12:00:42 +0000",
        "Sat, 28 Nov 2026 14:00:42 +0200",
        "Sat, 28 Nov 2026 07:00:42 EST",
        "sat, 28 nov 2026 12:00:42 gmt",
        "  Sat,  28  Nov 2026   12:00:42  GMT ",
        "Sat, 28-Nov-2026 12:00:42 GMT",
        "28 Nov 2026 12:00:42 UTC",
        "Sat, 28 November 2026 12:00:42",
        "Sat Nov 28 12:00:42 GMT 2026",
        "2026-11-28T12:00:42Z",
        "2026-11-28T12:00:42.250Z",
        "2026-11-28 12:00:42",
        "2026-11-28T21:00:42+09:00",
        "42",
        " 42 ",
        "42.0",
    ],
)
def test_every_form_means_the_same_moment_in_every_zone(written: str) -> None:
    assert retry_after_secs(written, NOW) == 42.0


@pytest.mark.parametrize(
    ("written", "secs"),
    [
        ("Saturday, 28-Nov-76 12:00:00 GMT", MAX_RETRY_AFTER_SECS),  # fifty years ahead
        ("Saturday, 28-Nov-77 12:00:00 GMT", 0.0),  # 1977
        ("Sunday, 06-Nov-94 08:49:37 GMT", 0.0),
        ("Sun Nov  6 08:49:37 1994", 0.0),
        ("Sat, 28 Nov 2026 12:00:60 GMT", 59.0),  # a leap second
        ("99999999999999", MAX_RETRY_AFTER_SECS),
        ("-5", 0.0),
        ("", 0.0),
        ("soon", 0.0),
        ("NaN", 0.0),
        ("1e3", 0.0),
        ("120, x", 0.0),
        ("Sat, 31 Feb 2026 12:00:42 GMT", 0.0),
        ("Sat, 28 Foo 2026 12:00:42 GMT", 0.0),
        ("Sat, 28 Nov 2026 25:00:42 GMT", 0.0),
        ("Sat, 28 Nov 2026 12:00:42 XYZ", 0.0),
        ("11/12/2026 12:00:42", 0.0),  # whose eleventh?
        ("Mon, 01 Jan 0000 00:00:00 GMT", 0.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 0.0),
    ],
)
def test_what_makes_no_sense_asks_for_nothing_and_nothing_asks_for_years(written: str, secs: float) -> None:
    assert retry_after_secs(written, NOW) == secs


@pytest.mark.parametrize("off_secs", [-86400.0, -3600.0, 0.0, 3600.0, 40 * 365 * 86400.0])
def test_a_time_is_counted_from_the_answers_own(off_secs: float) -> None:
    """Whatever this machine's clock says: it may be off, or just being set."""
    date = "Sat, 28 Nov 2026 12:00:00 GMT"
    assert retry_after_secs("Sat, 28 Nov 2026 12:00:42 GMT", NOW + off_secs, date) == 42.0
    assert retry_after_secs("Sat, 28 Nov 2026 11:00:00 GMT", NOW + off_secs, date) == 0.0
    assert retry_after_secs("42", NOW + off_secs, date) == 42.0


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_without_a_date_that_can_be_read_it_is_counted_from_our_time(date: str | None) -> None:
    assert retry_after_secs("Sat, 28 Nov 2026 12:00:42 GMT", NOW, date) == 42.0
