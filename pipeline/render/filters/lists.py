"""Filters on arrays. As in Liquid, nested arrays are flattened, and any other value is an array of one."""

# ruff: noqa: D103 - what a filter gives stands in the table at the end, which the reference is made of

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final

from pipeline.model.json import Value, canonical, equal
from pipeline.model.records import MISSING, Missing
from pipeline.render.filters.filter import Example, Filter
from pipeline.render.filters.numbers import DECIMAL
from pipeline.render.values.printing import (
    MAX_ITEMS,
    MAX_RESULT,
    Failure,
    bounded,
    exact,
    finite,
    refuse,
    to_count,
    to_number,
    to_text,
)

_DEPTH: Final = 5
_DIGEST: Final = 16


def _spread(values: list[Value], depth: int = _DEPTH) -> Iterator[Value]:
    for value in values:
        if depth and type(value) is list:
            yield from _spread(value, depth - 1)
        else:
            yield value


def elements(value: Value) -> list[Value]:
    """Return the value as a flat array."""
    return list(_spread(value)) if type(value) is list else [value]


def _field(key: Value, whose: str) -> Callable[[Value], Value]:
    """Return the reader of one field of elements, None where it is missing; `a.b` is that key, or `b` inside.

    It raises Failure for an element that is not an object.
    """
    name = to_text(key)
    steps = name.split(".")

    def read(element: Value) -> Value:
        if type(element) is not dict:
            return None if element is None else refuse(whose, "objects in the array", element)
        if len(steps) == 1 or name in element:
            return element.get(name)
        found: Value = element
        for step in steps:
            if type(found) is not dict:
                return None
            found = found.get(step)
        return found

    return read


def _matching(
    value: Value, key: Value, wanted: Value | Missing, whose: str
) -> Iterator[tuple[int, bool, Value]]:
    """Yield each element, its index, and whether its field is what is wanted; nothing is null or missing."""
    field = _field(key, whose)
    for index, element in enumerate(elements(value)):
        found = field(element)
        holds = found is not None and (found is not False if wanted is MISSING else equal(found, wanted))
        yield index, holds, element


def where(value: Value, key: Value, wanted: Value | Missing = MISSING) -> list[Value]:
    return [element for _, holds, element in _matching(value, key, wanted, "where") if holds]


def reject(value: Value, key: Value, wanted: Value | Missing = MISSING) -> list[Value]:
    return [element for _, holds, element in _matching(value, key, wanted, "reject") if not holds]


def find(value: Value, key: Value, wanted: Value | Missing = MISSING) -> Value:
    return next((element for _, holds, element in _matching(value, key, wanted, "find") if holds), None)


def find_index(value: Value, key: Value, wanted: Value | Missing = MISSING) -> int | None:
    return next((index for index, holds, _ in _matching(value, key, wanted, "find_index") if holds), None)


def has(value: Value, key: Value, wanted: Value | Missing = MISSING) -> bool:
    return any(holds for _, holds, _ in _matching(value, key, wanted, "has"))


def map_(value: Value, key: Value) -> list[Value]:
    return list(map(_field(key, "map"), elements(value)))


def join(value: Value, separator: Value = " ") -> str:
    texts, between = [to_text(element) for element in elements(value)], to_text(separator)
    if sum(map(len, texts)) + len(between) * len(texts) > 2 * MAX_RESULT:
        raise Failure("a filter's result is larger than 1 MiB")
    return between.join(texts)


def first(value: Value) -> Value:
    if type(value) is dict:
        return next(([name, one] for name, one in value.items()), None)
    return value[0] if type(value) is list and value else None


def last(value: Value) -> Value:
    return value[-1] if type(value) is list and value else None


def concat(value: Value, other: Value) -> list[Value]:
    if type(other) is not list:
        refuse("concat", "an array", other)
    left = elements(value)
    if len(left) + len(other) > MAX_ITEMS:
        raise Failure(f"a filter's result has more than {MAX_ITEMS:,} elements")
    return [*left, *other]


def reverse(value: Value) -> list[Value]:
    return elements(value)[::-1]


def _sorted(value: Value, key: Value, whose: str, natural: bool) -> list[Value]:
    keyed: list[tuple[Any, Value]] = []
    without: list[Value] = []
    field = None if key is None else _field(key, whose)
    for element in elements(value):
        by = element if field is None else field(element)
        if by is None:
            without.append(element)
        else:
            keyed.append((to_text(by).lower() if natural else by, element))
    kinds = {bool: "boolean", int: "number", float: "number", str: "text"}
    if len({kinds.get(type(by), "other") for by, _ in keyed}) > 1 or any(
        type(by) not in kinds for by, _ in keyed
    ):
        raise Failure(f"{whose} wants elements that compare: all numbers or all texts", value)
    return [element for _, element in sorted(keyed, key=lambda pair: pair[0])] + without


def sort(value: Value, key: Value = None) -> list[Value]:
    return _sorted(value, key, "sort", natural=False)


def sort_natural(value: Value, key: Value = None) -> list[Value]:
    return _sorted(value, key, "sort_natural", natural=True)


def uniq(value: Value, key: Value = None) -> list[Value]:
    seen: set[bytes] = set()
    kept: list[Value] = []
    field = None if key is None else _field(key, "uniq")
    for element in elements(value):
        by = element if field is None else field(element)
        name = canonical(by)
        if len(name) > _DIGEST or type(by) is not str:
            # A digest, also of short values: each result of orjson holds a page of memory.
            name = blake2b(name, digest_size=_DIGEST).digest()
        if name not in seen:
            seen.add(name)
            kept.append(element)
            if len(kept) > MAX_ITEMS:
                raise Failure(f"a filter's result has more than {MAX_ITEMS:,} elements")
    return kept


