"""The table of built-in shapes: one row each. `auto` (auto.py) is the shape that chooses among them."""

from __future__ import annotations

from pipeline.decode.builtin import cloudevents, heap, native, posthog, segment
from pipeline.decode.connect.debezium import DEBEZIUM
from pipeline.decode.shape import Shape

_ROWS = (
    Shape(
        "cloudevents",
        cloudevents.read,
        "CloudEvents 1.0: structured JSON, and binary mode in Kafka headers",
        cloudevents.fits,
        times=("time",),
        side="events",
    ),
    Shape(
        "posthog",
        posthog.read,
        "capture and `batch[]`, `$set`, `$set_once`, `$unset`, `$identify`, `$create_alias`, the elements of "
        "`$autocapture`",
        posthog.fits,
        envelopes=("batch",),
        glance=posthog.glance,
        times=("timestamp", "sent_at"),
        update_events=posthog.PERSON_CALLS,
    ),
    Shape(
        "native",
        native.read,
        "Hookline's own, below",
        native.fits,
        types=frozenset({"event", "user"}),
        times=("time", "received_at"),
        updates=frozenset({"user", "identify", "delete"}),
    ),
    Shape(
        "segment",
        segment.read,
        "track, page, screen, identify, group, alias, and the `batch[]` envelope",
        segment.fits,
        envelopes=("batch",),
        glance=segment.glance,
        times=("timestamp", "originalTimestamp", "sentAt", "receivedAt"),
        updates=frozenset({"identify", "alias", "delete"}),
    ),
    Shape(
        "heap",
        heap.read,
        "the server-side API: track, also as `events[]`; add_user_properties, also as `users[]`; identify",
        heap.fits,
        envelopes=("events", "users"),
        times=("timestamp",),
    ),
    DEBEZIUM,
)

SHAPES: dict[str, Shape] = {shape.name: shape for shape in _ROWS}
"""By name, in the order in which `auto` asks whether a record fits; one that fits two is refused."""
