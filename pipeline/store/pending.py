"""The present epoch's writes that are not in its transaction yet, and the values they replace: for undo.

A row is sealed when it is written. The values before are looked up later, many rows with one call: py-lmdb
releases the GIL for every row, but the overhead of a call is three times the row's own cost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, TypeAlias

import lmdb

from pipeline.store.rows import Table
from pipeline.store.sealing import HEAD_BYTES, seal

FLUSH_BYTES: Final = 8 << 20
"""Beyond this, rows go to the open transaction before the epoch's end; a process has many stores."""
ROW_BYTES: Final = 200
"""Memory of a pending row besides its value: its key, and the dict entry."""
LOOK_UP_ROWS: Final = 16
"""Rows looked up with one call: each may have 16 MiB, like a dead letter that is dropped."""

if TYPE_CHECKING:
    _Txn: TypeAlias = "lmdb.Transaction[bytes]"


class Pending:
    """The rows of one epoch of a store. tables: the store's, `UNDO` among them."""

    def __init__(self, tables: Mapping[Table, lmdb._Database]) -> None:
        self._tables = tables
        self.rows: dict[Table, dict[bytes, bytes | None]] = {table: {} for table in Table}
        """As they will stand on disk; None: removed."""
        self.bytes = self.flushed_bytes = 0
        """Memory of these, and of those already in the transaction."""
        self.fresh: list[tuple[Table, bytes]] = []
        """Rows that are not looked up yet."""
        self.before: dict[bytes, bytes] = {}
        """Rows of undo."""
        self._before_bytes = 0
        self._touched: set[bytes] = set()
        """Keys whose undo rows are in a transaction of this epoch."""
        self.leaving: dict[bytes, bytes | None] = {}
        """Users that are being committed before the epoch's end."""

    @property
    def are_much(self) -> bool:
        """True where they should go to the transaction now."""
        return self.bytes > FLUSH_BYTES

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write a row."""
        rows = self.rows[table]
        before = rows.get(key)
        sealed = rows[key] = seal(table, key, value)
        if before is not None:
            self.bytes += len(sealed) - len(before)
        else:
            # If it was removed before, it counts twice.
            self.fresh.append((table, key))
            self.bytes += len(value) + ROW_BYTES

    def delete(self, table: Table, key: bytes) -> None:
        """Remove a row, if there is one."""
        rows = self.rows[table]
        before = rows.get(key)
        rows[key] = None
        if before is not None:
            self.bytes -= len(before) - HEAD_BYTES
        else:
            self.fresh.append((table, key))
            self.bytes += ROW_BYTES

    def look_up(self, txn: _Txn, committed: _Txn) -> None:
        """Look up the fresh rows' previous values for undo; write them as soon as they are many."""
        by_table: dict[Table, list[bytes]] = {}
        for table, key in self.fresh:
            by_table.setdefault(table, []).append(key)
        self.fresh.clear()
        before, touched = self.before, self._touched
        for table, keys in by_table.items():
            tag, cursor = bytes((table,)), committed.cursor(self._tables[table])
            for at in range(0, len(keys), LOOK_UP_ROWS):
                some = keys[at : at + LOOK_UP_ROWS]
                found = dict(cursor.getmulti(some))
                for key in some:
                    mark = tag + key
                    if mark not in before and mark not in touched:
                        old = found.get(key)
                        row = before[mark] = seal(Table.UNDO, mark, b"\0" if old is None else b"\1" + old)
                        self._before_bytes += len(row)
                if self._before_bytes > FLUSH_BYTES:
                    self._put_before(txn)

    def apply(self, txn: _Txn, committed: _Txn) -> None:
        """Write everything into the epoch's transaction."""
        self.look_up(txn, committed)
        self._put_before(txn)
        for table, changes in self.rows.items():
            if changes:
                self._put_rows(table, txn)
        self.flushed_bytes += self.bytes
        self.bytes = 0

    def apply_users(self, txn: _Txn, committed: _Txn) -> None:
        """Write the users so far into a transaction that is committed before the epoch's end."""
        self.look_up(txn, committed)
        self._put_before(txn)
        self.leaving = self._put_rows(Table.USERS, txn)
        values = sum(len(sealed) - HEAD_BYTES for sealed in self.leaving.values() if sealed is not None)
        self.bytes -= values + ROW_BYTES * len(self.leaving)

    def ended(self) -> None:
        """The epoch's transaction is over; the next one starts empty."""
        self._touched = set()
        self.fresh.clear()
        self.flushed_bytes = 0

    def _put_rows(self, table: Table, txn: _Txn) -> dict[bytes, bytes | None]:
        changes, self.rows[table] = self.rows[table], {}
        db, rows = self._tables[table], sorted(changes.items())
        txn.cursor(db).putmulti([(key, sealed) for key, sealed in rows if sealed is not None])
        for key, sealed in rows:
            if sealed is None:
                txn.delete(key, db=db)
        return changes

    def _put_before(self, txn: _Txn) -> None:
        if self.before:
            # In order: neighbours go to one page.
            txn.cursor(self._tables[Table.UNDO]).putmulti(sorted(self.before.items()))
            self._touched.update(self.before)
            self.before.clear()
            self._before_bytes = 0
