"""Compiles parsed Liquid expressions to plain functions ``(event, user, scope) -> value``.

Missing stays MISSING from the path through the filters to the end, so that a body can tell it from null.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial
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

from pipeline.language.paths import Getter, Scope
from pipeline.language.work import FREE_CHARS, TooExpensive, extent, spend
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.templates.applying import Constant, known, metered
from pipeline.render.templates.budget import PER_COMPARED
from pipeline.render.templates.calls import (
    MAX_CHAIN,
    NO_EVENT,
    NO_USER,
    Argument,
    Names,
    apply,
    literal,
)
from pipeline.render.templates.parsing.names import TemplateError, compile_name
from pipeline.render.values.ordering import BLANK, EMPTY, contains, equal, ordered, truthy
from pipeline.render.values.printing import Failure, to_count

MAX_RANGE: Final = 10_000


def compile_expression(expression: Expression, names: Names) -> Getter:
    """Return the function that evaluates an expression; raises Failure where that fails for an event."""
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
            return Constant(None)
        case Empty() | Blank():
            return Constant("")
        case Literal():
            return Constant(literal(expression.value, expression.token.start_index))
        case BooleanExpression():
            return compile_condition(expression, names)
    raise TemplateError("this cannot stand here", expression.token.start_index)


def _filtered(left: Getter, calls: list[FilterCall] | None, names: Names) -> Getter:
    if calls and len(calls) > MAX_CHAIN:
        raise TemplateError(
            f"an expression takes at most {MAX_CHAIN} filters", calls[MAX_CHAIN].token.start_index
        )
    for call in calls or ():
        left = _apply(left, call, names)
    return left


def _apply(left: Getter, call: FilterCall, names: Names) -> Getter:
    given = [
        Argument(
            argument.name if isinstance(argument, KeywordArgument) else None,
            argument.token.start_index,
            partial(compile_expression, argument.value, names),
        )
        for argument in call.args
    ]
    return apply(left, call.name, call.token.start_index, given, names)


def _ternary(expression: TernaryFilteredExpression, names: Names) -> Getter:
    left = compile_expression(expression.left, names)
    condition = compile_condition(expression.condition, names)
    other: Getter = Constant(MISSING)
    if expression.alternative is not None:
        other = _filtered(compile_expression(expression.alternative, names), expression.filters, names)

    def either(event: Event, user: User, scope: Scope) -> Value | Missing:
        return left(event, user, scope) if condition(event, user, scope) else other(event, user, scope)

    return _filtered(either, expression.tail_filters, names)


def _range(expression: RangeLiteral, names: Names) -> Getter:
    start, stop = compile_expression(expression.start, names), compile_expression(expression.stop, names)

    def numbers(event: Event, user: User, scope: Scope) -> Value | Missing:
        low = to_count(start(event, user, scope), "a range")
        high = to_count(stop(event, user, scope), "a range")
        if high - low >= MAX_RANGE:
            raise Failure(f"a range has more than {MAX_RANGE:,} numbers", f"({low}..{high})")
        spend(event, user, max(0, high - low))
        return list(range(low, high + 1))

    if known(start) and known(stop):
        try:
            return Constant(numbers(NO_EVENT, NO_USER, None))
        except TooExpensive:
            return numbers  # not at load, then
        except Failure as failure:
            raise TemplateError(failure.reason, expression.token.start_index) from None
    return numbers


Test = Callable[[Event, User, Scope], bool]


def compile_condition(expression: Expression, names: Names) -> Test:
    """Return the function that evaluates a Liquid condition."""
    match expression:
        case BooleanExpression():
            _check_operators(expression)
            return compile_condition(expression.expression, names)
        case LogicalAndExpression() | LogicalOrExpression():
            first = compile_condition(expression.left, names)
            second = compile_condition(expression.right, names)
            if isinstance(expression, LogicalAndExpression):
                _lint_order(expression, names)
                return lambda event, user, scope: first(event, user, scope) and second(event, user, scope)
            return lambda event, user, scope: first(event, user, scope) or second(event, user, scope)
        case LogicalNotExpression():
            inner = compile_condition(expression.right, names)
            return lambda event, user, scope: not inner(event, user, scope)
    for kind_, compare in _COMPARISONS.items():
        if isinstance(expression, kind_):
            return _compared(expression, compare, names)
    value = compile_expression(expression, names)
    return lambda event, user, scope: truthy(value(event, user, scope))


def _lint_order(expression: LogicalAndExpression, names: Names) -> None:
    """Warn of ``a and b or c`` without parentheses: Liquid reads from the right, other languages do not."""
    after, right = expression.token.start_index + len("and"), expression.right
    if isinstance(right, LogicalOrExpression):
        begins = min(one.token.start_index for one in (right.left, *right.left.children()))
        if not names.text[after:begins].strip():
            message = "conditions are read from the right: this is `.. and (.. or ..)`"
            names.warn(message, expression.token.start_index, "write the parentheses that are meant")


def _check_operators(expression: Expression) -> None:
    todo: list[Expression] = [expression]
    seen = 0
    while todo:
        one = todo.pop()
        seen += isinstance(one, LogicalAndExpression | LogicalOrExpression | LogicalNotExpression)
        if seen > MAX_CHAIN:
            raise TemplateError(f"a condition takes at most {MAX_CHAIN} operators", one.token.start_index)
        todo.extend(one.children())


def _compared(expression: Any, compare: Callable[[Value, Value], bool], names: Names) -> Test:
    left, right = _operand(expression.left, names), _operand(expression.right, names)
    if names.metered:
        left, right = (get if known(get) else metered(get) for get in (left, right))

    def compared(event: Event, user: User, scope: Scope) -> bool:
        one, other = left(event, user, scope), right(event, user, scope)
        if scope is not None and (type(one) in (list, dict) or (type(one) is str and len(one) > FREE_CHARS)):
            spend(event, user, extent(one, PER_COMPARED))
        return compare(None if one is MISSING else one, None if other is MISSING else other)

    return compared


def _operand(expression: Expression, names: Names) -> Getter:
    if isinstance(expression, Empty):
        return Constant(EMPTY)
    if isinstance(expression, Blank):
        return Constant(BLANK)
    return compile_expression(expression, names)


_COMPARISONS: Final[dict[type[Expression], Callable[[Value, Value], bool]]] = {
    EqExpression: equal,
    NeExpression: lambda left, right: not equal(left, right),
    LtExpression: lambda left, right: ordered(left, right, operator.lt),
    LeExpression: lambda left, right: ordered(left, right, operator.le),
    GtExpression: lambda left, right: ordered(left, right, operator.gt),
    GeExpression: lambda left, right: ordered(left, right, operator.ge),
    ContainsExpression: contains,
}
