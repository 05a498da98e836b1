"""Detects the unit or format in which a field holds times."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from pipeline.model.json import Json, Value
from pipeline.model.times import parse_time

_FIRST: Final = 946_684_800
"""2000-01-01, in seconds."""
_LAST: Final = 4_102_444_800
"""2100-01-01."""
_UNITS: Final = (("s", 1), ("ms", 1_000), ("us", 1_000_000), ("ns", 1_000_000_000))
_FORMS: Final = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y, %H:%M:%S", "%d.%m.%Y, %H:%M", "%d.%m.%Y",
    "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y",
    "%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%y %H:%M", "%d-%m-%Y %H:%M:%S", "%d-%m-%Y %H:%M",
    "%d-%m-%Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d", "%Y.%m.%d %H:%M:%S",
    "%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a, %d %b %Y %H:%M:%S GMT",
    "%a %b %d %H:%M:%S %Y", "%a %b %d %H:%M:%S %z %Y", "%b %d, %Y %I:%M:%S %p", "%b %d, %Y %H:%M:%S",
    "%d %b %Y %H:%M:%S", "%d %B %Y %H:%M", "%d-%b-%Y %H:%M:%S", "%d-%b-%y %H:%M:%S", "%Y%m%d%H%M%S",
    "%Y%m%d %H:%M:%S", "%Y%m%d-%H:%M:%S", "%Y%m%d%H%M%S%f", "%Y-%m-%d_%H:%M:%S", "%Y-%m-%dT%H-%M-%S",
    "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S.%f %z",
)  # fmt: skip
_DATED: Final = re.compile(r"\d.*\d.*\d.*\d")
_DIGITS: Final = re.compile(r"\d{9,20}(\.\d+)?", re.ASCII)
_MOST: Final = 200


def time_form(values: Sequence[Json]) -> dict[str, Value] | None:
    """Return the options for these times beside their path (``{}``: none needed), None where they are not
    times.

    One value in fifty may be invalid.
    """
    seen = values[:_MOST]
    if not seen:
        return None
    units = [_unit(value) for value in seen]
    most = max(set(units), key=units.count)
    if most and units.count(most) * 50 >= len(seen) * 49:
        return {"unit": most}
    if sum(map(_is_time, seen)) * 50 >= len(seen) * 49:
        return {}
    texts = [str(value) for value in seen if type(value) in (str, int)]
    if len(texts) < len(seen) or not any(_DATED.search(text) and len(text) < 60 for text in texts[:3]):
        return None
    for form in _FORMS:
        is_worth_it = any(_fits(text, form) for text in texts[:3])
        if is_worth_it and sum(_fits(text, form) for text in texts) * 50 >= len(texts) * 49:
            return {"format": form}
    return None


def fits_form(value: Json, form: str) -> bool:
    """Return whether a text matches a format, whatever the year."""
    try:
        return type(value) is str and bool(datetime.strptime(value.strip(), form))
    except (ValueError, OverflowError):
        return False


def is_ambiguous(form: str, values: Sequence[Json]) -> bool:
    """Return whether days and months might be swapped."""
    swapped = form.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")
    is_numeric = "%m" in form and not form.startswith("%Y")
    return is_numeric and all(_fits(str(value), swapped) for value in values[:_MOST])


def _unit(value: Json) -> str | None:
    if type(value) is str and _DIGITS.fullmatch(value.strip()):
        number = float(value)
    elif type(value) in (int, float):
        number = float(value)  # type: ignore[arg-type]  # a number
    else:
        return None
    if 19_000_101_000_000 <= number <= 21_001_231_235_959 and _fits(str(value), "%Y%m%d%H%M%S"):
        return None
    return next((unit for unit, per in _UNITS if _FIRST * per <= number <= _LAST * per), None)


def _is_time(value: Json) -> bool:
    if type(value) is not str or len(value) < 8 or not value[:4].isdigit():
        return _unit(value) is not None
    try:
        return _FIRST - 10**9 <= parse_time(value) / 1000 <= _LAST
    except ValueError:
        return False


def _fits(text: str, form: str) -> bool:
    try:
        return 1990 <= datetime.strptime(text.strip(), form).replace(tzinfo=UTC).year <= 2100
    except (ValueError, OverflowError):
        return False
