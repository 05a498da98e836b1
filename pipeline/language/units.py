"""Durations, rates and sizes as people write them: ``10s``, ``1.5h``, ``100/s``, ``1MB``."""

from __future__ import annotations

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)[\s,]*")
_ISO = re.compile(r"P(?P<days>[^T]*)(?:T(?P<time>.+))?", re.ASCII | re.IGNORECASE)
_WORDS = {
    "ms": (0.001, "ms msec msecs millis millisecond milliseconds"),
    "s": (1.0, "s sec secs second seconds"),
    "m": (60.0, "m min mins minute minutes"),
    "h": (3600.0, "h hr hrs hour hours"),
    "d": (86400.0, "d day days"),
    "w": (7 * 86400.0, "w wk wks week weeks"),
    "mo": (30 * 86400.0, "mo mos mth month months"),
    "y": (365 * 86400.0, "y yr yrs year years"),
}
"""Spellings of units, and their seconds: a month and a year where a fixed length is meant."""
_LONGEST = 40
"""Longer texts are not taken for a duration in another notation."""
_UNITS = {word: unit for unit, (_, words) in _WORDS.items() for word in words.split()}
_WORDED_RATE = re.compile(
    r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?:(?:/|per)\s*(?P<unit>[smhd]|sec|second|min|minute|hour|hr|day))?",
    re.IGNORECASE,
)
_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*/\s*([smhd])")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)")
_MAX_SECONDS = 100 * 366 * 86400.0


def parse_duration(value: object) -> float:
    """Return seconds. Raises ValueError with a message for a person."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            raise ValueError(f"a duration needs a unit: `{value}s`, `{value}m` or `{value}h`")
        raise ValueError(_no_duration(value))
    seconds = float(match[1]) * _SECONDS[match[2]]
    if seconds > _MAX_SECONDS:
        raise ValueError("a duration may be 100 years at most")
    return seconds


def _no_duration(value: object) -> str:
    wish = "a duration is a number and a unit (ms, s, m, h, d), such as `10s` or `1.5h`"
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith("-") and _meant(text[1:]) is not None:
        return "a duration is longer than nothing"
    meant = _meant(text.removeprefix("+"))
    return f"{wish}: {meant}" if meant is not None else wish


def _meant(text: str) -> str | None:
    """Return the right spelling of a duration in another notation: `1 day`, `2w`, `1h30m`, `P1DT12H`."""
    iso = _ISO.fullmatch(text) if len(text) <= _LONGEST else None
    if iso is not None:
        # Before the T of ISO 8601 the letter M means months, after it minutes.
        found = _parts(re.sub("M", "mo", iso["days"], flags=re.IGNORECASE)) + _parts(iso["time"] or "")
    else:
        found = _parts(text) if len(text) <= _LONGEST else []
    if not found or not all(unit in _WORDS for _, unit in found):
        return None
    total = sum(float(number) * _WORDS[unit][0] for number, unit in found)
    if len(found) > 1 or found[0][1] not in _SECONDS:
        return f"did you mean `{show_duration(total)}`?"
    meant = "".join(found[0])
    if text.endswith("M") and iso is None:
        return f"did you mean `{meant}`, or months: `{show_duration(total / 60 * _WORDS['mo'][0])}`?"
    return f"did you mean `{meant}`?"


def _parts(text: str) -> list[tuple[str, str]]:
    """Return a text's numbers with their units ("": not a unit); [] where it holds anything else."""
    found = _PART.findall(text)
    if "".join(number + word for number, word in found) != re.sub(r"[\s,]", "", text):
        return []
    return [(number, _UNITS.get(word.lower(), "")) for number, word in found]


def parse_rate(value: object) -> float:
    """Return the number per second. Raises ValueError with a message for a person."""
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    rate = float(match[1]) / _SECONDS[match[2]] if match is not None else 0.0
    if not rate:
        wish = "a rate is a number per unit of time, such as `100/s`, `60/m` or `1000/h`"
        found = _WORDED_RATE.fullmatch(str(value).strip())
        unit = found["unit"][:1].lower() if found is not None and found["unit"] else "s"
        close = f": did you mean `{found['number']}/{unit}`?" if found is not None and match is None else ""
        raise ValueError(wish + close)
    return rate


def parse_size(value: object) -> int:
    """Return bytes. Raises ValueError with a message for a person."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    size = float(match[1]) * _BYTES[match[2]] if match is not None else 0.0
    if size == math.inf:
        raise ValueError("a size is a number of bytes that a disk can hold")
    size = int(size)
    if not size and (match is not None or (isinstance(value, int) and not isinstance(value, bool))):
        raise ValueError("a size is at least one byte")
    if not size:
        raise ValueError(
            "a size is a number of bytes, or a number and a unit (KB, MB, GB, KiB, MiB, GiB), such as `512KB`"
        )
    return size


def show_duration(seconds: float) -> str:
    """Return the shortest notation that `parse_duration` reads as these seconds."""
    for unit in ("d", "h", "m", "s"):
        amount = seconds / _SECONDS[unit]
        if amount >= 1 and amount == int(amount) and not (unit == "d" and amount < 4):
            return f"{int(amount)}{unit}"
    return f"{seconds * 1000:g}ms"


def show_size(count: int) -> str:
    """Return the shortest notation that `parse_size` reads as so many bytes."""
    units = [unit for unit, size in _BYTES.items() if count >= size and count % size == 0]
    return min((f"{count // _BYTES[unit]}{unit}" for unit in units), key=len, default=str(count))


def show_rate(per_sec: float) -> str:
    """Return a rate in the smallest unit of time that makes its number whole, else as ``0.3/s``."""
    for unit in ("s", "m", "h", "d"):
        amount = round(per_sec * _SECONDS[unit], 9)
        if amount >= 1 and amount == int(amount):
            return f"{int(amount)}/{unit}"
    return f"{per_sec:g}/s"
