"""Reading rows, by the owner of a store or beside it: what is damaged ends the reading with StateError."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import lmdb

from pipeline.model.errors import StateError
from pipeline.store.environment import MAX_TABLES, is_cut, make_room_for_lock, unreadable
from pipeline.store.meta import read_meta
from pipeline.store.rows import Table
from pipeline.store.sealing import Seals

T = TypeVar("T")

SNAPSHOT_SECS: Final = 0.2
"""Maximum age of a reader's snapshot: until it is released, the owner of the store cannot reuse old pages,
and the file grows."""
PART_ROWS: Final = 2_000
PART_BYTES: Final = 4 << 20
"""Maximum read at a time, so that row-by-row readers hold no more in memory."""


@dataclass(slots=True)
class _Opened:
    """An environment of this process: LMDB allows a process to open a file only once."""

    env: lmdb.Environment
    readers: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)


_opened: dict[Path, _Opened] = {}
_opening = threading.Lock()


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Yield the committed contents of a store; takes no lock and writes nothing.

    Thread-safe: concurrent readers of one store share its file. Raises StateError for a damaged one.
    """
    place = path.resolve()
    with _opening:
        opened = _opened.get(place)
        if opened is None:
            try:
                env = _open_readonly(path)
            except lmdb.Error as error:
                raise unreadable(path, error) from error
            opened = _opened[place] = _Opened(env)
        opened.readers += 1
    try:
        if is_cut(path, opened.env):
            raise unreadable(path, ValueError("its file has been cut off"))
        yield Reader(path, opened.env, opened.lock)
    except lmdb.Error as error:
        raise unreadable(path, error) from error
    finally:
        with _opening:
            opened.readers -= 1
            if not opened.readers:
                del _opened[place]
                opened.env.close()


class Part(NamedTuple):
    """Some rows, in key order, as committed at one moment."""

    rows: list[tuple[bytes, bytes]]
    next: bytes | None
    """The key to continue from; None: these were the last."""


class Reader:
    """The committed rows of one store. Each method sees them at one moment of its own."""

    def __init__(self, path: Path, env: lmdb.Environment, lock: threading.RLock) -> None:
        self._path = path
        self._env = env
        self._lock = lock
        self._seals = Seals(path, old_rows=False)
        self._tables: dict[Table, lmdb._Database] = {}
        self.seq = 0
        """How many epochs were committed."""
        self.runs = ("", "")
        """As in `Meta`."""
        with contextlib.suppress(lmdb.NotFoundError):
            self._anew(self._read_meta)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return a row as committed now; None where there is none."""
        return self._in(table, lambda txn, db: self._seals.find(table, txn, db, key), None)

    def count(self, table: Table) -> int:
        """Return the number of rows in a table, without reading them."""
        return self._in(table, lambda txn, db: int(txn.stat(db)["entries"]), 0)

    def readers(self) -> str:
        """Return the store's readers, in LMDB's words."""
        return self._env.readers()

    def rows(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a table whose key starts with the prefix, from key ``start`` on, part by part.

        Each row is as it was when its part was read; no snapshot is held while the caller works on one.
        """
        at: bytes | None = start
        while at is not None:
            part = self.part(table, prefix, at)
            yield from part.rows
            at = part.next

    def part(self, table: Table, prefix: bytes = b"", start: bytes = b"", most: int = PART_ROWS) -> Part:
        """Return the next rows of a table: as many as may be held, and are read within `SNAPSHOT_SECS`."""

        def read(txn: lmdb.Transaction[bytes], db: lmdb._Database) -> Part:
            until = time.monotonic() + SNAPSHOT_SECS
            found: list[tuple[bytes, bytes]] = []
            size = 0
            for row in self._seals.scan(table, txn.cursor(db=db), max(start, prefix), prefix):
                found.append(row)
                size += len(row[1])
                if len(found) >= most or size > PART_BYTES or (not len(found) % 64 and _over(until)):
                    return Part(found, row[0] + b"\0")
            return Part(found, None)

        return self._in(table, read, Part([], None))

    def whole(self, table: Table, prefix: bytes = b"") -> list[tuple[bytes, bytes]]:
        """Return all rows whose key starts with the prefix, at one moment: for small tables."""
        return self._in(
            table, lambda txn, db: list(self._seals.scan(table, txn.cursor(db=db), prefix, prefix)), []
        )

    def back(self, table: Table, before: bytes, prefix: bytes, most: int) -> list[tuple[bytes, bytes]]:
        """Return the rows before a key that start with the prefix, the last one first."""
        return self._in(
            table,
            lambda txn, db: list(
                islice(self._seals.scan_back(table, txn.cursor(db=db), before, prefix), most)
            ),
            [],
        )

    def _in(
        self, table: Table, look: Callable[[lmdb.Transaction[bytes], lmdb._Database], T], nothing: T
    ) -> T:
        return self._anew(lambda: self._look(table, look, nothing))

    def _anew(self, read: Callable[[], T]) -> T:
        """Begin a transaction; retry once where the store's owner has enlarged the file meanwhile."""
        with self._lock:
            try:
                return read()
            except lmdb.MapResizedError:
                self._env.set_mapsize(0)  # at its present size
                return read()

    def _read_meta(self) -> None:
        meta = self._env.open_db(b"meta", create=False)
        with self._env.begin() as txn:
            _, self._seals, self.seq, self.runs = read_meta(self._path, txn, meta)

    def _look(
        self, table: Table, look: Callable[[lmdb.Transaction[bytes], lmdb._Database], T], nothing: T
    ) -> T:
        db = self._tables.get(table)
        if db is None:
            try:
                db = self._tables[table] = self._env.open_db(table.name.lower().encode(), create=False)
            except lmdb.NotFoundError:
                return nothing
        with self._env.begin() as txn:
            return look(txn, db)

    def every(self, table: Table) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield every row of a table; None in place of a damaged value."""
        try:
            db = self._anew(lambda: self._env.open_db(table.name.lower().encode(), create=False))
        except lmdb.NotFoundError:
            return
        count = 0
        with self._anew(self._env.begin) as txn:
            entries = int(txn.stat(db)["entries"])
            for key, stored in txn.cursor(db=db):
                count += 1
                if count > entries:
                    break  # damaged pages may form a cycle
                try:
                    yield key, self._seals.open(table, key, stored)
                except StateError:
                    yield key, None
        if count != entries:
            said = f"table {table.name.lower()} has {entries} rows, and other ones are found"
            raise unreadable(self._path, ValueError(said))


def _open_readonly(path: Path) -> lmdb.Environment:
    try:
        make_room_for_lock(path)
        return lmdb.open(str(path), readonly=True, max_dbs=MAX_TABLES, readahead=False)
    except (OSError, lmdb.ReadonlyError, lmdb.LockError):
        # A folder that this user may not write to, or whose disk is full, is read without a reader slot.
        return lmdb.open(str(path), readonly=True, lock=False, max_dbs=MAX_TABLES, readahead=False)


def _over(until: float) -> bool:
    return time.monotonic() > until
