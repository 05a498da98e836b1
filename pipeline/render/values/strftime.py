"""Formats times by strftime: English names; independent of locale, clock and local time zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.model.times import EPOCH
from pipeline.render.values.printing import Failure

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
_DIRECTIVE: Final = re.compile(r"%([-_0^#]*)(\d{0,2})(:{0,2}[A-Za-z%+])")


@lru_cache(maxsize=1024)
def zone(name: str) -> tzinfo:
    """Return the zone of an IANA name. Raises Failure for an unknown name."""
    if name in ("", "UTC", "Z"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise Failure(f"there is no time zone {name[:60]!r}", name) from None


MAX_PATTERN: Final = 1_000
"""Maximum length of a pattern, which may come from an event: each directive may print much."""


def format_time(ms: int, pattern: str, tz: tzinfo = UTC) -> str:
    """Return a time printed by a strftime pattern with Ruby's flags (``%-d``) and ``%L``, ``%:z``.

    An unknown directive stays as it is. Raises Failure for a time that the zone moves out of the years
    1 to 9999, and for a pattern of more than 1,000 characters.
    """
    if len(pattern) > MAX_PATTERN:
        raise Failure(f"a format of a time has at most {MAX_PATTERN:,} characters", pattern)
    try:
        at = (EPOCH + timedelta(milliseconds=ms)).astimezone(tz)
    except (OverflowError, ValueError):
        raise Failure("the time is outside the years 1 to 9999", ms) from None

    def one(found: re.Match[str]) -> str:
        flags, width, letter = found.groups()
        text = _print(letter, at, ms, int(width or 9 if letter in "LN" else width or 0))
        if text is None:
            return found.group()
        return _adjust(text, letter, flags, int(width or 0))

    return _DIRECTIVE.sub(one, pattern)


def as_written(pattern: str) -> str | None:
    """Return the part of a pattern that is not a valid directive, or all of it if none is."""
    directives = list(_DIRECTIVE.finditer(pattern))
    if not directives:
        return pattern or None
    known = {*_SHORTHAND, *_PRINTERS, *"LNsQ"}
    return next((found.group() for found in directives if found[3] not in known), None)


def in_directives(pattern: str) -> str | None:
    """Return ``DD/MM/YYYY HH:mm``, other products' notation, in our directives; None if it is not one."""
    written, found = _OTHERS.subn(lambda part: _MEANT[part[0]], pattern)
    return written if found > 1 and "%" not in pattern else None


_MEANT: Final = {
    **{"YYYY": "%Y", "yyyy": "%Y", "YY": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "DD": "%d", "dd": "%d"},
    **{"HH": "%H", "hh": "%I", "mm": "%M", "ss": "%S", "SSS": "%L"},
}
_OTHERS: Final = re.compile("|".join(sorted(_MEANT, key=len, reverse=True)))


def _adjust(text: str, letter: str, flags: str, width: int) -> str:
    if "^" in flags or "#" in flags:
        text = text.lower() if letter == "p" and "#" in flags else text.upper()
    if letter not in _PADDED:
        return text.rjust(width) if width > len(text) and letter not in "LN" else text
    if "-" in flags:
        return text.lstrip("0 ") or "0"
    if "_" in flags:
        text = text[:-1].lstrip("0").rjust(len(text) - 1) + text[-1] if len(text) > 1 else text
        return text.rjust(width)
    if "0" in flags:
        text = text.replace(" ", "0")
    return text.rjust(width, "0") if width > len(text) else text


_PADDED: Final = frozenset("CYdeHIjklmMSUWVGguwys")


def _print(letter: str, at: datetime, ms: int, digits: int) -> str | None:
    if letter in _SHORTHAND:
        return format_time(ms, _SHORTHAND[letter], at.tzinfo or UTC)
    if letter == "L":
        return (
            f"{at.microsecond // 1000:03d}"
            if digits == 9
            else f"{at.microsecond * 1000:09d}".ljust(digits, "0")[:digits]
        )
    if letter == "N":
        return f"{at.microsecond * 1000:09d}".ljust(digits, "0")[:digits]
    if letter == "s":
        return str(ms // 1000)
    if letter == "Q":
        return str(ms)
    printer = _PRINTERS.get(letter)
    return None if printer is None else printer(at)


def _offset(at: datetime, colon: str, seconds: bool = False) -> str:
    offset = at.utcoffset() or timedelta()
    sign = "-" if offset < timedelta() else "+"
    total = abs(int(offset.total_seconds()))
    text = f"{sign}{total // 3600:02d}{colon}{total // 60 % 60:02d}"
    return f"{text}{colon}{total % 60:02d}" if seconds else text


_SHORTHAND: Final = {
    "D": "%m/%d/%y",
    "x": "%m/%d/%y",
    "F": "%Y-%m-%d",
    "T": "%H:%M:%S",
    "X": "%H:%M:%S",
    "R": "%H:%M",
    "r": "%I:%M:%S %p",
    "c": "%a %b %e %H:%M:%S %Y",
    "v": "%e-%^b-%Y",
    "+": "%a %b %e %H:%M:%S %Z %Y",
}
_PRINTERS: Final[dict[str, Callable[[datetime], str]]] = {
    "%": lambda at: "%",
    "n": lambda at: "\n",
    "t": lambda at: "\t",
    "A": lambda at: _DAYS[at.weekday()],
    "a": lambda at: _DAYS[at.weekday()][:3],
    "B": lambda at: _MONTHS[at.month - 1],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "h": lambda at: _MONTHS[at.month - 1][:3],
    "C": lambda at: f"{at.year // 100:02d}",
    "Y": lambda at: f"{at.year:04d}",
    "y": lambda at: f"{at.year % 100:02d}",
    "m": lambda at: f"{at.month:02d}",
    "d": lambda at: f"{at.day:02d}",
    "e": lambda at: f"{at.day:2d}",
    "j": lambda at: f"{at.timetuple().tm_yday:03d}",
    "H": lambda at: f"{at.hour:02d}",
    "k": lambda at: f"{at.hour:2d}",
    "I": lambda at: f"{(at.hour + 11) % 12 + 1:02d}",
    "l": lambda at: f"{(at.hour + 11) % 12 + 1:2d}",
    "M": lambda at: f"{at.minute:02d}",
    "S": lambda at: f"{at.second:02d}",
    "p": lambda at: "AM" if at.hour < 12 else "PM",
    "P": lambda at: "am" if at.hour < 12 else "pm",
    "u": lambda at: str(at.isoweekday()),
    "w": lambda at: str(at.isoweekday() % 7),
    "G": lambda at: f"{at.isocalendar().year:04d}",
    "g": lambda at: f"{at.isocalendar().year % 100:02d}",
    "V": lambda at: f"{at.isocalendar().week:02d}",
    "U": lambda at: f"{(at.timetuple().tm_yday + 6 - at.isoweekday() % 7) // 7:02d}",
    "W": lambda at: f"{(at.timetuple().tm_yday + 6 - at.weekday()) // 7:02d}",
    "z": lambda at: _offset(at, ""),
    ":z": lambda at: _offset(at, ":"),
    "::z": lambda at: _offset(at, ":", seconds=True),
    "Z": lambda at: at.tzname() or "UTC",
    "f": lambda at: f"{at.microsecond:06d}",
}
