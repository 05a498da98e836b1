"""Stores that commit at the same time, each in a thread of its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import lmdb
import pytest

from pipeline.model.errors import Fatal
from pipeline.store.rows import Table
from pipeline.store.store import EARLY_USERS, PREPARE_ROWS, Store, commit_thread

pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    opened = [Store(tmp_path / str(number), thread=commit_thread()) for number in range(3)]
    yield opened
    for store in opened:
        store.close()


def users(store: Store) -> dict[bytes, bytes]:
    return dict(store.committed(Table.USERS, b"", b""))


def test_all_wait_for_the_disk_at_the_same_time(stores: list[Store], monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = threading.Barrier(len(stores), timeout=60)
    end = Store._end

    def meet(store: Store, txn: Any, begun: float) -> float:
        at_once.wait()  # nobody commits before all have begun to
        return end(store, txn, begun)

    monkeypatch.setattr(Store, "_end", meet)
    for store in stores:
        store.put(Table.USERS, b"u", b"1")
        assert store.begin_commit() == 1
    assert [store.end_commit() for store in stores] == [1, 1, 1]
    assert all(users(store) == {b"u": b"1"} for store in stores)


def test_epoch_after_epoch_the_writers_lock_is_given_back(stores: list[Store]) -> None:
    for epoch in range(1, 20):
        for store in stores:
            for number in range(PREPARE_ROWS if epoch % 2 else 3):
                store.put(Table.USERS, b"%d" % number, b"%d" % epoch)
                store.delete(Table.CAPS, b"%d" % number)
            for _ in range(2):
                store.prepare()
                assert store._txn is None or store._beginning is None, "one transaction at a time"
            store.delete(Table.CAPS, b"last")
        for store in stores:
            store.begin_commit()
        assert {store.end_commit() for store in stores} == {epoch}
        assert users(stores[0])[b"0"] == b"%d" % epoch
    stores[0]._env.begin(write=True).abort()  # a lock that was left would be waited for for ever


def test_an_epoch_without_writes_is_none(stores: list[Store]) -> None:
    told: list[str] = []
    store = stores[0]
    store.prepare()
    begun = store._beginning
    assert begun is not None, "the epoch's end need not wait for it"
    store.prepare()
    assert store._beginning is begun, "another one would wait for it for ever"
    store.complete()
    assert store.begin_commit(lambda: told.append("asked")) == 0
    assert store.end_commit() == 0
    assert told == ["asked"]
    store.put(Table.USERS, b"u", b"1")
    assert store.begin_commit() == 1
    assert store.end_commit() == 1
    assert users(store) == {b"u": b"1"}


def test_what_follows_a_commit_is_called_when_it_is_durable_and_awaited_with_the_next(
    stores: list[Store],
) -> None:
    store, go_on, found = stores[0], threading.Event(), []

    def then() -> None:
        assert go_on.wait(60)
        found.append(users(store))
        raise OSError("no")

    store.put(Table.USERS, b"u", b"1")
    store.begin_commit(then)
    assert store.end_commit() == 1
    assert found == []
    go_on.set()
    store.put(Table.USERS, b"u", b"2")
    store.begin_commit()
    with pytest.raises(OSError, match="no"):
        store.end_commit()
    assert found == [{b"u": b"1"}]


def test_what_is_written_after_an_epoch_was_completed_is_in_it_all_the_same(stores: list[Store]) -> None:
    store = stores[0]
    store.put(Table.USERS, b"u", b"1")
    store.commit()
    store.put(Table.USERS, b"u", b"2")
    store.complete()
    store.put(Table.USERS, b"v", b"2")
    assert store.commit() == 2
    assert users(store) == {b"u": b"2", b"v": b"2"}
    assert store.resume(1)
    assert users(store) == {b"u": b"1"}


def test_what_a_commit_raises_is_raised_where_it_is_awaited(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    end = Store._end

    def fail(store: Store, txn: Any, begun: float) -> float:
        if store is broken:
            txn.abort()
            raise lmdb.Error("mdb_txn_commit: No space left on device")
        return end(store, txn, begun)

    broken, *well = stores
    monkeypatch.setattr(Store, "_end", fail)
    for store in stores:
        store.put(Table.USERS, b"u", b"1")
        store.begin_commit()
    with pytest.raises(Fatal, match="free disk space"):
        broken.end_commit()
    assert [store.end_commit() for store in well] == [1, 1]
    assert broken.seq == 0
    assert users(broken) == {}


def test_a_store_that_is_closed_in_mid_epoch_or_in_mid_commit_is_whole(tmp_path: Path) -> None:
    store = Store(tmp_path, thread=commit_thread())
    store.put(Table.USERS, b"u", b"1")
    store.begin_commit()
    store.close()
    store = Store(tmp_path, thread=commit_thread())
    assert store.seq == 1
    for number in range(PREPARE_ROWS):
        store.put(Table.CAPS, b"%d" % number, b"2")
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


# --- users that are committed before the epoch's end


def leave(store: Store) -> None:
    """Let the store begin to commit its users."""
    while store._leaving is None:
        store.prepare()
        if store._beginning is not None:
            wait([store._beginning], 60)


def put_users(store: Store, value: bytes, number: int = EARLY_USERS) -> None:
    for one in range(number):
        store.put(Table.USERS, b"%d" % one, value)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """No commit is done before this is set."""
    go_on, end = threading.Event(), Store._end

    def later(store: Store, txn: Any, begun: float) -> float:
        assert go_on.wait(60)
        return end(store, txn, begun)

    monkeypatch.setattr(Store, "_end", later)
    yield go_on
    go_on.set()


@pytest.mark.parametrize("seed", range(12))
def test_a_part_of_an_epoch_is_taken_back_like_a_whole_one(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    store = Store(tmp_path, thread=commit_thread())
    model: dict[tuple[Table, bytes], bytes] = {}
    parts = 0
    for epoch in range(8):
        before = dict(model)
        for at in range(120):
            table, key = dice.choice((Table.USERS, Table.USERS, Table.CAPS)), b"%d" % dice.randrange(60)
            if dice.random() < 0.2:
                store.delete(table, key)
                model.pop((table, key), None)
            else:
                model[table, key] = b"%d %d" % (epoch, at)
                store.put(table, key, model[table, key])
            if dice.random() < 0.1:
                if store._beginning is not None:
                    wait([store._beginning], 60)
                store.prepare()
                parts += store._leaving is not None
            if dice.random() < 0.02:
                assert dict(store.items(Table.USERS)) == {
                    key: value for (table, key), value in model.items() if table is Table.USERS
                }
            table, key = dice.choice((Table.USERS, Table.CAPS)), b"%d" % dice.randrange(60)
            assert store.get(table, key) == model.get((table, key))
        if is_killed := dice.random() < 0.5:
            model = before
        else:
            store.commit()
        if is_killed or dice.random() < 0.5:
            done = store.seq
            store.close()
            store = Store(tmp_path, thread=commit_thread())
            store.resume(done)
        for table in (Table.USERS, Table.CAPS):
            rows = {key: value for (where, key), value in model.items() if where is table}
            assert dict(store.items(table)) == rows
    store.close()
    assert parts


def test_users_that_are_being_committed_are_read_and_written_as_before(
    stores: list[Store], held: threading.Event
) -> None:
    store = stores[0]
    put_users(store, b"1")
    store.delete(Table.USERS, b"gone")
    leave(store)
    assert store.to_commit == 0
    assert store.get(Table.USERS, b"0") == b"1"
    assert store.get(Table.USERS, b"gone") is None
    assert users(store) == {}, "it is not committed yet"
    store.put(Table.USERS, b"0", b"2")
    store.delete(Table.USERS, b"1")
    assert store.get(Table.USERS, b"0") == b"2"
    assert store.get(Table.USERS, b"1") is None
    held.set()
    assert store.commit() == 1
    assert users(store) == {b"0": b"2"} | {b"%d" % number: b"1" for number in range(2, EARLY_USERS)}


def test_one_store_at_a_time_commits_users_early(tmp_path: Path, held: threading.Event) -> None:
    turn = threading.Lock()
    one, other = (Store(tmp_path / name, thread=commit_thread(), turn=turn) for name in ("one", "other"))
    for store in (one, other):
        put_users(store, b"1")
    leave(one)
    for _ in range(3):
        other.prepare()
        if other._beginning is not None:
            wait([other._beginning], 60)
    assert other._leaving is None
    held.set()
    one.prepare()
    assert one.commit() == 1
    leave(other)
    for store in (one, other):
        store.commit()
        store.close()


def test_users_that_cannot_be_committed_end_the_epoch_with_what_to_do(
    stores: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: Store, txn: Any, begun: float) -> float:
        txn.abort()
        raise lmdb.Error("mdb_txn_commit: No space left on device")

    store = stores[0]
    put_users(store, b"1")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "_end", fail)
        leave(store)
        with pytest.raises(Fatal, match="free disk space"):
            store.commit()
    assert not store._turn.locked(), "others have their turn"
    assert users(store) == {}
