"""Times as integers: milliseconds since the unix epoch, UTC."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from pipeline.model.json import kind_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
WANTED = "ISO 8601, unix seconds, milliseconds, microseconds or nanoseconds are"

MIN_MS = -62_135_596_800_000
"""0001-01-01T00:00:00.000Z, the earliest time that can be printed."""
MAX_MS = 253_402_300_799_999
"""9999-12-31T23:59:59.999Z, the latest time that can be printed."""

SECONDS_BELOW = 100_000_000_000
"""Unix numbers up to this are seconds (until the year 5138), larger ones milliseconds (from 1973 on)."""

_US_PER_MS, _NS_PER_MS = 1_000, 1_000_000
_COMPACT = range(10**13, 10**14)
"""Numbers that may be a date and time written together, 20261123145000; as milliseconds they would be after
2286."""

_UNIX = re.compile(r"[+-]?\d{9,21}(?:\.\d{1,40})?", re.ASCII)
"""Texts of fewer digits are years, days, or anything: unix times since 1973 are longer."""
_ISO = re.compile(
    r"(?:(\d{4})-(\d{1,2})-(\d{1,2})|(\d{4})(\d\d)(\d\d)|(\d{4})(?:-W(\d\d)(?:-([1-7]))?|W(\d\d)([1-7])?))"
    r"(?:[^\d+\-Zz](\d{1,2})(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?|(\d\d)(?:(\d\d)(?:[.,](\d+))?)?)?)?"
    r"(?: ?(Z|UTC|GMT|([+-])(\d\d)(?::?([0-5]\d)(?::?([0-5]\d))?)?)(?:\[[^\[\]]*\])*)?",
    re.ASCII | re.IGNORECASE,
)
"""ISO 8601 with its calendar and week dates, and what real streams make of it: missing leading zeros
(Segment's own documents hold `2015-2-02T00:30:08Z`), a blank before the zone, UTC for Z, and after an offset
the zone's name in brackets (RFC 9557, Java's ZonedDateTime), which adds nothing to it."""
_USUAL_ENDS = frozenset({"", "T", " "})
_DAY_MS = 86_400_000


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


def parse_time(value: object, zone: tzinfo | None = None) -> int:
    """Return milliseconds for ISO 8601 (without a zone: in ``zone``, else UTC) or a unix time.

    Unix times are seconds, milliseconds, microseconds or nanoseconds by their size, as numbers or as texts of
    nine digits and more. A leap second is the moment after it, 24:00 the next midnight. Finer parts of a
    millisecond are cut off. Raises ValueError with a reason for a person: not a time, or outside the years
    1 to 9999.
    """
    if type(value) is str:
        # Beyond this form fromisoformat accepts any character between date and time, even a digit or a sign.
        if value[4:5] == "-" and value[10:11] in _USUAL_ENDS:
            try:
                at = datetime.fromisoformat(value)
            except ValueError:
                return _parse_text(value, zone)
            if at.tzinfo is UTC:
                # The usual case: a UTC datetime lies inside the years that are allowed.
                since = at - EPOCH
                return since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000
            if at.tzinfo is not None or zone is None:
                return _to_ms(at, value)
        return _parse_text(value, zone)
    if type(value) is int or type(value) is float:
        return _parse_number(value, value)
    raise ValueError(f"{_shown(value)} is no time: {WANTED}")


def time_or_none(value: object) -> int | None:
    """Return the same; None for the first moment of year 1, which Go and .NET write where no time was set."""
    ms = parse_time(value)
    return None if ms == MIN_MS else ms


_AGO = re.compile(r"(\d{1,9})([smhd])", re.ASCII)
_UNIT_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_when(text: str) -> int:
    """Return milliseconds for a time on the command line: as `parse_time` reads it, or 90s, 15m, 2h, 3d ago.

    Raises ValueError with what is expected.
    """
    ago = _AGO.fullmatch(text)
    if ago:
        return time.time_ns() // 1_000_000 - int(ago[1]) * _UNIT_MS[ago[2]]
    try:
        return parse_time(text)
    except ValueError:
        raise ValueError(
            f"`{text}` is no time; want 2026-11-24, 2026-11-24T10:00:00Z, 15m, 2h or 3d"
        ) from None


def is_plainly_iso(text: str) -> bool:
    """Return whether a text is certainly a time that `parse_time` reads; takes half as long."""
    try:
        # Years well inside the limits, whatever the zone.
        return text[10:11] in _USUAL_ENDS and 1 < datetime.fromisoformat(text).year < 9999
    except ValueError:
        return False


def offset_at(ms: int, zone: tzinfo, *, local: bool = False) -> int:
    """Return the zone's UTC offset at a time, in milliseconds. ``local``: ``ms`` is local time."""
    try:
        at = EPOCH + timedelta(milliseconds=ms)
        at = at.replace(tzinfo=zone) if local else at.astimezone(zone)
        ahead = at.utcoffset()
    except (OverflowError, ValueError):
        return 0  # the first and last hours of the years 1 to 9999
    return 0 if ahead is None else ahead // timedelta(milliseconds=1)


