"""How large a user may get: no larger by small steps, and as large as it may where something goes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.join.users import Users, held_bytes, most_bytes
from pipeline.model.sizes import Sizes
from pipeline.store.memory import MemoryRows
from pipeline.store.rows import Table
from tests.kit.streams.records import update

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6) | st.just('\x01"' * 9)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=40,
)
SIZES = Sizes(user_properties=10, user_bytes=1_024)


def users() -> Users:
    return Users(MemoryRows(), sizes=SIZES)


def size(of: Users) -> int:
    return len(orjson.dumps(of.get("u:u")))


@pytest.mark.parametrize("how", ["set", "set_once"])
@pytest.mark.parametrize("each", [1, 3, 1_000])
def test_small_steps_end_at_the_limit_however_epochs_are_cut(how: str, each: int) -> None:
    known = Users(MemoryRows(), sizes=Sizes(user_properties=1_000, user_bytes=16_384))
    for number in range(100):
        given = {f"k{number}": "x" * 300}
        known.apply("u:u", update(set=given) if how == "set" else update(set_once=given), "p")
        if number % each == 0:
            known.flush()
    assert 16_384 - 320 < size(known) <= 16_384
    assert known.refused == 100 - len(known.get("u:u"))


@pytest.mark.parametrize(
    "change",
    [
        {"unset": ["k0"], "set": {"new": 1}},
        {"unset": ["k0"], "set_once": {"new": 1}},
        {"set": {"k0": 2}, "set_once": {"k1": 2}},
        {"delete": True, "set": {f"n{number}": 1 for number in range(10)}},
    ],
)
def test_at_most_properties_what_goes_makes_room(change: dict[str, Any]) -> None:
    known = users()
    known.apply("u:u", update(set={f"k{number}": 1 for number in range(10)}), "p")
    assert known.apply("u:u", update(**change), "p")
    assert (len(known.get("u:u")), known.refused) == (10, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"set": {"new": 1}},
        {"set_once": {"new": 1}},
        {"unset": ["k0"], "set": {"new": 1}, "set_once": {"k": 1}},
    ],
)
def test_one_property_too_many_is_refused_with_the_rest_of_its_update(change: dict[str, Any]) -> None:
    known = users()
    known.apply("u:u", update(set=(full := {f"k{number}": 1 for number in range(10)})), "p")
    assert known.apply("u:u", update(**change), "p") == {}
    assert (known.get("u:u"), known.refused) == (full, 1)


@pytest.mark.parametrize(
    "change",
    [{"unset": ["long"], "set": {"other": "y" * 900}}, {"delete": True, "set": {"other": "y" * 900}}],
)
def test_at_most_bytes_what_goes_makes_room(change: dict[str, Any]) -> None:
    known = users()
    known.apply("u:u", update(set={"long": "x" * 900}), "p")
    assert known.apply("u:u", update(**change), "p")
    assert (list(known.get("u:u")), known.refused) == (["other"], 0)


def test_an_update_that_changes_nothing_writes_nothing() -> None:
    rows = MemoryRows()
    known = Users(rows)
    known.apply("u:u", update(set={"plan": "pro"}), "p")
    known.flush()
    rows.delete(Table.USERS, b"u:u")
    for change in (update(set={"plan": "pro"}), update(set_once={"plan": "free"}), update(unset=["name"])):
        known.apply("u:u", change, "p")
    known.flush()
    assert rows.get(Table.USERS, b"u:u") is None


@given(VALUES)
@example(["\x01" * 1_000])
@example({"\x01" * 1_000: None})
@example({"a": {"b": ["x" * 1_000]}})
@example({f"\x01{number}": -1.7976931348623157e308 for number in range(300)})
@example([-1.7976931348623157e308] * 300)
def test_no_value_takes_more_than_it_is_said_to_take_at_most(value: Any) -> None:
    assert most_bytes(value) >= len(orjson.dumps(value))


@pytest.mark.parametrize(
    "value", [[0.1] * 1_000, ["x"] * 1_000, [[]] * 1_000, {str(n): n for n in range(1_000)}]
)
def test_what_is_held_counts_for_each_of_many_objects(value: Any) -> None:
    row = orjson.dumps(["p", {"a": value}])
    assert 100 * 1_000 < held_bytes(row) < 300 * 1_000


def test_a_user_that_is_only_read_is_not_weighed(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weighed = MemoryRows(), list[bytes]()

    def weigh(row: bytes) -> int:
        weighed.append(row)
        return held_bytes(row)

    before = Users(rows)
    for number in range(100):
        before.apply(f"u:{number}", update(set={"n": number}), "p")
    before.flush()
    monkeypatch.setattr("pipeline.join.users.held_bytes", weigh)
    known = Users(rows, cache_users=2)
    for number in range(100):
        assert known.get(f"u:{number}") == {"n": number}
    assert 2 <= len(weighed) < 60, "those cached, and some taken for read before"
    known.apply("u:5", update(set={"n": 0}), "p")
    assert b'["p",{"n":5}]' in weighed, "what is changed has a limit"
    known.flush()
    assert known.get("u:5") == {"n": 0}
