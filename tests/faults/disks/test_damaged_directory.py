"""The damaged directory as a table: what a run and `state check` say of each damage of a killed state.

Always exit 3, the file's place and what to do; never a wrong body, a Python exception or "nothing is lost".
"""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import lmdb
import pytest

from pipeline.receiver.server import Receiver
from pipeline.runtime.state.check import check_directory
from tests.chaos.damage import Damage, Killed, Seen, answers, at_random, killed, tried


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Killed]:
    with Receiver(answers()) as receiver:
        yield killed(tmp_path_factory.mktemp("killed"), receiver)


def one(state: Path, pattern: str) -> Path:
    return sorted(state.glob(pattern))[-1]


def emptied(pattern: str) -> Damage:
    return holding(pattern, b"")


def gone(pattern: str) -> Damage:
    return lambda state: one(state, pattern).unlink()


def holding(pattern: str, data: bytes) -> Damage:
    return lambda state: one(state, pattern).write_bytes(data)


def changed(pattern: str, old: bytes, new: bytes) -> Damage:
    def damage(state: Path) -> None:
        path = one(state, pattern)
        text = path.read_bytes()
        assert old in text
        path.write_bytes(text.replace(old, new))

    return damage


def cut(pattern: str, keep: float = 0.5) -> Damage:
    def damage(state: Path) -> None:
        path = one(state, pattern)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    return damage


def without_recovery(state: Path) -> None:
    for path in (state / "recovery").iterdir():
        path.unlink()
    (state / "recovery").rmdir()


def page_of_garbage(state: Path) -> None:
    data = bytearray(recovery_in_one_file(state).read_bytes())
    data[8192:12288] = b"\xa5" * 4096
    one(state, "recovery/part-0.sqlite3").write_bytes(data)


def statement_that_is_no_text(state: Path) -> None:
    """SQLite's message about it holds these bytes."""
    recovery_in_one_file(state)
    changed("recovery/part-0.sqlite3", b"CREATE TABLE snaps", b"CREATE \xccABLE snaps")(state)


def token_of_garbage(state: Path) -> None:
    with closing(sqlite3.connect(one(state, "recovery/part-0.sqlite3"))) as db, db:
        db.execute("UPDATE snaps SET ser_change = zeroblob(40) WHERE ser_change IS NOT NULL")


def recovery_in_one_file(state: Path) -> Path:
    """Return the store's file without the log beside it: the log's pages would be read instead."""
    part = one(state, "recovery/part-0.sqlite3")
    with closing(sqlite3.connect(part)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return part


def page_that_lmdb_aborts_on(state: Path) -> None:
    """Turn the root of a table from a leaf into a branch, as one flipped bit more or less can."""
    path = one(state, "shards/*/data.mdb")
    with lmdb.open(str(path.parent), readonly=True, lock=False, max_dbs=16) as env, env.begin() as txn:
        size = int(env.stat()["psize"])
        users = env.open_db(b"users", txn, create=False)
        assert txn.stat(users)["depth"] == 1
        key, row = next(iter(txn.cursor(users)))
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), size):
        if data[at + 10] == 2 and key + row in data[at : at + size]:
            data[at + 10] = 1
    path.write_bytes(data)


def tables_without_names(state: Path) -> None:
    path = one(state, "identity/*/data.mdb")
    with lmdb.open(str(path.parent), readonly=True, lock=False) as env:
        size = int(env.stat()["psize"])
    data = bytearray(path.read_bytes())
    for at in range(0, len(data), size):
        if all(name in data[at : at + size] for name in (b"meta", b"users", b"undo")):
            data[at : at + size] = bytes(size)
    path.write_bytes(data)


def version_that_is_needed(state: Path) -> None:
    """The one before an edit that was made while the job was stopped: what is repeated runs under it."""
    version = one(state, "source/*/switches").read_text().split()[-1]
    changed(f"versions/{version}.config", b"plan:", b"plam:")(state)
    edited = one(state.parent, "config/webhooks/w.yaml")
    edited.write_text(f"# another one\n{edited.read_text()}")


def foreign_journal(state: Path) -> None:
    (state / "shards/000/journal/old.journal").write_bytes(b"x")


@dataclass(slots=True, frozen=True)
class Row:
    """A damage; how a run ends and what it says; what `state check` says."""

    damage: Damage
    said: str
    listed: str = ""
    """"": the same."""
    code: int = 3


