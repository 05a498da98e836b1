"""Parses ``Retry-After``: seconds, or a date in any form of RFC 9110 (5.6.7).

Every date is UTC unless it says otherwise, whatever the machine's zone. Sloppy spellings are accepted where
they can only mean one thing: other case, more blanks, no weekday, ``+0000``, ISO 8601.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

MAX_RETRY_AFTER_SECS = 24 * 3600.0
"""The longest Retry-After that is believed: a broken header must not delay a delivery for years."""

_SECONDS: Final = re.compile(r"[0-9]{1,18}(\.[0-9]{1,9})?")
_TWICE: Final = re.compile(r"(.{1,40}), \1")
"""A header that is there twice, of the receiver and of a proxy: joined."""
_CLOCK: Final = r"(?P<hour>\d{1,2}):(?P<minute>\d\d):(?P<second>\d\d)"
_ZONE: Final = r"(?: ?(?P<zone>[a-z]{1,3}|[+-]\d\d:?\d\d))?"
_FORMS: Final = (
    # Sun, 06 Nov 1994 08:49:37 GMT, and Sunday, 06-Nov-94 08:49:37 GMT
    r"(?:[a-z]+,? ?)?(?P<day>\d{1,2})[ -](?P<month>[a-z]{3})[a-z]*[ -](?P<year>\d{4}|\d\d) " + _CLOCK + _ZONE,
    # Sun Nov  6 08:49:37 1994
    r"(?:[a-z]+,? )?(?P<month>[a-z]{3})[a-z]* (?P<day>\d{1,2}),? "
    + _CLOCK
    + r"(?: (?:gmt|utc))? (?P<year>\d{4})(?P<zone>)",
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)[t ]" + _CLOCK + r"(?:\.\d+)?" + _ZONE,
)
_DATES: Final = tuple(re.compile(form) for form in _FORMS)
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ZONES: Final = {
    **dict.fromkeys(("", "gmt", "utc", "ut", "z"), 0),
    **{"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7},
}
"""UTC offsets, in hours, of the zones in RFC 5322."""


def retry_after_secs(value: str, wall_secs: float, date: str | None = None) -> float:
    """Return the seconds that a Retry-After header asks for: 0 where it makes no sense, at most a day.

    date: the answer's own `Date`. A time in Retry-After is by the receiver's clock, which may differ from
    ours: it is counted from `Date`, and from our time (unix seconds) only where that is missing.
    """
    text = " ".join(value.lower().split())
    several = text.split(", ")
    if all(map(_SECONDS.fullmatch, several)):
        return min(max(map(float, several)), MAX_RETRY_AFTER_SECS)
    if (twice := _TWICE.fullmatch(text)) is not None:
        text = twice[1]
    at = _date(text, wall_secs)
    if at is None:
        return 0.0
    said_at = _date(" ".join(date.lower().split()), wall_secs) if date is not None else None
    return min(max(0.0, at - (wall_secs if said_at is None else said_at)), MAX_RETRY_AFTER_SECS)


def _date(text: str, wall_secs: float) -> float | None:
    """Return the unix seconds of a date; None where it is invalid."""
    found = next((match for form in _DATES if (match := form.fullmatch(text)) is not None), None)
    if found is None:
        return None
    month, year, zone = found["month"], int(found["year"]), found["zone"] or ""
    try:
        offset = _offset(zone)
        now = datetime.fromtimestamp(wall_secs, UTC).year
        if len(found["year"]) == 2:
            # More than fifty years ahead means the most recent year with these digits.
            year += now - now % 100
            year -= 100 if year > now + 50 else 0
        number = int(month) if month.isdigit() else _MONTHS.index(month) + 1
        # A leap second counts as the second before it.
        clock = int(found["hour"]), int(found["minute"]), min(int(found["second"]), 59)
        return (datetime(year, number, int(found["day"]), *clock, tzinfo=UTC) - offset).timestamp()
    except (ValueError, OverflowError, KeyError):
        return None


def _offset(zone: str) -> timedelta:
    if zone[:1] in ("+", "-"):
        digits = zone[1:].replace(":", "")
        ahead = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return ahead if zone[0] == "+" else -ahead
    return timedelta(hours=_ZONES[zone])
