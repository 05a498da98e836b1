"""Calls of filters, checked at load; applying.py makes them per event."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

from pipeline.language.paths import Getter
from pipeline.language.work import TooExpensive
from pipeline.model.json import Value
from pipeline.model.records import MISSING
from pipeline.model.words import did_you_mean, meant_or, zone_meant
from pipeline.render.filters.filter import Filter
from pipeline.render.filters.table import FILTERS
from pipeline.render.templates.applying import Check, Constant, applied, known, metered
from pipeline.render.templates.parsing.names import TemplateError, secret_inside
from pipeline.render.values.printing import Failure, check_size, check_weight
from pipeline.render.values.strftime import as_written, in_directives

_SMALL: Final = ("int", "float", "int | float", "bool", "int | None")
"""Result types whose size needs no check."""
MAX_CHAIN: Final = 50
"""Filters of one expression, and operators of one condition: far fewer than the stack allows."""
NO_EVENT: Any = None
NO_USER: Any = None
"""Passed where nothing depends on event and user."""


@dataclass(slots=True, frozen=True)
class Names:
    """What an expression may refer to."""

    roots: tuple[str, ...]
    vars: Mapping[str, Value]
    text: str = ""
    """The whole template."""
    metered: bool = False
    """True inside a template with loops: what filters produce is counted against the template's budget."""
    warn: Callable[[str, int, str], None] = lambda message, offset, hint: None
    """Takes what works but is probably a mistake: message, offset, hint."""
    refuse: Callable[[TemplateError], None] = lambda error: None
    """Takes what fails for every event but was accepted by older versions."""


_OTHER_NAMES: Final = {
    "b64encode": "base64_encode",
    "cgi_escape": "url_encode",
    "count": "size",
    "currency": "format_number",
    "d": "default",
    "date_format": "date",
    "date_to_string": "date",
    "date_to_xmlschema": "date",
    "datetime": "date",
    "fallback": "default",
    "float": "to_number",
    "format_date": "date",
    "hash": "sha256",
    "int": "to_integer",
    "len": "size",
    "length": "size",
    "lower": "downcase",
    "lowercase": "downcase",
    "md5sum": "md5",
    "money": "format_number",
    "money_with_currency": "format_number",
    "money_without_currency": "format_number",
    "number": "to_number",
    "number_format": "format_number",
    "number_with_delimiter": "format_number",
    "str": "to_string",
    "strftime": "date",
    "string": "to_string",
    "substring": "slice",
    "time_tag": "date",
    "title": "capitalize",
    "to_json": "json",
    "tojson": "json",
    "tolower": "downcase",
    "toupper": "upcase",
    "trim": "strip",
    "unique": "uniq",
    "upper": "upcase",
    "uppercase": "upcase",
    "uri_escape": "url_encode",
    "url_escape": "url_encode",
    "url_param_escape": "url_encode",
    "urlencode": "url_encode",
}
"""Other template languages' names of our filters."""
_INSTEAD: Final = {
    "pluralize": "write `{{ 'item' if event.properties.n == 1 else 'items' }}`",
    "regex_replace": "no filter takes a pattern: `replace`, `remove` and `split` take texts",
}
"""What to write for filters that are like none of ours."""


def find_filter(name: str, at: int) -> Filter:
    """Return the filter of a name; raises TemplateError for an unknown one."""
    filter_ = FILTERS.get(name)
    if filter_ is None:
        close = _OTHER_NAMES.get(name.lower()) or did_you_mean(name, FILTERS)
        hint = f"did you mean `{close}`?" if close else "the reference lists all filters"
        hint = _INSTEAD.get(name.lower(), hint)
        raise TemplateError(f"there is no filter `{name}`", at, hint, len(name))
    return filter_


def literal(value: Value, at: int) -> Value:
    """Return a literal of an expression; raises TemplateError for values that no event could have."""
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
    """One argument of a filter."""

    option: str | None
    """Its name, as in `default: 5, allow_false: true`."""
    at: int
    compile: Callable[[], Getter]


def apply(left: Getter, name: str, at: int, given: Iterable[Argument], names: Names) -> Getter:
    """Return the function that calls a filter by name; raises TemplateError where the call is wrong."""
    filter_ = find_filter(name, at)
    positional: list[Getter] = []
    options: dict[str, Getter] = {}
    for argument in given:
        if argument.option is None:
            positional.append(argument.compile())
            continue
        if argument.option not in filter_.options:
            hint = meant_or(argument.option, filter_.options, "") or None
            if filter_.most > len(positional) and not filter_.options:
                hint = f"leave out `{argument.option}:`, as in `{filter_.examples[-1].call}`"
            message = f"`{name}` has no option `{argument.option}`"
            raise TemplateError(message, argument.at, hint, len(argument.option))
        options[argument.option] = argument.compile()
    return compile_call(filter_, left, positional, options, at, names)


@cache
def _gives_little(function: Callable[..., Any]) -> bool:
    """Return whether a filter's result is small whatever its input."""
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
    whole = applied(filter_, left, positional, options, check)
    if known(left) and not filter_.takes_event_time and all(map(known, [*positional, *options.values()])):
        try:
            # Nothing in it depends on the event: evaluate it now, and report at load what would always fail.
            return Constant(whole(NO_EVENT, NO_USER, None))
        except TooExpensive:
            return whole  # not at load, then
        except Failure as failure:
            raise TemplateError(failure.reason, at, None, len(filter_.name)) from None
    _check_arguments(filter_, positional, at, names)
    return metered(whole) if names.metered else whole


def _check_arguments(filter_: Filter, positional: list[Getter], at: int, names: Names) -> None:
    """Refuse constant arguments with which every example of the filter fails: every event would."""
    given = [get.value for get in positional if known(get)]
    if filter_.takes_missing or not given or len(given) < len(positional):
        return
    fixed = [None if value is MISSING else value for value in given]
    named = {"event_ms": 0} if filter_.takes_event_time else {}
    reason = ""
    # The examples' elements need not have the field a key names: an empty list has no elements.
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