def _to_ms(at: datetime, text: str) -> int:
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    since = at - EPOCH
    return _in_range(since.days * _DAY_MS + since.seconds * 1000 + since.microseconds // 1000, text)


def _in_range(ms: int, shown: object) -> int:
    if MIN_MS <= ms <= MAX_MS:
        return ms
    raise ValueError(f"{_shown(shown)} is outside the years 1 to 9999")


def _parse_number(number: float, shown: object) -> int:
    if -SECONDS_BELOW < number < SECONDS_BELOW:
        # A float of seconds such as 1694769302.319 is slightly less than it says: round, do not truncate.
        return _in_range(round(number * 1000), shown)
    size = abs(number)
    largest = MAX_MS if number > 0 else -MIN_MS
    if size <= largest:
        if int(number) in _COMPACT and _is_compact(str(int(number))):
            raise ValueError(
                f"{_shown(shown)} may be a date and a time written together as well as a unix time: put a T "
                "between them"
            )
        return round(number)
    for per_ms in (_US_PER_MS, _NS_PER_MS):
        if size <= largest * per_ms:
            return int(number // per_ms)
    raise ValueError(f"{_shown(shown)} is no unix time up to the year 9999, in whatever unit")


def _is_compact(digits: str) -> bool:
    try:
        datetime.strptime(digits, "%Y%m%d%H%M%S")
    except ValueError:
        return False
    return digits.startswith(("19", "20"))


def _parse_text(text: str, zone: tzinfo | None) -> int:
    stripped = text.strip()
    if _UNIX.fullmatch(stripped):
        return _parse_number(float(stripped) if "." in stripped else int(stripped), text)
    found = _ISO.fullmatch(stripped)
    if found is None:
        raise ValueError(f"{_shown(text)} is no time: {WANTED}")
    try:
        ms = _local_ms(found)
    except ValueError as error:
        raise ValueError(f"{_shown(text)} is no time: {error}") from None
    named, sign, hours, minutes, seconds = found.groups()[-5:]
    if sign:
        ahead = (int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)) * 1000
        if ahead >= _DAY_MS:
            raise ValueError(f"{_shown(text)} is no time: the zone is a day or more away from UTC")
        ms -= ahead if sign == "+" else -ahead
    elif not named and zone is not None:
        ms -= offset_at(ms, zone, local=True)
    if (found[14] or found[17]) == "60":
        # Parsed as the second before. Unix time has no leap seconds: this is the first moment of the next
        # day.
        if ms // 1000 % 86_400 != 86_399:
            raise ValueError(f"{_shown(text)} is no time: a leap second is 23:59:60 in UTC")
        ms += 1000
    return _in_range(ms, text)


def _local_ms(found: re.Match[str]) -> int:
    """Return date and time as if they were UTC; a leap second as the second before it."""
    year, month, day = (found[1] or found[4], found[2] or found[5], found[3] or found[6])
    if year is not None:
        date = datetime(int(year), int(month), int(day))
    else:
        week, weekday = found[8] or found[10], found[9] or found[11] or 1
        date = datetime.fromisocalendar(int(found[7]), int(week), int(weekday))
    hour, minute = int(found[12] or 0), int(found[13] or found[16] or 0)
    second, part = int(found[14] or found[17] or 0), found[15] or found[18] or ""
    ms = int((part + "000")[:3])
    if hour == 24 and minute == second == ms == 0 and not part.strip("0"):
        pass  # the midnight that ends the day
    elif hour > 23 or minute > 59 or second > 60:
        raise ValueError("hours are 0 to 23 (or 24:00), minutes and seconds 0 to 59")
    since = (date - _NAIVE_EPOCH).days
    return since * _DAY_MS + ((hour * 60 + minute) * 60 + min(second, 59)) * 1000 + ms


def _shown(value: object) -> str:
    text = repr(value) if type(value) in (str, int, float) else kind_of(value)
    return text if len(text) <= 60 else text[:57] + "..."
