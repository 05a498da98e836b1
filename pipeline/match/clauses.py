"""One clause: a path, its conversion, an operator and an operand, compiled to one function.

A clause is made once for every operator of a map such as ``{as: version, gte: "4.9", lt: "5"}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final, TypeAlias

from pipeline.config.paths import Getter, Scope
from pipeline.config.units import parse_duration
from pipeline.match.comparisons import Test, make_test
from pipeline.match.convert import Conversion, Network, OperandError, to_date, to_ip, zone
from pipeline.match.operators import OPERATORS, Operator
from pipeline.match.patterns import PatternError
from pipeline.match.values import comparable, fold, is_number, present
from pipeline.model.records import MISSING, Event, Json, Missing, User

Predicate: TypeAlias = Callable[[Event, User, Scope], bool]
Zone: TypeAlias = "Getter | tzinfo | None"

_RELATIVE: Final = re.compile(r"([+-])\s*([0-9].*)")
_LOOKS: Final = (
    (
        re.compile(r"\s*[+-]?[0-9]+(\.[0-9]+)?\s*", re.ASCII),
        "a number",
        "write it without quotes, or add `as: number`",
    ),
    (
        re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}.*", re.ASCII),
        "a date",
        "use before or after, or add `as: date`",
    ),
    (re.compile(r"v?[0-9]+\.[0-9]+\.[0-9].*", re.ASCII), "a version", "add `as: version`"),
)


@dataclass(slots=True, frozen=True)
class Dynamic:
    """An operand that is known only for an event: another path, or a relative date."""

    read: Getter
    """The operand before its conversion, or MISSING; a relative date is already a moment."""
    many: bool = False
    """True: the path has ``[*]``, any of its values may be meant."""
    converted: bool = False


Operand: TypeAlias = "Json | Dynamic"


@dataclass(slots=True, frozen=True)
class Options:
    """What stands beside the operators in one map."""

    conversion: Conversion | None = None
    ignore_case: bool = False
    tz: Zone = None


def relative_date(value: Json) -> Dynamic | None:
    """Return the moment that ``-30d``, ``+1h`` or ``now`` means for an event; None for anything else."""
    if value == "now":
        shift = 0
    else:
        found = _RELATIVE.fullmatch(value) if type(value) is str else None
        if found is None:
            return None
        try:
            shift = round(parse_duration(found[2]) * 1000)
        except ValueError as error:
            raise OperandError(
                f"{value!r} is no time relative to the event: {error}", "such as -30d"
            ) from None
        if found[1] == "-":
            shift = -shift

    def read(event: Event, user: User, scope: Scope) -> Json | Missing:
        return MISSING if event.time is None else event.time + shift

    return Dynamic(read, converted=True)


def check_operand(operator: Operator, value: Operand, options: Options) -> tuple[Operand, str | None]:
    """Return the operand, converted and folded, and a warning or None; raises OperandError."""
    conversion = options.conversion
    if operator.wants == "flag":
        if type(value) is not bool:
            raise OperandError(f"`{operator.name}` takes true or false")
        return value, None
    if operator.wants == "list":
        if isinstance(value, Dynamic):
            return value, None
        if type(value) is not list:
            raise OperandError(f"`{operator.name}` takes a list", f"write {operator.name}: [{_shown(value)}]")
        if not value:
            raise OperandError(
                f"`{operator.name}` with an empty list {'never' if not operator.negates else 'always'} holds"
            )
        return _each(operator, value, options), None
    if operator.wants == "range":
        if type(value) is not list or len(value) != 2:
            raise OperandError("`between` takes two values", "write between: [low, high], both included")
        low, high = _each(operator, value, options)
        _check_range(low, high, conversion is not None and conversion.circular)
        return [low, high], _looks_like(low, options)
    if type(value) is list and operator.wants in ("text", "element"):
        if not value:
            raise OperandError(f"`{operator.name}` with an empty list never holds")
        return _each(operator, value, options), None
    if type(value) is list and operator.name not in ("eq", "ne"):
        raise OperandError(f"`{operator.name}` takes one value, not a list")
    if type(value) is list and conversion is not None:
        raise OperandError(
            f"`{operator.name}` after `as:` takes one value", "for any of several write in: [...]"
        )
    checked = _one(operator, value, options)
    if type(checked) is list:
        return checked, "a list after `eq` or `ne` means the whole array; for any of several write in: [...]"
    return checked, _looks_like(checked, options) if operator.wants == "order" else None


def _check_range(low: Operand, high: Operand, circular: bool) -> None:
    if isinstance(low, Dynamic) or isinstance(high, Dynamic):
        return
    if not (is_number(low) and is_number(high)) and type(low) is not type(high):
        raise OperandError("the two ends of `between` are of different types")
    if low > high and not circular:
        raise OperandError(
            "the first value of `between` is greater than the second", "write the lower one first"
        )


def _each(operator: Operator, values: list[Operand], options: Options) -> list[Operand]:
    return [_one(operator, value, options) for value in values]


def _one(operator: Operator, value: Operand, options: Options) -> Operand:
    if isinstance(value, Dynamic):
        if operator.name in ("glob", "regex"):
            raise OperandError(
                f"a pattern of `{operator.name}` cannot come from a path", "patterns are checked at load"
            )
        return value
    if type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        raise OperandError("NaN and infinity are no JSON numbers")
    conversion = options.conversion
    if conversion is not None:
        if conversion.name == "date" and (moment := relative_date(value)) is not None:
            return moment
        tz = options.tz if isinstance(options.tz, tzinfo) else None
        return fold(conversion.operand(value, tz)) if options.ignore_case else conversion.operand(value, tz)
    if operator.wants == "text" and type(value) is not str:
        raise OperandError(
            f"`{operator.name}` takes text", f'write it in quotes: "{value}"' if is_number(value) else None
        )
    if operator.wants in ("order", "range") and not (is_number(value) or type(value) is str):
        raise OperandError(f"`{operator.name}` takes a number or a text")
    return fold(value) if options.ignore_case and operator.name != "regex" else value


def _looks_like(value: Operand, options: Options) -> str | None:
    if type(value) is not str or options.conversion is not None:
        return None
    for pattern, kind, remedy in _LOOKS:
        if pattern.fullmatch(value):
            return (
                f'"{value}" looks like {kind} but is a text, and texts compare by their characters: {remedy}'
            )
    return None


def _shown(value: Json) -> str:
    return (
        value if type(value) is str and value.isalnum() else repr(value) if type(value) is str else str(value)
    )


def compile_clause(
    get: Getter, many: bool, operator: Operator, operand: Operand, options: Options
) -> Predicate:
    """Return the predicate of one operator; raises OperandError for an invalid pattern."""
    positive = OPERATORS[operator.negates] if operator.negates else operator
    holds = _positive(get, many, positive, operand, options)
    if operator.negates is None:
        return holds
    return lambda event, user, scope: not holds(event, user, scope)


def _positive(get: Getter, many: bool, operator: Operator, operand: Operand, options: Options) -> Predicate:
    read = _converted(get, many, options)
    if operator.wants == "flag":
        return _flag(read, many, operator.name == "present", bool(operand))
    if _is_dynamic(operand):
        return _dynamic(read, many, operator, operand, options)
    try:
        test = make_test(operator.name, operand, ignore_case=options.ignore_case)
    except PatternError as error:
        raise OperandError(f"invalid {operator.name}: {error}", _pattern_hint(str(error))) from None
    if many:
        return _over_many(read, test, operator.whole)
    if operator.whole or (options.conversion is not None and options.conversion.whole):
        return lambda event, user, scope: test(read(event, user, scope))
    if operator.name == "eq" and type(operand) is str:
        return _equals_text(read, operand)

    def over_one(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if value is MISSING:
            return False
        if type(value) is list:
            return test(value) or any(map(test, value))
        return test(value)

    return over_one


def _pattern_hint(message: str) -> str | None:
    if "(?" in message or "perl operator" in message:
        return "RE2 has no look-around and no back-references: split the condition in two"
    return None


def _equals_text(read: Getter, operand: str) -> Predicate:
    """The commonest clause of all, in one comparison."""

    def test(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        return bool(value == operand) or (type(value) is list and operand in value)

    return test


def _over_many(read: Getter, test: Test, whole: bool) -> Predicate:
    def over_many(event: Event, user: User, scope: Scope) -> bool:
        values = read(event, user, scope)
        if type(values) is not list:
            return False
        for value in values:
            if test(value) or (not whole and type(value) is list and any(map(test, value))):
                return True
        return False

    return over_many


def _flag(read: Getter, many: bool, is_present: bool, wanted: bool) -> Predicate:
    def found(value: Json | Missing) -> bool:
        return present(value) if is_present else value is not MISSING and value is not None

    def flag(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if many and type(value) is list:
            return any(map(found, value)) is wanted
        return found(value) is wanted

    return flag


def _converted(get: Getter, many: bool, options: Options) -> Getter:
    """Return a getter whose values are converted and folded; arrays keep the elements that convert."""
    conversion, tz = options.conversion, options.tz
    if conversion is None:
        if not options.ignore_case:
            return get
        if many:
            return lambda event, user, scope: _fold_each(get(event, user, scope))
        return lambda event, user, scope: fold(get(event, user, scope))
    convert, whole = conversion.value, conversion.whole

    def read(event: Event, user: User, scope: Scope) -> Json | Missing:
        value = get(event, user, scope)
        if value is MISSING:
            return MISSING
        at = _zone_of(tz, event, user, scope)
        if type(value) is list and (many or not whole):
            value = _convert_list(value, convert, at, flat=not whole)
        else:
            value = convert(value, at)
        return fold(value) if options.ignore_case else value

    return read


def _fold_each(values: Json | Missing) -> Json | Missing:
    return [fold(value) for value in values] if type(values) is list else values


def _convert_list(
    values: list[Json],
    convert: Callable[[Json, tzinfo | None], Json | Missing],
    at: tzinfo | None,
    *,
    flat: bool,
) -> Json | Missing:
    found: list[Json] = []
    for value in values:
        for one in value if flat and type(value) is list else (value,):
            converted = convert(one, at)
            if converted is not MISSING:
                found.append(converted)
    return found or MISSING


def _zone_of(tz: Zone, event: Event, user: User, scope: Scope) -> tzinfo | None:
    """Return the zone; UTC (None) where a path leads nowhere or to no zone, as documented for `tz`."""
    if tz is None or isinstance(tz, tzinfo):
        return tz
    name = tz(event, user, scope)
    return zone(name) if type(name) is str else None


def _is_dynamic(operand: Operand) -> bool:
    if isinstance(operand, Dynamic):
        return True
    return type(operand) is list and any(isinstance(part, Dynamic) for part in operand)


def _dynamic(read: Getter, many: bool, operator: Operator, operand: Operand, options: Options) -> Predicate:
    """Compare with what other paths hold: the operand is read, converted and folded for every event."""

    def resolve(part: Operand, event: Event, user: User, scope: Scope) -> list[Json]:
        """Return the values that one part of the operand stands for; none where it is missing."""
        if not isinstance(part, Dynamic):
            return [part]
        value = part.read(event, user, scope)
        if value is MISSING:
            return []
        values = value if part.many and type(value) is list else [value]
        if operator.wants == "list" or operator.wants in ("text", "element"):
            values = [one for value in values for one in (value if type(value) is list else (value,))]
        if options.conversion is not None and not part.converted:
            at = _zone_of(options.tz, event, user, scope)
            values = [found for one in values if (found := _operand_value(one, options, at)) is not MISSING]
        return [fold(one) for one in values] if options.ignore_case else values

    parts = operand if type(operand) is list else [operand]
    fitting = _fitting(operator)

    def dynamic(event: Event, user: User, scope: Scope) -> bool:
        value = read(event, user, scope)
        if value is MISSING:
            return False
        resolved = [resolve(part, event, user, scope) for part in parts]
        if operator.wants == "range":
            if not all(resolved):
                return False
            tests = [
                make_test("between", [low, high])
                for low in resolved[0]
                for high in resolved[1]
                if _ordered(low, high, options)
            ]
        elif operator.wants == "list":
            tests = [make_test("in", flat)] if (flat := [one for group in resolved for one in group]) else []
        else:
            tests = [make_test(operator.name, one) for group in resolved for one in group if fitting(one)]
        for one in value if many and type(value) is list else (value,):
            for test in tests:
                if test(one) or (not operator.whole and type(one) is list and any(map(test, one))):
                    return True
        return False

    def guarded(event: Event, user: User, scope: Scope) -> bool:
        try:
            return dynamic(event, user, scope)
        except RecursionError:
            return False  # two values nested hundreds deep: not worth the stack of the whole job

    return guarded


def _fitting(operator: Operator) -> Callable[[Json], bool]:
    """Return which values of a path can be operands: `>` has no meaning for booleans and objects."""
    if operator.wants == "text":
        return lambda value: type(value) is str
    if operator.wants in ("order", "date"):
        return _can_be_ordered
    return lambda value: True


def _can_be_ordered(value: Json) -> bool:
    return is_number(value) or type(value) in (str, tuple)


def _ordered(low: Json, high: Json, options: Options) -> bool:
    if not comparable(low, high):
        return False
    circular = options.conversion is not None and options.conversion.circular
    return circular or bool(low <= high)


def _operand_value(value: Json, options: Options, at: tzinfo | None) -> Json | Missing:
    """Convert what a path operand holds, as the value itself is converted."""
    conversion = options.conversion
    if conversion is None:
        return value
    if conversion.name == "ip":
        found: Json = to_ip(value)
        if found is not MISSING:
            return Network(found[0], found[1], 32 if found[0] == 4 else 128)
        try:
            return conversion.operand(value, at)
        except OperandError:
            return MISSING
    if conversion.name == "size" and is_number(value):
        return value
    if conversion.name in ("hour", "weekday") and to_date(value, at) is MISSING:
        try:
            return conversion.operand(value, at)
        except OperandError:
            return MISSING
    return conversion.value(value, at)
