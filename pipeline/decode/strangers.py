"""Shapes that are known and that no module reads: told by name, since a silent misread is the worst fault.

Each looks enough like a shape that is read to be taken for it: Snowplow's has Heap's ``app_id``, Mixpanel's
PostHog's ``event`` and ``distinct_id``. Their facts: the vendors' export formats, Debezium's envelope,
PostHog's capture and ClickHouse topics.
"""

from __future__ import annotations

from typing import Final

from pipeline.decode.fields import Fields
from pipeline.model.json import Json

_SNOWPLOW: Final = frozenset({"collector_tstamp", "etl_tstamp", "derived_tstamp", "dvce_created_tstamp"})
_DEBEZIUM: Final = frozenset({"__op", "__deleted"})
_JITSU: Final = frozenset({"httpPayload", "eventn_ctx"})
ALWAYS: Final = _SNOWPLOW | _DEBEZIUM | _JITSU
"""Fields that tell whatever stands beside them."""

_TELLING: Final = ALWAYS | {
    "properties", "data", "schema", "op", "params", "event_type", "event_name", "$distinct_id",
    "is_identified", "person_properties", "resourceLogs", "resourceSpans",
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
_NO_MIXPANEL: Final = frozenset(
    {
        "timestamp", "uuid", "offset", "sent_at", "now", "api_key", "token", "$set", "$set_once", "team_id",
        "identity", "app_id", "user_id", "userId", "anonymousId", "type",
    }
)  # fmt: skip
"""Fields beside ``event`` and ``properties`` that calls of PostHog, Heap and Segment have, Mixpanel's not."""

_TSV_TABS: Final = 100
"""Snowplow's enriched lines have some 130 fields; nobody's JSON is spread like that."""


def stranger(record: Fields) -> str | None:
    """Return what a record looks like that no module reads; None for every other record."""
    if _TELLING.isdisjoint(record):
        return None
    if not ALWAYS.isdisjoint(record):
        if not _SNOWPLOW.isdisjoint(record):
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
    if "schema" in record:
        return _with_schema(record["schema"], record)
    if "distinct_id" in record and _is_packed(record.get("data")):
        return "a message of PostHog's capture topic"
    if "is_identified" in record and type(properties) is str:
        return "a person of PostHog's ClickHouse topics"
    if "resourceLogs" in record or "resourceSpans" in record:
        return "OpenTelemetry's JSON"
    if type(record.get("params")) is dict and "name" in record and _NO_MIXPANEL.isdisjoint(record):
        return "an event of Google Analytics 4 (Measurement Protocol)"
    return None


def _among_events(record: Fields, properties: Json) -> str | None:
    """Return what a record with the field ``event`` looks like: Heap and PostHog have it, and others."""
    if "distinct_id" in record:
        if type(properties) is str or ("person_properties" in record and "properties" not in record):
            return "an event of PostHog's ClickHouse topics"
        if "properties" not in record and _is_packed(record.get("data")):
            return "a message of PostHog's capture topic"
        return None
    if type(properties) is dict and "distinct_id" in properties and _is_mixpanel(record, properties):
        return "an event of Mixpanel"
    return None


def _is_mixpanel(record: Fields, properties: Fields) -> bool:
    if not _MIXPANEL.isdisjoint(properties):
        return True
    if "$lib" in properties or not _NO_MIXPANEL.isdisjoint(record):
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


def _is_packed(data: Json) -> bool:
    return type(data) is str and data.startswith("{")


def stranger_bytes(raw: bytes) -> str | None:
    """Return what bytes look like that are no JSON; None where they look like nothing in particular."""
    if raw.startswith(b"\0") and len(raw) > 5:
        return "a message framed for a schema registry (Avro, Protobuf or JSON Schema)"
    if raw.count(b"\t") >= _TSV_TABS and not raw.startswith((b"{", b"[")):
        return "an enriched event of Snowplow as tab-separated text"
    return None


_FORMATS: Final = {
    "a flattened change event of Debezium": "debezium",
    "a change event of Debezium": "debezium",
    "a change event of Debezium (with its schema)": "debezium",
    "a message of Kafka Connect's JsonConverter (schema and payload)": "kafka-connect",
}
"""Which formats read what `auto` does not choose by itself."""


def unread(looks_like: str) -> str:
    """Return the reason of a record that is known and cannot be read, or not without being told how."""
    if looks_like in _FORMATS:
        return f"looks like {looks_like}: set `format: {_FORMATS[looks_like]}`"
    return f"looks like {looks_like}; Hookline has no reader for it yet, and `auto` takes it for nothing else"
