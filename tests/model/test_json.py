"""JSON values: one equality for conditions, filters, limits and changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.json import Value, canonical, equal, same

SCALARS = st.sampled_from(
    [None, True, False, 0, 1, 5, 5.0, 5.5, 2**53, 2**53 + 1, float(2**53), 1e300, "", "5", "é"]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)

UNEQUAL: list[tuple[Value, Value]] = [
    (1, True), ("1", 1), (None, False), ([1], [1, 1]), ({"a": 1}, {"a": True}), ({"a": 1}, {"b": 1}),
    ([0], [False]), ([], {}), (2**53 + 1, float(2**53)),
]  # fmt: skip
EQUAL: list[tuple[Value, Value]] = [
    (5, 5.0), (0, -0.0), ([5], [5.0]), ({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]}),
    ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal_values_are_equal_both_ways_and_have_one_key(left: Value, right: Value) -> None:
    assert equal(left, right)
    assert equal(right, left)
    assert canonical(left) == canonical(right)


@pytest.mark.parametrize(("left", "right"), UNEQUAL)
def test_unequal_values_are_unequal_both_ways_and_have_two_keys(left: Value, right: Value) -> None:
    for one, other in ((left, right), (right, left)):
        assert not equal(one, other)
        assert not same(one, other)
    assert canonical(left) != canonical(right)


@given(left=VALUES, right=VALUES)
def test_two_values_have_one_key_where_they_are_equal_and_only_there(left: Any, right: Any) -> None:
    assert (canonical(left) == canonical(right)) == equal(left, right)
    assert equal(left, left)


@given(left=VALUES, right=VALUES)
def test_the_same_is_equal_and_written_alike(left: Any, right: Any) -> None:
    assert same(left, right) == (equal(left, right) and written(left) == written(right))


def written(value: Any) -> str:
    return repr({name: written(value[name]) for name in sorted(value)} if isinstance(value, dict) else value)


@pytest.mark.parametrize(
    ("value", "key"),
    [
        (5, b"5"), (5.0, b"5"), (5.5, b"5.5"), ("5", b'"5'), (None, b"null"), (True, b"true"),
        ([1, "a"], b'[1,"a"]'), ({"b": 1, "a": 2}, b'{"a":2,"b":1}'), ("\ud800", b'"\xed\xa0\x80'),
    ],
)  # fmt: skip
def test_keys_in_state_directories_are_found_again(value: Any, key: bytes) -> None:
    assert canonical(value) == key
