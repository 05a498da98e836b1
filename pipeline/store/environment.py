"""The files of a store: its lock, its LMDB environment, and what can be wrong with them."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb

from pipeline.model.errors import FULL, ClosedState, Fatal, HooklineError, StateError, machine_fault
from pipeline.model.files.disk import allocate, locked

MAP_SIZE = 1 << 38
"""Address space per store (256 GiB); the file is sparse and grows as needed."""

MAP_SHARE = 32
LEAST_MAP = 64 << 20
"""With a limited address space: a store takes a 32nd of the rest, but at least this much."""

LOCK_WAIT_SECS = 30.0
"""How long a new owner waits for the previous one to exit (a shard that moves between processes)."""

MAX_TABLES = 16

LOCK_BYTES = 8192
"""LMDB's lock file, with its 126 readers."""

_NOT_WRITTEN = (
    *map(os.strerror, (*FULL, errno.EACCES, errno.EPERM, errno.EROFS)),
    # A nearly full disk takes less than it was given. Pages are read through memory, so no read reports it.
    *(f"mdb_{call}: {os.strerror(errno.EIO)}" for call in ("put", "del", "drop", "txn_commit")),
)
"""Texts of errors that more room or permissions would fix. LMDB's errors have no number."""

REMEDY = (
    "Restore the whole state directory from one backup; or remove this folder and let `hookline state "
    "rebuild` make its users and links anew from the source."
)
"""For one damaged store: without a backup the others keep what they owe."""
ONE_BACKUP = "Restore the whole state directory from one backup, or start with an empty one."
OTHERS_EPOCH = (
    "the epoch from which the recovery store goes on is not the one that the store has under this number; "
    "they do not belong together (a part of another state directory, or of another copy of it?)."
)


def lock(path: Path, wait_secs: float) -> int:
    """Return a descriptor that holds the folder's lock until this process exits."""
    try:
        return locked(path, wait_secs)
    except BlockingIOError as error:
        raise StateError(
            f"{path.parent} is in use by another job; stop that job, or give this one another --state."
        ) from error


def open_environment(path: Path, map_size: int) -> lmdb.Environment:
    """Return the store's environment, creating it if needed.

    Raises Fatal where the process may not have so much memory, StateError for a damaged store.
    """
    try:
        make_room_for_lock(path)
        data = path / "data.mdb"
        used = data.stat().st_size if data.exists() else 0
        size = min(map_size, max(fair_share(), 2 * used))
        return lmdb.open(str(path), map_size=size, max_dbs=MAX_TABLES, readahead=False, mode=0o600)
    except lmdb.Error as error:
        raise failed(path, error) from error
    except OSError as error:
        raise machine_fault(error) or StateError(f"{error.filename}: {error.strerror}") from error


def make_room_for_lock(path: Path) -> None:
    """Give LMDB's lock file its blocks, where nobody has it open yet: it is written through memory, and where
    its disk has no room for it a signal would end the process. Raises OSError.
    """
    file = path / "lock.mdb"
    with contextlib.suppress(FileNotFoundError):
        found = file.stat()
        if found.st_blocks and found.st_blocks * 512 >= found.st_size:
            return
    allocate(file, LOCK_BYTES)


def fair_share() -> int:
    """Return the map size of one store where the process's address space is limited (`ulimit -v`).

    A fraction of the rest, so that the next stores, and threads, find room as well.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return MAP_SIZE
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        taken = 0  # not on every system
    return max(LEAST_MAP, (limit - taken) // MAP_SHARE)


def is_cut(path: Path, env: lmdb.Environment) -> bool:
    """Return whether the file ends before its last used page.

    A read beyond the end would kill the process with a signal. The last pages may be unused and never have
    been written; so a file that looks short is read by another process, which may die of it.
    """
    pages = env.info()["last_pgno"] + 1
    if (path / "data.mdb").stat().st_size >= pages * env.stat()["psize"]:
        return False
    copy = "import lmdb, sys; lmdb.open(sys.argv[1], readonly=True, lock=False).copyfd(1, compact=True)"
    reading = [sys.executable, "-c", copy, str(path)]
    return subprocess.run(reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0


def unreadable(path: Path, error: Exception) -> HooklineError:
    """Return the error for a store that LMDB cannot read: damage, unless the user or the process may not."""
    if isinstance(error, lmdb.MemoryError) or os.strerror(errno.ENOMEM) in str(error):
        return Fatal(
            f"{path}: there is not enough memory for the store ({error}). Nothing is lost: allow the process "
            "more (`ulimit -v`, the container's limit) and start again."
        )
    if any(os.strerror(number) in str(error) for number in (errno.EACCES, errno.EPERM)):
        return ClosedState(
            f"{path}: this user ({os.geteuid()}) may not read the store: run as the one that owns the state "
            "directory, or give all of it to this one (chown -R)"
        )
    fault = machine_fault(error)
    return fault or StateError(f"{path}: the store cannot be read ({error}). {REMEDY}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Translate LMDB's errors in this block by `failed`."""
    try:
        yield
    except lmdb.Error as error:
        raise failed(path, error) from error


def failed(path: Path, error: lmdb.Error) -> HooklineError:
    """Return the error for what LMDB could not do: no room, no memory, no permission, or else damage."""
    said = str(error)
    if isinstance(error, lmdb.MapFullError):
        remedy = "allow the process more address space (`ulimit -v`)"
    elif any(words in said for words in _NOT_WRITTEN):
        remedy = "free disk space or fix the permissions"
    else:
        return unreadable(path, error)
    return Fatal(
        f"{path}: the epoch could not be written ({error}). Nothing is lost: {remedy} and start again; "
        "the job goes on from the last epoch."
    )
