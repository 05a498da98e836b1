"""Durations, rates and sizes as people write them: ``10s``, ``1.5h``, ``100/s``, ``1MB``."""

from __future__ import annotations

import math
import re

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_WORDED = re.compile(r"(?P<sign>[+-]?)(?:PT)?(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<word>[A-Za-z]*)")
_WORDS = {
    "ms": "ms msec msecs millis millisecond milliseconds",
    "s": "s sec secs second seconds",
    "m": "m min mins minute minutes",
    "h": "h hr hrs hour hours",
    "d": "d day days",
}
"""How people write units."""
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
    found = _WORDED.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return wish
    sign, number, word = found["sign"], found["number"], found["word"].lower()
    unit = next((unit for unit, words in _WORDS.items() if word in words.split()), None)
    if sign == "-":
        return "a duration is longer than nothing"
    return f"{wish}: did you mean `{number}{unit}`?" if unit is not None else wish


def parse_rate(value: object) -> float:
    """Return how many per second. Raises ValueError with a message for a person."""
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
    if not size:
        raise ValueError("a size is a number of bytes, or a number and a unit such as `512KB` or `1MiB`")
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
