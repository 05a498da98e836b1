"""Filters on numbers. A text that is a number counts as one; anything else is an error, never a 0."""

# ruff: noqa: D103 - what a filter gives stands in the table at the end, which the reference is made of

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Final

from pipeline.model.json import Value
from pipeline.render.filters.filter import Example, Filter
from pipeline.render.values.printing import Failure, bounded, exact, finite, to_count, to_number, to_text

DECIMAL: Final = Context(prec=40)
"""The decimal context: far more digits than a float has, independent of the process's own context."""
_WIDE: Final = Context(prec=700)
"""Enough for every digit of the largest float divided by the smallest, with its fraction."""


def abs_(value: Value) -> int | float:
    return abs(to_number(value, "abs"))


def at_least(value: Value, other: Value) -> int | float:
    return max(to_number(value, "at_least"), to_number(other, "at_least"))


def at_most(value: Value, other: Value) -> int | float:
    return min(to_number(value, "at_most"), to_number(other, "at_most"))


def ceil(value: Value) -> int:
    return bounded(math.ceil(to_number(value, "ceil")))


def floor(value: Value) -> int:
    return bounded(math.floor(to_number(value, "floor")))


def plus(value: Value, other: Value) -> int | float:
    left, right = to_number(value, "plus"), to_number(other, "plus")
    if isinstance(left, int) and isinstance(right, int):
        return bounded(left + right)
    return finite(float(DECIMAL.add(exact(left), exact(right))))


def minus(value: Value, other: Value) -> int | float:
    left, right = to_number(value, "minus"), to_number(other, "minus")
    if isinstance(left, int) and isinstance(right, int):
        return bounded(left - right)
    return finite(float(DECIMAL.subtract(exact(left), exact(right))))


def times(value: Value, other: Value) -> int | float:
    left, right = to_number(value, "times"), to_number(other, "times")
    if isinstance(left, int) and isinstance(right, int):
        return bounded(left * right)
    return finite(float(DECIMAL.multiply(exact(left), exact(right))))


def divided_by(value: Value, other: Value) -> int | float:
    left, right = to_number(value, "divided_by"), to_number(other, "divided_by")
    if right == 0:
        raise Failure("divided_by: nothing can be divided by 0", value)
    if isinstance(left, int) and isinstance(right, int):
        return left // right
    return finite(float(DECIMAL.divide(exact(left), exact(right))))


def modulo(value: Value, other: Value) -> int | float:
    left, right = to_number(value, "modulo"), to_number(other, "modulo")
    if right == 0:
        raise Failure("modulo: nothing can be divided by 0", value)
    if isinstance(left, int) and isinstance(right, int):
        return left % right
    divisor = exact(right)
    rest = _WIDE.remainder(exact(left), divisor)
    if rest and (rest < 0) is not (divisor < 0):
        # The sign is the divisor's, as for integers.
        rest = _WIDE.add(rest, divisor)
    return float(rest) if rest else 0.0


def _rounded(number: int | float, digits: int) -> Decimal:
    rounded = exact(number).quantize(Decimal((0, (1,), -digits)), ROUND_HALF_UP, _WIDE)
    # Zero after rounding has no sign: -0.00 is not an amount.
    return rounded if rounded else rounded.copy_abs()


def round_(value: Value, digits: Value = 0) -> int | float:
    number, places = to_number(value, "round"), to_count(0 if digits is None else digits, "round")
    if not -20 <= places <= 20:
        raise Failure("round wants between -20 and 20 digits", digits)
    if places > 0 and isinstance(number, int) and float(number) != number:
        return number  # no float holds all its digits
    rounded = _rounded(number, places)
    return finite(float(rounded)) if places > 0 else bounded(int(rounded))


def format_number(value: Value, digits: Value = None, point: Value = ".", separator: Value = ",") -> str:
    number = to_number(value, "format_number")
    if digits is None:
        text = f"{exact(number):,f}"
    else:
        places = to_count(digits, "format_number")
        if not 0 <= places <= 20:
            raise Failure("format_number wants between 0 and 20 digits", digits)
        text = f"{_rounded(number, places):,f}"
    if (point, separator) == (".", ","):
        return text
    whole, _, fraction = text.partition(".")
    return whole.replace(",", to_text(separator)) + (to_text(point) + fraction if fraction else "")


def to_number_(value: Value) -> int | float:
    return to_number(value, "to_number")


def to_integer(value: Value) -> int:
    if value is True or value is False:
        raise Failure("to_integer wants a number, not a boolean", value)
    number = to_number(value, "to_integer")
    # A text may have more digits than the Decimal it denotes.
    return bounded(int(Decimal(value.strip()) if type(value) is str else number))


TABLE: Final = (
    Filter(abs_, "without its sign", Example(-3, "abs", 3)),
    Filter(at_least, "not below a number", Example(4, "at_least: 5", 5)),
    Filter(at_most, "not above a number", Example(4, "at_most: 3", 3)),
    Filter(ceil, "rounded up", Example(1.2, "ceil", 2)),
    Filter(floor, "rounded down", Example(-1.2, "floor", -2)),
    Filter(plus, "the sum", Example(0.1, "plus: 0.2", 0.3), Example("5", "plus: 1", 6)),
    Filter(minus, "the difference", Example(0.3, "minus: 0.1", 0.2)),
    Filter(
        times,
        "the product, exact for decimals",
        Example(10.55, "times: 3", 31.65),
        Example(4294967297, "times: 2147483647", 9223372034707292159),
    ),
    Filter(
        divided_by,
        "the quotient; of two whole numbers it is rounded down",
        Example(7, "divided_by: 2", 3),
        Example(7, "divided_by: 2.0", 3.5),
        Example(0.3, "divided_by: 0.1", 3.0),
    ),
    Filter(
        modulo,
        "the remainder, with the sign of the divisor",
        Example(7, "modulo: 3", 1),
        Example(7.5, "modulo: 2", 1.5),
        Example(-7, "modulo: 3", 2),
        Example(-4.5, "modulo: 3", 1.5),
    ),
    Filter(
        round_,
        "rounded to so many digits (0), a half away from 0",
        Example(2.5, "round", 3),
        Example(-2.5, "round", -3),
        Example(1.005, "round: 2", 1.01),
        Example(1250, "round: -2", 1300),
        Example(9007199254740993, "round: 2", 9007199254740993),
    ),
    Filter(
        format_number,
        "a text with thousands separators and so many digits; decimal point and separator can be given",
        Example(1534.7, "format_number: 2", "1,534.70"),
        Example(1534.7, "format_number: 2, ',', '.'", "1.534,70"),
        Example(1234567, "format_number", "1,234,567"),
    ),
    Filter(
        to_number_,
        "the number a text says",
        Example("12.50", "to_number", 12.5),
        Example("7", "to_number", 7),
    ),
    Filter(
        to_integer,
        "a whole number; a fraction is cut off",
        Example("1795445400", "to_integer", 1795445400),
        Example(12.9, "to_integer", 12),
    ),
)
