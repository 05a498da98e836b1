"""Parsed Liquid expressions become plain functions ``(event, user, scope) -> value``.

Missing stays MISSING from the path through the filters to the end, so that a body can tell it from null.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from liquid.builtin.expressions import (
    BooleanExpression,
    FilteredExpression,
    KeywordArgument,
    Nil,
    Path,
    TernaryFilteredExpression,
)
from liquid.builtin.expressions import Filter as FilterCall
from liquid.builtin.expressions.logical import (
    ContainsExpression,
    EqExpression,
    GeExpression,
    GtExpression,
    LeExpression,
    LogicalAndExpression,
    LogicalNotExpression,
    LogicalOrExpression,
    LtExpression,
    NeExpression,
)
from liquid.builtin.expressions.primitive import Blank, Empty, Literal, RangeLiteral
from liquid.expression import Expression

from pipeline.config.paths import (
    Getter,
    Scope,
    did_you_mean,
)
from pipeline.model.records import MISSING, Event, Json, Missing, User
from pipeline.render.filter import Filter
from pipeline.render.filters import FILTERS
from pipeline.render.names import TemplateError, compile_name
from pipeline.render.values import Failure, check_size, check_weight, kind, to_count, to_text, weigh

MAX_RANGE: Final = 10_000
MAX_CHAIN: Final = 50
"""Filters of one expression, and operators of one condition: far below what the stack holds."""
RUN: Final = "\x00run"
"""Where statements.py keeps the state of a running template in its scope; no path can name it."""

_SMALL: Final = ("int", "float", "int | float", "bool", "int | None")
_EMPTY: Final = object()
_BLANK: Final = object()


@dataclass(slots=True, frozen=True)
class Names:
    """What an expression may refer to."""

    roots: tuple[str, ...]
    vars: Mapping[str, Json]
    metered: bool = False
    """True inside a template with loops: what filters make is counted against the template's budget."""
    warn: Callable[[str, int, str], None] = lambda message, offset, hint: None
    """Takes what works but is probably not meant: message, offset, hint."""


def compile_expression(expression: Expression, names: Names) -> Getter:
    """Return the function that evaluates an expression; it raises Failure where it fails for an event."""
    match expression:
        case FilteredExpression():
            return _filtered(compile_expression(expression.left, names), expression.filters, names)
        case TernaryFilteredExpression():
            return _ternary(expression, names)
        case Path():
            if len(expression.path) != 1 or not isinstance(expression.path[0], str):
                raise TemplateError("this is no path", expression.token.start_index)
            return compile_name(expression.path[0], expression.token.start_index, names.roots, names.vars)
        case RangeLiteral():
            return _range(expression, names)
        case Nil():
            return constant(None)
        case Empty() | Blank():
            return constant("")
        case Literal():
            return constant(_literal(expression))
        case BooleanExpression():
            return compile_condition(expression, names)
    raise TemplateError("this cannot stand here", expression.token.start_index)


def _literal(expression: Literal[Any]) -> Json:
    value = expression.value
    at = expression.token.start_index
    if isinstance(value, str):
        secret = value.find("${")
        if secret >= 0 and value[secret : secret + 3] != "${{":
            raise TemplateError(
                "a secret cannot be used inside an expression: it is put in when the request is sent",
                at + 1 + secret,
                "place `${NAME}` in the text outside of `{{ }}`",
            )
    if isinstance(value, int) and not -(1 << 64) < value < 1 << 64:
        raise TemplateError("the integer has more than 64 bits", at)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise TemplateError("the number is too large", at)
    return value


class _Constant:
    """A function that always gives the same value, so that the compiler can see it."""

    __slots__ = ("value",)

    def __init__(self, value: Json | Missing) -> None:
        self.value = value

    def __call__(self, event: Event, user: User, scope: Scope) -> Json | Missing:
        return self.value


def constant(value: Json | Missing) -> Getter:
    """Return a function that always gives this value; `known` tells it from others."""
    return _Constant(value)


def known(getter: Getter) -> bool:
    """Return whether a function is known at load to give always the same value."""
    return isinstance(getter, _Constant)


def value_of(getter: Getter) -> Json | Missing:
    """Return the value of a function that is `known`."""
    assert isinstance(getter, _Constant)
    return getter.value


def _filtered(left: Getter, calls: list[FilterCall] | None, names: Names) -> Getter:
    if calls and len(calls) > MAX_CHAIN:
        raise TemplateError(
            f"an expression takes at most {MAX_CHAIN} filters", calls[MAX_CHAIN].token.start_index
        )
    for call in calls or ():
        left = _apply(left, call, names)
    return left


