"""Calling filters: checking the call at load, and the function that makes it per event."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple, TypeGuard

from pipeline.language.paths import Getter, Scope
from pipeline.language.work import CHARS, FREE_CHARS, TooExpensive, extent, spend, width
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.model.words import did_you_mean, zone_meant
from pipeline.render.filters.filter import Filter
from pipeline.render.filters.table import FILTERS
from pipeline.render.templates.names import TemplateError, secret_inside
from pipeline.render.values.printing import MAX_RESULT, Failure, check_size, check_weight, weigh
from pipeline.render.values.strftime import as_written, in_directives

RUN: Final = "\x00run"
"""Where statements.py keeps the state of a running template in its scope; no path can name it."""
_SMALL: Final = ("int", "float", "int | float", "bool", "int | None")
"""Result types that need no check of their size."""
_SHORT: Final = MAX_RESULT // 4
"""Characters that are within the limit however they are encoded."""
_PER_LETTER: Final = 100
"""Work of one letter in the format of a time, measured against that of touching an element."""
_PER_ARGUMENT: Final = 4
"""Work of taking one element of an argument."""
_MANY: Final = (list, dict)
_FEW: Final = 32
"""Outside of loops, what is deep inside of so few elements is not worth weighing: it is read once."""
MAX_CHAIN: Final = 50
"""Filters of one expression, and operators of one condition: far below what the stack holds."""
NO_EVENT: Any = None
NO_USER: Any = None
"""Stand in where nothing depends on event and user."""

Check = Callable[[Any], Any]


@dataclass(slots=True, frozen=True)
class Names:
    """What an expression may refer to."""

    roots: tuple[str, ...]
    vars: Mapping[str, Value]
    metered: bool = False
    """True inside a template with loops: what filters make is counted against the template's budget."""
    warn: Callable[[str, int, str], None] = lambda message, offset, hint: None
    """Takes what works but is probably not meant: message, offset, hint."""
    refuse: Callable[[TemplateError], None] = lambda error: None
    """Takes what fails for every event, though older versions took it."""


class Constant:
    """A function that always gives the same value, so that the compiler can see it."""

    __slots__ = ("value",)

    def __init__(self, value: Value | Missing) -> None:
        self.value = value

    def __call__(self, event: Event, user: User, scope: Scope) -> Value | Missing:
        """Return the value."""
        return self.value


def known(getter: Getter) -> TypeGuard[Constant]:
    """Return whether a function is known at load to give always the same value."""
    return isinstance(getter, Constant)


_OTHER_NAMES: Final = {
    "b64encode": "base64_encode",
    "count": "size",
    "d": "default",
    "fallback": "default",
    "float": "to_number",
    "format_date": "date",
    "int": "to_integer",
    "len": "size",
    "length": "size",
    "lower": "downcase",
    "lowercase": "downcase",
    "number": "to_number",
    "str": "to_string",
    "strftime": "date",
    "string": "to_string",
    "substring": "slice",
    "title": "capitalize",
    "to_json": "json",
    "tojson": "json",
    "tolower": "downcase",
    "toupper": "upcase",
    "trim": "strip",
    "unique": "uniq",
    "upper": "upcase",
    "uppercase": "upcase",
    "urlencode": "url_encode",
}
"""What other template languages call a filter."""


def find_filter(name: str, at: int) -> Filter:
    """Return the filter of a name; raises TemplateError where there is none."""
    filter_ = FILTERS.get(name)
    if filter_ is None:
        close = _OTHER_NAMES.get(name.lower()) or did_you_mean(name, FILTERS)
        hint = f"did you mean `{close}`?" if close else "the reference lists all filters"
        raise TemplateError(f"there is no filter `{name}`", at, hint, len(name))
    return filter_


def literal(value: Value, at: int) -> Value:
    """Return what is written in an expression; raises TemplateError for what no event could hold."""
    if isinstance(value, str):
        secret = value.find("${")
        if secret >= 0 and value[secret : secret + 3] != "${{":
            raise secret_inside(at + 1 + secret)
    if isinstance(value, int) and not -(1 << 64) < value < 1 << 64:
        raise TemplateError("the integer has more than 64 bits", at)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise TemplateError("the number is too large", at)
    return value


