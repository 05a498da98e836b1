"""Integers in JSON that 64 bits cannot hold: orjson would read them as floats and lose digits."""

from __future__ import annotations

import json

_DIGITS_TO_ZERO = bytes.maketrans(b"0123456789", b"0" * 10)
_NINE_DIGITS = b"0" * 9
_TWENTY_DIGITS = b"0" * 20
_MINUS_NINETEEN_DIGITS = b"-" + b"0" * 19


def may_hold_long_integers(raw: bytes) -> bool:
    """Return True where ``raw`` may hold an integer beyond 64 bits; False is certain.

    Up to 19 digits fit unsigned. A longer run has at least nine at every second place, so looking at half of
    the bytes rules out nearly every text, in a quarter less time.
    """
    if _NINE_DIGITS not in raw[::2].translate(_DIGITS_TO_ZERO):
        return False
    digits = raw.translate(_DIGITS_TO_ZERO)
    return _TWENTY_DIGITS in digits or _MINUS_NINETEEN_DIGITS in digits


def long_integer(raw: bytes) -> str | None:
    """Return the first integer of a valid JSON text, outside of its texts, that 64 bits cannot hold.

    None where there is none, and where the text is nested too deep to look for it (some 1,000 levels).
    """
    if not may_hold_long_integers(raw):
        return None
    try:
        json.loads(raw, parse_int=_short)
    except _LongInteger as found:
        return str(found)
    except RecursionError:
        return None
    return None


class _LongInteger(Exception):
    pass


def _short(text: str) -> int:
    # Beyond 20 characters it is certainly too long, and int() of thousands of digits is slow.
    if len(text) <= 20:
        value = int(text)
        if -(2**63) <= value < 2**64:
            return value
    raise _LongInteger(text)
