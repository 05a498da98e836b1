"""One clause: path, conversion, operator and operand, compiled to one function.

A map such as ``{as: version, gte: "4.9", lt: "5"}`` becomes one clause per operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import tzinfo
from operator import eq, ge, gt, le, lt
from typing import Final

from pipeline.language.path_syntax import Path
from pipeline.language.paths import Getter, Scope, compile_time
from pipeline.language.work import CHARS, FREE_CHARS, extent, spend, width
from pipeline.match.conditions.dynamic import compile_dynamic
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.conditions.zones import zone_of
from pipeline.match.operators.comparisons import Test, make_test, price_of
from pipeline.match.operators.dates import minute_at, weekday_at
from pipeline.match.operators.operands import Dynamic, Operand, Options
from pipeline.match.operators.patterns import PatternError
from pipeline.match.operators.table import OPERATORS, Operator
from pipeline.match.operators.values import OperandError, fold, present
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.model.times import MAX_MS, MIN_MS


def compile_clause(
    path: Path, read: Getter, operator: Operator, operand: Operand, options: Options
) -> Predicate:
    """Return the predicate of one operator over what `read`, the path's getter, returns.

    Raises OperandError for an invalid pattern.
    """
    positive = OPERATORS[operator.negates] if operator.negates else operator
    # A pattern matches the text as it is: folding turns ß into two letters, and a pattern cannot be folded.
    reading = replace(options, ignore_case=False) if positive.name == "regex" else options
    converted = _of_time(path, options) or _converted(read, path.has_any, reading)
    holds = _positive(converted, path.has_any, positive, operand, options)
    if operator.negates is None:
        return holds
    return lambda event, user, scope: not holds(event, user, scope)


def _positive(read: Getter, many: bool, operator: Operator, operand: Operand, options: Options) -> Predicate:
    if operator.wants == "flag":
        return _flag(read, many, operator.name == "present", bool(operand))
    if isinstance(operand, Dynamic) and operand.converted:
        return _relative(read, operator, operand)
    parts = operand if type(operand) is list else [operand]
    if any(isinstance(part, Dynamic) for part in parts):
        return compile_dynamic(read, many, operator, parts, options)
    try:
        test = make_test(operator.name, operand, ignore_case=options.ignore_case)
    except PatternError as error:
        raise OperandError(f"invalid {operator.name}: {error}", _pattern_hint(str(error))) from None
    if many:
        return _over_many(
            read, test, operator, price_of(operator.name, operand, ignore_case=options.ignore_case)
        )
    price = price_of(operator.name, operand, ignore_case=options.ignore_case)
    if price:
        read = _counted(read, price)
    if operator.whole or (options.conversion is not None and options.conversion.whole):
        return lambda event, user, scope: test(read(event, user, scope))
    if operator.name == "eq" and type(operand) is str:
        return _equals_text(read, operand)

    def over_one(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if value is MISSING:
            return False
        if type(value) is list:
            if len(value) > _FEW:
                spend(event, user, extent(value, _PER_TEST))
            return test(value) or any(map(test, value))
        return test(value)

    return over_one


_PER_CONVERSION: Final = 40
"""Work of converting one element: a date takes two microseconds."""
_PER_FOLD: Final = 3
"""Work of folding one element."""
_PER_TEST: Final = 4
"""Work of applying an operator to one element, relative to touching it."""
_FEW: Final = 16
"""Up to this many elements are free: counting would cost more."""


def _counted(read: Getter, price: int) -> Getter:
    """Return the getter with the work of long texts, lists and objects counted."""
    free = FREE_CHARS // price

    def counted(event: Event, user: User, scope: Scope) -> Value | Missing:
        value = read(event, user, scope)
        if type(value) is str:
            if len(value) > free:
                spend(event, user, price * len(value) // CHARS)
        elif type(value) is list or type(value) is dict:
            spend(event, user, extent(value, _PER_FOLD))
        return value

    return counted


def _pattern_hint(message: str) -> str | None:
    if "(?" in message or message.rstrip("123456789").endswith("escape sequence: \\"):
        return "RE2 has no look-around and no back-references: split the condition in two"
    if message.endswith(("operator: *", "operator: +", "operator: ?")):
        return "any text is `.*` in a regex; a pattern with stars is {glob: ...}"
    return None


def _equals_text(read: Getter, operand: str) -> Predicate:
    """The commonest clause of all, in one comparison."""

    def test(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if type(value) is list:
            if len(value) > _FEW:
                spend(event, user, len(value))
            return operand in value
        return bool(value == operand)

    return test


def _over_many(read: Getter, test: Test, operator: Operator, price: int) -> Predicate:
    whole, free = operator.whole, FREE_CHARS // max(1, price)

    def over_many(event: Event, user: User, scope: Scope) -> bool:
        values = read(event, user, scope)
        if type(values) is not list:
            return False
        spend(event, user, _PER_TEST * len(values))
        for value in values:
            kind = type(value)
            if kind is list or kind is dict:
                spend(event, user, extent(value, _PER_TEST))
            elif kind is str and len(value) > free:
                spend(event, user, max(1, price) * len(value) // CHARS)
            if test(value) or (not whole and type(value) is list and any(map(test, value))):
                return True
        return False

    return over_many


def _flag(read: Getter, many: bool, is_present: bool, wanted: bool) -> Predicate:
    def found(value: Value | Missing) -> bool:
        return present(value) if is_present else value is not MISSING and value is not None

    def flag(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if many and type(value) is list:
            spend(event, user, len(value))
            return any(map(found, value)) is wanted
        return found(value) is wanted

    return flag


def _converted(get: Getter, many: bool, options: Options) -> Getter:
    """Return a getter of converted and folded values; arrays keep the elements that convert."""
    conversion, tz = options.conversion, options.tz
    if options.ignore_case:
        get = _counted(get, _PER_FOLD)
    if conversion is None:
        if not options.ignore_case:
            return get
        if not many:
            return lambda event, user, scope: fold(get(event, user, scope))

        def folded(event: Event, user: User, scope: Scope) -> Value | Missing:
            values = get(event, user, scope)
            return [fold(value) for value in values] if type(values) is list else values

        return folded
    convert, whole = conversion.value, conversion.whole

    def read(event: Event, user: User, scope: Scope) -> Value | Missing:
        value = get(event, user, scope)
        if value is MISSING:
            return MISSING
        at = zone_of(tz, event, user, scope)
        if type(value) is list and (many or not whole):
            spend(event, user, _PER_CONVERSION * (len(value) if whole else width(value)))
            value = _convert_list(value, convert, at, flat=not whole)
        else:
            value = convert(value, at)
        return fold(value) if options.ignore_case else value

    return read


def _of_time(path: Path, options: Options) -> Getter | None:
    """Return the converted event time without a detour through its text; None for other paths."""
    time, conversion, tz = compile_time(path), options.conversion, options.tz
    if time is None or conversion is None or conversion.name not in _AT:
        return None
    convert = _AT[conversion.name]

    def read(event: Event, user: User, scope: Scope) -> Value | Missing:
        ms = time(event)
        if ms is None or not MIN_MS <= ms <= MAX_MS:
            return MISSING
        return convert(ms, zone_of(tz, event, user, scope))

    return read


_AT: Final[dict[str, Callable[[int, tzinfo | None], int]]] = {
    "date": lambda ms, tz: ms,
    "weekday": weekday_at,
    "hour": minute_at,
}


def _relative(read: Getter, operator: Operator, operand: Dynamic) -> Predicate:
    """Compare moments with one relative to the event."""
    moment_of, compare = operand.read, _COMPARE[operator.name]

    def relative(event: Event, user: User, scope: Scope) -> bool:
        value, moment = read(event, user, scope), moment_of(event, user, scope)
        if moment is MISSING:
            return False
        if type(value) is list:
            return any(type(one) is int and compare(one, moment) for one in value)
        return type(value) is int and compare(value, moment)

    return relative


_COMPARE: Final[dict[str, Callable[[Value, Value], bool]]] = {
    "eq": eq,
    "gt": gt,
    "gte": ge,
    "lt": lt,
    "lte": le,
    "before": lt,
    "after": gt,
}


def _convert_list(
    values: list[Value],
    convert: Callable[[Value, tzinfo | None], Value | Missing],
    at: tzinfo | None,
    *,
    flat: bool,
) -> Value | Missing:
    found: list[Value] = []
    for value in values:
        for one in value if flat and type(value) is list else (value,):
            converted = convert(one, at)
            if converted is not MISSING:
                found.append(converted)
    return found or MISSING