def _apply(left: Getter, call: FilterCall, names: Names) -> Getter:
    filter_ = FILTERS.get(call.name)
    at = call.token.start_index
    if filter_ is None:
        close = did_you_mean(call.name, FILTERS)
        hint = f"did you mean `{close}`?" if close else "the reference lists all filters"
        raise TemplateError(f"there is no filter `{call.name}`", at, hint, len(call.name))
    positional: list[Getter] = []
    options: dict[str, Getter] = {}
    for argument in call.args:
        if isinstance(argument, KeywordArgument):
            if argument.name not in filter_.options:
                wanted = did_you_mean(argument.name, filter_.options)
                raise TemplateError(
                    f"`{call.name}` has no option `{argument.name}`",
                    argument.token.start_index,
                    f"did you mean `{wanted}`?" if wanted else None,
                    len(argument.name),
                )
            options[argument.name] = compile_expression(argument.value, names)
        else:
            positional.append(compile_expression(argument.value, names))
    _check_count(filter_, len(positional), at)
    _lint(call.name, positional, options, at, names)
    whole = _call(filter_, left, positional, options)
    if filter_.grows:
        whole = _weighed(whole)
    elif inspect.signature(filter_.function).return_annotation not in _SMALL:
        whole = _sized(whole)
    if known(left) and not filter_.takes_event_time and all(map(known, [*positional, *options.values()])):
        try:
            # Nothing in it depends on the event: evaluate it now, and show at load what would always fail.
            return constant(whole(_NO_EVENT, _NO_USER, None))
        except Failure as failure:
            raise TemplateError(failure.reason, at, None, len(call.name)) from None
    return _metered(whole) if names.metered else whole


_NO_EVENT: Any = None
_NO_USER: Any = None


def _check_count(filter_: Filter, given: int, at: int) -> None:
    if filter_.least <= given <= filter_.most:
        return
    if filter_.least == filter_.most:
        wish = f"{filter_.least or 'no'} argument{'s' * (filter_.least != 1)}"
    elif filter_.most == 99:
        wish = f"at least {filter_.least} arguments"
    else:
        wish = f"{filter_.least} to {filter_.most} arguments"
    raise TemplateError(
        f"`{filter_.name}` takes {wish}, not {given}",
        at,
        f"e.g. `{filter_.examples[0].call}`",
        len(filter_.name),
    )


def _lint(name: str, positional: list[Getter], options: Mapping[str, Getter], at: int, names: Names) -> None:
    given = value_of(positional[0]) if positional and known(positional[0]) else MISSING
    if name == "default" and isinstance(given, bool) and "allow_false" not in options:
        names.warn(
            "`default` also replaces false",
            at,
            f"write `default: {str(given).lower()}, allow_false: true` to keep a false that was sent",
        )
    if name == "divided_by" and type(given) is int and given:
        names.warn(
            "a whole number divided by a whole number is rounded down",
            at,
            f"write `divided_by: {given}.0` for the exact quotient",
        )


def _call(filter_: Filter, left: Getter, positional: list[Getter], options: dict[str, Getter]) -> Getter:
    function = filter_.function
    if filter_.takes_event_time:

        def with_time(event: Event, user: User, scope: Scope) -> Json | Missing:
            value = left(event, user, scope)
            if value is None or value is MISSING:
                return value
            given = [None if (one := get(event, user, scope)) is MISSING else one for get in positional]
            return function(value, *given, event_ms=event.time)

        return with_time
    if filter_.takes_missing:

        def with_missing(event: Event, user: User, scope: Scope) -> Json | Missing:
            named = {name: get(event, user, scope) for name, get in options.items()}
            value = left(event, user, scope)
            return function(value, *[get(event, user, scope) for get in positional], **named)

        return with_missing
    if all(map(known, positional)):
        fixed = tuple(None if value_of(get) is MISSING else value_of(get) for get in positional)
        if not fixed:

            def alone(event: Event, user: User, scope: Scope) -> Json | Missing:
                value = left(event, user, scope)
                return value if value is None or value is MISSING else function(value)

            return alone

        def with_constants(event: Event, user: User, scope: Scope) -> Json | Missing:
            value = left(event, user, scope)
            return value if value is None or value is MISSING else function(value, *fixed)

        return with_constants

    def with_values(event: Event, user: User, scope: Scope) -> Json | Missing:
        value = left(event, user, scope)
        if value is None or value is MISSING:
            return value
        return function(
            value, *[None if (one := get(event, user, scope)) is MISSING else one for get in positional]
        )

    return with_values


def _sized(inner: Getter) -> Getter:
    def sized(event: Event, user: User, scope: Scope) -> Json | Missing:
        return check_size(inner(event, user, scope))

    return sized


def _weighed(inner: Getter) -> Getter:
    def weighed(event: Event, user: User, scope: Scope) -> Json | Missing:
        return check_weight(inner(event, user, scope))

    return weighed


def _metered(inner: Getter) -> Getter:
    def metered(event: Event, user: User, scope: Scope) -> Json | Missing:
        result = inner(event, user, scope)
        if scope is not None:
            scope[RUN].spend(len(result) if type(result) is str else weigh(result))
        return result

    return metered


def _ternary(expression: TernaryFilteredExpression, names: Names) -> Getter:
    left = compile_expression(expression.left, names)
    condition = compile_condition(expression.condition, names)
    other = constant(MISSING)
    if expression.alternative is not None:
        other = _filtered(compile_expression(expression.alternative, names), expression.filters, names)

    def either(event: Event, user: User, scope: Scope) -> Json | Missing:
        return left(event, user, scope) if condition(event, user, scope) else other(event, user, scope)

    return _filtered(either, expression.tail_filters, names)


