"""What a bomb is, and the values that fill a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from pipeline.model.json import Value

RECORD = 1_000_000
"""Bytes of properties in a record of the size limit."""


@dataclass(slots=True, frozen=True)
class Bomb:
    """One thing that a config asks of a record that is built against it."""

    entry: str
    """What it tries, as `kind:name`."""
    case: str
    make: Callable[[], Callable[[], object] | None]
    """Returns what is measured, compiled and with its event made; None where the language refuses it."""

    @property
    def name(self) -> str:
        """The line that it has in the listing."""
        return f"{self.entry} {self.case}"


# --- values


def shapes(size: int) -> dict[str, Value]:
    """Return values that are so many bytes of JSON."""
    return {
        "ones": [1] * (size // 2),
        "numbers": list(range(10_000, 10_000 + size // 7)),
        "floats": [1.5] * (size // 4),
        "nulls": [None] * (size // 5),
        "letters": ["x"] * (size // 4),
        "names": [f"x{number:06}" for number in range(size // 10)],
        "numerals": [str(number) for number in range(100_000, 100_000 + size // 9)],
        "lists": [[]] * (size // 3),
        "maps": [{}] * (size // 3),
        "items": [{"k": number} for number in range(size // 13)],
        "dates": ["2026-11-23T14:50:00+01:00"] * (size // 28),
        "days": ["2026-11-23"] * (size // 13),
        "versions": [f"1.2.{number}" for number in range(size // 12)],
        "addresses": [f"::{number:x}" for number in range(size // 10)],
        "domains": [f"a@ä{number}.de" for number in range(size // 16)],
        "rows": [[1] * 1_000] * (size // 2_000),
        "deep": [[[[1] * 10] * 10] * 10] * (size // 2_400),
        "text": "x" * size,
        "blanks": " " * size,
        "accents": "é" * (size // 2),
        "markup": "<" * size,
        "quotes": "'" * size,
        "broken": "<!" * (size // 2),
        "tags": "<a>" * (size // 3),
        "entities": "&lt" * (size // 3),
        "percents": "%41" * (size // 3),
        "lines": "\n" * (size // 2),
        "commas": "x," * (size // 2),
        "slashes": "a/" * (size // 2),
        "base64": "QUJD" * (size // 4),
        "json": "[" + "1," * (size // 2) + "1]",
        "json lists": "[" + "[]," * (size // 3) + "1]",
        "keys": {f"k{number}": 1 for number in range(size // 12)},
        "tree": {f"k{a}": {f"k{b}": 1 for b in range(100)} for a in range(size // 800)},
    }


@cache
def whole() -> dict[str, Value]:
    """Return the values that fill a record."""
    return shapes(RECORD)


@cache
def half() -> dict[str, Value]:
    """Return the values of which two fill a record."""
    return shapes(RECORD // 2)


JUDGED = {
    "a": (
        "ones",
        "letters",
        "names",
        "lists",
        "maps",
        "items",
        "rows",
        "deep",
        "text",
        "accents",
        "keys",
        "tree",
    ),
    "a[*]": ("ones", "letters", "names", "lists", "items", "rows", "deep", "dates"),
    "a[*][*]": ("rows", "deep"),
    "a[*].k": ("items", "maps"),
}
"""The values that a path of conditions is tried on."""
OPPOSED = (
    *(("ones", "ones"), ("numbers", "numbers"), ("names", "names"), ("items", "items"), ("rows", "rows")),
    *(("text", "names"), ("text", "letters"), ("deep", "deep"), ("lists", "maps"), ("names", "text")),
)
"""Values and what they are compared with."""
LISTS = ("ones", "numbers", "floats", "letters", "names", "lists", "maps", "items", "rows", "deep")
TEXTS = ("text", "accents")
