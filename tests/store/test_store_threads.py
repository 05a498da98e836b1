"""Stores that commit at the same time, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from pipeline.model.errors import Fatal
from pipeline.store.rows import Table
from pipeline.store.store import PREPARE_ROWS, Store

pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    opened = [Store(tmp_path / str(number), own_thread=True) for number in range(3)]
    yield opened
    for store in opened:
        store.close()


def users(store: Store) -> dict[bytes, bytes]:
    return dict(store.committed(Table.USERS, b"", b""))


def test_all_wait_for_the_disk_at_the_same_time(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = threading.Barrier(len(stores), timeout=60)

    def meet() -> None:
        at_once.wait()

    for store in stores:
        store.put(Table.USERS, b"u", b"1")
        store.begin_commit(meet)  # nobody commits before all have begun to
    assert [store.end_commit() for store in stores] == [1, 1, 1]
    assert all(users(store) == {b"u": b"1"} for store in stores)


def test_epoch_after_epoch_the_writers_lock_is_given_back(stores: list[Store]) -> None:
    for epoch in range(1, 20):
        for store in stores:
            for number in range(PREPARE_ROWS if epoch % 2 else 3):
                store.put(Table.USERS, b"%d" % number, b"%d" % epoch)
            store.prepare()
        for store in stores:
            store.begin_commit()
        assert {store.end_commit() for store in stores} == {epoch}
        assert users(stores[0])[b"0"] == b"%d" % epoch
    stores[0]._env.begin(write=True).abort()  # a lock that was left would be waited for for ever


def test_an_epoch_without_writes_is_none(stores: list[Store]) -> None:
    told: list[str] = []
    store = stores[0]
    store.prepare()  # begins a transaction
    store.begin_commit(lambda: told.append("asked"))
    assert store.end_commit() == 0
    store.put(Table.USERS, b"u", b"1")
    store.begin_commit(lambda: told.append("again"))
    assert store.end_commit() == 1
    assert told == ["asked", "again"]
    assert users(store) == {b"u": b"1"}


def test_what_a_commit_raises_is_raised_where_it_is_awaited(stores: list[Store]) -> None:
    def fail() -> None:
        raise lmdb.Error("mdb_txn_commit: No space left on device")

    broken, *well = stores
    for store in stores:
        store.put(Table.USERS, b"u", b"1")
        store.begin_commit(fail if store is broken else lambda: None)
    with pytest.raises(Fatal, match="free disk space"):
        broken.end_commit()
    assert [store.end_commit() for store in well] == [1, 1]
    assert broken.seq == 0
    assert users(broken) == {}


def test_a_store_that_is_closed_in_mid_epoch_or_in_mid_commit_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path, own_thread=True)
    store.put(Table.USERS, b"u", b"1")
    store.begin_commit()
    store.close()
    store = Store(tmp_path, own_thread=True)
    assert store.seq == 1
    for number in range(PREPARE_ROWS):
        store.put(Table.USERS, b"%d" % number, b"2")
    store.prepare()
    store.close()
    store = Store(tmp_path)
    assert users(store) == {b"u": b"1"}
    assert store.resume(0) is True
    assert users(store) == {}
    store.close()


def test_a_transaction_that_cannot_be_begun_says_so_where_it_is_needed(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise lmdb.Error("mdb_txn_begin: No space left on device")

    monkeypatch.setattr(Store, "_begin", fail)
    stores[0].put(Table.USERS, b"u", b"1")
    with pytest.raises(Fatal, match="free disk space"):
        stores[0].commit()
    stores[1].put(Table.USERS, b"u", b"1")  # and is closed nevertheless
