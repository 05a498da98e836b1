"""Records that resemble one shape but belong to another: named in an error, never silently misread.

`auto` reads none of them, and says which `format` does, or that none does yet. Each could be mistaken for a
shape that is read: Snowplow has Heap's ``app_id``, Mixpanel has PostHog's ``event`` and ``distinct_id``.
Sources: the vendors' export formats, Debezium's envelope, PostHog's ClickHouse topics.
"""

from __future__ import annotations

from typing import Final

from pipeline.decode.raw.fields import Fields
from pipeline.model.json import Json

SNOWPLOW: Final = frozenset({"collector_tstamp", "etl_tstamp", "derived_tstamp", "dvce_created_tstamp"})
_DEBEZIUM: Final = frozenset({"__op", "__deleted"})
_JITSU: Final = frozenset({"httpPayload", "eventn_ctx", "eventn_ctx_event_id"})
ALWAYS: Final = SNOWPLOW | _DEBEZIUM | _JITSU
"""Fields that decide whatever stands beside them."""

_TELLING: Final = ALWAYS | {
    "properties", "data", "schema", "op", "params", "event_type", "event_name", "$distinct_id",
    "is_identified", "resourceLogs", "resourceSpans", "resourceMetrics", "identification", "$group_key",
    "table", "metadata",
}  # fmt: skip
"""A record without any of these fields is none of them."""

_AMPLITUDE: Final = frozenset(
    {
        "event_properties", "user_properties", "amplitude_id", "insert_id", "$insert_id", "device_id",
        "event_time", "user_id", "library",
    }
)  # fmt: skip
_GA4: Final = frozenset({"event_timestamp", "event_params", "event_date", "user_pseudo_id"})
_MIXPANEL: Final = frozenset(
    {"mp_lib", "mp_processing_time_ms", "$mp_api_endpoint", "mp_country_code", "$mp_metadata"}
)
NO_MIXPANEL: Final = frozenset(
    {
        "timestamp", "uuid", "offset", "sent_at", "now", "api_key", "token", "$set", "$set_once", "team_id",
        "identity", "app_id", "user_id", "userId", "anonymousId", "type",
    }
)  # fmt: skip
"""Fields beside ``event`` and ``properties`` that calls of PostHog, Heap and Segment have but Mixpanel's do
not."""

_OTHER_IDS: Final = frozenset({"distinct_id", "$distinct_id", "$lib"})
"""Properties of PostHog's calls."""
_IDENTITY: Final = {"$identify": "$identified_id", "$merge": "$distinct_ids"}
"""Mixpanel's calls without anybody's ``distinct_id``."""

_CHANGES: Final = (
    ("Canal", frozenset({"database", "table", "type", "data", "isDdl"})),
    ("Maxwell", frozenset({"database", "table", "type", "data", "ts"})),
    ("GoldenGate", frozenset({"table", "op_type", "op_ts", "pos"})),
    ("wal2json", frozenset({"action", "schema", "table", "columns"})),
    ("wal2json", frozenset({"action", "schema", "table", "identity"})),
)
"""Fields of table changes that others than Debezium write: the row is inside, and would be one property."""

READ_AS: Final = {
    "an enriched event of Snowplow": "snowplow",
    "an enriched event of Snowplow as tab-separated text": "snowplow",
    "a message of Jitsu": "jitsu",
    "an update of Mixpanel's people": "mixpanel",
    "an event of Mixpanel": "mixpanel",
    "an event of Amplitude": "amplitude",
    "a call of Amplitude's Identify API": "amplitude",
    "an event of Google Analytics 4": "ga4",
    "a flattened change event of Debezium": "debezium",
    "a change event of Debezium": "debezium",
    "a change event of Debezium (with its schema)": "debezium",
    "a message of Kafka Connect's JsonConverter (schema and payload)": "kafka-connect",
    "a message framed for a schema registry": "{avro: {registry: URL, then: SHAPE}}` or "
    "`format: {json_schema: {then: SHAPE}}",
}
"""The `format` that reads such records; absent where none does."""

_TSV_TABS: Final = 100
"""Snowplow's enriched lines have some 130 fields; no JSON has so many tabs."""


