"""Applies filters: the functions that call them per event, and how their work is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeGuard

from pipeline.language.paths import Getter, Scope
from pipeline.language.work import CHARS, FREE_CHARS, extent, spend, width
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.filters.filter import Filter
from pipeline.render.values.printing import MAX_RESULT, weigh

RUN: Final = "\x00run"
"""The key under which a running template's state is kept in its scope; no path can name it."""
_SHORT: Final = MAX_RESULT // 4
"""Characters that are within the limit in any encoding."""
_PER_LETTER: Final = 100
"""Work of one letter of a time format, relative to touching an element."""
_PER_ARGUMENT: Final = 4
"""Work of taking one element of an argument."""
_SIZED: Final = (str, list, dict)
_MANY: Final = (list, dict)
_FEW: Final = 32
"""Outside loops, nested values in so few elements are not worth weighing: they are read once."""

Check = Callable[[Any], Any]


class Constant:
    """A function that always returns the same value, in a form the compiler recognises."""

    __slots__ = ("value",)

    def __init__(self, value: Value | Missing) -> None:
        self.value = value

    def __call__(self, event: Event, user: User, scope: Scope) -> Value | Missing:
        """Return the value."""
        return self.value


def known(getter: Getter) -> TypeGuard[Constant]:
    """Return whether a function is known at load to always return the same value."""
    return isinstance(getter, Constant)


def _pay(value: Value, filter_: Filter, event: Event, user: User, scope: Scope) -> None:
    """Count the work of a filter on a long text, a list or an object.

    Callers skip values that are free, as nearly all are: the call would take longer.
    """
    if type(value) is str or scope is not None or len(value) > _FEW:
        spend(event, user, _price(value, filter_))


def _price(value: Value, filter_: Filter) -> int:
    """Return the work of a filter on a long text, a list or an object."""
    if type(value) is str:
        return filter_.per_text * len(value) // CHARS
    if not filter_.per_element:
        return 0
    if filter_.shallow:
        return filter_.per_element * (width(value) if type(value) is list else len(value))
    return extent(value, filter_.per_element)


def applied(
    filter_: Filter, left: Getter, positional: list[Getter], options: dict[str, Getter], check: Check | None
) -> Getter:
    """Return the function that calls a filter per event.

    check: takes each result, and raises Failure where it is too large; None: it cannot be too large.
    """
    given = [get.value for get in positional if known(get)]
    if not filter_.takes_missing and not filter_.takes_event_time and len(given) == len(positional):
        fixed = tuple(None if value is MISSING else value for value in given)
        return _with_constants(filter_, left, fixed, check)
    if filter_.takes_missing:
        call = _with_missing(filter_, left, positional, options)
    else:
        call = _with_values(filter_, left, positional)
    if check is None:
        return call

    def checked(event: Event, user: User, scope: Scope) -> Value | Missing:
        return check(call(event, user, scope))

    return checked


def _with_constants(filter_: Filter, left: Getter, fixed: tuple[Value, ...], check: Check | None) -> Getter:
    function = filter_.function

    def with_constants(event: Event, user: User, scope: Scope) -> Value | Missing:
        value: Value = left(event, user, scope)
        if value is None or value is MISSING:
            return value
        if type(value) in _SIZED and (type(value) is not str or len(value) > FREE_CHARS):
            _pay(value, filter_, event, user, scope)
        result = function(value, *fixed)
        if check is None or (type(result) is str and len(result) < _SHORT):
            return result
        return check(result)

    return with_constants


def _with_values(filter_: Filter, left: Getter, positional: list[Getter]) -> Getter:
    function, takes_time = filter_.function, filter_.takes_event_time

    def with_values(event: Event, user: User, scope: Scope) -> Value | Missing:
        value: Value = left(event, user, scope)
        if value is None or value is MISSING:
            return value
        if type(value) in _SIZED and (type(value) is not str or len(value) > FREE_CHARS):
            _pay(value, filter_, event, user, scope)
        given = _arguments(positional, event, user, scope)
        if not takes_time:
            return function(value, *given)
        if scope is not None:
            spend(event, user, _PER_LETTER * sum(len(one) for one in given if type(one) is str))
        return function(value, *given, event_ms=event.time)

    return with_values


def _arguments(positional: list[Getter], event: Event, user: User, scope: Scope) -> list[Value]:
    found: list[Value] = [None if (one := get(event, user, scope)) is MISSING else one for get in positional]
    for one in found:
        if type(one) is str and len(one) > FREE_CHARS:
            spend(event, user, len(one) // CHARS)
        elif type(one) in _MANY and len(one) > _FEW:
            spend(event, user, _PER_ARGUMENT * len(one))
    return found


def _with_missing(
    filter_: Filter, left: Getter, positional: list[Getter], options: dict[str, Getter]
) -> Getter:
    function = filter_.function
    fixed = tuple(get.value for get in positional if known(get))
    named = {name: get.value for name, get in options.items() if known(get)}
    if len(fixed) == len(positional) and len(named) == len(options):

        def with_constants(event: Event, user: User, scope: Scope) -> Value | Missing:
            value: Value = left(event, user, scope)
            if type(value) in _SIZED and (type(value) is not str or len(value) > FREE_CHARS):
                _pay(value, filter_, event, user, scope)
            return function(value, *fixed, **named)

        return with_constants

    def with_missing(event: Event, user: User, scope: Scope) -> Value | Missing:
        now = {name: get(event, user, scope) for name, get in options.items()}
        value: Value = left(event, user, scope)
        if type(value) in _SIZED and (type(value) is not str or len(value) > FREE_CHARS):
            _pay(value, filter_, event, user, scope)
        return function(value, *[get(event, user, scope) for get in positional], **now)

    return with_missing


def metered(inner: Getter) -> Getter:
    """Return the function with the size of its result counted against the template's budget."""

    def counted(event: Event, user: User, scope: Scope) -> Value | Missing:
        result: Value = inner(event, user, scope)
        if scope is None:
            return result
        if type(result) is str:
            scope[RUN].spend(len(result))
        elif type(result) in _MANY:
            spend(event, user, 2 * len(result))
            scope[RUN].spend(weigh(result))
        return result

    return counted
