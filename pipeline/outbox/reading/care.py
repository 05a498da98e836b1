"""Maintains the stores of a stopped job: checks every row, rewrites them, returns unused space."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import lmdb

from pipeline.model.errors import Fatal
from pipeline.model.files.disk import replacing
from pipeline.outbox.codec import pack_dead, pack_owed, unpack_dead, unpack_owed
from pipeline.outbox.reading.view import stores
from pipeline.store.environment import MAX_TABLES
from pipeline.store.rows import Table
from pipeline.store.store import Store


class Compacted(NamedTuple):
    """One store's size on disk, in bytes."""

    store: Path
    before: int
    after: int


def rewrite(state: Path) -> int:
    """Rewrite rows of older formats, undo included; return how many. The caller owns the directory.

    From then on rows without a CRC are damaged. Raises StateError for a damaged row or a store in use.
    """
    changed = 0
    for path in stores(state):
        store = Store(path, lock_wait_secs=0)
        try:
            changed += store.seal_all(_renewed)
        finally:
            store.close()
    return changed


def _renewed(table: Table, value: bytes) -> bytes:
    if table is Table.OUTBOX:
        return pack_owed(*unpack_owed(value))
    return pack_dead(unpack_dead(value)) if table is Table.DEAD else value


def compact(state: Path) -> Iterator[Compacted]:
    """Rewrite each store without its unused pages. The caller owns the state directory.

    A crash leaves the old or the new file, both complete. Raises StateError for a store in use, Fatal where
    the disk has no room for the new file.
    """
    for path in stores(state):
        Store(path, lock_wait_secs=0).close()
        data = path / "data.mdb"
        before = _used(data)
        try:
            with replacing(data) as file, lmdb.open(str(path), readonly=True, max_dbs=MAX_TABLES) as env:
                env.copyfd(file.fileno(), compact=True)
        except lmdb.Error as error:
            raise Fatal(
                f"{path}: the store could not be written anew, and is as it was ({error}): there "
                "must be room for a second one"
            ) from error
        # The temporary name of older versions, left behind by a kill.
        shutil.rmtree(path / "compact", ignore_errors=True)
        yield Compacted(path, before, _used(data))


def _used(path: Path) -> int:
    return path.stat().st_blocks * 512
