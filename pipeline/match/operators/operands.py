"""The operand of an operator: checked, converted and folded at load."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, timedelta, timezone, tzinfo
from typing import Final, TypeAlias

from pipeline.language.paths import Getter, Scope
from pipeline.language.units import parse_duration
from pipeline.match.operators.conversions import Conversion
from pipeline.match.operators.dates import to_date
from pipeline.match.operators.suspects import looks_like_operators, looks_otherwise
from pipeline.match.operators.table import Operator
from pipeline.match.operators.values import OperandError, fold, is_number
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.model.times import format_iso, parse_time

Zone: TypeAlias = "Getter | tzinfo | None"
"""A fixed time zone, a path to one, or None for UTC."""

_SECONDS_FROM: Final = 1_000_000_000
"""Smaller numbers are unix seconds before September 2001, but people write years and days like this."""
_ELSEWHERE: Final = timezone(timedelta(hours=1))
_RELATIVE: Final = re.compile(r"([+-])\s*([0-9].*)")


@dataclass(slots=True, frozen=True)
class Dynamic:
    """An operand that depends on the event: another path, or a relative date."""

    read: Getter
    """The operand before its conversion, or MISSING; a relative date is already a moment."""
    many: bool = False
    """True: the path has ``[*]``, and any of its values may match."""
    converted: bool = False
    of_event: bool = True
    """False: it may depend on more than event and user, such as a loop's `item`."""
    shift_ms: int | None = None
    """For a relative date: its distance from the event."""
    fixed: Value = None
    """The value of the var that it reads."""


Operand: TypeAlias = "Value | Dynamic"


@dataclass(slots=True, frozen=True)
class Options:
    """The modifiers beside the operators of one map."""

    conversion: Conversion | None = None
    ignore_case: bool = False
    tz: Zone = None


def relative_date(value: Value) -> Dynamic | None:
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
            reason, _, meant = str(error).partition(": ")
            hint = re.sub("`([0-9])", rf"`{found[1]}\1", meant) or "such as -30d"
            raise OperandError(f"{value!r} is no time relative to the event: {reason}", hint) from None
        if found[1] == "-":
            shift = -shift

    def read(event: Event, user: User, scope: Scope) -> Value | Missing:
        # An answer that `fail_when` reads has no event.
        return MISSING if event is None or event.time is None else event.time + shift

    return Dynamic(read, converted=True, shift_ms=shift)


def check_operand(operator: Operator, value: Operand, options: Options) -> tuple[Operand, str | None]:
    """Return the operand, converted and folded, and a warning or None; raises OperandError."""
    checked, warning = _checked(operator, value, options)
    texts = [one for one in (value if type(value) is list else [value]) if type(one) is str]
    looks = (looks_otherwise(operator, text, converted=options.conversion is not None) for text in texts)
    objects = map(looks_like_operators, value if type(value) is list else ())
    warning = next(filter(None, (*looks, *objects)), None) or warning
    return checked, warning or _unlikely_moment(operator, value, checked, options)


def _unlikely_moment(operator: Operator, value: Operand, checked: Operand, options: Options) -> str | None:
    """Return a warning for years and days read as unix seconds, and for a reversed range."""
    if options.conversion is None or options.conversion.name != "date":
        return None
    for one in value if type(value) is list else [value]:
        if not isinstance(one, Dynamic) and is_number(one) and 0 < abs(one) < _SECONDS_FROM:
            moment = format_iso(parse_time(one))
            return f'{one} is read as unix seconds, {moment}: a date is a text such as "2026-01-31"'
    if operator.wants == "range" and type(checked) is list:
        low, high = (one.shift_ms if isinstance(one, Dynamic) else None for one in checked)
        if low is not None and high is not None and low > high:
            return "the first moment is later than the second: this never holds, write the earlier one first"
    return None


def _checked(operator: Operator, value: Operand, options: Options) -> tuple[Operand, str | None]:
    conversion = options.conversion
    if operator.wants == "flag":
        if type(value) is not bool:
            raise OperandError(f"`{operator.name}` takes true or false")
        return value, None
    if operator.wants == "list":
        if isinstance(value, Dynamic):
            return value, None
        if type(value) is not list:
            parts = value if type(value) is str and "," in value else _shown(value)
            hint = f"write {operator.name}: [{parts}]"
            if type(value) is dict:
                hint = "write the values in brackets, or {file: ...} with nothing beside it"
            raise OperandError(f"`{operator.name}` takes a list", hint)
        return _each(operator, value, options), None
    if operator.wants == "range":
        if type(value) is not list or len(value) != 2:
            raise OperandError("`between` takes two values", "write between: [low, high], both included")
        low, high = _each(operator, value, options)
        _check_range(low, high, conversion is not None and conversion.circular)
        return [low, high], None
    if type(value) is list and operator.wants in ("text", "element"):
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
    return checked, None


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
    if not values:
        when = "always" if operator.negates else "never"
        raise OperandError(
            f"`{operator.name}` with an empty list {when} holds", "name a value, or leave it out"
        )
    found: list[Operand] = []
    for value in values:
        try:
            found.append(_one(operator, value, options))
        except OperandError as error:
            if len(values) == 1:
                raise
            raise OperandError(f"of {_shown(value)}: {error.message}", error.hint) from None
    return found


def _one(operator: Operator, value: Operand, options: Options) -> Operand:
    if isinstance(value, Dynamic):
        if operator.name in ("glob", "regex"):
            raise OperandError(
                f"a pattern of `{operator.name}` cannot come from a path", "patterns are checked at load"
            )
        return _moment_of_var(value, options) or value
    if type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        raise OperandError("NaN and infinity are no JSON numbers")
    conversion = options.conversion
    if conversion is not None:
        if conversion.name == "date" and (moment := relative_date(value)) is not None:
            return moment
        tz = options.tz if isinstance(options.tz, tzinfo) else None
        if conversion.name == "date" and options.tz is not tz and _depends_on_zone(value):
            conversion.operand(value, None)
            return Dynamic(lambda event, user, scope: value)
        return fold(conversion.operand(value, tz)) if options.ignore_case else conversion.operand(value, tz)
    if operator.wants == "text" and type(value) is not str:
        raise OperandError(
            f"`{operator.name}` takes text", f'write it in quotes: "{value}"' if is_number(value) else None
        )
    if operator.wants in ("order", "range") and not (is_number(value) or type(value) is str):
        raise OperandError(f"`{operator.name}` takes a number or a text")
    return fold(value) if options.ignore_case and operator.name != "regex" else value


def _moment_of_var(value: Dynamic, options: Options) -> Dynamic | None:
    """Return the moment that a relative date in a var means; None for anything else."""
    if options.conversion is None or options.conversion.name != "date":
        return None
    with suppress(OperandError):  # whatever else a var has is what the path holds
        return relative_date(value.fixed)
    return None


def _depends_on_zone(value: Value) -> bool:
    """Return whether a date has no zone, so that the moment depends on the event's zone."""
    return to_date(value, UTC) != to_date(value, _ELSEWHERE)


def _shown(value: Value) -> str:
    if type(value) is str:
        return value if value.isalnum() else repr(value)
    return str(value).lower() if type(value) is bool else str(value)
