"""The pending requests of one shard that are on disk, counted by webhook and by bytes."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.outbox.codec import pack_owed, unpack_owed, webhook_prefix
from pipeline.outbox.counters import Counters
from pipeline.outbox.handover import Progress, Request
from pipeline.store.rows import Table
from pipeline.store.store import Store

ROW_BYTES = 400
"""Size of a row on disk besides URL and body."""


class OwedRows:
    """The table `outbox`. The size it counts for a request never changes."""

    def __init__(self, store: Store, counters: Counters) -> None:
        self._store = store
        self._counters = counters
        for webhook_id, counts in list(counters.webhooks()):
            if counts.pending and not counts.on_disk:
                # Older versions did not count bytes.
                prefix = webhook_prefix(webhook_id)
                rows = store.committed(Table.OUTBOX, prefix, prefix)
                counters.change(webhook_id).on_disk = sum(_size(unpack_owed(row)[0]) for _, row in rows)

    def __contains__(self, row: bytes) -> bool:
        return self._store.get(Table.OUTBOX, row) is not None

    def get(self, row: bytes) -> tuple[Request, Progress] | None:
        """Return what a row owes; None where there is no such row."""
        value = self._store.get(Table.OUTBOX, row)
        return None if value is None else unpack_owed(value)

    def committed_of(self, queue: bytes) -> Iterator[bytes]:
        """Yield the rows of this queue (see `queue_of`) as the last commit left them, in order."""
        return self._store.committed_keys(Table.OUTBOX, queue)

    def committed(
        self, webhook_id: str, cursor: bytes | None
    ) -> Iterator[tuple[bytes, tuple[Request, Progress]]]:
        """Yield a webhook's committed rows after the cursor; for any thread."""
        prefix = webhook_prefix(webhook_id)
        start = prefix if cursor is None else cursor + b"\0"
        for row, value in self._store.committed(Table.OUTBOX, start, prefix):
            yield row, unpack_owed(value)

    def add(self, row: bytes, request: Request, progress: Progress) -> None:
        """Write a row that is not there yet."""
        self._counters.change(request.webhook_id).on_disk += _size(request)
        self.change(row, request, progress)

    def change(self, row: bytes, request: Request, progress: Progress) -> None:
        """Rewrite a row with its request's present state."""
        self._store.put(Table.OUTBOX, row, pack_owed(request, progress))

    def remove(self, row: bytes, request: Request) -> None:
        """Remove a row."""
        counts = self._counters.change(request.webhook_id)
        counts.on_disk = max(0, counts.on_disk - _size(request))
        self._store.delete(Table.OUTBOX, row)


def _size(request: Request) -> int:
    return ROW_BYTES + len(request.url) + len(request.body)
