"""What a shard has applied: how far it has seen each source, and the running number of ordered deliveries."""

from __future__ import annotations

from pipeline.outbox.codec import ordered_row, pack_number, source_key, unpack_number
from pipeline.outbox.finished import FinishedRequests
from pipeline.store.rows import Table
from pipeline.store.store import Store

_SEQUENCE = b"\0sequence"
"""Row of `applied` that holds the running number."""


class Applied:
    """The rows of `applied`; the number is written at once, the offsets at the epoch's end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sequence = unpack_number(store.get(Table.APPLIED, _SEQUENCE))
        self._offsets: dict[bytes, int] = {}

    def next_row(self, webhook_id: str, user: str) -> bytes:
        """Return the row of an ordered delivery: behind all that the user's webhook was owed before."""
        self._sequence += 1
        self._store.put(Table.APPLIED, _SEQUENCE, pack_number(self._sequence))
        return ordered_row(webhook_id, user, self._sequence)

    def passed(self, source: str, offset: int) -> None:
        """Note that everything of the source up to and including this offset has been seen."""
        key = source_key(source)
        if offset > self._offsets.get(key, -1):
            self._offsets[key] = offset

    def write(self, finished: FinishedRequests) -> None:
        """Write what was noted; what had finished before that point need not be known any more."""
        finished.expire(self._offsets)
        for source, offset in self._offsets.items():
            self._store.put(Table.APPLIED, source, pack_number(offset))
        self._offsets.clear()
