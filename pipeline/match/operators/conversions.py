"""What `as:` does: converts a value before it is compared.

Each conversion has two sides. `value` takes a value of an event or user and returns MISSING where it cannot
be converted; `operand` takes a value of the config and raises OperandError, so that mistakes are found at
load.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Final, TypeAlias

import orjson

from pipeline.match.operators.addresses import domain_operand, ip_operand, to_domain, to_ip
from pipeline.match.operators.dates import (
    date_operand,
    hour_operand,
    to_date,
    to_hour,
    to_weekday,
    weekday_operand,
)
from pipeline.match.operators.values import OperandError
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing

_NUMBER: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_LARGEST_WHOLE: Final = float(1 << 64)
"""The largest 64-bit integers, as floats."""
_VERSION: Final = re.compile(
    r"[vV]?((?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))*)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)


Convert: TypeAlias = Callable[[Value, tzinfo | None], Value | Missing]


@dataclass(slots=True, frozen=True)
class Conversion:
    """One word after `as:`. All results of one conversion can be compared with one another."""

    name: str
    meaning: str
    value: Convert
    operand: Callable[[Value, tzinfo | None], Value]
    operators: frozenset[str]
    """Operators that make sense after it, besides exists and present."""
    operands: str
    examples: tuple[tuple[Value, str, Value, bool], ...]
    """(value, operator, operand, holds), run by the tests and printed in the reference."""
    whole: bool = False
    """True: an array is converted as one value, not element by element."""
    zoned: bool = False
    """True: `tz:` applies."""
    circular: bool = False
    """True: `between` may wrap around (22:00 to 06:00, fri to mon)."""


_EQUALITY = frozenset({"eq", "ne", "in", "not_in"})
_ORDER = frozenset({"gt", "gte", "lt", "lte", "between"})
_TEXT = frozenset({"contains", "not_contains", "starts_with", "ends_with", "glob", "regex"})


def _operand(convert: Convert, wish: str) -> Callable[[Value, tzinfo | None], Value]:
    """Return the operand's side of a conversion that treats operands like values."""

    def operand(value: Value, tz: tzinfo | None) -> Value:
        converted = convert(value, tz)
        if converted is MISSING:
            raise OperandError(f"expected {wish}")
        return converted

    return operand


# --- number


