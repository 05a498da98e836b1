"""What `limit`, `dedupe` and `repeat` remember, with its expiry on event time."""

from __future__ import annotations

import struct
from collections.abc import Callable

from pipeline.store.rows import Rows, Table, bounded

SWEEP_ROWS = 256
"""Rows checked for expiry per epoch."""

LATE_MS = 7 * 24 * 3600 * 1000
"""Expired rows are kept this much longer: events up to a week late are still judged by them, so that the
result does not depend on when rows are swept."""

_EXPIRY = struct.Struct(">q")


class Caps:
    """The rows of one shard. Expiry is unix milliseconds of event time; None: never."""

    def __init__(self, rows: Rows, clock: Callable[[], int]) -> None:
        self._rows = rows
        self._clock = clock
        self._latest = 0
        self._cursor = b""

    def get(self, key: bytes) -> bytes | None:
        """Return the value of the key, expired or not."""
        row = self._rows.get(Table.CAPS, bounded(key))
        return None if row is None else row[_EXPIRY.size :]

    def put(self, key: bytes, value: bytes, expires_ms: int | None) -> None:
        """Remember a value until the expiry."""
        expiry = (1 << 62) if expires_ms is None else min(expires_ms, 1 << 62)
        self._rows.put(Table.CAPS, bounded(key), _EXPIRY.pack(expiry) + value)

    def seen(self, time_ms: int) -> None:
        """Note an event's time: expiry is measured against the latest one.

        Times in the future are ignored: one wrong clock must not expire everybody's rows.
        """
        if time_ms > self._latest:
            self._latest = min(time_ms, max(self._latest, self._clock()))

    def sweep(self) -> None:
        """Delete some rows that expired long ago."""
        if not self._latest:
            return
        gone = []
        for looked, (key, row) in enumerate(self._rows.items(Table.CAPS, start=self._cursor), 1):
            self._cursor = key + b"\0"
            if _EXPIRY.unpack_from(row)[0] + LATE_MS < self._latest:
                gone.append(key)
            if looked == SWEEP_ROWS:
                break
        else:
            self._cursor = b""
        for key in gone:
            self._rows.delete(Table.CAPS, key)
