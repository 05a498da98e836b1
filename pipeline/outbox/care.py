"""Looking after the stores of a stopped job: checking every row, giving unused space back."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import lmdb

from pipeline.model.errors import StateError
from pipeline.outbox.codec import unpack_dead, unpack_number, unpack_owed, unpack_result
from pipeline.outbox.view import rows, stores
from pipeline.store.folders import sync_folder
from pipeline.store.store import Store, Table

READERS: dict[Table, Callable[[bytes], object]] = {
    Table.OUTBOX: unpack_owed,
    Table.DEAD: unpack_dead,
    Table.FINISHED: unpack_result,
    Table.COUNTERS: unpack_number,
}
"""The tables whose rows can be understood by themselves; of the others every byte is read."""


class Compacted(NamedTuple):
    """One store's size on disk, in bytes."""

    store: Path
    before: int
    after: int


def check(state: Path) -> tuple[int, list[str]]:
    """Read every row of every store; return how many there are and what is wrong."""
    count, problems = 0, []
    for table in Table:
        read = READERS.get(table)
        try:
            for store, key, value in rows(state, table):
                count += 1
                if read is None:
                    continue
                try:
                    read(value)
                except Exception as error:
                    problems.append(f"{store}: table {table.name.lower()}, key {key!r}: {error}")
        except (StateError, lmdb.Error) as error:
            problems.append(str(error))
    return count, problems


def compact(state: Path) -> Iterator[Compacted]:
    """Write each store anew without its unused pages. The caller owns the state directory.

    A crash leaves the old or the new file, both whole. Raises StateError for a store in use.
    """
    for path in stores(state):
        Store(path, lock_wait_secs=0).close()
        data = path / "data.mdb"
        before = _used(data)
        fresh = path / "compact"
        fresh.mkdir(exist_ok=True)
        (fresh / "data.mdb").unlink(missing_ok=True)
        with lmdb.open(str(path), readonly=True, max_dbs=len(Table) + 2) as env:
            env.copy(str(fresh), compact=True)
        with (fresh / "data.mdb").open("rb") as file:
            os.fsync(file.fileno())
        (fresh / "data.mdb").replace(data)
        sync_folder(path)
        fresh.rmdir()
        yield Compacted(path, before, _used(data))


def _used(path: Path) -> int:
    return path.stat().st_blocks * 512
