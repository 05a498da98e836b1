"""One transactional store per key of a stateful step: LMDB, one commit per epoch, undo of the last one.

The rules are DESIGN 6. In short: writes are buffered and committed once per epoch together with the old
bytes of every row they change; a resume that finds the store one epoch ahead of Bytewax puts those old
bytes back. The store knows bytes, not operations.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import lmdb

from pipeline.model.disk import locked, make_folder, sync
from pipeline.model.errors import Fatal, StateError
from pipeline.store.rows import Table as Table
from pipeline.store.rows import bounded as bounded

FORMAT = 1
"""Version of the tables and rows; a store of another version is refused."""

MAP_SIZE = 1 << 38
"""Address space per store (256 GiB); the file is sparse and grows as needed."""

LOCK_WAIT_SECS = 30.0
"""How long a next owner waits for the last one to exit (a shard that moves between processes)."""

FLUSH_BYTES = 64 << 20
"""Buffered writes above this go to the open transaction before the epoch's end."""

RESTORE = "Restore the state directory from a backup, or start with an empty one."

if TYPE_CHECKING:
    _Txn: TypeAlias = "lmdb.Transaction[bytes]"

_SEQ = b"seq"
_FORMAT = b"format"


class Store:
    """The state of one key. Owned by one process (flock) and written by one thread.

    Raises StateError where the folder is in use, damaged or of another version, and Fatal on a full disk.
    """

    def __init__(
        self, path: Path, *, lock_wait_secs: float = LOCK_WAIT_SECS, map_size: int = MAP_SIZE
    ) -> None:
        self.path = path
        make_folder(path)
        self._lock = _lock(path / "owner.lock", lock_wait_secs)
        self._env = _open(path, map_size)
        if is_cut(path, self._env):
            self._env.close()
            raise _damaged(path, ValueError("its file has been cut off"))
        try:
            self._undo = self._env.open_db(b"undo")
            self._meta = self._env.open_db(b"meta")
            self._tables = {table: self._env.open_db(table.name.lower().encode()) for table in Table}
            self._read = self._env.begin()
            self.seq = int(self._read.get(_SEQ, b"0", db=self._meta))
            self._check_format()
        except lmdb.Error as error:
            raise _damaged(path, error) from error
        self._pending: dict[Table, dict[bytes, bytes | None]] = {table: {} for table in Table}
        self._pending_bytes = 0
        self._txn: _Txn | None = None
        self._touched: set[tuple[Table, bytes]] = set()
        self.dirty = False
        """True where the epoch has written something."""

    # --- reading and writing, by the worker thread only

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row, with this epoch's writes."""
        pending = self._pending[table]
        if key in pending:
            return pending[key]
        txn = self._txn if self._txn is not None else self._read
        return txn.get(key, db=self._tables[table])

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write the row in this epoch. The key has at most MAX_KEY bytes (see `bounded`)."""
        self._pending[table][key] = value
        self.dirty = True
        self._pending_bytes += len(value)
        if self._pending_bytes > FLUSH_BYTES:
            self.flush()

    def delete(self, table: Table, key: bytes) -> None:
        """Remove the row in this epoch; a missing row is no error."""
        self._pending[table][key] = None
        self.dirty = True

    def items(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with the prefix, from key ``start`` on, with this epoch's writes.

        In key order. The caller must not write while it iterates.
        """
        if self._pending[table]:
            self.flush()
        txn = self._txn if self._txn is not None else self._read
        yield from _scan(txn, self._tables[table], max(start, prefix), prefix)

    # --- the epoch

    def flush(self) -> None:
        """Move buffered writes into the epoch's transaction (opened here, at the epoch's first write)."""
        try:
            if self._txn is None:
                self._txn = self._begin()
            for table, changes in self._pending.items():
                if changes:
                    self._apply(self._txn, table, changes)
                    self._pending[table] = {}
        except lmdb.Error as error:
            raise _write_failed(self.path, error) from error
        self._pending_bytes = 0

    def commit(self) -> int:
        """Make the epoch durable and return the store's sequence number; unchanged without writes."""
        if not self.dirty:
            return self.seq
        self.flush()
        assert self._txn is not None
        try:
            self._txn.put(_SEQ, b"%d" % (self.seq + 1), db=self._meta)
            self._txn.commit()
        except lmdb.Error as error:
            raise _write_failed(self.path, error) from error
        self.seq += 1
        self._after_transaction()
        return self.seq

    def resume(self, seq: int) -> bool:
        """Go to the state of ``seq``, the number that Bytewax holds; True where an epoch was undone.

        Raises StateError where the store is neither there nor exactly one epoch ahead.
        """
        if self.seq == seq:
            return False
        if self.seq == 0:
            raise StateError(
                f"{self.path}: the store's files are gone. `hookline state rebuild` makes it anew from the "
                "source; or restore the whole state directory from one backup."
            )
        if self.seq != seq + 1:
            raise StateError(
                f"{self.path}: the store is at epoch {self.seq}, but the recovery store says {seq}; "
                "they do not belong together (a copied or restored state directory?). "
                "Restore the whole state directory from one backup, or start with an empty one."
            )
        try:
            self._undo_epoch(seq)
        except lmdb.Error as error:
            raise _write_failed(self.path, error) from error
        self.seq = seq
        self._after_transaction()
        return True

    def commit_as(self, seq: int) -> None:
        """Commit under a given number, with nothing to undo: for a store that was rebuilt."""
        self.flush()
        assert self._txn is not None
        self._txn.drop(self._undo, delete=False)
        self._txn.put(_SEQ, b"%d" % seq, db=self._meta)
        self._txn.commit()
        self.seq = seq
        self._after_transaction()

    def copy_to(self, folder: Path) -> None:
        """Write a copy of what is committed, without free pages, into an existing folder."""
        self._env.copy(str(folder), compact=True)

    def close(self) -> None:
        """Drop what is not committed and release the folder."""
        if self._txn is not None:
            self._txn.abort()
            self._txn = None
        self._read.abort()
        self._env.close()
        os.close(self._lock)

    # --- reading by other threads

    def committed(self, table: Table, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield committed rows from key ``start`` on while they carry the prefix; for any thread."""
        with self._env.begin() as txn:
            yield from _scan(txn, self._tables[table], start, prefix)

    # --- inside

    def _begin(self) -> _Txn:
        txn = self._env.begin(write=True)
        txn.drop(self._undo, delete=False)
        return txn

    def _apply(self, txn: _Txn, table: Table, changes: dict[bytes, bytes | None]) -> None:
        db = self._tables[table]
        tag = bytes((table,))
        touched = self._touched
        for key in sorted(changes):
            value = changes[key]
            mark = (table, key)
            if mark not in touched:
                touched.add(mark)
                old = txn.get(key, db=db)
                txn.put(tag + key, b"\0" if old is None else b"\1" + old, db=self._undo)
            if value is None:
                txn.delete(key, db=db)
            else:
                txn.put(key, value, db=db)

    def _undo_epoch(self, seq: int) -> None:
        with self._env.begin(write=True) as txn:
            for mark, old in txn.cursor(db=self._undo):
                db = self._tables[Table(mark[0])]
                if old[:1] == b"\0":
                    txn.delete(mark[1:], db=db)
                else:
                    txn.put(mark[1:], old[1:], db=db)
            txn.drop(self._undo, delete=False)
            txn.put(_SEQ, b"%d" % seq, db=self._meta)

    def _after_transaction(self) -> None:
        self._txn = None
        self._touched = set()
        self.dirty = False
        self._renew()

    def _renew(self) -> None:
        self._read.abort()
        self._read = self._env.begin()

    def _check_format(self) -> None:
        found = self._read.get(_FORMAT, db=self._meta)
        if found is None:
            with self._env.begin(write=True) as txn:
                txn.put(_FORMAT, b"%d" % FORMAT, db=self._meta)
            sync(self.path)  # LMDB syncs what is in its file, not that there is one
            self._renew()
        elif int(found) != FORMAT:
            raise StateError(
                f"{self.path}: written in format {int(found)}, this version reads format {FORMAT}; "
                "run the version that wrote it, or start with an empty state directory."
            )


def _scan(txn: _Txn, db: lmdb._Database, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    cursor = txn.cursor(db=db)
    found = cursor.set_range(start) if start else cursor.first()
    while found:
        key = cursor.key()
        if not key.startswith(prefix):
            return
        yield key, cursor.value()
        found = cursor.next()


def _lock(path: Path, wait_secs: float) -> int:
    """Return a descriptor that holds the folder's lock until this process exits."""
    try:
        return locked(path, wait_secs)
    except BlockingIOError as error:
        raise StateError(
            f"{path.parent} is in use by another job; stop that job, or give this one another --state."
        ) from error


def _open(path: Path, map_size: int) -> lmdb.Environment:
    while True:
        try:
            return lmdb.open(str(path), map_size=map_size, max_dbs=len(Table) + 2, readahead=False)
        except lmdb.MemoryError as error:
            # A container may limit the address space; a smaller map still holds a real store.
            if map_size <= 1 << 30:
                raise _damaged(path, error) from error
            map_size //= 4
        except lmdb.Error as error:
            if getattr(error, "code", None) in (errno.ENOSPC, errno.EDQUOT):
                raise _write_failed(path, error) from error
            raise _damaged(path, error) from error


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


def _damaged(path: Path, error: Exception) -> StateError:
    return StateError(f"{path}: the store cannot be read ({error}). {RESTORE}")


def _write_failed(path: Path, error: Exception) -> Fatal:
    return Fatal(
        f"{path}: the epoch could not be written ({error}). Nothing is lost: free disk space or fix the "
        "permissions and start again; the job goes on from the last epoch."
    )
