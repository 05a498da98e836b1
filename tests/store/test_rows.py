"""What every keeper of rows promises, the store on disk as well as the one in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.store.memory import MemoryRows
from pipeline.store.rows import MAX_KEY, Rows, Table, bounded
from pipeline.store.store import Store
from tests.kit.examples import examples

CHANGES = st.lists(
    st.tuples(
        st.sampled_from([Table.USERS, Table.CAPS]),
        st.binary(min_size=1, max_size=2),
        st.none() | st.binary(max_size=3),
    ),
    max_size=20,
)


@pytest.fixture(params=["on disk", "in memory"])
def new(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Rows]]:
    """Makes empty rows."""
    opened: list[Store] = []

    def on_disk() -> Store:
        opened.append(Store(tmp_path_factory.mktemp("rows")))
        return opened[-1]

    yield on_disk if request.param == "on disk" else MemoryRows
    for store in opened:
        store.close()


@pytest.fixture
def rows(new: Callable[[], Rows]) -> Rows:
    return new()


def test_a_row_is_what_was_put_last(rows: Rows) -> None:
    assert rows.get(Table.USERS, b"k") is None
    rows.put(Table.USERS, b"k", b"1")
    rows.put(Table.USERS, b"k", b"2")
    assert rows.get(Table.USERS, b"k") == b"2"


def test_tables_do_not_see_one_another(rows: Rows) -> None:
    rows.put(Table.USERS, b"k", b"1")
    assert rows.get(Table.CAPS, b"k") is None
    assert list(rows.items(Table.CAPS)) == []


def test_a_deleted_row_is_gone_and_to_delete_a_missing_one_is_no_error(rows: Rows) -> None:
    rows.put(Table.USERS, b"k", b"1")
    rows.delete(Table.USERS, b"k")
    rows.delete(Table.USERS, b"never there")
    assert rows.get(Table.USERS, b"k") is None
    assert list(rows.items(Table.USERS)) == []


def test_an_empty_value_is_a_row(rows: Rows) -> None:
    rows.put(Table.USERS, b"k", b"")
    assert rows.get(Table.USERS, b"k") == b""
    assert list(rows.items(Table.USERS)) == [(b"k", b"")]


def test_the_longest_key_is_taken(rows: Rows) -> None:
    key = bounded(b"x" * 10_000)
    assert len(key) == MAX_KEY
    rows.put(Table.USERS, key, b"1")
    assert rows.get(Table.USERS, key) == b"1"


def test_items_come_in_key_order_from_a_key_on_and_with_a_prefix(rows: Rows) -> None:
    for key in (b"b\xff", b"a", b"b", b"c", b"b\0"):
        rows.put(Table.USERS, key, key)
    assert [key for key, _ in rows.items(Table.USERS)] == [b"a", b"b", b"b\0", b"b\xff", b"c"]
    assert [key for key, _ in rows.items(Table.USERS, b"b")] == [b"b", b"b\0", b"b\xff"]
    assert [key for key, _ in rows.items(Table.USERS, start=b"b\1")] == [b"b\xff", b"c"]
    assert [key for key, _ in rows.items(Table.USERS, b"b", start=b"b\0")] == [b"b\0", b"b\xff"]
    assert list(rows.items(Table.USERS, b"b", start=b"c")) == []


@given(changes=CHANGES, prefix=st.binary(max_size=1), start=st.binary(max_size=2))
@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_rows_are_a_sorted_dictionary(
    new: Callable[[], Rows], changes: list[tuple[Table, bytes, bytes | None]], prefix: bytes, start: bytes
) -> None:
    rows = new()
    model: dict[tuple[Table, bytes], bytes] = {}
    for table, key, value in changes:
        if value is None:
            rows.delete(table, key)
            model.pop((table, key), None)
        else:
            rows.put(table, key, value)
            model[table, key] = value
        assert rows.get(table, key) == value
    for wanted in (Table.USERS, Table.CAPS):
        expected = [
            (key, value)
            for (table, key), value in sorted(model.items())
            if table is wanted and key.startswith(prefix) and key >= start
        ]
        assert list(rows.items(wanted, prefix, start)) == expected


def test_what_a_store_commits_is_there_with_what_was_written_since(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(Table.USERS, b"a", b"1")
    store.put(Table.USERS, b"b", b"1")
    store.commit()
    store.put(Table.USERS, b"b", b"2")
    store.delete(Table.USERS, b"a")
    assert list(store.items(Table.USERS)) == [(b"b", b"2")]
    store.close()
