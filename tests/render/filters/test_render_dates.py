"""Times print as strftime prints them, with Ruby's flags, in any zone."""

from __future__ import annotations

from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.times import EPOCH, MAX_MS, MIN_MS, parse_time
from pipeline.render.values.printing import Failure
from pipeline.render.values.strftime import format_time, zone

AT = parse_time("2026-03-05T04:07:09.045Z")


ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"]


@given(
    st.integers(0, 4_102_444_800_000),
    st.sampled_from("aAbBCdDeFgGhHIjmMnpRStTuUVwWxXyYzZ%"),
    st.sampled_from(ZONES),
)
def test_a_directive_prints_as_in_c(ms: int, letter: str, name: str) -> None:
    at = (EPOCH + timedelta(milliseconds=ms)).astimezone(ZoneInfo(name))
    assert format_time(ms, f"%{letter}", zone(name)) == at.strftime(f"%{letter}")


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("%-d.%-m. %-H:%-M", "5.3. 4:7"),
        ("%_d|%_m|%_H", " 5| 3| 4"),
        ("%e|%-e|%0e|%k|%l", " 5|5|05| 4| 4"),
        ("%^a %^b %^B", "THU MAR MARCH"),
        ("%L|%3N|%6N|%N|%2L", "045|045|045000|045000000|04"),
        ("%12N|%10L", "045000000000|0450000000"),
        ("%#p %^p %#a", "am AM THU"),
        ("%s|%Q", "1772683629|1772683629045"),
        ("%10Y|%6d|%8a", "0000002026|000005|     Thu"),
        ("%_10Y|%_d", "      2026| 5"),
        ("%P %p %I %c", "am AM 04 Thu Mar  5 04:07:09 2026"),
        ("%z %:z %::z %Z", "+0000 +00:00 +00:00:00 UTC"),
        ("%r|%v|%+", "04:07:09 AM| 5-MAR-2026|Thu Mar  5 04:07:09 UTC 2026"),
        ("%q %! 100%", "%q %! 100%"),
        ("", ""),
    ],
)
def test_flags_widths_and_unknown_directives(pattern: str, wanted: str) -> None:
    assert format_time(AT, pattern) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("UTC", "04:07 +0000"),
        ("", "04:07 +0000"),
        ("Europe/Berlin", "05:07 +0100"),
        ("America/St_Johns", "00:37 -0330"),
        ("Asia/Kathmandu", "09:52 +0545"),
    ],
)
def test_zones_move_the_clock(name: str, wanted: str) -> None:
    assert format_time(AT, "%H:%M %z", zone(name)) == wanted


@pytest.mark.parametrize(
    "name", ["Mars/Base", "../etc/passwd", "/etc/localtime", "Europe", "a\x00b", "x" * 5000]
)
def test_a_name_that_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(Failure, match="no time zone"):
        zone(name)


def test_a_time_that_a_zone_moves_out_of_the_calendar_is_refused() -> None:
    assert format_time(MIN_MS, "%F", UTC) == "0001-01-01"
    assert format_time(MAX_MS, "%FT%T.%L", UTC) == "9999-12-31T23:59:59.999"
    with pytest.raises(Failure, match="outside the years"):
        format_time(MAX_MS, "%F", zone("Asia/Tokyo"))
    with pytest.raises(Failure, match="outside the years"):
        format_time(MIN_MS, "%F", zone("America/New_York"))
