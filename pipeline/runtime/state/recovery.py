"""Bytewax's recovery store: created once, cleaned of dead executions at each start (DESIGN 8.3), read."""

from __future__ import annotations

import errno
import io
import math
import os
import pickle
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pipeline.model.errors import Fatal, StateError, machine_fault
from pipeline.model.files.disk import free_bytes, holding, make_folder, sync
from pipeline.store.environment import ONE_BACKUP
from pipeline.store.folders import store_folders
from pipeline.store.reading import reading as read_store

PARTITIONS = 1

LEAST_ROOM = 64 << 10
"""Bytes that SQLite needs to open a store. Without them it reports a disk I/O error."""

TABLES = ("parts", "exs", "fronts", "commits", "snaps")


def prepare_recovery(folder: Path, process: int = 0) -> int:
    """Create the recovery store or clean an existing one; return how many ghost rows were deleted.

    The processes of one job do so one after another. Raises StateError where it cannot be read, or is missing
    although stores have committed; also in the first process where it has never seen a run although stores
    have committed: in a cluster Bytewax keeps everything on the first host, so this is another job's, and the
    job would start again from the beginning.
    """
    make_folder(folder.parent)
    with holding(folder.with_suffix(".lock"), math.inf):
        return _prepare(folder, process)


def _prepare(folder: Path, process: int) -> int:
    parts = sorted(folder.glob("part-*.sqlite3"))
    try:
        sound(folder, parts)
        if process == 0 and resume_epoch(parts) is None:
            _refuse_anothers(folder.parent)
        return delete_ghosts(parts)
    except StateError:
        # Older versions left an incomplete one when killed during their first start.
        if any(seq > 0 for _, seq in committed(folder.parent)):
            raise
    _make(folder)
    return 0


def _refuse_anothers(state: Path) -> None:
    """Raise where stores have committed: no run of the job's first process has written them."""
    for path, seq in committed(state):
        if seq > 0:
            raise StateError(
                f"{path}: the store has committed {seq:,} epochs, and the recovery store beside it knows of "
                "no run; they do not belong together (a copied or restored state directory?). Restore the "
                "whole state directory from one backup. Or this is, of a job over several hosts, the "
                "directory of another process than the first: start it with the number (`-i`) that it had, "
                "and the first one on the host that has `recovery`."
            )


def sound(folder: Path, parts: list[Path]) -> None:
    """Raise StateError where Bytewax could not continue from the recovery store."""
    if not parts:
        raise StateError(f"{folder}: the recovery store is gone. {ONE_BACKUP}")
    for part in parts:
        with reading(part, owned=True) as db:
            there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            missing = [name for name in TABLES if name not in there]
            if missing:
                raise unreadable(folder, f"no table `{missing[0]}` in {part.name}")
            for (said,) in db.execute("PRAGMA integrity_check(1)"):
                if said != "ok":
                    raise unreadable(folder, f"{part.name}: {' '.join(str(said).split())}")
            if not db.execute("SELECT count(*) FROM parts").fetchone()[0]:
                raise unreadable(folder, f"{part.name} does not say which part it is")


@contextmanager
def reading(part: Path, *, owned: bool = False) -> Iterator[sqlite3.Connection]:
    """Yield one file of a recovery store. Raises StateError for a wrong one, Fatal for the disk's faults.

    owned: it may be changed, and its log merged; else it stays as it is.
    """
    try:
        with closing(_connected(part, owned)) as db:
            yield db
    # Of a damaged file SQLite's own message may hold bytes that are no text, and a number may be NULL.
    except (sqlite3.Error, UnicodeDecodeError, TypeError) as error:
        said: Exception = error
        if free_bytes(part.parent) < LEAST_ROOM:
            said = OSError(errno.ENOSPC, str(error))
        # Errors of the module `sqlite3` itself have no code.
        elif getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN:
            raise Fatal(
                f"{part} cannot be opened ({error}). Nothing is lost: look at its permissions and at "
                "`ulimit -n`, then start again."
            ) from error
        raise machine_fault(said) or unreadable(part.parent, str(error)) from error


