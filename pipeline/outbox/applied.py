"""A shard's progress: how far it has read each source, ordered deliveries, requests that a crash cut off."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.outbox.codec import (
    Finished,
    key_origin,
    ordered_row,
    pack_number,
    pack_result,
    source_key,
    unpack_number,
    unpack_result,
)
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


class FinishedRequests:
    """The table `finished` of one shard, by delivery key: requests that a crash left without a row.

    They are known from the journal, and a replay regenerates them (DESIGN 6). Empty but for a while then.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.known = {key: unpack_result(value) for key, value in store.items(Table.FINISHED)}
        """The state of each request when its process died."""

    def add(self, result: Finished) -> None:
        """Remember a result whose request has no row: a replay will regenerate it."""
        self.known[result.key] = result
        self._store.put(Table.FINISHED, result.key, pack_result(*result))

    def expire(self, applied: Mapping[bytes, int]) -> None:
        """Forget requests whose origin this epoch has passed; ``applied``: source key -> last offset."""
        gone = []
        for key in self.known:
            source, origin = key_origin(key)
            if origin.offset <= applied.get(source, -1):
                gone.append(key)
        for key in gone:
            del self.known[key]
            self._store.delete(Table.FINISHED, key)
