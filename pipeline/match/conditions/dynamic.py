"""Clauses whose operand is another path: read, converted and folded into one test once per event."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Final

from pipeline.language.paths import Getter, Scope
from pipeline.language.work import CHARS, extent, once, spend
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.conditions.zones import zone_of
from pipeline.match.operators.comparisons import Test, make_test
from pipeline.match.operators.conversions import Conversion
from pipeline.match.operators.dates import to_date
from pipeline.match.operators.operands import Dynamic, Operand, Options
from pipeline.match.operators.table import Operator
from pipeline.match.operators.values import OperandError, fold, is_number
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User


def compile_dynamic(
    read: Getter, many: bool, operator: Operator, parts: list[Operand], options: Options
) -> Predicate:
    """Return the predicate that compares with the values of other paths."""
    operands = _operands(operator, parts, options)
    fixed_zone = options.tz is None or isinstance(options.tz, tzinfo)
    of_event = fixed_zone and all(not isinstance(part, Dynamic) or part.of_event for part in parts)
    key, whole, searched = object(), operator.whole, operator.name == "contains"

    def of(event: Event, user: User) -> tuple[Test, int] | None:
        return operands(event, user, None)

    def dynamic(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if value is MISSING:
            return False
        found = once(event, user, key, of) if of_event else operands(event, user, scope)
        if found is None:
            return False
        test, size = found
        ones = value if many and type(value) is list else (value,)
        spend(event, user, _PER_TEST * len(ones))
        for one in ones:
            if type(one) in (list, dict):
                spend(event, user, extent(one, _PER_TEST))
            if searched:
                # Each operand is searched for in the whole text.
                spend(event, user, size * _length(one) // CHARS)
            if test(one) or (not whole and type(one) is list and any(map(test, one))):
                return True
        return False

    def guarded(event: Event, user: User, scope: Scope) -> bool:
        try:
            return dynamic(event, user, scope)
        except RecursionError:
            return False  # two values nested hundreds deep: not worth the stack of the whole job

    return guarded


_PER_TEST: Final = 4
_PER_OPERAND: Final = 10
"""Work of adding one value to the test, relative to touching it."""


def _length(value: Value) -> int:
    return len(value) if type(value) is str else 0


def _operands(
    operator: Operator, parts: list[Operand], options: Options
) -> Callable[[Event, User, Scope], tuple[Test, int] | None]:
    """Return the function that makes one test from all values of the operand; None: it never holds."""
    fitting, combine = _fitting(operator), _COMBINED.get(operator.name)

    def resolve(part: Operand, event: Event, user: User, scope: Scope) -> list[Value]:
        """Return the values of one part of the operand; none where it is missing."""
        if not isinstance(part, Dynamic):
            return [part]
        value = part.read(event, user, scope)
        if value is MISSING:
            return []
        values = value if part.many and type(value) is list else [value]
        if operator.wants in ("list", "text", "element"):
            values = [one for value in values for one in (value if type(value) is list else (value,))]
        # Lists and objects among them are compared by canonical text, and texts are sorted.
        spend(event, user, extent(values, _PER_OPERAND))
        if options.conversion is not None and not part.converted:
            at = zone_of(options.tz, event, user, scope)
            found = (_operand_value(one, options.conversion, at) for one in values)
            values = [one for one in found if one is not MISSING]
        return [fold(one) for one in values] if options.ignore_case else values

    def operands(event: Event, user: User, scope: Scope) -> tuple[Test, int] | None:
        resolved = [resolve(part, event, user, scope) for part in parts]
        if operator.wants == "range":
            if not all(resolved):
                return None
            circular = options.conversion is not None and options.conversion.circular
            return _between(resolved[0], resolved[1], circular), 1
        values = [one for group in resolved for one in group if fitting(one)]
        if not values:
            return None
        if combine is not None:
            return combine(values), len(values)
        # An array of operands means any of them, so equality with one is membership.
        name = "in" if operator.name == "eq" else operator.name
        return make_test(name, values), len(values)

    return operands


def _fitting(operator: Operator) -> Callable[[Value], bool]:
    """Return which values of a path can be operands: `>` has no meaning for booleans and objects."""
    if operator.wants == "text":
        return lambda value: type(value) is str
    if operator.wants in ("order", "date"):
        return lambda value: is_number(value) or type(value) in (str, tuple)
    return lambda value: True


def _kinds(values: Sequence[Value]) -> list[list[Value]]:
    """Return the comparable values, grouped by kind."""
    kinds: dict[type, list[Value]] = {}
    for value in values:
        kinds.setdefault(float if type(value) is int else type(value), []).append(value)
    return [found for kind, found in kinds.items() if kind in (float, str, tuple)]


def _any(tests: Sequence[Test]) -> Test:
    if len(tests) == 1:
        return tests[0]
    return lambda value: any(test(value) for test in tests)


def _ordered(name: str, pick: Callable[[list[Value]], Value]) -> Callable[[list[Value]], Test]:
    """Greater than any of several means greater than the smallest of its kind."""
    return lambda values: _any([make_test(name, pick(kind)) for kind in _kinds(values)])


def _starts_with(values: list[Value]) -> Test:
    """Among sorted texts, none a prefix of another, only the last one up to the value can match."""
    kept: list[str] = []
    for text in sorted(values):
        if not kept or not text.startswith(kept[-1]):
            kept.append(text)

    def test(value: Value | Missing) -> bool:
        if type(value) is not str:
            return False
        at = bisect_right(kept, value)
        return at > 0 and value.startswith(kept[at - 1])

    return test


def _ends_with(values: list[Value]) -> Test:
    begins = _starts_with([text[::-1] for text in values])
    return lambda value: type(value) is str and begins(value[::-1])


_COMBINED: Final[dict[str, Callable[[list[Value]], Test]]] = {
    "gt": _ordered("gt", min),
    "gte": _ordered("gte", min),
    "after": _ordered("after", min),
    "lt": _ordered("lt", max),
    "lte": _ordered("lte", max),
    "before": _ordered("before", max),
    "starts_with": _starts_with,
    "ends_with": _ends_with,
}


def _between(lows: list[Value], highs: list[Value], circular: bool) -> Test:
    """Return whether any range from one of the lows to one of the highs contains the value.

    With circular conversions a low above its high wraps around: 22:00 to 06:00.
    """
    tests: list[Test] = []
    above = {type(kind[0]) if not is_number(kind[0]) else float: kind for kind in _kinds(highs)}
    for kind in _kinds(lows):
        others = above.get(float if is_number(kind[0]) else type(kind[0]))
        if others is None:
            continue
        least, most = min(kind), max(others)
        if least <= most:
            tests.append(make_test("between", [least, most]))
        if circular:
            from_there = [low for low in kind if low > min(others)]
            to_there = [high for high in others if high < max(kind)]
            if from_there and to_there:
                tests += [make_test("gte", min(from_there)), make_test("lte", max(to_there))]
    return _any(tests) if tests else (lambda value: False)


def _operand_value(value: Value, conversion: Conversion, at: tzinfo | None) -> Value | Missing:
    """Convert the value of a path operand the way the compared value is converted."""
    if conversion.name == "size" and is_number(value):
        return value
    as_written = conversion.name in ("hour", "weekday") and to_date(value, at) is MISSING
    if conversion.name != "ip" and not as_written:
        converted = conversion.value(value, at)
        if converted is not MISSING or conversion.name != "domain":
            return converted
        # What is no whole domain may still be one in a config: `.acme.com`, `acme`.
    try:
        return conversion.operand(value, at)
    except OperandError:
        return MISSING