TABLE = {
    "a store is gone": Row(gone("shards/*/data.mdb"), "state rebuild"),
    "a store is empty": Row(emptied("shards/*/data.mdb"), "backup"),
    "a store is cut off": Row(cut("shards/*/data.mdb"), "cut off"),
    "a store of links is gone": Row(gone("identity/*/data.mdb"), "state rebuild"),
    "a store of links has zeros for its tables": Row(tables_without_names, "identity/recording"),
    "a page on which liblmdb aborts": Row(page_that_lmdb_aborts_on, "shards/001"),
    "the recovery store is gone": Row(without_recovery, "recovery store is gone"),
    "its file is gone": Row(gone("recovery/part-0.sqlite3"), "recovery store"),
    "its file is empty": Row(emptied("recovery/part-0.sqlite3"), "recovery store"),
    "its log is gone": Row(gone("recovery/*-wal"), "do not belong together"),
    "a page of it is garbage": Row(page_of_garbage, "recovery store cannot be read"),
    "a statement in it is no text": Row(statement_that_is_no_text, "recovery store cannot be read"),
    "its tokens are garbage": Row(token_of_garbage, "recovery store cannot be read"),
    "the description is empty": Row(emptied("hookline.json"), "hookline.json: not readable"),
    "the description is gone": Row(gone("hookline.json"), "hookline.json: is gone"),
    "the switches are empty": Row(emptied("source/*/switches"), "switches: damaged"),
    "the switches are cut off": Row(cut("source/*/switches"), "switches: damaged"),
    "the switches are no text": Row(holding("source/*/switches", b"\xa5" * 80), "switches: damaged"),
    "the switches are gone": Row(gone("source/*/switches"), "switches: damaged"),
    "the high water is empty": Row(emptied("source/*/high-water"), "high-water: damaged"),
    "the high water is gone": Row(gone("source/*/high-water"), "high-water: damaged"),
    "the high water is cut off": Row(cut("source/*/high-water"), "high-water: damaged"),
    "the high water is another": Row(holding("source/*/high-water", bytes([7]) * 44), "high-water: damaged"),
    "a version's text is another": Row(version_that_is_needed, ".config: the text of a config version"),
    "a halt is empty": Row(emptied("halted/gone.json"), "gone.json: damaged"),
    "a halt says nothing": Row(holding("halted/gone.json", b'{"halt":"gone"}'), "gone.json: damaged"),
    "a halt is none that is known": Row(changed("halted/gone.json", b"gone", b"gome"), "gone.json: damaged"),
    "a command is cut off": Row(cut("shards/*/commands/*"), "Remove the file and give the command again"),
    "a command names another row": Row(changed("shards/*/commands/*", b'["', b'["00'), "its checksum"),
    "a journal has a foreign name": Row(foreign_journal, "old.journal"),
}  # fmt: skip


@pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
def test_a_damage_is_found_and_told_with_its_place_and_what_to_do(
    tmp_path: Path, left: Killed, row: Row
) -> None:
    seen = tried(left, tmp_path, row.damage)
    assert seen.code == row.code, seen
    assert row.said in seen.said
    assert "lost: free" not in seen.said
    assert "panicked" not in seen.said
    assert seen.checked == 3, seen
    assert (row.listed or row.said) in seen.listed


def test_what_is_whole_is_taken_and_what_the_journals_lost_is_sent_again(
    tmp_path: Path, left: Killed
) -> None:
    for number, damage in enumerate((lambda state: None, cut("shards/*/journal/*"))):
        seen = tried(left, tmp_path / str(number), damage)
        assert (seen.code, seen.checked) == (0, 0), seen


def test_a_copy_on_a_disk_that_nobody_may_write_is_checked_and_left_alone(
    tmp_path: Path, left: Killed, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = left.copy(tmp_path / "copy").state
    recovery = state / "recovery"
    store = "part-0.sqlite3"
    for names in ({store, f"{store}-shm", f"{store}-wal"}, {store}):
        with monkeypatch.context() as closed:
            closed.setattr(os, "access", lambda path, mode: Path(path) != recovery)
            assert check_directory(state).problems == []
            assert {path.name for path in recovery.iterdir()} == names
        assert check_directory(state).problems == []  # it may write, and merges the log


@pytest.mark.parametrize("seed", range(4))
def test_no_damage_at_random_makes_a_wrong_body_or_a_crash(tmp_path: Path, left: Killed, seed: int) -> None:
    name, damage = at_random(random.Random(seed))
    seen: Seen = tried(left, tmp_path, damage)
    assert seen.code in (0, 3), (name, seen)
