"""The times of custom shapes: as everywhere, or in a given unit, format or zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, DecimalException
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipeline.decode.mapped.frame import Frame, Source
from pipeline.decode.mapped.values.forms import TIMES, Context, compile_source, missing
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, Value, kind_of
from pipeline.model.records import MISSING
from pipeline.model.times import EPOCH, MAX_MS, MIN_MS, offset_at, parse_time
from pipeline.model.words import did_you_mean, zone_meant

Time = Callable[[Json, Frame], "int | None"]
"""Returns unix milliseconds, None where there is no time; raises InvalidRecord for an invalid one."""
Parse = Callable[[Json], int]

_PER_MS: Final = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
_WORDS: Final = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "milliseconds": "ms", "millis": "ms", "msec": "ms",
    "micros": "us", "microseconds": "us", "µs": "us", "nanos": "ns", "nanoseconds": "ns",
}  # fmt: skip
_MS: Final = timedelta(milliseconds=1)
_YEARS: Final = ("%Y", "%y", "%G", "%c", "%x", "%D")


def compile_time(value: Value, context: Context) -> Time:
    """Return the reader of a time; mistakes become problems."""
    name = "the time"
    if type(value) is str:
        name = f"`{value}`"
    if type(value) is not dict:
        if type(value) is list:
            if not value:
                context.problems.refuse((), "wrong-source", "an empty list of paths", hint="name a path")
            return _first([compile_time(one, context.at(index)) for index, one in enumerate(value)])
        return _reader(compile_source(value, context), parse_time, name)
    bare = {key: inner for key, inner in value.items() if key not in TIMES}
    if type(bare.get("path")) is str and len(bare) == 1:
        name = f"`{bare['path']}`"
        source = compile_source(bare["path"], context.at("path"))
    elif not bare:
        context.wrong("a time has a `path`", "for example {path: ts, unit: ms}")
        source = missing
    else:
        source = compile_source(bare, context)
    return _reader(source, _parser(value, context), name)


def _first(times: list[Time]) -> Time:
    def first_set(here: Json, frame: Frame) -> int | None:
        for time in times:
            found = time(here, frame)
            if found is not None:
                return found
        return None

    return first_set


def _reader(source: Source, parse: Parse, name: str) -> Time:
    def read(here: Json, frame: Frame) -> int | None:
        value = source(here, frame)
        if value is MISSING or value is None or value == "":
            return None
        try:
            found = parse(value)  # type: ignore[arg-type]  # not MISSING
        except ValueError as error:
            raise InvalidRecord(f"{name}: {error}") from None
        return None if found == MIN_MS else found  # as `time_or_none`

    return read


def _parser(value: dict[str, Value], context: Context) -> Parse:
    zone = _zone(value["zone"], context.at("zone")) if "zone" in value else None
    if "unit" in value and "format" in value:
        context.wrong("`unit` and `format` exclude each other", key="format")
    if "unit" in value:
        if zone is not None:
            context.wrong("a unix time has no zone", "leave out `zone`", key="zone")
        return _in_unit(value["unit"], context.at("unit"))
    if "format" in value:
        return _in_format(value["format"], zone or UTC, context.at("format"))
    return lambda found: parse_time(found, zone)


def _zone(name: Value, context: Context) -> tzinfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        context.wrong(f"`{name}` is no time zone", zone_meant(name) or "for example Europe/Berlin, UTC")
        return None


def millis_per(unit: Value) -> tuple[int, int]:
    """Return (factor, divisor) that convert a number in this unit to milliseconds."""
    return _PER_MS.get(unit, (1, 1)) if type(unit) is str else (1, 1)


def _in_unit(unit: Value, context: Context) -> Parse:
    factor = _PER_MS.get(unit) if type(unit) is str else None
    if factor is None:
        close = _WORDS.get(str(unit).lower()) or did_you_mean(str(unit), _PER_MS)
        context.wrong(
            f"`{unit}` is no unit of time", f"did you mean `{close}`?" if close else "units are s, ms, us, ns"
        )
        return lambda found: 0
    times, per = factor

    def parse(found: Json) -> int:
        if type(found) is int:
            ms = found * times // per
        elif type(found) is float:
            # A float of seconds is slightly less than it says: round, do not truncate.
            scaled = found * times if times > 1 else found // per
            if not MIN_MS <= scaled <= MAX_MS:  # infinity, too
                raise ValueError(f"{found!r:.60} {unit} is outside the years 1 to 9999")
            ms = round(scaled)
        elif type(found) is str:
            try:
                ms = int((Decimal(found.strip()) * times) // per)
            except (DecimalException, ValueError, OverflowError):
                raise ValueError(f"{found!r:.60} is no number of {unit}") from None
        else:
            raise ValueError(f"{kind_of(found)} is no number of {unit}")
        if not MIN_MS <= ms <= MAX_MS:
            raise ValueError(f"{found!r:.60} {unit} is outside the years 1 to 9999")
        return ms

    return parse


def _in_format(form: Value, zone: tzinfo, context: Context) -> Parse:
    wrong = None
    if type(form) is not str:
        wrong = 'it is a text such as "%d/%m/%Y %H:%M"'
    else:
        try:
            datetime.strptime(datetime(2026, 11, 28, 12, 30, 15, tzinfo=UTC).strftime(form), form)
        except (ValueError, re.error) as error:  # a repeated directive
            wrong = str(error)
        else:
            if not any(word in form for word in _YEARS):
                wrong = "it has no year (%Y)"
    if wrong is not None:
        context.wrong(
            f"`{form}` is no format of times: {wrong}",
            "directives are those of strptime: %Y %m %d %H %M %S %z",
        )
        return lambda found: 0

    def parse(found: Json) -> int:
        text = str(found) if type(found) is int else found
        if type(text) is not str:
            raise ValueError(f"{kind_of(found)} is no text of the form {form}")
        try:
            at = datetime.strptime(text.strip(), form)
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r:.60} is not of the form {form}") from None
        is_local = at.tzinfo is None
        ms = ((at.replace(tzinfo=UTC) if is_local else at) - EPOCH) // _MS
        return ms - offset_at(ms, zone, local=True) if is_local else ms

    return parse