def _range(expression: RangeLiteral, names: Names) -> Getter:
    start, stop = compile_expression(expression.start, names), compile_expression(expression.stop, names)

    def numbers(event: Event, user: User, scope: Scope) -> Json | Missing:
        low = to_count(start(event, user, scope), "a range")
        high = to_count(stop(event, user, scope), "a range")
        if high - low >= MAX_RANGE:
            raise Failure(f"a range has more than {MAX_RANGE:,} numbers", f"({low}..{high})")
        return list(range(low, high + 1))

    if known(start) and known(stop):
        try:
            return constant(numbers(_NO_EVENT, _NO_USER, None))
        except Failure as failure:
            raise TemplateError(failure.reason, expression.token.start_index) from None
    return numbers


Test = Callable[[Event, User, Scope], bool]


def compile_condition(expression: Expression, names: Names) -> Test:
    """Return the function that tells whether a condition of Liquid holds."""
    match expression:
        case BooleanExpression():
            _check_operators(expression)
            return compile_condition(expression.expression, names)
        case LogicalAndExpression():
            first, second = (
                compile_condition(expression.left, names),
                compile_condition(expression.right, names),
            )
            return lambda event, user, scope: first(event, user, scope) and second(event, user, scope)
        case LogicalOrExpression():
            first, second = (
                compile_condition(expression.left, names),
                compile_condition(expression.right, names),
            )
            return lambda event, user, scope: first(event, user, scope) or second(event, user, scope)
        case LogicalNotExpression():
            inner = compile_condition(expression.right, names)
            return lambda event, user, scope: not inner(event, user, scope)
    for kind_, compare in _COMPARISONS.items():
        if isinstance(expression, kind_):
            return _compared(expression, compare, names)
    value = compile_expression(expression, names)
    return lambda event, user, scope: truthy(value(event, user, scope))


def _check_operators(expression: Expression) -> None:
    todo: list[Expression] = [expression]
    seen = 0
    while todo:
        one = todo.pop()
        seen += isinstance(one, LogicalAndExpression | LogicalOrExpression | LogicalNotExpression)
        if seen > MAX_CHAIN:
            raise TemplateError(f"a condition takes at most {MAX_CHAIN} operators", one.token.start_index)
        todo.extend(one.children())


def _compared(expression: Any, compare: Callable[[Json, Json], bool], names: Names) -> Test:
    left, right = _operand(expression.left, names), _operand(expression.right, names)

    def compared(event: Event, user: User, scope: Scope) -> bool:
        one, other = left(event, user, scope), right(event, user, scope)
        return compare(None if one is MISSING else one, None if other is MISSING else other)

    return compared


def _operand(expression: Expression, names: Names) -> Getter:
    if isinstance(expression, Empty):
        return constant(_EMPTY)
    if isinstance(expression, Blank):
        return constant(_BLANK)
    return compile_expression(expression, names)


def truthy(value: Json | Missing) -> bool:
    """Return whether Liquid takes a value for true: everything but missing, null and false."""
    return not (value is None or value is MISSING or value is False)


def equal(left: Json, right: Json) -> bool:
    """Compare as Liquid does; `empty` and `blank` equal what is empty or blank; true is not 1."""
    if left is _EMPTY or left is _BLANK:
        left, right = right, left
    if right is _EMPTY:
        return left is _EMPTY or (type(left) in (str, list, dict) and not left)
    if right is _BLANK:
        if type(left) is str:
            return not left.strip()
        return left is _BLANK or left is None or left is False or (type(left) in (list, dict) and not left)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return bool(left == right)


def _less(left: Json, right: Json, *, or_equal: bool) -> bool:
    if left is None or right is None:
        return False
    for types in ((str,), (int, float)):
        if type(left) in types and type(right) in types:
            return bool(left <= right if or_equal else left < right)
    raise Failure(f"{kind(left)} and {kind(right)} have no order", left)


def contains(left: Json, right: Json) -> bool:
    """Return whether a text holds a text, an array an element, an object a key."""
    if not truthy(left) or not truthy(right):
        return False
    if type(left) is str:
        return to_text(right) in left
    if type(left) is list:
        return any(equal(element, right) for element in left)
    if type(left) is dict:
        return type(right) is str and right in left
    raise Failure(f"{kind(left)} contains nothing", left)


_COMPARISONS: Final[dict[type[Expression], Callable[[Json, Json], bool]]] = {
    EqExpression: equal,
    NeExpression: lambda left, right: not equal(left, right),
    LtExpression: lambda left, right: _less(left, right, or_equal=False),
    LeExpression: lambda left, right: _less(left, right, or_equal=True),
    GtExpression: lambda left, right: _less(right, left, or_equal=False),
    GeExpression: lambda left, right: _less(right, left, or_equal=True),
    ContainsExpression: contains,
}
