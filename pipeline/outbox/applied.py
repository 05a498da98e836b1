"""A shard's progress: how far it has read each source, and the sequence number of ordered deliveries."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.outbox.codec import ordered_row, pack_number, source_key, unpack_number
from pipeline.outbox.finished import FinishedRequests
from pipeline.store.rows import Table
from pipeline.store.store import Store

_SEQUENCE = b"\0sequence"
"""Row of `applied` that holds the sequence number."""


class Applied:
    """The rows of `applied`; the number is written at once, the offsets at the epoch's end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sequence = unpack_number(store.get(Table.APPLIED, _SEQUENCE))
        self._offsets: dict[str, int] = {}

    def next_row(self, webhook_id: str, user: str) -> bytes:
        """Return the row key of an ordered delivery, after everything owed to the user's webhook before."""
        self._sequence += 1
        self._store.put(Table.APPLIED, _SEQUENCE, pack_number(self._sequence))
        return ordered_row(webhook_id, user, self._sequence)

    def passed(self, offsets: Mapping[str, int]) -> None:
        """Note that everything of these sources up to and including these offsets has been seen."""
        seen = self._offsets
        for source, offset in offsets.items():
            if offset > seen.get(source, -1):
                seen[source] = offset

    def write(self, finished: FinishedRequests) -> None:
        """Write what was noted; finished requests before that point can be forgotten."""
        offsets = {source_key(source): offset for source, offset in self._offsets.items()}
        finished.expire(offsets)
        for key, offset in offsets.items():
            self._store.put(Table.APPLIED, key, pack_number(offset))
        self._offsets.clear()
