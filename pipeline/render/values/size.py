"""Computes the size of a body before it is built: one list of an event may appear in it a hundred times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import Final

import orjson

from pipeline.model.json import Value

SEVERAL: Final = 8
"""Occurrences of one property in a body before its size is checked: half of what a body may have."""
_LARGE: Final = 64
"""From this many elements, a list or object of scalars is printed once to learn its size."""
_HOLDING: Final = frozenset((list, dict))
_PROPERTY: Final = re.compile(r"(?:event|user)(?:\.\w+){0,2}")


def repeats(tree: Value) -> bool:
    """Return whether a body names one property, or its container, more than `SEVERAL` times."""
    found: list[str] = []
    todo: list[Value] = [tree]
    while todo:
        one = todo.pop()
        if isinstance(one, str):
            found += _PROPERTY.findall(one)
        elif isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list):
            todo += one
    return len(found) > SEVERAL and max(Counter(found).values()) > SEVERAL


def printed_size(value: Value) -> int:
    """Return a lower bound on the printed size of a value, in bytes.

    Each list and object is measured once, however often it occurs. Raises TypeError for values that JSON
    cannot represent.
    """
    return _size_of(value, {})


def _size_of(one: Value, sizes: dict[int, int]) -> int:
    if type(one) is str:
        return len(one) + 2
    if not isinstance(one, list | dict):
        return 1
    known = sizes.get(id(one))
    if known is None:
        inside: Collection[Value] = one if isinstance(one, list) else one.values()
        if len(one) > _LARGE and _HOLDING.isdisjoint(map(type, inside)):
            known = len(orjson.dumps(one))
        else:
            known = 1 + len(one) + sum([_size_of(inner, sizes) for inner in inside])
        sizes[id(one)] = known
    return known
