"""What each operator does with one value: functions of the value, built once per operand at load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from pipeline.match.operators.addresses import Network, Networks
from pipeline.match.operators.patterns import compile_glob, compile_regex, glob_price, regex_price
from pipeline.match.operators.values import Members, comparable, is_number
from pipeline.model.json import Value, equal
from pipeline.model.records import Missing

Test: TypeAlias = Callable[[Value | Missing], bool]
"""Does the (positive) operator hold for this one value? The value may be anything but MISSING."""


def make_test(operator: str, operand: Value, *, ignore_case: bool = False) -> Test:
    """Return the test of a positive operator for a checked, converted and folded operand."""
    return _MAKERS[operator](operand, ignore_case)


def price_of(operator: str, operand: Value, *, ignore_case: bool) -> int:
    """Return the work of an operator per 16 characters of text; 0: it does not read texts to their end."""
    texts = operand if type(operand) is list else [operand]
    if operator == "contains":
        return sum(type(text) is str for text in texts)
    if operator == "glob":
        return sum(map(glob_price, texts))
    if operator == "regex":
        return sum(regex_price(text, ignore_case=ignore_case) for text in texts)
    return 0


def _eq(operand: Value, ignore_case: bool) -> Test:
    if type(operand) is Network:
        networks = Networks([operand])
        return lambda value: value in networks
    if type(operand) in (str, tuple):
        # A text only ever equals a text: Python's == is already typed here.
        return lambda value: bool(value == operand)
    if operand is None or type(operand) is bool:
        return lambda value: value is operand
    if type(operand) is int or type(operand) is float:
        return lambda value: value == operand and type(value) is not bool
    return lambda value: equal(value, operand)


def _in(operand: Value, ignore_case: bool) -> Test:
    addresses = bool(operand) and type(operand[0]) is Network
    members: Members | Networks = Networks(operand) if addresses else Members(operand)
    return lambda value: value in members


def _gt(operand: Value, ignore_case: bool) -> Test:
    if is_number(operand):
        return lambda value: (type(value) is int or type(value) is float) and value > operand
    kind = type(operand)
    return lambda value: type(value) is kind and value > operand


def _gte(operand: Value, ignore_case: bool) -> Test:
    if is_number(operand):
        return lambda value: (type(value) is int or type(value) is float) and value >= operand
    kind = type(operand)
    return lambda value: type(value) is kind and value >= operand


def _lt(operand: Value, ignore_case: bool) -> Test:
    if is_number(operand):
        return lambda value: (type(value) is int or type(value) is float) and value < operand
    kind = type(operand)
    return lambda value: type(value) is kind and value < operand


def _lte(operand: Value, ignore_case: bool) -> Test:
    if is_number(operand):
        return lambda value: (type(value) is int or type(value) is float) and value <= operand
    kind = type(operand)
    return lambda value: type(value) is kind and value <= operand


def _between(operand: Value, ignore_case: bool) -> Test:
    low, high = operand
    if comparable(low, high) and low > high:
        # Only circular conversions (hour, weekday) get here: the range wraps around.
        return lambda value: comparable(value, low) and (value >= low or value <= high)
    if is_number(low) and is_number(high):
        return lambda value: (type(value) is int or type(value) is float) and low <= value <= high
    return lambda value: comparable(value, low) and comparable(value, high) and low <= value <= high


def _contains(operand: Value, ignore_case: bool) -> Test:
    wanted = operand if type(operand) is list else [operand]
    texts = tuple(text for text in wanted if type(text) is str)
    members = Members(wanted)
    if len(texts) == 1 == len(wanted):
        only = texts[0]
        return lambda value: only in value if type(value) is str else type(value) is list and only in value

    def test(value: Value | Missing) -> bool:
        if type(value) is str:
            return any(text in value for text in texts)
        return type(value) is list and any(element in members for element in value)

    return test


def _starts_with(operand: Value, ignore_case: bool) -> Test:
    texts = tuple(operand) if type(operand) is list else operand
    return lambda value: type(value) is str and value.startswith(texts)


def _ends_with(operand: Value, ignore_case: bool) -> Test:
    texts = tuple(operand) if type(operand) is list else operand
    return lambda value: type(value) is str and value.endswith(texts)


def _any_text(tests: list[Callable[[str], bool]]) -> Test:
    if len(tests) == 1:
        only = tests[0]
        return lambda value: type(value) is str and only(value)
    return lambda value: type(value) is str and any(test(value) for test in tests)


def _glob(operand: Value, ignore_case: bool) -> Test:
    return _any_text([compile_glob(text) for text in (operand if type(operand) is list else [operand])])


def _regex(operand: Value, ignore_case: bool) -> Test:
    texts = operand if type(operand) is list else [operand]
    return _any_text([compile_regex(text, ignore_case=ignore_case) for text in texts])


_MAKERS: Final[dict[str, Callable[[Value, bool], Test]]] = {
    "eq": _eq,
    "in": _in,
    "gt": _gt,
    "gte": _gte,
    "lt": _lt,
    "lte": _lte,
    "between": _between,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "glob": _glob,
    "regex": _regex,
    "before": _lt,
    "after": _gt,
}
