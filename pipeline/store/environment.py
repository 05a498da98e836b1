"""The files of a store: its lock, its LMDB environment, and what can be wrong with them."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lmdb

from pipeline.model.disk import locked
from pipeline.model.errors import FULL, Fatal, HooklineError, StateError

MAP_SIZE = 1 << 38
"""Address space per store (256 GiB); the file is sparse and grows as needed."""

LOCK_WAIT_SECS = 30.0
"""How long a next owner waits for the last one to exit (a shard that moves between processes)."""

MAX_TABLES = 16

_NOT_WRITTEN = (
    *map(os.strerror, (*FULL, errno.EACCES, errno.EPERM, errno.EROFS)),
    # A disk that is nearly full takes less than it was given. Pages are read through memory: no read says so.
    *(f"mdb_{call}: {os.strerror(errno.EIO)}" for call in ("put", "del", "drop", "txn_commit")),
)
"""What is in the text of an error that room or permissions mend. LMDB's errors have no number."""

RESTORE = "Restore the state directory from a backup, or start with an empty one."


def lock(path: Path, wait_secs: float) -> int:
    """Return a descriptor that holds the folder's lock until this process exits."""
    try:
        return locked(path, wait_secs)
    except BlockingIOError as error:
        raise StateError(
            f"{path.parent} is in use by another job; stop that job, or give this one another --state."
        ) from error


def open_environment(path: Path, map_size: int) -> lmdb.Environment:
    """Return the store's environment, made where there is none."""
    while True:
        try:
            return lmdb.open(str(path), map_size=map_size, max_dbs=MAX_TABLES, readahead=False)
        except lmdb.MemoryError as error:
            # A container may limit the address space; a smaller map still holds a real store.
            if map_size <= 1 << 30:
                raise unreadable(path, error) from error
            map_size //= 4
        except lmdb.Error as error:
            raise failed(path, error) from error


def is_cut(path: Path, env: lmdb.Environment) -> bool:
    """Return whether the file ends before its last page that is in use.

    A read beyond the end would kill the process with a signal. The last pages may be unused and never have
    been written; so a file that looks short is read by another process, which may die of it.
    """
    pages = env.info()["last_pgno"] + 1
    if (path / "data.mdb").stat().st_size >= pages * env.stat()["psize"]:
        return False
    copy = "import lmdb, sys; lmdb.open(sys.argv[1], readonly=True, lock=False).copyfd(1, compact=True)"
    reading = [sys.executable, "-c", copy, str(path)]
    return subprocess.run(reading, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0


def unreadable(path: Path, error: Exception) -> StateError:
    """Return what to say of a store that LMDB cannot read."""
    return StateError(f"{path}: the store cannot be read ({error}). {RESTORE}")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Give what LMDB says of a store within this block in the words of `failed`."""
    try:
        yield
    except lmdb.Error as error:
        raise failed(path, error) from error


def failed(path: Path, error: lmdb.Error) -> HooklineError:
    """Return what to say of what LMDB could not do: no room, no permission, or else damage."""
    said = str(error)
    if not isinstance(error, lmdb.MapFullError) and not any(words in said for words in _NOT_WRITTEN):
        return unreadable(path, error)
    return Fatal(
        f"{path}: the epoch could not be written ({error}). Nothing is lost: free disk space or fix the "
        "permissions and start again; the job goes on from the last epoch."
    )
