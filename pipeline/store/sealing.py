"""How a row stands on disk: version byte, CRC-32 over table, key and value, then the value (DESIGN 6).

Damage is detected where a row is read: one that was moved, cut, or changed in its key is never served. If the
key itself is damaged, a look-up by key (`find`) misses the row, while every scan and `state check` find it.
For users and aliases, where a missed row would lead to a wrong body, `find` also examines the neighbours of a
missing key: that costs 2 us once for each new user; elsewhere (limits, finished requests) missing keys are
looked up all the time. Finding a row takes 1.2 us, 0.5 of them to open it; missing one 0.6; measured beside a
second thread.

Stores created by format 1 hold rows without version byte and CRC until they are touched or rewritten; their
`meta` says so, and only then is a row without a version byte read. It cannot be confused with a sealed row
with a flipped bit: no old row begins with VERSION, as 0xC1 is never used by MessagePack and occurs in no
UTF-8 text, and the packed rows begin with an outcome (1-3), or with the high byte of a time in milliseconds
(0, 0xFF, or 0x40 for "never"). And the first byte of an old row of any table differs from VERSION by at least
two bits. The one exception are aliases, which are any text: there the CRC that follows decides, which holds
by chance in an old row once in 2^32.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias
from zlib import crc32

import lmdb

from pipeline.model.errors import StateError
from pipeline.store.environment import REMEDY, unreadable
from pipeline.store.rows import Table

Renew: TypeAlias = Callable[[Table, bytes], bytes]
"""Converts a value of a table to today's format."""

VERSION = 0xC1

_HEAD = struct.Struct("<BI")
HEAD_BYTES = _HEAD.size
"""Bytes before a row's value."""
_DIGITS = b"0123456789-"


_OLD_BEGINNINGS: dict[Table, frozenset[int]] = {
    Table.UNDO: frozenset(b"\0\1"),
    Table.USERS: frozenset(b"["),
    Table.CAPS: frozenset((*range(0x41), 0xFF)),
    Table.OUTBOX: frozenset(b"\xdc"),
    Table.FINISHED: frozenset(b"\1\2\3"),
    Table.DEAD: frozenset(b"\xdc"),
    Table.COUNTERS: frozenset(_DIGITS),
    Table.APPLIED: frozenset(_DIGITS),
    Table.ALIASES: frozenset(range(256)) - {VERSION},
    Table.MERGED: frozenset(b"["),
    Table.PROFILES: frozenset(b"{"),
    Table.COPIES: frozenset(),
    Table.META: frozenset(_DIGITS),
    Table.DEAD_ORDER: frozenset(),
}
_OLD_EMPTY = frozenset({Table.ALIASES, Table.COPIES})
"""Tables whose old rows may have an empty value."""

_MISSED = frozenset({Table.USERS, Table.ALIASES})
"""Tables where a row missed because of its damaged key would lead to a wrong body."""

_SEEDS = tuple(crc32(bytes((table,))) for table in Table)


def seal(table: Table, key: bytes, value: bytes) -> bytes:
    """Return the value as stored on disk."""
    return _HEAD.pack(VERSION, crc32(value, crc32(key, _SEEDS[table]))) + value


class Seals:
    """Reads the rows of one store; raises StateError for a damaged one.

    old_rows: rows of format 1 may still be there.
    """

    def __init__(self, path: Path, *, old_rows: bool) -> None:
        self.path = path
        self.old_rows = old_rows

    def open(self, table: Table, key: bytes, stored: bytes) -> bytes:
        """Return the value of a row."""
        value = stored[HEAD_BYTES:]
        # Compared as bytes: half the time of taking the head apart.
        head = _HEAD.pack(VERSION, crc32(value, crc32(key, _SEEDS[table])))
        if stored[:HEAD_BYTES] == head:
            return value
        if table is Table.ALIASES and stored[1:HEAD_BYTES] == head[1:]:
            raise self.damaged(table, key)
        if self.old_rows:
            if stored and stored[0] in _OLD_BEGINNINGS[table]:
                return stored
            if not stored and table in _OLD_EMPTY:
                return stored
        raise self.damaged(table, key)

    def find(
        self, table: Table, txn: lmdb.Transaction[bytes], db: lmdb._Database, key: bytes
    ) -> bytes | None:
        """Return the value of the row with this key; None where there is none."""
        try:
            stored = txn.get(key, None, db)  # by place: a keyword costs a fifth of the call
            if stored is not None:
                return self.open(table, key, stored)
            if table in _MISSED:
                cursor = txn.cursor(db)
                if cursor.set_range(key):
                    self.open(table, *cursor.item())
                    if cursor.prev():
                        self.open(table, *cursor.item())
                elif cursor.last():
                    self.open(table, *cursor.item())
        except lmdb.Error as error:
            raise unreadable(self.path, error) from error
        return None

    def scan(
        self, table: Table, cursor: lmdb.Cursor[bytes], start: bytes, prefix: bytes
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows from key ``start`` on while they have the prefix.

        Their neighbours are examined too: one with a damaged key may be one of those wanted.
        """
        try:
            if not start:
                found = cursor.first()
            elif cursor.prev() if cursor.set_range(start) else cursor.last():
                self.open(table, *cursor.item())
                found = cursor.next()
            else:
                found = cursor.set_range(start)
            if not found:
                return
            for key, stored in cursor.iternext():
                value = self.open(table, key, stored)
                if not key.startswith(prefix):
                    return
                yield key, value
        except lmdb.Error as error:
            raise unreadable(self.path, error) from error

    def scan_back(
        self, table: Table, cursor: lmdb.Cursor[bytes], before: bytes, prefix: bytes
    ) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows before a key while they have the prefix, the last one first."""
        try:
            found = cursor.prev() if cursor.set_range(before) else cursor.last()
            while found:
                key, stored = cursor.item()
                if not key.startswith(prefix):
                    return
                yield key, self.open(table, key, stored)
                found = cursor.prev()
        except lmdb.Error as error:
            raise unreadable(self.path, error) from error

    def damaged(self, table: Table, key: bytes) -> StateError:
        """Return the error for a damaged row."""
        return StateError(
            f"{self.path}: a row of table `{table.name.lower()}` is damaged (key {key[:100]!r}); "
            f"`hookline state check` lists all that are. {REMEDY}"
        )


def renewed(seals: Seals, table: Table, key: bytes, value: bytes, renew: Renew) -> bytes:
    """Return a value's row in today's format; a row of `undo` contains that of another table."""
    if table is not Table.UNDO:
        value = renew(table, value)
    elif value != b"\0":
        of, row = Table(key[0]), key[1:]
        value = b"\1" + renewed(seals, of, row, seals.open(of, row, value[1:]), renew)
    return seal(table, key, value)
