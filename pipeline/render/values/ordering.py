"""How Liquid compares values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeline.model import json
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Missing
from pipeline.render.values.printing import Failure, to_text

EMPTY: Final[Any] = object()
"""The value of `empty` in a comparison."""
BLANK: Final[Any] = object()
"""The value of `blank` in a comparison."""


def truthy(value: Value | Missing) -> bool:
    """Return whether a value is truthy in Liquid: everything but missing, null and false."""
    return not (value is None or value is MISSING or value is False)


def equal(left: Value, right: Value) -> bool:
    """Compare as Liquid does: `empty` and `blank` equal anything empty or blank."""
    if left is EMPTY or left is BLANK:
        left, right = right, left
    if right is EMPTY:
        return left is EMPTY or (type(left) in (str, list, dict) and not left)
    if right is BLANK:
        if type(left) is str:
            return not left.strip()
        return left is BLANK or left is None or left is False or (type(left) in (list, dict) and not left)
    return json.equal(left, right)


def ordered(left: Value, right: Value, holds: Callable[[Any, Any], bool]) -> bool:
    """Compare two numbers or two texts by ``holds``; with null it is False, other types are a Failure."""
    if left is None or right is None:
        return False
    for types in ((str,), (int, float)):
        if type(left) in types and type(right) in types:
            return holds(left, right)
    raise Failure(f"{json.kind_of(left)} and {json.kind_of(right)} have no order", left)


def contains(left: Value, right: Value) -> bool:
    """Return whether a text contains a text, an array an element, an object a key."""
    if not truthy(left) or not truthy(right):
        return False
    if type(left) is str:
        return to_text(right) in left
    if type(left) is list:
        return any(equal(element, right) for element in left)
    if type(left) is dict:
        return type(right) is str and right in left
    raise Failure(f"{json.kind_of(left)} contains nothing", left)
