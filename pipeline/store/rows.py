"""Rows of bytes by table and key: what users, links and limits need of a store, on disk or in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol

MAX_KEY = 400
"""Longer keys are hashed: LMDB allows 511 bytes, the undo table adds one."""


class Table(IntEnum):
    """The tables of a store. The numbers are part of the format."""

    UNDO = 0
    """Table number and key of each row that the last epoch changed, with its previous value on disk."""
    USERS = 1
    CAPS = 2
    OUTBOX = 3
    FINISHED = 4
    DEAD = 5
    COUNTERS = 6
    APPLIED = 7
    ALIASES = 8
    MERGED = 9
    PROFILES = 10
    COPIES = 11
    META = 12
    """A store's own metadata."""
    DEAD_ORDER = 13
    """By webhook and time: the keys of its dead letters, with their size."""


def bounded(key: bytes, limit: int = MAX_KEY) -> bytes:
    """Return the key, or for one over ``limit`` bytes its start and a 128-bit hash."""
    if len(key) <= limit:
        return key
    return key[: limit - 17] + b"\xff" + hashlib.blake2b(key, digest_size=16).digest()


def row_key(text: str) -> bytes:
    """Return the key of a row that is named by a text, as `bounded` gives it."""
    return bounded(text.encode("utf-8", "surrogatepass"))


class Rows(Protocol):
    """Read and written by one thread, which sees its own writes."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row, or None."""

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write the row. The key has at most MAX_KEY bytes (see `bounded`)."""

    def delete(self, table: Table, key: bytes) -> None:
        """Remove the row; a missing row is no error."""

    def items(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with the prefix, from key ``start`` on, in key order.

        The caller must not write while it iterates.
        """
