"""Requests that a crash left without a row: the journal knows them, a replay brings them again (DESIGN 6)."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.outbox.codec import Finished, key_origin, pack_result, unpack_result
from pipeline.store.rows import Table
from pipeline.store.store import Store


class FinishedRequests:
    """The table `finished` of one shard, by delivery key. Empty but for a while after a crash."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.known = {key: unpack_result(value) for key, value in store.items(Table.FINISHED)}
        """How each request stood when its process died."""

    def add(self, result: Finished) -> None:
        """Remember a result whose request is in no row: a replay will bring it again."""
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
