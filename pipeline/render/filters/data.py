"""Filters on objects, times, hashes and JSON; `default` and its like."""

# ruff: noqa: D103 - what a filter gives stands in the table at the end, which the reference is made of

from __future__ import annotations

import hashlib
import hmac
import json as stdlib_json
from datetime import UTC, tzinfo
from typing import Final

import orjson

from pipeline.model.integers import long_integer
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing
from pipeline.model.times import parse_time
from pipeline.render.filters.filter import Example, Filter
from pipeline.render.values.printing import HALF_A_PAIR, MAX_ITEMS, Failure, refuse, to_count, to_text
from pipeline.render.values.strftime import format_time, zone


def _bytes(value: Value) -> bytes:
    try:
        return to_text(value).encode()
    except UnicodeEncodeError:
        raise Failure(HALF_A_PAIR) from None


def sha256(value: Value) -> str:
    return hashlib.sha256(_bytes(value)).hexdigest()


def sha1(value: Value) -> str:
    return hashlib.sha1(_bytes(value), usedforsecurity=False).hexdigest()


def md5(value: Value) -> str:
    return hashlib.md5(_bytes(value), usedforsecurity=False).hexdigest()


def hmac_sha256(value: Value, key: Value) -> str:
    if key is None:
        raise Failure("hmac_sha256 wants a key")
    return hmac.new(_bytes(key), _bytes(value), hashlib.sha256).hexdigest()


def json(value: Value | Missing, indent: Value = None) -> str:
    if value is MISSING:
        value = None
    deep = None if indent is None else to_count(indent, "json")
    if deep is not None and not 0 <= deep <= 8:
        raise Failure("json wants an indent between 0 and 8", indent)
    try:
        return stdlib_json.dumps(value, indent=deep or None, allow_nan=False, ensure_ascii=False)
    except ValueError as error:
        raise Failure(str(error)) from None


def parse_json(value: Value) -> Value:
    if type(value) is not str:
        refuse("parse_json", "a text", value)
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise Failure(f"parse_json: {error}", value) from None
    long = long_integer(value.encode())
    if long is not None:
        # orjson returned a float that has lost digits: refused, as in records.
        raise Failure("parse_json: an integer has more than 64 bits", long)
    return parsed


def date(value: Value, pattern: Value, tz: Value = None, *, event_ms: int | None = None) -> str:
    where: tzinfo = (
        UTC if tz is None else zone(tz) if type(tz) is str else refuse("date", "the name of a time zone", tz)
    )
    if value in ("now", "today"):
        if event_ms is None:
            raise Failure("the event has no time, so there is no `now`")
        return format_time(event_ms, to_text(pattern), where)
    # A day without a time of day, such as a birthday, is that day in every zone.
    day = type(value) is str and len(value) <= len("2026-11-23")
    try:
        ms = parse_time(value, where if day else None)
    except ValueError as error:
        raise Failure(f"date: {error}", value) from None
    return format_time(ms, to_text(pattern), where)


def _object(value: Value, whose: str) -> dict[str, Value]:
    return value if type(value) is dict else refuse(whose, "an object", value)


def merge(value: Value, *others: Value) -> dict[str, Value]:
    merged = dict(_object(value, "merge"))
    for other in others:
        if other is not None:
            merged.update(_object(other, "merge"))
    return merged


def _names(names: tuple[Value, ...]) -> list[str]:
    return [to_text(name) for one in names for name in (one if type(one) is list else [one])]


def pick(value: Value, *names: Value) -> dict[str, Value]:
    whole = _object(value, "pick")
    return {name: whole[name] for name in _names(names) if name in whole}


def without(value: Value, *names: Value) -> dict[str, Value]:
    dropped = set(_names(names))
    return {name: one for name, one in _object(value, "without").items() if name not in dropped}


def flatten(value: Value, separator: Value = "_") -> dict[str, Value] | list[Value]:
    between = to_text(separator)
    flat: dict[str, Value] = {}
    if type(value) is list:
        spread: list[Value] = []
        todo = value[::-1]
        while todo:
            one = todo.pop()
            if type(one) is list:
                todo.extend(one[::-1])
            else:
                spread.append(one)
        return spread
    names: list[tuple[str, Value]] = list(_object(value, "flatten").items())[::-1]
    length = 0
    while names:
        name, one = names.pop()
        if type(one) is dict and one:
            names.extend((name + between + inner, deeper) for inner, deeper in reversed(one.items()))
        else:
            flat[name] = one
        length += len(name)
        if length > 1 << 20 or len(flat) > MAX_ITEMS:
            raise Failure("a filter's result is larger than 1 MiB")
    return flat


