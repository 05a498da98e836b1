"""What another job knows of its users now, beneath a run's own rows: for a replay of dead records.

Each row is read, as that job has committed it, in a transaction of its own: nothing is copied or written
there, and no old page is held while the other job runs. The run's own rows take precedence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Protocol

import orjson

from pipeline.join.forms import ROW as FORMS
from pipeline.model.errors import NoState
from pipeline.model.json import Json
from pipeline.store.folders import IDENTITY, SHARDS
from pipeline.store.reading import Reader, reading
from pipeline.store.rows import Rows, Table

FORGOTTEN: Final = {Table.USERS: b"[null,{}]", Table.PROFILES: b"{}"}
"""Marks a row that the run has deleted: otherwise the other job's would reappear."""


class Beneath(Protocol):
    """What was known of users before a run."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row; None where nothing is known."""

    def merged(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of joined ids."""


class Known:
    """The committed users and links of a state directory, for one thread at a time.

    Raises NoState where it holds no state, and StateError for a damaged row.
    """

    def __init__(self, state: Path) -> None:
        self._stack = ExitStack()
        self._shards = self._open(state / SHARDS)
        self._links = self._open(state / IDENTITY)
        if not self._shards:
            raise NoState(f"{state} holds no state: there is nothing that a job knows of its users.")

    def close(self) -> None:
        """Let go of its files."""
        self._stack.close()

    def under(self, rows: Rows) -> Rows:
        """Return rows that fall back to these where they are missing there."""
        return Above(rows, self)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the job's row; None where there is none, and for rows that are not about users."""
        if table is Table.USERS and key != FORMS:
            # All of its shards are searched: their number may differ here.
            value = next(_found(self._shards, table, key), None)
            # Without the partition of the last update and the forms: those are numbered per shard.
            return None if value is None else orjson.dumps([None, orjson.loads(value)[1]])
        if table is Table.ALIASES:
            return next(_found(self._links, table, key), None)
        if table is Table.PROFILES:
            profile: dict[str, Json] = {}
            for value in _found(self._links, table, key):
                profile |= orjson.loads(value)
            return orjson.dumps(profile) if profile else None
        return None

    def merged(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of merged ids; several source partitions may each yield one for an id."""
        for store in self._links:
            yield from store.rows(Table.MERGED)

    def _open(self, folder: Path) -> list[Reader]:
        stores = sorted(data.parent for data in folder.glob("*/data.mdb"))
        return [self._stack.enter_context(reading(store)) for store in stores]


def _found(stores: list[Reader], table: Table, key: bytes) -> Iterator[bytes]:
    return (value for store in stores if (value := store.get(table, key)) is not None)


class Above:
    """Implements `Rows`: reads fall through to what is known, writes stay here."""

    def __init__(self, rows: Rows, known: Beneath) -> None:
        self._rows = rows
        self._known = known

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the run's row, else the other job's."""
        value = self._rows.get(table, key)
        if value is None:
            return self._known.get(table, key)
        return None if value == FORGOTTEN.get(table) else value

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write the run's row."""
        self._rows.put(table, key, value)

    def delete(self, table: Table, key: bytes) -> None:
        """Remove the row, and hide the other job's."""
        if table in FORGOTTEN:
            self._rows.put(table, key, FORGOTTEN[table])
        else:
            self._rows.delete(table, key)

    def items(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the run's rows; for merged ids, the other job's before them."""
        if table is Table.MERGED:
            yield from self._known.merged()
        yield from self._rows.items(table, prefix, start)
