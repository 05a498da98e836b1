"""JSON values: equality, hashable keys for them, the names of their types."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any, Final, TypeAlias

import orjson

Json: TypeAlias = dict[str, "Json"] | list["Json"] | str | int | float | bool | None
"""A JSON value from outside."""

Value: TypeAlias = Any
"""A JSON value whose type is checked at load or by its consumer: values inside expressions, trees of config
files. With `Json`, each step of a hot path would have to prove again what is already known."""


_HALF: Final = re.compile("[\ud800-\udfff]")


class Plain:
    """A dataclass whose fields are what it is as JSON."""

    __slots__ = ()

    def to_json(self) -> dict[str, Value]:
        """Return the fields."""
        assert is_dataclass(self)
        return asdict(self)


def map_at(value: Value, *names: str) -> dict[str, Value]:
    """Return the object at a path of names; {} where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def leaves(value: Value, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Value]]:
    """Yield what a value's objects and lists hold, at whatever depth, each with its place; empty ones too."""
    if isinstance(value, (dict, list)) and value:
        for step, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, step))
    else:
        yield path, value


def with_leaves(value: Value, change: Callable[[Value], Value]) -> Value:
    """Return a value with everything that is no object and no list changed."""
    if isinstance(value, dict):
        return {name: with_leaves(inner, change) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [with_leaves(inner, change) for inner in value]
    return change(value)


def equal(left: object, right: object) -> bool:
    """Return whether both are the same JSON value: 5 is 5.0 (exactly, also beyond 2**53), never "5" or true.

    So in lists and objects, too. It is the one equality of conditions, filters, limits and changes.
    """
    if isinstance(left, list):
        return (
            isinstance(right, list)
            and len(left) == len(right)
            and all(equal(one, other) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, dict):
        return (
            isinstance(right, dict)
            and left.keys() == right.keys()
            and all(equal(value, right[name]) for name, value in left.items())
        )
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def same(left: object, right: object) -> bool:
    """Return whether both are equal and written alike: 5 is not 5.0, a difference that a user's row must
    keep.
    """
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        assert isinstance(right, dict)
        return left.keys() == right.keys() and all(same(value, right[name]) for name, value in left.items())
    if isinstance(left, list):
        assert isinstance(right, list)
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def canonical(value: object) -> bytes:
    """Return equal bytes for equal values, different bytes for different ones; stable across versions."""
    if type(value) is str:
        return b'"' + value.encode("utf-8", "surrogatepass")
    value = _without_point(value)
    try:
        return orjson.dumps(value)
    except TypeError:
        return repr(value).encode("utf-8", "surrogatepass")


def _without_point(value: object) -> object:
    """Return the value with 5 for each 5.0, and objects sorted by name."""
    if type(value) is float and value.is_integer():
        return int(value)
    if type(value) is list:
        return [_without_point(element) for element in value]
    if type(value) is dict:
        return {name: _without_point(value[name]) for name in sorted(value)}
    return value


def is_utf8(text: str) -> bool:
    """Return whether a text can be encoded as UTF-8, and so as JSON.

    File names and environment variables may hold other bytes, which Python reads as lone surrogates.
    """
    return text.isascii() or not _HALF.search(text)


def as_utf8(value: Value) -> Value:
    r"""Return the JSON value with lone surrogates escaped, as a terminal shows them: ``\udcff``."""
    if isinstance(value, str):
        return value if is_utf8(value) else value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {as_utf8(name): as_utf8(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_utf8(each) for each in value]
    return value


def kind_of(value: object) -> str:
    """Return the word for a value's type; "nothing" for what is none, such as MISSING."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list():
            return "an array"
        case dict():
            return "an object"
    return "nothing"
