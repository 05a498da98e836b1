"""The table of built-in shapes: one row each. `auto` (auto.py) is the shape that chooses among them."""

from __future__ import annotations

from pipeline.decode.builtin import cloudevents, heap, native, posthog, segment
from pipeline.decode.builtin.exports import amplitude, ga4, jitsu, mixpanel, snowplow
from pipeline.decode.shape import Shape

_ROWS = (
    Shape("cloudevents", cloudevents.read, cloudevents.fits, times=("time",), side="events"),
    Shape(
        "posthog",
        posthog.read,
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
        native.fits,
        types=frozenset({"event", "user"}),
        times=("time", "received_at"),
        updates=frozenset({"user", "identify", "delete"}),
    ),
    Shape(
        "segment",
        segment.read,
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
        heap.fits,
        is_doubtful=heap.is_doubtful,
        envelopes=("events", "users"),
        times=("timestamp",),
    ),
    Shape(
        "amplitude",
        amplitude.read,
        is_doubtful=amplitude.is_doubtful,
        envelopes=("events", "identification"),
        times=("event_time", "time", "client_event_time"),
    ),
    Shape("mixpanel", mixpanel.read, is_doubtful=mixpanel.is_doubtful, peek=mixpanel.peek),
    Shape("snowplow", snowplow.read, parse=snowplow.parse, peek=snowplow.peek, side="events"),
    Shape("ga4", ga4.read, times=("event_timestamp",)),
    Shape("jitsu", jitsu.read, peek=jitsu.peek),
)

SHAPES: dict[str, Shape] = {shape.name: shape for shape in _ROWS}
"""By name, in the order in which `auto` asks whether a record fits; one that fits two is refused."""