def stranger(record: Fields) -> str | None:
    """Return what a record that no module reads looks like; None for any other record."""
    if _TELLING.isdisjoint(record):
        return None
    if not ALWAYS.isdisjoint(record):
        if not SNOWPLOW.isdisjoint(record):
            return "an enriched event of Snowplow"
        if not _DEBEZIUM.isdisjoint(record):
            return "a flattened change event of Debezium"
        return "a message of Jitsu"
    properties = record.get("properties")
    if "event" in record:
        return _among_events(record, properties)
    if "$distinct_id" in record:
        return "an update of Mixpanel's people"
    if "event_type" in record and not _AMPLITUDE.isdisjoint(record):
        return "an event of Amplitude"
    if "event_name" in record and not _GA4.isdisjoint(record):
        return "an event of Google Analytics 4"
    if "op" in record and ("before" in record or "after" in record):
        return "a change event of Debezium"
    for writer, fields in _CHANGES:
        if fields <= record.keys():
            return f"a change of a table by {writer}"
    metadata = record.get("metadata")
    if type(metadata) is dict and "record-type" in metadata and "operation" in metadata:
        return "a change of a table by AWS DMS"
    if "schema" in record:
        return _with_schema(record["schema"], record)
    if "is_identified" in record and type(properties) is str:
        return "a person of PostHog's ClickHouse topics"
    if "resourceLogs" in record or "resourceSpans" in record or "resourceMetrics" in record:
        return "OpenTelemetry's JSON"
    if type(record.get("identification")) in (list, dict):
        return "a call of Amplitude's Identify API"
    if type(record.get("params")) is dict and "name" in record and NO_MIXPANEL.isdisjoint(record):
        return "an event of Google Analytics 4 (Measurement Protocol)"
    return None


def _among_events(record: Fields, properties: Json) -> str | None:
    """Return what a record with the field ``event`` looks like, which Heap, PostHog and others have."""
    if type(properties) is not dict or "distinct_id" in record:
        return None
    if "distinct_id" in properties and _is_mixpanel(record, properties):
        return "an event of Mixpanel"
    # Its newer libraries send no `distinct_id`.
    is_alone = NO_MIXPANEL.isdisjoint(record) and _OTHER_IDS.isdisjoint(properties)
    if is_alone and ("$user_id" in properties or "$device_id" in properties):
        return "an event of Mixpanel"
    return "an event of Mixpanel" if _IDENTITY.get(str(record["event"]), "") in properties else None


def _is_mixpanel(record: Fields, properties: Fields) -> bool:
    if not _MIXPANEL.isdisjoint(properties):
        return True
    if "$lib" in properties or not NO_MIXPANEL.isdisjoint(record):
        return False
    token = properties.get("token")
    if type(token) is str:
        return not token.startswith("phc_")
    return type(properties.get("time")) in (int, float)


def _with_schema(schema: Json, record: Fields) -> str | None:
    if type(schema) is str and schema.startswith("iglu:"):
        return "self-describing JSON of Snowplow"
    payload = record.get("payload")
    if "payload" not in record or not (schema is None or type(schema) is dict):
        return None
    if type(payload) is dict and "op" in payload and ("before" in payload or "after" in payload):
        return "a change event of Debezium (with its schema)"
    return "a message of Kafka Connect's JsonConverter (schema and payload)"


def stranger_bytes(raw: bytes) -> str | None:
    """Return what bytes that are not JSON look like; None where they resemble nothing known."""
    if raw.startswith(b"\0") and len(raw) > 5:
        # No schema has the id 0: a crash leaves such zeros in a log. Nor 2**24 and more: text in UTF-16.
        is_framed = any(raw[1:5]) and not (raw[1] and not raw[2])
        return "a message framed for a schema registry" if is_framed else None
    if raw.count(b"\t") >= _TSV_TABS and not raw.startswith((b"{", b"[")):
        return "an enriched event of Snowplow as tab-separated text"
    return None


def unread(looks_like: str, format: str = "auto") -> str:
    """Return the reason for a record that is recognised but does not have this format."""
    reads = READ_AS.get(looks_like)
    rest = "Hookline has no reader for it yet, and" if reads is None else f"set `format: {reads}`, since"
    return f"looks like {looks_like}; {rest} `{format}` takes it for nothing else"
