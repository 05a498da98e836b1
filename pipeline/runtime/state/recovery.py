"""Bytewax's own recovery store: made once, and cleaned of ghosts before each start (DESIGN 8.3)."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from bytewax.recovery import init_db_dir

from pipeline.model.errors import StateError

PARTITIONS = 1


def prepare_recovery(folder: Path) -> int:
    """Make the recovery store or clean an existing one; return how many ghost rows were deleted.

    The processes of one job do so one after another. Raises StateError where it cannot be read.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_suffix(".lock")):
        return _prepare(folder)


def _prepare(folder: Path) -> int:
    parts = sorted(folder.glob("part-*.sqlite3"))
    if not parts:
        folder.mkdir(parents=True, exist_ok=True)
        init_db_dir(folder, PARTITIONS)
        return 0
    try:
        return delete_ghosts(parts)
    except sqlite3.Error as error:
        raise StateError(
            f"{folder}: the recovery store cannot be read ({error}). Restore the state directory from a "
            "backup, or start with an empty one."
        ) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def delete_ghosts(parts: list[Path]) -> int:
    """Delete snapshots of epochs that never became durable; a resume would load them otherwise.

    The resume epoch is the least, over the workers of the newest execution, of how far each is known to
    have come: rows of that epoch and later are of a run that did not finish them.
    """
    resume = resume_epoch(parts)
    if resume is None:
        return 0
    deleted = 0
    for part in parts:
        with closing(sqlite3.connect(part)) as db, db:
            deleted += db.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (resume,)).rowcount
    return deleted


def resume_epoch(parts: list[Path]) -> int | None:
    """Return the epoch that Bytewax will resume at, None where nothing ran yet."""
    executions: dict[int, tuple[int, int]] = {}
    frontiers: dict[tuple[int, int], int] = {}
    for part in parts:
        with closing(sqlite3.connect(part)) as db:
            for number, workers, epoch in db.execute("SELECT ex_num, worker_count, resume_epoch FROM exs"):
                executions[number] = (workers, epoch)
            for number, worker, frontier in db.execute(
                "SELECT ex_num, worker_index, worker_frontier FROM fronts"
            ):
                known = frontiers.get((number, worker), 0)
                frontiers[number, worker] = max(known, frontier)
    if not executions:
        return None
    newest = max(executions)
    workers, epoch = executions[newest]
    return min(max(epoch, frontiers.get((newest, worker), epoch)) for worker in range(workers))
