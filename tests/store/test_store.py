"""The store: one transaction per epoch, and undo of the last one by bytes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import lmdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.model.errors import StateError
from pipeline.store import pending
from pipeline.store import store as store_module
from pipeline.store.pending import ROW_BYTES, Pending
from pipeline.store.rows import Table, bounded
from pipeline.store.store import PREPARE_ROWS, READER_CHECK_SECS, Store, commit_thread
from tests.kit.examples import examples

pytestmark = pytest.mark.usefixtures("unsynced")

KEYS = st.sampled_from([b"a", b"b", b"c", b"d"])
CHANGES = st.lists(
    st.tuples(st.sampled_from([Table.USERS, Table.OUTBOX]), KEYS, st.none() | st.binary(max_size=4)),
    max_size=8,
)


def rows(store: Store) -> dict[tuple[Table, bytes], bytes]:
    return {(t, k): v for t in (Table.USERS, Table.OUTBOX) for k, v in store.committed(t, b"", b"")}


def write(store: Store, changes: list[tuple[Table, bytes, bytes | None]]) -> None:
    for table, key, value in changes:
        if value is None:
            store.delete(table, key)
        else:
            store.put(table, key, value)


def test_an_epoch_reads_its_own_writes_and_others_read_only_committed_ones(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(Table.USERS, b"u", b"1")
    assert store.get(Table.USERS, b"u") == b"1"
    assert rows(store) == {}
    assert store.commit() == 1
    assert rows(store) == {(Table.USERS, b"u"): b"1"}
    store.delete(Table.USERS, b"u")
    assert store.get(Table.USERS, b"u") is None
    assert rows(store) == {(Table.USERS, b"u"): b"1"}
    store.close()


def test_committed_keys_are_those_of_the_last_commit_that_have_the_prefix(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for key in (b"b\xff", b"a", b"b", b"c", b"b\0"):
        store.put(Table.OUTBOX, key, b"1")
    assert list(store.committed_keys(Table.OUTBOX, b"b")) == []
    store.commit()
    store.put(Table.OUTBOX, b"bb", b"1")
    store.delete(Table.OUTBOX, b"b")
    store.flush()
    assert list(store.committed_keys(Table.OUTBOX, b"b")) == [b"b", b"b\0", b"b\xff"]
    assert list(store.committed_keys(Table.OUTBOX, b"d")) == []
    store.close()


def test_an_epoch_without_writes_keeps_its_number(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.commit() == 0
    store.put(Table.USERS, b"u", b"1")
    assert store.commit() == 1
    assert store.commit() == 1
    store.close()


@pytest.mark.parametrize("own_thread", [False, True])
def test_what_follows_a_commit_is_called_with_or_without_writes(tmp_path: Path, own_thread: bool) -> None:
    store = Store(tmp_path, thread=commit_thread() if own_thread else None)
    told: list[int] = []
    for number in range(3):
        if number != 1:
            store.put(Table.USERS, b"u", b"%d" % number)
        store.begin_commit(partial(told.append, number))
        store.end_commit()
    store.close()  # waits for the thread
    assert told == [0, 1, 2]


@given(
    epochs=st.lists(CHANGES, min_size=1, max_size=5),
    early=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["flush", "prepare"])), max_size=3),
)
@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_undo_puts_back_exactly_the_state_before_the_last_epoch(
    tmp_path_factory: pytest.TempPathFactory, epochs: list[list], early: list[tuple[int, str]]
) -> None:
    path = tmp_path_factory.mktemp("store")
    fewest = pytest.MonkeyPatch()
    fewest.setattr(store_module, "PREPARE_ROWS", 1)
    store = Store(path, map_size=1 << 26)
    states = [rows(store)]
    for epoch in epochs:
        for number, change in enumerate(epoch):
            for after, method in early:
                if number == after:
                    getattr(store, method)()
            write(store, [change])
        store.put(Table.COUNTERS, b"n", b"%d" % len(states))
        store.commit()
        states.append(rows(store))
    last = len(epochs)
    store.close()
    store = Store(path, map_size=1 << 26)
    assert store.resume(last - 1) is True
    assert rows(store) == states[last - 1]
    assert store.seq == last - 1
    assert store.resume(last - 1) is False
    write(store, epochs[-1])
    store.put(Table.COUNTERS, b"n", b"again")
    store.commit()
    assert rows(store) == states[last]
    store.close()
    fewest.undo()


def test_a_store_two_epochs_ahead_is_refused_with_what_to_do(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for number in (b"1", b"2"):
        store.put(Table.USERS, b"u", number)
        store.commit()
    with pytest.raises(StateError, match="do not belong together"):
        store.resume(0)
    with pytest.raises(StateError, match="do not belong together"):
        store.resume(3)
    with pytest.raises(StateError, match="do not belong together"):
        store.resume(7, "0123456789abcdef")
    store.close()
    with pytest.raises(StateError, match="files are gone"):
        Store(tmp_path / "another").resume(7, "0123456789abcdef")


def test_an_epoch_of_another_copy_is_refused_under_the_same_number(tmp_path: Path) -> None:
    store = Store(tmp_path)
    runs = [store.run_of(0)]
    for number in (b"1", b"2"):
        store.put(Table.USERS, b"u", number)
        assert store.begin_commit() == int(number)
        runs.append(store.run_of(int(number)))  # as an identity key asks, before it is committed
        store.end_commit()
        assert store.run_of(store.seq) == runs[-1]
    assert runs[0] == "" != runs[1] == runs[2]
    store.close()
    store = Store(tmp_path)
    store.put(Table.USERS, b"u", b"3")
    store.commit()
    assert store.run_of(3) not in runs
    assert store.run_of(2) == runs[2]
    for seq, run in ((3, runs[2]), (2, "0123456789abcdef")):
        with pytest.raises(StateError, match="do not belong together"):
            store.resume(seq, run)
    assert store.resume(2, runs[2]) is True
    store.put(Table.USERS, b"u", b"3 again")
    store.commit()
    assert store.resume(2, runs[2]) is True, "it knows whose the one before is, also after it was put back"
    store.close()
    store = Store(tmp_path)
    assert store.resume(2, runs[2]) is False
    with pytest.raises(StateError, match="do not belong together"):
        store.resume(2, "0123456789abcdef")
    assert store.resume(2) is False, "a token of an older version names nobody"
    store.close()


def test_a_store_that_was_rebuilt_is_whose_it_is_told_to_be(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(Table.USERS, b"u", b"1")
    store.commit_as(7, "0123456789abcdef")
    store.close()
    store = Store(tmp_path)
    assert store.resume(7, "0123456789abcdef") is False
    assert store.get(Table.USERS, b"u") == b"1"
    store.put(Table.USERS, b"u", b"2")
    store.commit()
    store.close()
    store = Store(tmp_path)
    assert store.resume(7, "0123456789abcdef") is True
    store.close()


def test_what_was_not_committed_is_gone_after_a_restart(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(Table.USERS, b"u", b"1")
    store.commit()
    store.put(Table.USERS, b"u", b"2")
    store.flush()
    store.close()
    store = Store(tmp_path)
    assert store.get(Table.USERS, b"u") == b"1"
    assert store.seq == 1
    store.close()


def test_a_second_owner_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StateError, match="in use by another job"):
        Store(tmp_path, lock_wait_secs=0)
    store.close()
    Store(tmp_path, lock_wait_secs=0).close()


def test_a_damaged_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "data.mdb").write_bytes(b"not a store" * 1000)
    with pytest.raises(StateError, match="Restore the whole state directory from one backup"):
        Store(tmp_path)


def test_long_keys_are_hashed_and_stay_apart() -> None:
    a, b = b"x" * 500 + b"a", b"x" * 500 + b"b"
    assert len(bounded(a)) <= 400
    assert bounded(a) != bounded(b)
    assert bounded(b"short") == b"short"
    # Where hashing begins is part of the format: a row under another key would be missed.
    assert bounded(b"x" * 400) == b"x" * 400
    assert len(bounded(b"x" * 401)) == 400


@pytest.mark.parametrize("own_thread", [False, True])
def test_rows_go_to_the_transaction_before_the_epochs_end_once_there_are_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_thread: bool
) -> None:
    monkeypatch.setattr(store_module, "EARLY_ROWS", PREPARE_ROWS + 1)
    store = Store(tmp_path, thread=commit_thread() if own_thread else None)
    store.put(Table.USERS, b"u", b"before")
    store.commit()
    store.put(Table.USERS, b"u", b"after")
    store.prepare()
    assert len(store._pending.fresh) == 1
    for number in range(PREPARE_ROWS):
        store.put(Table.OUTBOX, b"%02d" % number, b"new")
    store.prepare()
    assert not any(store._pending.rows.values()), "they are in the transaction"
    assert store.get(Table.USERS, b"u") == b"after"
    store.put(Table.USERS, b"u", b"later")  # changes again: what it was before stays what it was
    store.delete(Table.OUTBOX, b"00")
    for number in range(PREPARE_ROWS):
        store.put(Table.CAPS, b"%02d" % number, b"new")
    store.prepare()  # too many: they are looked up, no more
    assert not store._pending.fresh
    assert len(store._pending.rows[Table.CAPS]) == PREPARE_ROWS
    assert store.get(Table.USERS, b"u") == b"later"
    assert store.get(Table.OUTBOX, b"00") is None
    assert rows(store) == {(Table.USERS, b"u"): b"before"}
    assert store.commit() == 2
    assert rows(store)[Table.USERS, b"u"] == b"later"
    assert len(rows(store)) == PREPARE_ROWS
    assert store.resume(1) is True
    assert rows(store) == {(Table.USERS, b"u"): b"before"}
    for number in range(PREPARE_ROWS):
        store.put(Table.OUTBOX, b"%02d" % number, b"new")
    store.prepare()
    assert not any(store._pending.rows.values()), "each epoch may have as many there"
    store.close()


def test_of_large_rows_no_more_is_held_than_may_be_and_all_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "FLUSH_BYTES", 10_000)
    monkeypatch.setattr(store_module, "EARLY_ROWS", PREPARE_ROWS)
    store, held = Store(tmp_path), []
    for number in range(1_000):
        store.put(Table.OUTBOX, b"%d" % number, b"x" * 1_000)
    store.commit()
    whole = rows(store)

    put = Pending._put_before

    def noting(own: Pending, txn: lmdb.Transaction[bytes]) -> None:
        held.append(sum(map(len, own.before.values())))
        put(own, txn)

    monkeypatch.setattr(Pending, "_put_before", noting)
    for number in range(1_000):
        store.delete(Table.OUTBOX, b"%d" % number)
        if number < 200:
            store.prepare()
    store.commit()
    assert sum(held) > 1_000_000
    assert max(held) < 10_000 + pending.LOOK_UP_ROWS * 1_100
    assert store.resume(1)
    assert rows(store) == whole
    store.close()


def test_large_epochs_go_to_the_transaction_early_and_still_undo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.store.pending.FLUSH_BYTES", 100)
    store = Store(tmp_path)
    store.put(Table.USERS, b"u", b"before")
    store.commit()
    for number in range(50):
        store.put(Table.USERS, b"u", b"x" * 60 + b"%d" % number)
        store.put(Table.USERS, b"k%d" % number, b"y" * 60)
        assert store._pending.bytes <= 100
    store.commit()
    assert store.resume(1)
    assert rows(store) == {(Table.USERS, b"u"): b"before"}
    store.close()


def test_a_row_that_changes_again_counts_once_with_its_present_size(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for size in (0, 10, 1000, 10):
        store.put(Table.USERS, b"k", bytes(size))
        assert store.to_commit == size + ROW_BYTES
    store.delete(Table.USERS, b"k")
    assert store.to_commit == ROW_BYTES
    store.close()


def test_rows_that_are_removed_are_held_no_longer_than_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users are forgotten by the million, too."""
    monkeypatch.setattr(pending, "FLUSH_BYTES", 10 * ROW_BYTES)
    store = Store(tmp_path)
    for number in range(100):
        store.put(Table.USERS, b"%d" % number, b"x")
    store.commit()
    whole = rows(store)
    for number in range(100):
        store.delete(Table.USERS, b"%d" % number)
        assert len(store._pending.rows[Table.USERS]) <= 10
        assert store.to_commit == (number + 1) * ROW_BYTES, "the source waits where this is much"
    store.commit()
    assert rows(store) == {}
    assert store.resume(1)
    assert rows(store) == whole
    store.close()


