"""Which plain YAML scalars are not text: JSON's own notation, nothing more.

YAML 1.2 core without its traps: ``NO``, ``12:30``, ``010``, ``1_000``, ``+4915``, ``1e3``, ``2026-01-01``
and ``.nan`` stay text (LANGUAGE 8).
"""

from __future__ import annotations

import re

from pipeline.model.json import Value

_CONSTANTS: dict[str, Value] = {"true": True, "false": False, "null": None}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?")
LOOKS_LIKE = {
    "True": "true",
    "TRUE": "true",
    "False": "false",
    "FALSE": "false",
    "Null": "null",
    "NULL": "null",
    "None": "null",
    "~": "null",
}
"""The constant that a plain scalar was probably meant to be."""
_INT64 = range(-(2**63), 2**64)


def resolve(text: str) -> Value:
    """Return the value of a plain (unquoted) scalar.

    Raises ValueError, with a message for a person, for a number that no receiver could read back.
    """
    first = text[:1]
    if first in "tfn":
        return _CONSTANTS.get(text, text)
    if first not in "-0123456789":
        return text
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if match[1] is not None:
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise ValueError(f"the number {_short(text)} is beyond what JSON readers can hold")
        return number
    # Python refuses to convert very long digit strings; 20 characters hold every 64-bit integer.
    if len(text) > 20 or int(text) not in _INT64:
        raise ValueError(f"the integer {_short(text)} needs more than 64 bits")
    return int(text)


def _short(text: str) -> str:
    return text if len(text) <= 24 else text[:20] + "..."
