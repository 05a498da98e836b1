"""Batches: which deliveries share a request, and which of them a response reports as failed.

A batch's ``webhook-id`` depends on its members alone (sender.batch_id). While the process lives, a failed
batch is repeated with the same members, hence the same id and body; after a restart members may be grouped
differently, and the batch then has another id. Receivers that must not process a member twice use an id in
the member's own body.

A receiver that accepted only a part answers 2xx with a JSON object that names the failed members by index:
``{"failed": [0, 3]}`` or ``{"failed": [{"index": 3, "error": "why", "retry": false}]}``. Those are retried
(with ``"retry": false`` dead-lettered), the others are delivered. Where `failed` names no valid indexes the
answer is not a success: nobody knows which members were accepted.

One that refuses a batch as too large (413), or for its content (400, 422), gets it again in halves, so that a
member that is at fault becomes a dead letter alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pipeline.config.models.webhooks.delivery import BatchSettings
from pipeline.outbox.handover import Delivery

Item: TypeAlias = "tuple[Delivery, ...]"
"""What one request carries: one delivery, or the members of a batch."""


@dataclass(slots=True)
class _Collecting:
    """Members of a batch that is not full yet."""

    deliveries: list[Delivery]
    size: int
    """Of the body: members, brackets and commas of an array; without what `wrap` adds."""
    due: float


@dataclass(slots=True)
class Batcher:
    """Collects deliveries with the same method, URL and headers until a batch is full or old enough."""

    settings: BatchSettings
    _open: dict[Any, _Collecting] = field(default_factory=dict)

    def add(self, delivery: Delivery, now: float) -> Item | None:
        """Add a delivery; return a batch where this one filled or overflowed it."""
        request = delivery.request
        key = (request.method, request.url, request.headers)
        size = len(request.body) + 1
        done: Item | None = None
        collecting = self._open.get(key)
        if collecting is not None and collecting.size + size > self.settings.max_bytes:
            done = tuple(collecting.deliveries)
            collecting = None
        if collecting is None:
            collecting = self._open[key] = _Collecting([], 1, now + self.settings.max_wait_secs)
        collecting.deliveries.append(delivery)
        collecting.size += size
        if len(collecting.deliveries) >= self.settings.max_events:
            # Then none has overflowed: a single delivery is never a full batch.
            del self._open[key]
            return tuple(collecting.deliveries)
        return done

    def due(self, now: float) -> list[Item]:
        """Return the batches that have waited long enough."""
        return self._take(lambda each: each.due <= now)

    def flush(self) -> list[Item]:
        """Return everything collected so far."""
        return self._take(lambda each: True)

    def next_due(self) -> float:
        """Return when the next batch is due; infinity where nothing is collected."""
        return min((each.due for each in self._open.values()), default=float("inf"))

    def __len__(self) -> int:
        return sum(len(each.deliveries) for each in self._open.values())

    def _take(self, wanted: Any) -> list[Item]:
        keys = [key for key, each in self._open.items() if wanted(each)]
        return [tuple(self._open.pop(key).deliveries) for key in keys]


def halves(item: Item) -> tuple[Item, Item]:
    """Split a batch in two, for a receiver that found it too large, or a member of it wrong."""
    middle = len(item) // 2
    return item[:middle], item[middle:]