def to_number(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return a number as it is, and a text that is a number exactly; anything else is missing."""
    if type(value) is int or type(value) is float:
        return value
    if type(value) is not str:
        return MISSING
    text = value.strip()
    if len(text) > 400 or not _NUMBER.fullmatch(text):
        return MISSING
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if abs(number) == float("inf"):
        return MISSING
    # An integer keeps all its digits, however it is written: 9007199254740993.0 does not become a float.
    exact = Decimal(text) if abs(number) <= _LARGEST_WHOLE else None
    return int(exact) if exact is not None and exact == exact.to_integral_value() else number


# --- text


def to_text(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return the text of scalars as JSON writes them; null, arrays and objects are missing."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value) if -(1 << 1000) < value < 1 << 1000 else MISSING
    if type(value) is float:
        return orjson.dumps(value).decode()
    return MISSING


# --- version


def to_version(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return a key in semver order; ``v1.2``, ``1.2.3.4`` and numbers are accepted, build data ignored."""
    if type(value) is int or type(value) is float:
        value = to_text(value)
    return _parse_version(value) if type(value) is str and len(value) <= 256 else MISSING


# A stream has few versions, and parsing one costs more than the rest of its condition.
@lru_cache(maxsize=4096)
def _parse_version(text: str) -> Value | Missing:
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        return MISSING
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    if found[2] is None:
        return (tuple(numbers), (1,))
    rest: list[tuple[int, int, str]] = []
    for part in found[2].split("."):
        if not part or (part.isdigit() and len(part) > 1 and part[0] == "0"):
            return MISSING
        rest.append((0, int(part), "") if part.isdigit() else (1, 0, part))
    return (tuple(numbers), (0, tuple(rest)))


def _version_operand(value: Value, tz: tzinfo | None) -> Value:
    version = to_version(value)
    if version is MISSING or type(value) is float:
        raise OperandError("expected a version", 'a text such as "4.10.1" (quoted)')
    return version


# --- size


def to_size(value: Value, tz: tzinfo | None = None) -> Value | Missing:
    """Return the number of characters, elements or keys."""
    return len(value) if type(value) in (str, list, dict) else MISSING


def _size_operand(value: Value, tz: tzinfo | None) -> Value:
    if type(value) is not int:
        raise OperandError("expected a whole number")
    return value


CONVERSIONS: Final[dict[str, Conversion]] = {
    conversion.name: conversion
    for conversion in (
        Conversion(
            "number",
            "text that is a number becomes that number, exactly",
            to_number,
            _operand(to_number, "a number"),
            _EQUALITY | _ORDER,
            "number",
            (
                ("500", "gte", 500, True),
                ("4.5", "eq", 4.5, True),
                ("abc", "gte", 0, False),
                (True, "eq", 1, False),
            ),
        ),
        Conversion(
            "text",
            "numbers and booleans become their text",
            to_text,
            _operand(to_text, "a text"),
            _EQUALITY | _ORDER | _TEXT,
            "text",
            ((5, "eq", "5", True), (True, "eq", "true", True), (4915, "starts_with", "49", True)),
        ),
        Conversion(
            "date",
            "ISO 8601 and unix times (s, ms, us, ns by their size) become a moment",
            to_date,
            date_operand,
            _EQUALITY | _ORDER | {"before", "after"},
            "date, or relative to the event: -30d, now",
            (
                ("2026-01-31T00:00:00Z", "eq", 1769817600, True),
                ("2026-01-31", "lt", "2026-02-01", True),
                ("soon", "gt", "2000-01-01", False),
            ),
            zoned=True,
        ),
        Conversion(
            "version",
            "semantic version order",
            to_version,
            _version_operand,
            _EQUALITY | _ORDER,
            "version",
            (
                ("4.10.1", "gt", "4.9.0", True),
                ("5.0.0-rc.1", "lt", "5.0.0", True),
                ("4.9", "eq", "4.9.0", True),
                ("latest", "gt", "0.0.1", False),
            ),
        ),
        Conversion(
            "domain",
            "the domain of an e-mail address or URL, in lower case",
            to_domain,
            domain_operand,
            _EQUALITY | _TEXT,
            "text",
            (
                ("Ann@Acme.com", "eq", "acme.com", True),
                ("https://shop.acme.com:8080/x", "ends_with", ".acme.com", True),
                ("not an address", "ne", "acme.com", True),
            ),
        ),
        Conversion(
            "ip",
            "an IP address; an operand may be a CIDR block",
            to_ip,
            ip_operand,
            _EQUALITY,
            "IP address or CIDR block",
            (
                ("203.0.113.9", "in", ["203.0.113.0/24"], True),
                ("::ffff:203.0.113.9", "eq", "203.0.113.9", True),
                ("203.0.113.9", "not_in", ["10.0.0.0/8"], True),
            ),
        ),
        Conversion(
            "size",
            "how many characters a text, elements an array, or keys an object has",
            to_size,
            _size_operand,
            _EQUALITY | _ORDER,
            "whole number",
            ((["a", "b"], "gte", 2, True), ("abc", "eq", 3, True), (7, "gte", 0, False)),
            whole=True,
        ),
        Conversion(
            "weekday",
            "the day of the week of a date, in the time zone `tz`",
            to_weekday,
            weekday_operand,
            _EQUALITY | _ORDER,
            "mon, tue, wed, thu, fri, sat or sun",
            (
                ("2026-11-23T14:50:00Z", "eq", "mon", True),
                ("2026-11-23T14:50:00Z", "in", ["sat", "sun"], False),
            ),
            zoned=True,
            circular=True,
        ),
        Conversion(
            "hour",
            "the time of day of a date (to the minute), in the time zone `tz`",
            to_hour,
            hour_operand,
            _EQUALITY | _ORDER,
            'time of day such as "09:00"',
            (
                ("2026-11-23T14:50:00Z", "between", ["09:00", "17:30"], True),
                ("2026-11-23T23:10:00Z", "between", ["22:00", "06:00"], True),
            ),
            zoned=True,
            circular=True,
        ),
    )
}
