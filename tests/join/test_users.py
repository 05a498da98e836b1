"""Users: what is known is what a plain dict would know, whatever fits into the cache."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.join import users as users_module
from pipeline.join.users import EARLY_USERS, SOME, Users
from pipeline.model.records import MISSING, PropertyUpdate
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.examples import examples
from tests.kit.streams.records import update

pytestmark = pytest.mark.usefixtures("unsynced")

NAMES = st.sampled_from(["plan", "age", "x"])
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 1, 1.0, 0, "", "pro", [], [1], [True], {"a": 1}, {"a": 1.0}, {"b": []}]
)
UPDATES = st.builds(
    lambda set_, once, unset, delete: update(user="u", set=set_, set_once=once, unset=unset, delete=delete),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.dictionaries(NAMES, VALUES, max_size=3),
    st.lists(NAMES, max_size=2),
    st.sampled_from([False, False, False, True]),
)
STEPS = st.lists(
    st.tuples(st.sampled_from(["u:a", "u:b", "a:c", "u:" + "ü" * 300]), UPDATES)
    | st.sampled_from(["early", "early", "epoch", "restart"]),
    max_size=25,
)


def exact(value: Any) -> str:
    """Return a text that tells 1, 1.0 and true apart."""
    return repr(sorted(value.items()) if isinstance(value, dict) else value)


def loose(value: Any) -> str:
    """Return a text that tells 1 and true apart, but not 1 and 1.0."""
    return exact(value).replace("1.0", "1")


def known_after(before: dict[str, Any], change: PropertyUpdate) -> dict[str, Any]:
    """The join's rules, by a plain dict: set wins over set_once for one name, unset comes last."""
    after = {} if change.delete else dict(before)
    after.update(change.set)
    for name, value in change.set_once.items():
        after.setdefault(name, value)
    return {name: value for name, value in after.items() if name not in change.unset}


@given(steps=STEPS, cache=st.integers(1, 3))
@settings(max_examples=examples(150), deadline=None)
def test_users_are_what_a_plain_dict_says_and_old_values_are_what_really_changed(
    steps: list, cache: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(users_module, "SOME", 1)
        store = Store(Path(folder), map_size=1 << 26)
        users = Users(store, cache_users=cache)
        plain: dict[str, dict[str, Any]] = {}
        for step in steps:
            if step == "early":
                users.write_some()
                continue
            if step == "epoch" or step == "restart":
                users.flush()
                store.commit()
                if step == "restart":
                    users = Users(store, cache_users=cache)
                continue
            key, change = step
            before = plain.get(key, {})
            after = plain[key] = known_after(before, change)
            old = users.apply(key, change, "p")
            changed = {
                name: before.get(name, MISSING)
                for name in before.keys() | after.keys()
                if loose(before.get(name, MISSING)) != loose(after.get(name, MISSING))
            }
            assert exact(old) == exact(changed)
            for each, properties in plain.items():
                assert exact(users.get(each)) == exact(properties)
        users.flush()
        store.commit()
        rows = list(store.committed(Table.USERS, b"", b""))
        assert len(rows) == sum(1 for properties in plain.values() if properties)
        store.close()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, map_size=1 << 26)


def test_users_are_written_before_the_epochs_end_but_no_more_than_so_many_times(store: Store) -> None:
    users, written = Users(store), []

    def put(table: Table, key: bytes, value: bytes) -> None:
        written.append(key)
        Store.put(store, table, key, value)

    store.put = put  # type: ignore[method-assign]  # watched
    for epoch in range(2):
        for number in range(2 * EARLY_USERS):
            assert len(written) == min(number // SOME * SOME, EARLY_USERS)
            users.apply(
                "u:a" if number % SOME == 0 else f"u:{number}", update(set={"n": [epoch, number]}), "p"
            )
            users.write_some()
        users.flush()
        assert len(written) > EARLY_USERS
        written.clear()
        store.commit()
    assert users.get("u:a") == {"n": [1, 2 * EARLY_USERS - SOME]}
    store.close()


def test_the_old_value_of_something_new_is_missing_and_an_equal_value_is_no_change(store: Store) -> None:
    users = Users(store)
    assert users.apply("u:1", update(set={"plan": "pro"}), "p") == {"plan": MISSING}
    assert users.apply("u:1", update(set={"plan": "pro"}), "p") == {}
    assert users.apply("u:1", update(set={"plan": "free"}, set_once={"plan": "x"}), "p") == {"plan": "pro"}
    assert users.apply("u:1", update(unset=["plan", "other"]), "p") == {"plan": "free"}
    assert users.apply("u:1", update(set={"plan": "a"}, unset=["plan"]), "p") == {}


def test_an_undone_epoch_is_forgotten_also_by_the_cache_of_the_next_owner(tmp_path: Path) -> None:
    store = Store(tmp_path)
    users = Users(store)
    for plan in ("free", "pro"):
        users.apply("u:1", update(set={"plan": plan}), "p")
        users.flush()
        store.commit()
    store.close()
    store = Store(tmp_path)
    store.resume(1)
    assert Users(store).get("u:1") == {"plan": "free"}
    store.close()


def test_a_row_is_the_last_partition_and_what_is_known(store: Store) -> None:
    users = Users(store)
    users.apply("u:1", update(set={"plan": "pro"}), "a")
    users.apply("u:1", update(set={"n": 1}), "b")
    users.flush()
    assert store.get(Table.USERS, b"u:1") == b'["b",{"plan":"pro","n":1}]'


@pytest.mark.parametrize("cache", [1, 100])
def test_a_user_whose_updates_come_from_two_partitions_is_counted(store: Store, cache: int) -> None:
    users = Users(store, cache_users=cache)
    for number, partition in enumerate(("a", "a", "b", "b", "a")):
        users.apply("u:1", update(set={"n": number}), partition)
        for other in range(3):
            users.get(f"u:other-{other}")
        users.flush()
        store.commit()
    assert users.misrouted == 2


def test_a_number_that_is_written_otherwise_is_kept_and_is_no_change(store: Store) -> None:
    users = Users(store)
    users.apply("u:1", update(set={"n": 5, "list": [5], "flag": 1}), "p")
    assert users.apply("u:1", update(set={"n": 5.0, "list": [5.0], "flag": True}), "p") == {"flag": 1}
    users.flush()
    store.commit()
    assert exact(Users(store).get("u:1")) == exact({"n": 5.0, "list": [5.0], "flag": True})