def default(
    value: Value | Missing, other: Value | Missing = "", *, allow_false: Value = False
) -> Value | Missing:
    if value is False:
        return value if allow_false is True else other
    if value is None or value is MISSING:
        return other
    return other if type(value) in (str, list, dict) and not value else value


def require(value: Value | Missing) -> Value:
    if value is MISSING or value is None:
        raise Failure("required value is missing")
    return value


TABLE: Final = (
    Filter(
        sha256,
        "SHA-256 in hex",
        Example("abc", "sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ),
    Filter(sha1, "SHA-1 in hex", Example("abc", "sha1", "a9993e364706816aba3e25717850c26c9cd0d89d")),
    Filter(md5, "MD5 in hex", Example("abc", "md5", "900150983cd24fb0d6963f7d28e17f72")),
    Filter(
        hmac_sha256,
        "HMAC-SHA-256 with a key, in hex",
        Example(
            "what do ya want for nothing?",
            "hmac_sha256: 'Jefe'",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
    ),
    Filter(
        json,
        "JSON as text, null for what is missing",
        Example(["ä", {"b": 1}], "json", '["ä", {"b": 1}]'),
        Example(None, "json", "null"),
        takes_missing=True,
        per_text=3,
        per_element=16,
    ),
    Filter(
        parse_json,
        "the value that a JSON text says",
        Example('{"a": 1}', "parse_json", {"a": 1}),
        per_text=12,
    ),
    Filter(
        date,
        "a time printed by a strftime pattern, in a time zone (UTC; a mere day stays that day); `'now'` is "
        "the event's time",
        Example(
            "2026-11-23T14:50:00.123Z",
            "date: '%Y-%m-%d %H:%M %z', 'America/New_York'",
            "2026-11-23 09:50 -0500",
        ),
        Example(1795445400, "date: '%d.%m.%Y'", "23.11.2026"),
        Example("2026-11-23T14:50:00.123+01:00", "date: '%s.%L'", "1795441800.123"),
        Example("2026-11-23", "date: '%d.%m.%Y', 'America/New_York'", "23.11.2026"),
        Example(1795445400123, "date: '%-I:%M %P %:z', 'Asia/Kolkata'", "8:20 pm +05:30"),
        takes_event_time=True,
        per_element=6,
    ),
    Filter(
        merge,
        "two or more objects as one, the later one's values win",
        Example({"a": 1, "b": 1}, "merge: event.properties.x", {"a": 1, "b": 1}),
        grows=True,
        per_element=2,
        shallow=True,
    ),
    Filter(
        pick,
        "only these keys of an object",
        Example({"a": 1, "b": 2}, "pick: 'a', 'c'", {"a": 1}),
        per_element=0,
    ),
    Filter(
        without,
        "an object without these keys",
        Example({"a": 1, "b": 2}, "without: 'a'", {"b": 2}),
        per_element=2,
        shallow=True,
    ),
    Filter(
        flatten,
        "no levels: an object's inner keys joined with `_` or another separator, an array's arrays spread",
        Example({"a": {"b": 1, "c": {"d": [2]}}}, "flatten", {"a_b": 1, "a_c_d": [2]}),
        Example({"a": {"b": 1}}, "flatten: '.'", {"a.b": 1}),
        Example([1, [2, [3]]], "flatten", [1, 2, 3]),
        per_element=6,
    ),
    Filter(
        default,
        'another value for missing, null, "", [], {} and false (kept with `allow_false: true`)',
        Example("", "default: 'x'", "x"),
        Example(0, "default: 'x'", 0),
        Example(False, "default: true", True),
        Example(False, "default: true, allow_false: true", False),
        takes_missing=True,
        options=frozenset({"allow_false"}),
        per_text=0,
        per_element=0,
    ),
    Filter(
        require,
        "the value; where it is missing or null the delivery is dead-lettered",
        Example("a", "require", "a"),
        takes_missing=True,
        per_text=0,
        per_element=0,
    ),
)
