"""The table of built-in shapes: one row each. `auto` (auto.py) is the shape that chooses among them."""

from __future__ import annotations

from pipeline.decode.builtin import cloudevents, heap, native, posthog, segment
from pipeline.decode.builtin.exports import amplitude, ga4, jitsu, mixpanel, snowplow
from pipeline.decode.fields import Fields
from pipeline.decode.shape import Shape


def _always(record: Fields) -> bool:
    """Return True: a record of the shape may lack every field that is the shape's alone."""
    return True


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
        is_doubtful=posthog.is_doubtful,
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
        is_doubtful=segment.is_doubtful,
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
        is_doubtful=_always,
        envelopes=("events", "users"),
        times=("timestamp",),
    ),
    Shape(
        "amplitude",
        amplitude.read,
        "exports, the HTTP API, identify; user properties inside an event are an update before it",
        is_doubtful=_always,
        envelopes=("events", "identification"),
        times=("event_time", "time", "client_event_time"),
    ),
    Shape(
        "mixpanel",
        mixpanel.read,
        "exported events, /track, /import, and /engage for people",
        is_doubtful=_always,
        peek=mixpanel.peek,
    ),
    Shape(
        "snowplow",
        snowplow.read,
        "enriched events: the topic's TSV, and JSON of the analytics SDKs",
        parse=snowplow.parse,
        peek=snowplow.peek,
        side="events",
    ),
    Shape("ga4", ga4.read, "rows of the BigQuery export", times=("event_timestamp",)),
    Shape("jitsu", jitsu.read, "messages of the ingest topic, and rows of its tables", peek=jitsu.peek),
)

SHAPES: dict[str, Shape] = {shape.name: shape for shape in _ROWS}
"""By name, in the order in which `auto` asks whether a record fits; one that fits two is refused."""
