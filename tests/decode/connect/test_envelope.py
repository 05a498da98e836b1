"""Records of other shapes in Kafka Connect's ``{schema, payload}``."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.model.records import Event, PropertyUpdate
from tests.decode.reading import one, reason

SCHEMA = {
    "type": "struct",
    "fields": [
        {"field": "properties", "type": "struct", "fields": [
            {"field": "total", "type": "bytes", "name": "org.apache.kafka.connect.data.Decimal",
             "parameters": {"scale": "2"}},
            {"field": "totals", "type": "array", "items": {"type": "bytes", "parameters": {"scale": "2"},
             "name": "org.apache.kafka.connect.data.Decimal"}},
            {"field": "days", "type": "map", "values": {"type": "int32",
             "name": "org.apache.kafka.connect.data.Date"}},
        ]},
    ],
}  # fmt: skip
PROPERTIES: dict[str, Any] = {"total": "AeI6", "totals": ["AeI6", None]}
EVENT = {"type": "event", "name": "Paid", "user_id": "u", "properties": PROPERTIES}


def wrapped(payload: Any, schema: Any = SCHEMA) -> dict[str, Any]:
    return {"schema": schema, "payload": payload}


def test_the_payload_is_read_as_auto_reads_it_with_its_decimals() -> None:
    event = one(wrapped(EVENT), format="kafka-connect")
    assert type(event) is Event
    assert event.properties == {"total": 1234.5, "totals": [1234.5, None]}
    days = one(wrapped({**EVENT, "properties": {"days": {"x": 20785}}}), format="kafka-connect")
    assert days.properties == {"days": {"x": "2026-11-28"}}
    assert one(wrapped(EVENT, None), format="kafka-connect").properties == EVENT["properties"]


@pytest.mark.parametrize(
    "key", [b'{"schema":{"type":"string"},"payload":"u1"}', b'"u1"', b'{"id":"u1"}', b"u1"]
)
def test_a_message_without_a_payload_forgets_the_user_of_its_key(key: bytes) -> None:
    gone = one(wrapped(None), format="kafka-connect", key=key)
    assert type(gone) is PropertyUpdate
    assert (gone.user_id, gone.delete) == ("u1", True)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (EVENT, "`schemas.enable`"),
        (wrapped(7), "`payload` is a number"),
        (wrapped([]), "`payload` is an array"),
        (wrapped(EVENT, {"type": "struct", "fields": [7]}), "`schema.fields`"),
        (wrapped({"op": "c", "before": None, "after": {"id": 1}}), "set `format: debezium`"),
        (wrapped({"x": {"total": 1}}), "the shape fits none"),
    ],
)
def test_what_cannot_be_read_is_told(record: Any, said: str) -> None:
    assert said in reason(record, format="kafka-connect")
