"""Dates, weekdays and times of day, in a time zone."""

from __future__ import annotations

import re
from datetime import tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.language.units import parse_duration
from pipeline.match.operators.values import OperandError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing
from pipeline.model.times import offset_at, parse_time

_HOUR: Final = re.compile(r"(?:([01]?[0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_MEANT: Final = re.compile(r"did you mean `([^`]+)`")
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKDAY_NAMES: Final = {
    "monday": 0,
    "tuesday": 1,
    "wednesday": 2,
    "thursday": 3,
    "friday": 4,
    "saturday": 5,
    "sunday": 6,
    **{name: index for index, name in enumerate(WEEKDAYS)},
}


def to_date(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return milliseconds for ISO 8601 (without zone: in ``tz``, else UTC), a unix time."""
    try:
        return parse_time(value, tz)
    except ValueError:
        return MISSING


def date_operand(value: Value, tz: tzinfo | None) -> Value:
    """Return the moment after `as: date`, before or after; raises OperandError."""
    ms = to_date(value, tz)
    if ms is MISSING:
        hint = 'ISO 8601 ("2026-01-31", "2026-01-31T09:00:00Z"), unix seconds, or relative to the event: -30d'
        if (long := _duration(value)) is not None:
            hint = f"write -{long} for that long before the event, +{long} for after it"
        raise OperandError("expected a date", hint)
    return ms


def _duration(value: Value) -> str | None:
    """Return a duration as it is written after a sign; None for anything else."""
    try:
        parse_duration(value if type(value) is str else None)
    except ValueError as error:
        meant = _MEANT.search(str(error))
        return None if meant is None else meant[1]
    return str(value)


def to_weekday(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return 0 (Monday) to 6 for a date, in the zone."""
    ms = to_date(value, tz)
    return MISSING if type(ms) is not int else weekday_at(ms, tz)


def weekday_at(ms: int, tz: tzinfo | None) -> int:
    """Return 0 (Monday) to 6 for unix milliseconds, in the zone."""
    return ((ms if tz is None else ms + offset_at(ms, tz)) // 86_400_000 + 3) % 7


def weekday_operand(value: Value, tz: tzinfo | None) -> Value:
    """Return the day after `as: weekday`; raises OperandError."""
    day = _WEEKDAY_NAMES.get(value.lower()) if type(value) is str else None
    if day is None:
        raise OperandError("expected a weekday", "mon, tue, wed, thu, fri, sat or sun")
    return day


def to_hour(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return the minute of the day (0 to 1439) of a date, in the zone."""
    ms = to_date(value, tz)
    return MISSING if type(ms) is not int else minute_at(ms, tz)


def minute_at(ms: int, tz: tzinfo | None) -> int:
    """Return the minute of the day (0 to 1439) of unix milliseconds, in the zone."""
    return (ms if tz is None else ms + offset_at(ms, tz)) // 60_000 % 1440


def hour_operand(value: Value, tz: tzinfo | None) -> Value:
    """Return the minute of the day after `as: hour`; raises OperandError."""
    found = _HOUR.fullmatch(value) if type(value) is str else None
    if found is None:
        raise OperandError("expected a time of day", 'such as "09:00" or "17:30"')
    return 1440 if found[1] is None else int(found[1]) * 60 + int(found[2])


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo | None:
    """Return the IANA time zone, or None where there is none of that name."""
    if len(name) > 100 or "\x00" in name:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, ImportError, LookupError):
        return None  # zoneinfo raises each of these for names that are paths, folders or unknown
