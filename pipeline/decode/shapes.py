"""The table of built-in shapes, one row each. `auto` (auto.py) chooses among them."""

from __future__ import annotations

from pipeline.decode.builtin import cloudevents, heap, native, posthog, segment
from pipeline.decode.builtin.exports import amplitude, ga4, jitsu, mixpanel, snowplow
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
        "`$autocapture`; PostHog's capture topic, `clickhouse_events_json`, rows of batch exports",
        posthog.fits,
        posthog.is_doubtful,
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
        "track, page, screen, identify, group, alias, the `batch[]` envelope, archives in S3; RudderStack's",
        segment.fits,
        segment.is_doubtful,
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
        heap.is_doubtful,
        envelopes=("events", "users"),
        times=("timestamp",),
    ),
    DEBEZIUM,
    Shape(
        "amplitude",
        amplitude.read,
        "rows of the export, `events[]` of the HTTP API, `identification[]` of the Identify API",
        is_doubtful=amplitude.is_doubtful,
        envelopes=("events", "identification"),
        peek=amplitude.peek,
    ),
    Shape(
        "mixpanel",
        mixpanel.read,
        "lines of the export, bodies of /track, /import and /engage (people), exported profiles",
        is_doubtful=mixpanel.is_doubtful,
        peek=mixpanel.peek,
    ),
    Shape(
        "snowplow",
        snowplow.read,
        "enriched events: JSON of the analytics SDKs, and the tab-separated text of the topic",
        parse=snowplow.parse,
        peek=snowplow.peek,
        side="events",
    ),
    Shape(
        "ga4",
        ga4.read,
        "rows of Google Analytics 4 in BigQuery, as BigQuery writes them as JSON lines",
        peek=ga4.peek,
    ),
    Shape(
        "jitsu",
        jitsu.read,
        "messages of the ingest topics (`httpPayload`), rows of the bulker",
        peek=jitsu.peek,
    ),
)

SHAPES: dict[str, Shape] = {shape.name: shape for shape in _ROWS}
"""By name, in the order in which `auto` tests them; a record that fits two is refused."""
