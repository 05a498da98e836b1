"""A store's own metadata: the table `meta`, written with each epoch."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import lmdb

from pipeline.model.errors import StateError
from pipeline.store.environment import unreadable
from pipeline.store.rows import Table
from pipeline.store.sealing import Seals, seal

FORMAT = 2
"""Version of tables and rows. Those of format 1 had no version byte and no CRC; they are still read."""

FORMAT_KEY = b"format"
"""Row of `meta`; unsealed, so that an older version can report that it cannot read the store."""
OLD_ROWS_KEY = b"old-rows"
"""Row of `meta`: there may be rows of format 1. Unsealed: only its presence matters."""
SEQ_KEY = b"sealed-seq"
"""Row of `meta`: the store's sequence number."""
OLD_SEQ_KEY = b"seq"
"""Row of `meta`: the same in plain digits. Versions of format 1 read it before they check the format."""
RUNS_KEY = b"runs"
"""Row of `meta`: which openings of the store have committed its last two epochs."""


class Meta(NamedTuple):
    """A store's own metadata."""

    format: int
    """0: it is new."""
    seals: Seals
    seq: int = 0
    """How many epochs were committed."""
    runs: tuple[str, str] = ("", "")
    """Names of those who committed the last two epochs, the last one first; "": an older version did."""


def read_meta(path: Path, txn: lmdb.Transaction[bytes], meta: lmdb._Database) -> Meta:
    """Return a store's metadata. Raises StateError where a later version wrote it, or for damage."""
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
                number = int(seals.open(Table.META, key, seq))
                runs = txn.get(RUNS_KEY, db=meta)
                if runs is None:
                    return Meta(found, seals, number)
                last, _, before = seals.open(Table.META, RUNS_KEY, runs).decode("ascii").partition(" ")
                return Meta(found, seals, number, (last, before))
    except ValueError as error:
        raise unreadable(path, error) from error
    return Meta(found, seals)


def take_meta(path: Path, txn: lmdb.Transaction[bytes], meta: lmdb._Database) -> Meta:
    """Do as `read_meta`, and record that the store has today's format."""
    found = read_meta(path, txn, meta)
    if found.format != FORMAT:
        txn.put(FORMAT_KEY, b"%d" % FORMAT, db=meta)
        if found.seals.old_rows:
            txn.put(OLD_ROWS_KEY, b"1", db=meta)
    return found


def put_epoch(txn: lmdb.Transaction[bytes], meta: lmdb._Database, seq: int, runs: tuple[str, str]) -> None:
    """Write the number of epochs committed, and who committed the last two."""
    digits = b"%d" % seq
    txn.put(SEQ_KEY, seal(Table.META, SEQ_KEY, digits), db=meta)
    txn.put(OLD_SEQ_KEY, digits, db=meta)
    names = " ".join(runs).encode("ascii")
    txn.put(RUNS_KEY, seal(Table.META, RUNS_KEY, names), db=meta)


def forget_old_rows(txn: lmdb.Transaction[bytes], meta: lmdb._Database) -> None:
    """Record that no row of format 1 is left."""
    txn.delete(OLD_ROWS_KEY, db=meta)
