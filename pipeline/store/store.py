"""One transactional store per key of a stateful step: LMDB, one commit per epoch, undo of the last one.

The rules are DESIGN 6. In short: writes are buffered and committed once per epoch together with the old bytes
of every row they change; a resume that finds the store one epoch ahead of Bytewax restores those old bytes.
The store knows bytes, not operations.

At an epoch's end its worker stands still, so most rows are put into the transaction before that (`prepare`).
Where several stores commit, each does so in a thread of its own: they only wait for the disk. And they have
less to wait for, as users are committed before the end, too: of a million, each that changes is on a page of
its own. Such a commit has the number of the epoch that is not over yet, and its undo rows stay until the next
epoch: a resume takes back a part as it takes back a whole one.

LMDB takes its writer lock for the thread that begins a transaction, and only that thread can release it: if
another one committed, the next transaction would wait for ever. So the store's own thread begins and ends it;
in between the worker's thread puts its rows. The two never do so at the same time.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import lmdb

from pipeline.model.errors import StateError
from pipeline.model.files.disk import make_folder, sync
from pipeline.store.environment import (
    LOCK_WAIT_SECS,
    MAP_SIZE,
    ONE_BACKUP,
    OTHERS_EPOCH,
    is_cut,
    lock,
    open_environment,
    unreadable,
    writing,
)
from pipeline.store.meta import FORMAT, forget_old_rows, put_epoch, take_meta
from pipeline.store.pending import Pending
from pipeline.store.rows import Table
from pipeline.store.sealing import HEAD_BYTES, Renew, renewed

if TYPE_CHECKING:
    _Txn: TypeAlias = "lmdb.Transaction[bytes]"

T = TypeVar("T")

PREPARE_ROWS = 32
"""From this many rows on it pays to put them into the transaction before the epoch's end."""
EARLY_ROWS = 2_000
"""At most this many of an epoch, since they may change again."""
EARLY_USERS = 16
"""From this many users on they are committed before the epoch's end."""

READER_CHECK_SECS = 60.0
"""How often the slots of dead readers are freed."""

REWRITE_ROWS = 10_000
"""Rows of one transaction while all are rewritten."""


def commit_thread() -> Executor:
    """Return a thread for the commits of one store."""
    return ThreadPoolExecutor(1, thread_name_prefix="hookline-commit")


