"""Bytewax's own recovery store: made once, and cleaned of ghosts before each start (DESIGN 8.3)."""

from __future__ import annotations

import math
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from bytewax.recovery import init_db_dir

from pipeline.model.disk import locked, make_folder, sync
from pipeline.model.errors import StateError

PARTITIONS = 1


def prepare_recovery(folder: Path) -> int:
    """Make the recovery store or clean an existing one; return how many ghost rows were deleted.

    The processes of one job do so one after another. Raises StateError where it cannot be read.
    """
    make_folder(folder.parent)
    lock = locked(folder.with_suffix(".lock"), math.inf)
    try:
        return _prepare(folder)
    finally:
        os.close(lock)


def _prepare(folder: Path) -> int:
    parts = sorted(folder.glob("part-*.sqlite3"))
    if not parts:
        _make(folder)
        return 0
    try:
        return delete_ghosts(parts)
    except sqlite3.Error as error:
        raise StateError(
            f"{folder}: the recovery store cannot be read ({error}). Restore the state directory from a "
            "backup, or start with an empty one."
        ) from error


def _make(folder: Path) -> None:
    """Make an empty recovery store; it takes its place when it is complete: half of one is no store."""
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    make_folder(fresh)
    init_db_dir(fresh, PARTITIONS)
    for part in fresh.iterdir():
        sync(part)
    sync(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    sync(folder.parent)


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