class Argument(NamedTuple):
    """What a filter is given in one place."""

    option: str | None
    """Its name, as in `default: 5, allow_false: true`."""
    at: int
    compile: Callable[[], Getter]


def apply(left: Getter, name: str, at: int, given: Iterable[Argument], names: Names) -> Getter:
    """Return the function that calls a filter by its name; raises TemplateError where the call is wrong."""
    filter_ = find_filter(name, at)
    positional: list[Getter] = []
    options: dict[str, Getter] = {}
    for argument in given:
        if argument.option is None:
            positional.append(argument.compile())
            continue
        if argument.option not in filter_.options:
            wanted = did_you_mean(argument.option, filter_.options)
            hint = f"did you mean `{wanted}`?" if wanted else None
            message = f"`{name}` has no option `{argument.option}`"
            raise TemplateError(message, argument.at, hint, len(argument.option))
        options[argument.option] = argument.compile()
    return compile_call(filter_, left, positional, options, at, names)


@cache
def _gives_little(function: Callable[..., Any]) -> bool:
    """Return whether what a filter gives is small whatever it is given."""
    return inspect.signature(function).return_annotation in _SMALL


def compile_call(
    filter_: Filter, left: Getter, positional: list[Getter], options: dict[str, Getter], at: int, names: Names
) -> Getter:
    """Return the function that applies a filter; raises TemplateError where the call is wrong."""
    _check_count(filter_, len(positional), at)
    _lint(filter_.name, positional, options, at, names)
    if names.metered and not known(left):
        left = metered(left)
    check: Check | None = check_size
    if filter_.grows:
        check = check_weight
    elif _gives_little(filter_.function):
        check = None
    whole = _call(filter_, left, positional, options, check)
    if known(left) and not filter_.takes_event_time and all(map(known, [*positional, *options.values()])):
        try:
            # Nothing in it depends on the event: evaluate it now, and show at load what would always fail.
            return Constant(whole(NO_EVENT, NO_USER, None))
        except TooExpensive:
            return whole  # not at load, then
        except Failure as failure:
            raise TemplateError(failure.reason, at, None, len(filter_.name)) from None
    _check_arguments(filter_, positional, at, names)
    return metered(whole) if names.metered else whole


def _check_arguments(filter_: Filter, positional: list[Getter], at: int, names: Names) -> None:
    """Refuse fixed arguments with which no example of the filter gets through: no event would, either."""
    given = [get.value for get in positional if known(get)]
    if filter_.takes_missing or not given or len(given) < len(positional):
        return
    fixed = [None if value is MISSING else value for value in given]
    named = {"event_ms": 0} if filter_.takes_event_time else {}
    reason = ""
    # The elements of the examples need not have what a key names: nothing at all has no elements.
    for value in (*(example.value for example in filter_.examples), []):
        try:
            filter_.function(value, *fixed, **named)
        except Failure as failure:
            reason = reason or failure.reason
        else:
            return
    zone = zone_meant(fixed[1]) if filter_.name == "date" and len(fixed) > 1 else None
    hint = zone if zone is not None and "time zone" in reason else f"such as `{filter_.examples[0].call}`"
    names.refuse(TemplateError(f"it would fail for every event: {reason}", at, hint, len(filter_.name)))


def _check_count(filter_: Filter, given: int, at: int) -> None:
    if filter_.least <= given <= filter_.most:
        return
    if filter_.least == filter_.most:
        wish = f"{filter_.least or 'no'} argument{'s' * (filter_.least != 1)}"
    elif filter_.most == 99:
        wish = f"at least {filter_.least} arguments"
    else:
        wish = f"{filter_.least} to {filter_.most} arguments"
    message, hint = f"`{filter_.name}` takes {wish}, not {given}", f"e.g. `{filter_.examples[0].call}`"
    raise TemplateError(message, at, hint, len(filter_.name))