class Store:
    """The state of one key. Owned by one process (flock) and written by one thread.

    thread: commits in it (`commit_thread`), so that several stores can commit at the same time.
    turn: held by the one of several stores that commits users before the epoch's end.
    Raises StateError where the folder is in use, damaged or of another version, and Fatal on a full disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        lock_wait_secs: float = LOCK_WAIT_SECS,
        map_size: int = MAP_SIZE,
        thread: Executor | None = None,
        turn: threading.Lock | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self._clock = clock
        self._checked = clock()
        make_folder(path)
        self._lock = lock(path / "owner.lock", lock_wait_secs)
        self._env = open_environment(path, map_size)
        if is_cut(path, self._env):
            self._env.close()
            raise unreadable(path, ValueError("its file has been cut off"))
        with writing(path):
            # All in one transaction: a sync for each table would take most of the first start.
            with self._env.begin(write=True) as txn:
                self._tables = {table: self._env.open_db(table.name.lower().encode(), txn) for table in Table}
                self._undo, self._meta = self._tables[Table.UNDO], self._tables[Table.META]
                format, self._seals, self.seq, self._runs = take_meta(path, txn, self._meta)
                if format != FORMAT:
                    # LMDB syncs its file's contents, not its directory entry. Before the commit: if a kill
                    # comes between, nothing refers to it yet.
                    sync(path)
            self._read = self._env.begin()
        self._run = secrets.token_hex(8)
        """Identifies the epochs that this opening of the store commits: copies of a store continue with the
        same numbers."""
        self._pending = Pending(self._tables)
        self._thread = thread
        self._beginning: Future[_Txn] | None = None
        """The transaction that the store's thread has begun, until there is something to put into it."""
        self._committing: Future[float] | float | None = None
        self._then: Future[None] | None = None
        self._then_before: Future[None] | None = None
        """What follows the last commit, and what followed the previous one."""
        self._txn: _Txn | None = None
        self._turn = threading.Lock() if turn is None else turn
        self._leaving: Future[float] | None = None
        """The commit of some users before the epoch's end."""
        self._in_part = False
        """True where a part of the present epoch was committed: what it replaced stays in undo."""
        self._early = 0
        self.dirty = False
        """True where the epoch has written something."""
        self.commit_secs = 0.0
        """Duration of the last commit."""

    # --- reading and writing, by the worker thread only

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row, with this epoch's writes."""
        rows = self._pending.rows[table]
        if key in rows:
            sealed = rows[key]
            return None if sealed is None else sealed[HEAD_BYTES:]
        if table is Table.USERS and key in self._pending.leaving:
            sealed = self._pending.leaving[key]
            return None if sealed is None else sealed[HEAD_BYTES:]
        txn = self._txn if self._txn is not None else self._read
        return self._seals.find(table, txn, self._tables[table], key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write the row in this epoch. The key has at most MAX_KEY bytes (see `bounded`)."""
        if not self.dirty:
            self._first_write()
        self._pending.put(table, key, value)
        if self._pending.are_much:
            self.flush()

    def delete(self, table: Table, key: bytes) -> None:
        """Remove the row in this epoch; a missing row is no error."""
        if not self.dirty:
            self._first_write()
        self._pending.delete(table, key)
        if self._pending.are_much:
            self.flush()

    def items(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with the prefix, from key ``start`` on, with this epoch's writes.

        In key order. The caller must not write while it iterates.
        """
        if self._pending.rows[table]:
            self.flush()
        if table is Table.USERS:
            self._left()
        txn = self._txn if self._txn is not None else self._read
        yield from self._seals.scan(table, txn.cursor(db=self._tables[table]), max(start, prefix), prefix)

    def committed_keys(self, table: Table, prefix: bytes) -> Iterator[bytes]:
        """Yield the keys with the prefix as the last commit left them, in order.

        1.4 us where `committed` takes 4: no row is read, so none is checked.
        """
        cursor = self._read.cursor(self._tables[table])
        try:
            if not cursor.set_range(prefix):
                return
            for key in cursor.iternext(keys=True, values=False):
                if not key.startswith(prefix):
                    return
                yield key
        except lmdb.Error as error:
            raise unreadable(self.path, error) from error

    # --- the epoch

    @property
    def to_commit(self) -> int:
        """About how many bytes this epoch has written so far; they are in memory until its commit."""
        return self._pending.bytes + self._pending.flushed_bytes

    def prepare(self) -> None:
        """Do some of the work that is left for the epoch's end, if there is enough of it.

        To be called only once the previous epoch is durable for Bytewax, too: it can then not be undone.
        """
        if self._thread is not None:
            if self._leaving is not None:
                if not self._leaving.done():
                    return
                self._left()
            if self._beginning is None and self._txn is None:
                # There will be something to write, and the end need not wait for it.
                self._beginning = self._thread.submit(self._begin)
            elif self._commit_users(self._thread):
                return
        fresh = len(self._pending.fresh)
        if fresh < PREPARE_ROWS:
            return
        if self._early < EARLY_ROWS:
            self._early += fresh
            self.flush()
        else:
            with writing(self.path):
                self._pending.look_up(self._transaction(), self._read)

    def flush(self) -> None:
        """Move buffered writes into the epoch's transaction."""
        if self.dirty:
            with writing(self.path):
                self._pending.apply(self._transaction(), self._read)

    def commit(self) -> int:
        """Make the epoch durable and return the store's sequence number; unchanged without writes."""
        self.begin_commit()
        return self.end_commit()

    def complete(self) -> None:
        """Put all of the epoch into its transaction: only the commit is left."""
        if self.dirty:
            with writing(self.path):
                txn = self._transaction()
                self._pending.apply(txn, self._read)
                put_epoch(txn, self._meta, self.seq + 1, (self._run, self._runs[0]))

    def begin_commit(self, then: Callable[[], None] = lambda: None) -> int:
        """Begin to make the epoch durable, and return the sequence number that the store will have then.

        A store with a thread of its own waits in that thread. Until `end_commit` returns the store must not
        be used; writing raises RuntimeError. then: called after the commit, by its thread; nobody waits for
        it, and what it raises is raised by the next `end_commit`.
        """
        if not self.dirty:
            then()
            return self.seq
        begun = time.perf_counter()
        self.complete()
        with writing(self.path):
            txn, self._txn, self.dirty = self._transaction(), None, False
            if self._thread is not None:
                self._committing = self._thread.submit(self._end, txn, begun)
                self._then, self._then_before = self._thread.submit(then), self._then
            else:
                self._committing = self._end(txn, begun)
                then()
        return self.seq + 1

    def end_commit(self) -> int:
        """Wait for the commit and return the store's sequence number.

        Raises the commit's error: then the epoch is not durable.
        """
        committing, self._committing = self._committing, None
        if committing is not None:
            with writing(self.path):
                self.commit_secs = committing.result() if isinstance(committing, Future) else committing
            if self._then_before is not None:
                self._then_before.result()
            self.seq += 1
            self._runs = self._run, self._runs[0]
            self._after_transaction()
            self._forget_readers()
        return self.seq

    def run_of(self, seq: int) -> str:
        """Return the name of who committed an epoch: the store's last one, the one before, or the next one.

        "": an older version, or nobody.
        """
        return (self._run, *self._runs)[self.seq + 1 - seq]

    def resume(self, seq: int, run: str = "") -> bool:
        """Go to the state of ``seq``, the number that Bytewax holds; True where an epoch was undone.

        run: who committed that one; "": unknown. Raises StateError where the store is neither there nor
        exactly one epoch ahead, or where that epoch is somebody else's.
        """
        if self.seq in (seq, seq + 1) and run and run != self.run_of(seq):
            raise StateError(f"{self.path}: {OTHERS_EPOCH} {ONE_BACKUP}")
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
                f"they do not belong together (a copied or restored state directory?). {ONE_BACKUP}"
            )
        with writing(self.path):
            self._undo_epoch(seq)
        self.seq = seq
        self._runs = self._runs[1], ""
        self._after_transaction()
        return True

    def commit_as(self, seq: int, run: str = "") -> None:
        """Commit under a given number and name, without undo: for a rebuilt store."""
        self.flush()
        with writing(self.path):
            txn = self._transaction()
            txn.drop(self._undo, delete=False)
            put_epoch(txn, self._meta, seq, (run, ""))
            self._in_thread(txn.commit)
        self.seq = seq
        self._runs = run, ""
        self._after_transaction()

    def seal_all(self, renew: Renew) -> int:
        """Rewrite every row in today's format and note that no other is left; return how many changed.

        renew: converts a value to today's format. Nothing may be pending. A crash leaves rows of both
        formats.
        """
        changed = 0
        for table, db in self._tables.items():
            if table is Table.META:
                continue
            start: bytes | None = b""
            while start is not None:
                with writing(self.path), self._env.begin(write=True) as txn:
                    part = list(islice(self._seals.scan(table, txn.cursor(db=db), start, b""), REWRITE_ROWS))
                    for key, value in part:
                        fresh = renewed(self._seals, table, key, value, renew)
                        if fresh != txn.get(key, db=db):
                            txn.put(key, fresh, db=db)
                            changed += 1
                start = part[-1][0] + b"\0" if len(part) == REWRITE_ROWS else None
        with writing(self.path), self._env.begin(write=True) as txn:
            put_epoch(txn, self._meta, self.seq, self._runs)
            forget_old_rows(txn, self._meta)
        self._seals.old_rows = False
        self._renew()
        return changed

    def close(self) -> None:
        """Drop what is not committed and release the folder."""
        self._leaving = None  # whether it succeeds is no longer of interest
        if self._beginning is not None or self._txn is not None:
            with contextlib.suppress(lmdb.Error):  # where it could not be begun
                self._in_thread(self._transaction().abort)
            self._txn = None
        if self._thread is not None:
            self._thread.shutdown()
        self._read.abort()
        self._env.close()
        os.close(self._lock)

    # --- reading by other threads

    def committed(self, table: Table, start: bytes, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield committed rows from key ``start`` on while they have the prefix; from any thread."""
        with self._env.begin() as txn:
            yield from self._seals.scan(table, txn.cursor(db=self._tables[table]), start, prefix)

    # --- inside

    def _commit_users(self, thread: Executor) -> bool:
        """Begin to commit the users written so far, if there are enough; return whether it was begun.

        One store at a time: eight that sync at once hold up deliveries.
        """
        if (
            len(self._pending.rows[Table.USERS]) < EARLY_USERS
            or self._beginning is None  # rows of other tables are in the transaction
            or not self._beginning.done()
            or not self._turn.acquire(blocking=False)
        ):
            return False
        with writing(self.path), contextlib.ExitStack() as failing:
            failing.callback(self._turn.release)
            txn = self._transaction()
            self._pending.apply_users(txn, self._read)
            put_epoch(txn, self._meta, self.seq + 1, (self._run, self._runs[0]))
            failing.pop_all()
            self._txn, self._in_part = None, True
            self._leaving = thread.submit(self._end_users, txn)
        return True

    def _end_users(self, txn: _Txn) -> float:
        try:
            return self._end(txn, time.perf_counter())
        finally:
            self._turn.release()

    def _left(self) -> None:
        """Wait for the users that are being committed before the epoch's end, if there are any."""
        leaving, self._leaving = self._leaving, None
        if leaving is not None:
            with writing(self.path):
                leaving.result()
            self._pending.leaving = {}
            self._renew()

    def _first_write(self) -> None:
        if self._committing is not None:
            # It would belong to no epoch: neither committed with this one nor undone with the next.
            raise RuntimeError(f"{self.path}: written while it commits")
        self.dirty = True
        if self._thread is not None and self._beginning is None:
            self._beginning = self._thread.submit(self._begin)

    def _transaction(self) -> _Txn:
        """Return the epoch's transaction, begun at its first write."""
        self._left()
        if self._txn is None:
            beginning, self._beginning = self._beginning, None
            self._txn = beginning.result() if beginning is not None else self._in_thread(self._begin)
        return self._txn

    def _in_thread(self, call: Callable[[], T]) -> T:
        return call() if self._thread is None else self._thread.submit(call).result()

    def _end(self, txn: _Txn, begun: float) -> float:
        """Commit, and return how long it took since ``begun``; in the store's thread, if it has one."""
        try:
            txn.commit()
        finally:
            # No effect once committed. Otherwise this thread must be the one to release it.
            txn.abort()
        return time.perf_counter() - begun

    def _begin(self) -> _Txn:
        txn = self._env.begin(write=True)
        try:
            if not self._in_part:
                txn.drop(self._undo, delete=False)
        except lmdb.Error:
            txn.abort()  # by the thread that began it: closing would wait for it
            raise
        return txn

    def _undo_epoch(self, seq: int) -> None:
        with self._env.begin(write=True) as txn:
            for mark, old in self._seals.scan(Table.UNDO, txn.cursor(db=self._undo), b"", b""):
                db = self._tables[Table(mark[0])]
                if old == b"\0":
                    txn.delete(mark[1:], db=db)
                else:
                    # The row's own bytes, seal included.
                    txn.put(mark[1:], old[1:], db=db)
            txn.drop(self._undo, delete=False)
            put_epoch(txn, self._meta, seq, (self._runs[1], ""))

    def _forget_readers(self) -> None:
        """Occasionally: a killed reader's snapshot would be kept for ever, and the file would grow."""
        now = self._clock()
        if now - self._checked >= READER_CHECK_SECS:
            self._checked = now
            self._env.reader_check()

    def _after_transaction(self) -> None:
        self._txn = None
        self._in_part = False
        self._early = 0
        self._pending.ended()
        self.dirty = False
        self._renew()

    def _renew(self) -> None:
        self._read.abort()
        self._read = self._env.begin()
