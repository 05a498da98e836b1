"""Reading rows, by the owner of a store or beside it: what is damaged ends the reading with StateError."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lmdb

from pipeline.model.errors import StateError
from pipeline.store.environment import MAX_TABLES, is_cut, unreadable
from pipeline.store.rows import Table
from pipeline.store.sealing import Seals

FORMAT = 2
"""Version of tables and rows. Those of format 1 had no version byte and no CRC; they are still read."""

FORMAT_KEY = b"format"
"""Row of `meta`; without a seal, so that an older version can say that it cannot read the store."""
OLD_ROWS_KEY = b"old-rows"
"""Row of `meta`: there may be rows of format 1. Without a seal: it is there or not."""
SEQ_KEY = b"sealed-seq"
"""Row of `meta`: the store's sequence number."""
OLD_SEQ_KEY = b"seq"
"""Row of `meta`: the same in plain digits. Versions of format 1 read it before they look at the format."""


class Meta(NamedTuple):
    """What a store says of itself."""

    format: int
    """0: it is new."""
    seals: Seals
    seq: int
    """How many epochs were committed."""


def read_meta(path: Path, txn: lmdb.Transaction[bytes], meta: lmdb._Database) -> Meta:
    """Return what a store says of itself. Raises StateError where a later version wrote it, or for damage."""
    try:
        found = int(txn.get(FORMAT_KEY, b"0", db=meta))
        if found > FORMAT:
            raise StateError(
                f"{path}: written in format {found}, this version reads format {FORMAT}; "
                "run the version that wrote it, or start with an empty state directory."
            )
        seals = Seals(path, old_rows=found == 1 or txn.get(OLD_ROWS_KEY, db=meta) is not None)
        for key in (SEQ_KEY, OLD_SEQ_KEY):
            seq = txn.get(key, db=meta)
            if seq is not None:
                return Meta(found, seals, int(seals.open(Table.META, key, seq)))
    except ValueError as error:
        raise unreadable(path, error) from error
    return Meta(found, seals, 0)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """Give what is committed in a store, as it is now; without its lock, and writing nothing."""
    try:
        env = _open_readonly(path)
    except lmdb.Error as error:
        raise unreadable(path, error) from error
    with env:
        if is_cut(path, env):
            raise unreadable(path, ValueError("its file has been cut off"))
        yield Reader(path, env)


class Reader:
    """The committed rows of one store."""

    def __init__(self, path: Path, env: lmdb.Environment) -> None:
        self._path = path
        self._env = env
        self._seals = Seals(path, old_rows=False)
        self._tables: dict[Table, lmdb._Database] = {}
        self.seq = 0
        """How many epochs were committed."""
        with contextlib.suppress(lmdb.NotFoundError):
            meta = env.open_db(b"meta", create=False)
            with env.begin() as txn:
                _, self._seals, self.seq = read_meta(path, txn, meta)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return a row as it is committed at this moment; None where there is none."""
        try:
            return self._get(table, key)
        except lmdb.MapResizedError:
            self._env.set_mapsize(0)  # its owner has made the file longer: as long as it is now
            return self._get(table, key)

    def _get(self, table: Table, key: bytes) -> bytes | None:
        db = self._tables.get(table)
        if db is None:
            try:
                db = self._tables[table] = self._env.open_db(table.name.lower().encode(), create=False)
            except lmdb.NotFoundError:
                return None
        with self._env.begin() as txn:
            return self._seals.find(table, txn, db, key)

    def rows(self, table: Table, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of a table whose key starts with the prefix."""
        try:
            db = self._env.open_db(table.name.lower().encode(), create=False)
        except lmdb.NotFoundError:
            return
        with self._env.begin() as txn:
            yield from self._seals.scan(table, txn.cursor(db=db), prefix, prefix)

    def every(self, table: Table) -> Iterator[tuple[bytes, bytes | None]]:
        """Yield every row of a table; None in place of a value that is damaged."""
        try:
            db = self._env.open_db(table.name.lower().encode(), create=False)
        except lmdb.NotFoundError:
            return
        count = 0
        with self._env.begin() as txn:
            entries = int(txn.stat(db)["entries"])
            for key, stored in txn.cursor(db=db):
                count += 1
                if count > entries:
                    break  # damaged pages may lead round in a circle
                try:
                    yield key, self._seals.open(table, key, stored)
                except StateError:
                    yield key, None
        if count != entries:
            said = f"table {table.name.lower()} has {entries} rows, and other ones are found"
            raise unreadable(self._path, ValueError(said))


def _open_readonly(path: Path) -> lmdb.Environment:
    try:
        return lmdb.open(str(path), readonly=True, max_dbs=MAX_TABLES, readahead=False)
    except (lmdb.ReadonlyError, lmdb.LockError):
        # A folder that this user may not write to: read without a reader's slot.
        return lmdb.open(str(path), readonly=True, lock=False, max_dbs=MAX_TABLES, readahead=False)
