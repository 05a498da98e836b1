"""Times as integers: milliseconds since the unix epoch, UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z, the earliest time that can be printed."""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the latest."""

SECONDS_BELOW = 100_000_000_000
"""Numbers up to this are seconds (until the year 5138), larger ones milliseconds (from 1973 on)."""

# Segment's own documents hold `2015-2-02T00:30:08Z`: unambiguous without the leading zeros.
_LOOSE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt ](\d{1,2})(:\d{2}.*))?\Z", re.ASCII)
_NUMBER = re.compile(r"-?\d{9,}(?:\.\d+)?\Z", re.ASCII)


def format_iso(ms: int) -> str:
    """Return ISO 8601 in UTC with milliseconds: ``2026-11-23T14:50:00.123Z``.

    Raises OverflowError outside the years 1 to 9999.
    """
    day, rest = divmod(ms, 86_400_000)
    seconds, part = divmod(rest, 1000)
    hour, minute = seconds // 3600, seconds // 60 % 60
    return f"{_date(day)}T{hour:02d}:{minute:02d}:{seconds % 60:02d}.{part:03d}Z"


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    # Nearly every body prints a time, and strftime alone would take 3 us of it.
    return (EPOCH + timedelta(days=day)).date().isoformat()


def parse_time(value: object) -> int:
    """Return milliseconds for ISO 8601 (without a zone: UTC), unix seconds or unix milliseconds.

    Finer parts of a millisecond are cut off. Raises ValueError with a reason for a person: not a time,
    or outside the years 1 to 9999.
    """
    if type(value) is str:
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            return _parse_unusual(value)
        return _to_ms(at, value)
    if type(value) is int or type(value) is float:
        return _parse_number(value, value)
    raise ValueError(f"{_shown(value)} is no time: ISO 8601, unix seconds or unix milliseconds are")


def _to_ms(at: datetime, text: str) -> int:
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    since = at - EPOCH
    ms = since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
    if MIN_MS <= ms <= MAX_MS:
        return ms
    raise ValueError(f"{_shown(text)} is outside the years 1 to 9999")


def _parse_number(number: float, shown: object) -> int:
    ms = number * 1000 if -SECONDS_BELOW < number < SECONDS_BELOW else number
    if not MIN_MS <= ms <= MAX_MS:
        raise ValueError(f"{_shown(shown)} is no unix time in seconds or milliseconds up to the year 9999")
    # A float of seconds such as 1694769302.319 is a little less than it says: round, do not cut.
    return round(ms)


def _parse_unusual(text: str) -> int:
    """Parse what datetime.fromisoformat refuses: missing leading zeros, numbers as text."""
    stripped = text.strip()
    if _NUMBER.match(stripped):
        return _parse_number(float(stripped) if "." in stripped else int(stripped[:20]), text)
    found = _LOOSE.match(stripped)
    if found:
        year, month, day, hour, rest = found.groups()
        padded = f"{year}-{int(month):02d}-{int(day):02d}"
        if hour is not None:
            padded += f"T{int(hour):02d}{rest.upper()}"
        try:
            return _to_ms(datetime.fromisoformat(padded), text)
        except ValueError as error:
            raise ValueError(f"{_shown(text)} is no time: {error}") from None
    raise ValueError(f"{_shown(text)} is no time: ISO 8601, unix seconds or unix milliseconds are")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