def _connected(part: Path, owned: bool) -> sqlite3.Connection:
    """Open a file of a recovery store, also where nothing can be written beside it (a snapshot, a backup)."""
    if owned and os.access(part.parent, os.W_OK):
        return sqlite3.connect(part)
    log = part.with_name(f"{part.name}-wal")
    # To read a log SQLite needs the index beside it; without a log it would make both.
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return sqlite3.connect(f"{part.absolute().as_uri()}?{how}", uri=True)


def unreadable(folder: Path, why: str) -> StateError:
    """Return the message about an unreadable recovery store."""
    return StateError(f"{folder}: the recovery store cannot be read ({why}). {ONE_BACKUP}")


def committed(state: Path) -> Iterator[tuple[Path, int]]:
    """Yield every store of a state directory with the number of epochs it has committed."""
    for folder in store_folders(state):
        with read_store(folder) as store:
            yield folder, store.seq


def _make(folder: Path) -> None:
    """Create an empty recovery store; it takes its place once it is complete."""
    from bytewax.recovery import init_db_dir  # slow to import, and not for those who only read

    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    make_folder(fresh)
    try:
        init_db_dir(fresh, PARTITIONS)
    except BaseException as error:
        # A Rust panic is not an Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise machine_fault(error) or Fatal(f"{fresh}: the recovery store cannot be made ({error})") from None
    for part in fresh.iterdir():
        part.chmod(0o600)
        sync(part)
    sync(fresh)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.replace(folder)
    sync(folder.parent)


def delete_ghosts(parts: list[Path]) -> int:
    """Delete snapshots of epochs that never became durable; otherwise a resume would load them.

    The resume epoch is the minimum, over the workers of the newest execution, of how far each is known to
    have come: rows of that epoch and later belong to a run that did not finish them.
    """
    resume = resume_epoch(parts)
    if resume is None:
        return 0
    deleted = 0
    for part in parts:
        with reading(part, owned=True) as db, db:
            deleted += db.execute("DELETE FROM snaps WHERE snap_epoch >= ?", (resume,)).rowcount
    return deleted


def resume_epoch(parts: list[Path]) -> int | None:
    """Return the epoch that Bytewax will resume at, None where nothing ran yet."""
    executions: dict[int, tuple[int, int]] = {}
    frontiers: dict[tuple[int, int], int] = {}
    for part in parts:
        with reading(part) as db:
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


def last_workers(recovery: Path) -> int:
    """Return how many workers the last run had; 0 where nothing ran yet."""
    last = (0, 0)
    for part in recovery.glob("part-*.sqlite3"):
        with reading(part) as db:
            last = max([last, *db.execute("SELECT ex_num, worker_count FROM exs")])
    return last[1]


class _Plain(pickle.Unpickler):
    """Tokens are tuples, texts and numbers: nothing in a state directory may name code to run."""

    def find_class(self, module_name: str, global_name: str, /) -> NoReturn:
        raise StateError(f"the recovery store holds {module_name}.{global_name}, which is no token of ours")


def read_tokens(recovery: Path) -> dict[str, dict[str, Any]]:
    """Return the tokens of the epoch that a start would resume from, by step and key; {} if none."""
    parts = sorted(recovery.glob("part-*.sqlite3"))
    resume = resume_epoch(parts)
    if resume is None:
        return {}
    newest: dict[tuple[str, str], tuple[int, bytes | None]] = {}
    for part in parts:
        with reading(part) as db:
            for step, key, epoch, change in db.execute(
                "SELECT step_id, state_key, snap_epoch, ser_change FROM snaps WHERE snap_epoch < ?", (resume,)
            ):
                if epoch >= newest.get((step, key), (-1, None))[0]:
                    newest[step, key] = (epoch, change)
    tokens: dict[str, dict[str, Any]] = {}
    for (step, key), (_, change) in newest.items():
        if change is not None:
            tokens.setdefault(step.rpartition(".")[2], {})[key] = _token(recovery, change)
    return tokens


def _token(recovery: Path, change: bytes) -> tuple[Any, ...]:
    try:
        token = _Plain(io.BytesIO(change)).load()
    except StateError:
        raise
    except Exception as error:
        # Of bytes that are no pickle any error may come.
        raise unreadable(recovery, f"a token in it: {error}") from error
    if not isinstance(token, tuple) or len(token) < 2:
        raise unreadable(recovery, "a token in it is none of ours")
    return token