def sum_(value: Value, key: Value = None) -> int | float:
    whole, exactly, fractions = 0, Decimal(), False
    field = None if key is None else _field(key, "sum")
    for element in elements(value):
        number = element if field is None else field(element)
        if number is None:
            continue
        number = to_number(number, "sum")
        if isinstance(number, int):
            whole += number
        else:
            exactly, fractions = DECIMAL.add(exactly, exact(number)), True
    return finite(float(DECIMAL.add(exactly, Decimal(whole)))) if fractions else bounded(whole)


def size(value: Value) -> int:
    return len(value) if isinstance(value, str | list | dict) else 0


def slice_(value: Value, start: Value, length: Value = 1) -> str | list[Value]:
    whole: str | list[Value] = value if type(value) is list else to_text(value)
    begin, count = to_count(start, "slice"), to_count(1 if length is None else length, "slice")
    if begin < 0:
        begin = max(0, len(whole) + begin) if len(whole) + begin >= 0 else len(whole)
    return whole[begin : begin + max(0, count)]


def compact(value: Value | Missing, key: Value = None) -> list[Value] | dict[str, Value]:
    if type(value) is dict:
        return {name: one for name, one in value.items() if one is not None}
    if value is None or value is MISSING:
        return []
    field = None if key is None else _field(key, "compact")
    return [
        element for element in elements(value) if (element if field is None else field(element)) is not None
    ]


_ITEMS: Final = [{"id": "p1", "price": 10.5, "new": True}, {"id": "p2", "price": 3}]

TABLE: Final = (
    Filter(
        where,
        "the objects whose field has the value, or any value but false",
        Example(_ITEMS, "where: 'id', 'p2' | map: 'price'", [3]),
        Example(_ITEMS, "where: 'new' | size", 1),
        per_element=14,
        shallow=True,
    ),
    Filter(
        reject,
        "the objects that `where` leaves out",
        Example(_ITEMS, "reject: 'new' | map: 'id'", ["p2"]),
        per_element=14,
        shallow=True,
    ),
    Filter(
        find,
        "the first object that `where` keeps",
        Example(_ITEMS, "find: 'id', 'p2'", {"id": "p2", "price": 3}),
        per_element=14,
        shallow=True,
    ),
    Filter(
        find_index,
        "its index, from 0",
        Example(_ITEMS, "find_index: 'id', 'p2'", 1),
        per_element=14,
        shallow=True,
    ),
    Filter(
        has, "whether there is one", Example(_ITEMS, "has: 'id', 'p3'", False), per_element=14, shallow=True
    ),
    Filter(
        map_,
        "one field of each object; `a.b` is what is inside, for all that take a field",
        Example(_ITEMS, "map: 'id'", ["p1", "p2"]),
        Example([{"a": {"b": 1}}], "map: 'a.b'", [1]),
        per_element=4,
        shallow=True,
    ),
    Filter(
        join,
        "one text, with a separator (a blank)",
        Example(["a", 1, None], "join: ', '", "a, 1, "),
        per_element=14,
        shallow=True,
    ),
    Filter(first, "the first element", Example([1, 2], "first", 1), per_text=0, per_element=0),
    Filter(last, "the last element", Example([1, 2], "last", 2), per_text=0, per_element=0),
    Filter(
        concat,
        "two arrays as one",
        Example([1], "concat: event.properties.x", [1, 1]),
        grows=True,
        per_element=2,
        shallow=True,
    ),
    Filter(reverse, "in reverse", Example([1, 2], "reverse", [2, 1]), per_element=4, shallow=True),
    Filter(
        sort,
        "sorted, by a field where one is named; null last",
        Example([3, 1, 2.5], "sort", [1, 2.5, 3]),
        Example(_ITEMS, "sort: 'price' | map: 'id'", ["p2", "p1"]),
        per_element=14,
        shallow=True,
    ),
    Filter(
        sort_natural,
        "sorted without regard to case",
        Example(["b", "A"], "sort_natural", ["A", "b"]),
        per_element=22,
        shallow=True,
    ),
    Filter(
        uniq,
        "each value once",
        Example([1, 2, 1], "uniq", [1, 2]),
        Example([[5], [5.0]], "uniq", [5]),
        per_element=28,
    ),
    Filter(
        sum_,
        "the sum, of a field where one is named; null counts as 0",
        Example(_ITEMS, "sum: 'price'", 13.5),
        Example([1, 2], "sum", 3),
        per_element=24,
        shallow=True,
    ),
    Filter(
        size,
        "how many characters, elements or keys",
        Example("abc", "size", 3),
        Example([1, 2], "size", 2),
        Example({"a": 1}, "size", 1),
        per_text=0,
        per_element=0,
    ),
    Filter(
        slice_,
        "so many characters or elements (1) from a place on, from the end where it is negative",
        Example("abcdef", "slice: 1, 3", "bcd"),
        Example(["a", "b", "c"], "slice: 1, 99", ["b", "c"]),
        Example("abcdef", "slice: -3, 2", "de"),
        per_element=2,
        shallow=True,
    ),
    Filter(
        compact,
        "without null, in an array (by a field where one is named) or an object; missing gives []",
        Example([1, None], "compact", [1]),
        Example({"a": None, "b": 1}, "compact", {"b": 1}),
        takes_missing=True,
        per_element=4,
        shallow=True,
    ),
)