def _lint(name: str, positional: list[Getter], options: Mapping[str, Getter], at: int, names: Names) -> None:
    given = positional[0].value if positional and known(positional[0]) else MISSING
    if name == "default" and isinstance(given, bool) and "allow_false" not in options:
        hint = f"write `default: {str(given).lower()}, allow_false: true` to keep a false that was sent"
        names.warn("`default` also replaces false", at, hint)
    if name == "divided_by" and type(given) is int and given:
        hint = f"write `divided_by: {given}.0` for the exact quotient"
        names.warn("a whole number divided by a whole number is rounded down", at, hint)
    if name == "date" and type(given) is str and (printed := as_written(given)) is not None:
        meant = in_directives(given)
        hint = f"write `{meant}`" if meant is not None else "such as `%Y-%m-%d %H:%M`"
        names.warn(f"`{printed}` is printed as it is written", at, hint)


def _price(value: Value, filter_: Filter) -> int:
    """Return the work of a filter on a long text, a list or an object."""
    if type(value) is str:
        return filter_.per_text * len(value) // CHARS
    if not filter_.per_element:
        return 0
    if filter_.shallow:
        return filter_.per_element * (width(value) if type(value) is list else len(value))
    return extent(value, filter_.per_element)


def _call(
    filter_: Filter, left: Getter, positional: list[Getter], options: dict[str, Getter], check: Check | None
) -> Getter:
    given = [get.value for get in positional if known(get)]
    if not filter_.takes_missing and not filter_.takes_event_time and len(given) == len(positional):
        fixed = tuple(None if value is MISSING else value for value in given)
        return _with_constants(filter_, left, fixed, check)
    if filter_.takes_event_time:
        call = _with_time(filter_, left, positional)
    elif filter_.takes_missing:
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
        if (
            len(value) > FREE_CHARS
            if type(value) is str
            else type(value) in _MANY and (scope is not None or len(value) > _FEW)
        ):
            spend(event, user, _price(value, filter_))
        result = function(value, *fixed)
        if check is None or (type(result) is str and len(result) < _SHORT):
            return result
        return check(result)

    return with_constants


def _with_values(filter_: Filter, left: Getter, positional: list[Getter]) -> Getter:
    function = filter_.function

    def with_values(event: Event, user: User, scope: Scope) -> Value | Missing:
        value: Value = left(event, user, scope)
        if value is None or value is MISSING:
            return value
        if (
            len(value) > FREE_CHARS
            if type(value) is str
            else type(value) in _MANY and (scope is not None or len(value) > _FEW)
        ):
            spend(event, user, _price(value, filter_))
        return function(value, *_arguments(positional, event, user, scope))

    return with_values


def _with_time(filter_: Filter, left: Getter, positional: list[Getter]) -> Getter:
    function = filter_.function

    def with_time(event: Event, user: User, scope: Scope) -> Value | Missing:
        value: Value = left(event, user, scope)
        if value is None or value is MISSING:
            return value
        if (
            len(value) > FREE_CHARS
            if type(value) is str
            else type(value) in _MANY and (scope is not None or len(value) > _FEW)
        ):
            spend(event, user, _price(value, filter_))
        given = _arguments(positional, event, user, scope)
        if scope is not None:
            spend(event, user, _PER_LETTER * sum(len(one) for one in given if type(one) is str))
        return function(value, *given, event_ms=event.time)

    return with_time


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
            if (
                len(value) > FREE_CHARS
                if type(value) is str
                else type(value) in _MANY and (scope is not None or len(value) > _FEW)
            ):
                spend(event, user, _price(value, filter_))
            return function(value, *fixed, **named)

        return with_constants

    def with_missing(event: Event, user: User, scope: Scope) -> Value | Missing:
        now = {name: get(event, user, scope) for name, get in options.items()}
        value: Value = left(event, user, scope)
        if (
            len(value) > FREE_CHARS
            if type(value) is str
            else type(value) in _MANY and (scope is not None or len(value) > _FEW)
        ):
            spend(event, user, _price(value, filter_))
        return function(value, *[get(event, user, scope) for get in positional], **now)

    return with_missing


def metered(inner: Getter) -> Getter:
    """Return the function with the size of what it gives counted against the template's budget."""

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
