"""Ghosts: rows that Bytewax wrote for an epoch that it never finished, and what becomes of them."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.model.errors import StateError
from pipeline.runtime.state.recovery import prepare_recovery, resume_epoch
from pipeline.store.folders import shard_folder
from pipeline.store.rows import Table
from pipeline.store.store import Store

FLOW = Path(__file__).with_name("ghostly.py")


def run(recovery: Path, which: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, FLOW, recovery, which], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout.strip()


@pytest.fixture
def recovery(tmp_path: Path) -> Path:
    """A place inside of a state directory: beside it are its stores, here none."""
    return tmp_path / "recovery"


@pytest.mark.parametrize("purged", [True, False])
def test_a_key_that_sleeps_after_a_kill_comes_back_from_a_ghost_unless_ghosts_are_purged(
    recovery: Path, purged: bool
) -> None:
    assert prepare_recovery(recovery) == 0
    assert run(recovery, "first")[0] == -signal.SIGKILL
    if purged:
        assert prepare_recovery(recovery) >= 1
        assert prepare_recovery(recovery) == 0
    assert run(recovery, "second")[0] == -signal.SIGKILL
    if purged:
        prepare_recovery(recovery)
    code, seen = run(recovery, "last")
    assert code == 0
    # Bytewax alone gives the third item to a memory that has it already.
    assert seen == ("1 2 3 4 5 6" if purged else "1 2 3 3 4 5 6")


def test_a_finished_run_leaves_no_ghosts_and_its_rows_are_kept(recovery: Path) -> None:
    prepare_recovery(recovery)
    assert run(recovery, "last") == (0, "1 2 3 4 5 6")
    with closing(sqlite3.connect(recovery / "part-0.sqlite3")) as db:
        before = db.execute("SELECT count(*) FROM snaps").fetchone()
        assert prepare_recovery(recovery) == 0
        assert db.execute("SELECT count(*) FROM snaps").fetchone() == before
    assert run(recovery, "last") == (0, "1 2 3 4 5 6")


def test_an_empty_recovery_store_has_no_epoch_to_resume(recovery: Path) -> None:
    prepare_recovery(recovery)
    assert resume_epoch(sorted(recovery.glob("part-*.sqlite3"))) is None
    assert prepare_recovery(recovery) == 0


def test_a_damaged_recovery_store_is_named_with_what_to_do(recovery: Path) -> None:
    prepare_recovery(recovery)
    (recovery / "part-0.sqlite3").write_bytes(b"not a database, but long enough to look at" * 100)
    assert prepare_recovery(recovery) == 0, "nothing was ever committed: it is made anew"
    store = Store(shard_folder(recovery.parent, 0))
    store.put(Table.COUNTERS, b"w/matched", b"1")
    store.commit()
    store.close()
    (recovery / "part-0.sqlite3").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(StateError, match="Restore the whole state directory from one backup"):
        prepare_recovery(recovery)
