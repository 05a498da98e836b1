"""What another job knows of its users now, beneath a run's own rows: for a replay of dead records.

Each row is looked up where that job has committed it, in a read of its own: nothing is copied, nothing is
written there, and no old page is held while the other job runs. What the run itself learns lies on top.
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
"""What stands in place of a row that the run has deleted: without it the other job's would be seen again."""


class Beneath(Protocol):
    """What is known of users before a run."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row; None where nothing is known."""

    def merged(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of joined ids."""


def above(rows: Rows, known: Beneath) -> Rows:
    """Return rows that are looked up in what is known where they are not among these."""
    return _Above(rows, known)


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
        """Return rows that are looked up here where they are not among these."""
        return above(rows, self)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return what the job knows; None where it knows nothing, and of what is nothing about users."""
        if table is Table.USERS and key != FORMS:
            # All are asked: the number of shards may be another one here.
            value = next(_found(self._shards, table, key), None)
            # Without the partition of its last update, and without forms: those are numbered per shard.
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
        """Yield the rows of joined ids; one may come from several source partitions."""
        for store in self._links:
            yield from store.rows(Table.MERGED)

    def _open(self, folder: Path) -> list[Reader]:
        stores = sorted(data.parent for data in folder.glob("*/data.mdb"))
        return [self._stack.enter_context(reading(store)) for store in stores]


def _found(stores: list[Reader], table: Table, key: bytes) -> Iterator[bytes]:
    return (value for store in stores if (value := store.get(table, key)) is not None)


class _Above:
    """Keeps the contract of `Rows`: reads fall through to what is known, writes stay above."""

    def __init__(self, rows: Rows, known: Beneath) -> None:
        self._rows = rows
        self._known = known

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row of the run, else the other job's."""
        value = self._rows.get(table, key)
        if value is None:
            return self._known.get(table, key)
        return None if value == FORGOTTEN.get(table) else value

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write the row of the run."""
        self._rows.put(table, key, value)

    def delete(self, table: Table, key: bytes) -> None:
        """Remove the row, also for who would look beneath."""
        if table in FORGOTTEN:
            self._rows.put(table, key, FORGOTTEN[table])
        else:
            self._rows.delete(table, key)

    def items(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows of the run; of joined ids, those of the other job before them."""
        if table is Table.MERGED:
            yield from self._known.merged()
        yield from self._rows.items(table, prefix, start)