@pytest.mark.parametrize("own_thread", [False, True])
def test_what_an_epoch_has_to_commit_begins_anew_with_each(tmp_path: Path, own_thread: bool) -> None:
    """Else the sources of a job with many shards would wait after each chunk for its commit."""
    store = Store(tmp_path, thread=commit_thread() if own_thread else None)
    seen = []
    for number in range(3):
        store.put(Table.USERS, b"k%d" % number, b"x" * 1000)
        early = store.to_commit
        store.flush()
        store.put(Table.USERS, b"k%d" % number, b"y" * 1000)
        seen.append((early, store.to_commit))
        store.commit()
        assert store.to_commit == 0
    assert seen == [(1000 + ROW_BYTES, 2 * (1000 + ROW_BYTES))] * 3
    store.close()


@pytest.mark.skipif(shutil.which("strace") is None, reason="counting syncs needs strace")
def test_a_new_store_waits_for_the_disk_a_few_times_and_one_that_is_there_hardly(tmp_path: Path) -> None:
    """Nine stores of seventeen syncs each kept a first start on a slow disk waiting for half a minute."""
    program = "import sys, pathlib, pipeline.store.store as s; s.Store(pathlib.Path(sys.argv[1]))"
    for most in (5, 3):
        words = [sys.executable, "-c", program, str(tmp_path / "store")]
        traced = subprocess.run(
            ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,msync", *words],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        if "not permitted" in traced.stderr:
            pytest.skip("this machine does not let a process be traced")
        assert traced.returncode == 0, traced.stderr
        assert traced.stderr.count("sync(") <= most, traced.stderr


def test_a_new_store_that_is_killed_anywhere_is_in_its_folder_before_it_has_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    synced: list[Path] = []

    def killed(path: Path) -> None:
        raise Killed

    monkeypatch.setattr(store_module, "sync", killed)
    with pytest.raises(Killed):
        Store(tmp_path)
    monkeypatch.setattr(store_module, "sync", synced.append)
    monkeypatch.setattr(store_module, "lock", lambda path, secs: os.open(path, os.O_RDONLY))
    Store(tmp_path).close()
    assert synced == [tmp_path], "LMDB does not do that"
    Store(tmp_path).close()
    assert synced == [tmp_path], "once is enough"


def test_a_reader_that_was_killed_is_forgotten_within_a_minute(tmp_path):
    """Else what it saw is kept for ever, and the file grows with every epoch."""
    now = [0.0]
    store = Store(tmp_path / "store", clock=lambda: now[0])
    store.put(Table.USERS, b"a", b"1")
    store.commit()
    look = (
        "import lmdb, os, sys; env = lmdb.open(sys.argv[1], readonly=True, max_dbs=20); "
        "txn = env.begin(); os.kill(os.getpid(), 9)"
    )
    died = subprocess.run([sys.executable, "-c", look, str(store.path)])
    assert died.returncode == -signal.SIGKILL

    def readers() -> int:
        return len(store._env.readers().splitlines())

    def commit() -> int:
        store.put(Table.USERS, b"a", b"%f" % now[0])
        store.commit()
        return readers()

    before = commit()
    now[0] = READER_CHECK_SECS
    assert commit() == before - 1
    store.close()


def test_what_is_written_while_a_store_commits_is_refused_since_it_would_be_of_no_epoch(tmp_path):
    store = Store(tmp_path, thread=commit_thread())
    store.put(Table.USERS, b"k", b"1")
    store.begin_commit()
    for write in (lambda: store.put(Table.USERS, b"k", b"2"), lambda: store.delete(Table.USERS, b"k")):
        with pytest.raises(RuntimeError, match="written while it commits"):
            write()
    store.end_commit()
    store.put(Table.USERS, b"k", b"3")
    assert store.commit() == 2
    store.close()
