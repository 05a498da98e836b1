"""`format: auto`: what cannot be told for sure is refused by name, and nothing right is refused."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from pipeline.decode.decode import decode
from pipeline.decode.scan import scan
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.kit.streams.samples import shared_data

HERE = Origin("a.jsonl", 7)


def read(record: Any, **given: Any) -> list[Record]:
    raw = record if isinstance(record, bytes | None) else orjson.dumps(record)
    return decode(raw, origin=HERE, **given)


def reason(record: Any, **given: Any) -> str:
    (found,) = read(record, **given)
    assert type(found) is Invalid, found
    return found.reason


SNOWPLOW = {
    "app_id": "shop", "platform": "srv", "etl_tstamp": "2026-11-28T11:44:50.000Z", "event": "unstruct",
    "collector_tstamp": "2026-11-28T11:44:49.000Z", "event_id": "bc1d3298", "user_id": "u1",
}  # fmt: skip
MIXPANEL = {
    "event": "Purchase",
    "properties": {"time": 1795866284, "distinct_id": "u1", "$insert_id": "c9", "mp_lib": "web"},
}
AMPLITUDE = {
    "event_type": "Purchase", "event_time": "2026-11-28 11:44:50.000000", "user_id": "u1", "amplitude_id": 5,
    "event_properties": {"amount": 250},
}  # fmt: skip
GA4 = {
    "event_date": "20261128",
    "event_timestamp": "1795866284000000",
    "event_name": "purchase",
    "user_id": "u",
}
SOURCE = {"version": "2.7.0", "connector": "postgresql", "name": "shop", "table": "users"}
OTHER_CHANGES: dict[str, dict[str, Any]] = {
    "Maxwell": {
        "database": "shop", "table": "users", "type": "insert", "ts": 1795445400, "xid": 5, "commit": True,
        "data": {"id": 7, "plan": "pro"},
    },
    "Canal": {
        "id": 1, "database": "shop", "table": "users", "type": "INSERT", "isDdl": False, "ts": 1795445400500,
        "data": [{"id": "7", "plan": "pro"}], "pkNames": ["id"],
    },
    "GoldenGate": {
        "table": "SHOP.USERS", "op_type": "I", "op_ts": "2026-11-23 14:50:00.000000", "pos": "0001",
        "after": {"ID": 7},
    },
    "wal2json": {
        "action": "I", "schema": "public", "table": "users", "columns": [{"name": "id", "value": 7}],
    },
    "AWS DMS": {
        "data": {"id": 7}, "metadata": {"record-type": "data", "operation": "insert", "table-name": "users"},
    },
}  # fmt: skip
DEBEZIUM = {"before": None, "after": {"id": 7, "identity": "x"}, "source": SOURCE, "op": "c", "ts_ms": 1}
CAPTURED = {
    "uuid": "01", "distinct_id": "u1", "ip": "1.2.3.4", "now": "2026-11-28T11:44:50Z", "token": "phc_x",
    "data": '{"event":"Purchase","distinct_id":"u1","properties":{"amount":5}}',
}  # fmt: skip
CLICKHOUSE = {
    "uuid": "01", "event": "Purchase", "properties": '{"amount":5}', "team_id": 1, "distinct_id": "u1",
    "person_properties": "{}",
}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "name", "format"),
    [
        (SNOWPLOW, "Snowplow", "snowplow"),
        (b"shop\tweb" + b"\t" * 129, "Snowplow", "snowplow"),
        (b"17\tweb\t2026-11-28 11:44:50" + b"\t" * 128, "Snowplow", "snowplow"),
        ({"schema": "iglu:com.acme/x/jsonschema/1-0-0", "data": [{"e": "ue"}]}, "Snowplow", None),
        (MIXPANEL, "Mixpanel", "mixpanel"),
        ({"event": "A", "properties": {"distinct_id": "u1", "token": "TOK"}}, "Mixpanel", "mixpanel"),
        ({"event": "A", "properties": {"distinct_id": "u1", "time": 1795866284}}, "Mixpanel", "mixpanel"),
        ({"event": "A", "properties": {"$user_id": "u1", "$device_id": "d"}}, "Mixpanel", "mixpanel"),
        ({"$distinct_id": "u1", "$properties": {"$email": "a@b.c"}}, "Mixpanel", "mixpanel"),
        ({"$token": "T", "$distinct_id": "u1", "$set": {"plan": "pro"}}, "Mixpanel", "mixpanel"),
        (AMPLITUDE, "Amplitude", "amplitude"),
        (
            {"api_key": "K", "events": [{"event_type": "A", "insert_id": "1", "user_id": "u"}]},
            "Amplitude",
            "amplitude",
        ),
        ({"api_key": "K", "identification": [{"user_id": "u"}]}, "Amplitude", "amplitude"),
        (GA4, "Google Analytics 4", "ga4"),
        ({"client_id": "c", "events": [{"name": "purchase", "params": {}}]}, "Google Analytics 4", None),
        (DEBEZIUM, "Debezium", "debezium"),
        ({"schema": {"type": "struct"}, "payload": DEBEZIUM}, "Debezium", "debezium"),
        (
            {"id": 7, "identity": "x", "event": "y", "__op": "u", "__deleted": "false"},
            "Debezium",
            "debezium",
        ),
        ({"schema": {"type": "struct"}, "payload": {"type": "event"}}, "Connect", "kafka-connect"),
        (
            {"type": "track", "messageId": "m", "httpPayload": {"type": "track", "userId": "u"}},
            "Jitsu",
            "jitsu",
        ),
        ({"resourceLogs": [{"scopeLogs": []}]}, "OpenTelemetry", None),
        *((change, name, None) for name, change in OTHER_CHANGES.items()),
        (b"\0\0\0\0\x07Hello", "schema registry", "{avro: {registry: URL, then: SHAPE}}"),
        (b"\0\0\x01\0\x07Hello", "schema registry", "{avro: {registry: URL, then: SHAPE}}"),
    ],
)
def test_a_known_shape_of_another_format_is_refused_by_name(
    record: Any, name: str, format: str | None
) -> None:
    said = reason(record)
    assert said.startswith("looks like")
    assert name in said
    assert ("no reader for it yet" if format is None else f"set `format: {format}`") in said


@pytest.mark.parametrize("change", OTHER_CHANGES.values())
def test_a_change_that_debezium_has_not_written_is_no_row(change: dict[str, Any]) -> None:
    """Its row would be one property of a user who does not exist."""
    (found,) = read(change, format="debezium", key=b"7")
    assert type(found) is Invalid
    assert "a change of a table by" in found.reason


@pytest.mark.parametrize("raw", [bytes(40) + b'{"a":1}', '{"type":"event"}'.encode("utf-16-be")])
def test_zeros_of_a_crash_and_of_utf_16_are_no_message_of_a_registry(raw: bytes) -> None:
    assert "looks like" not in reason(raw)


@pytest.mark.parametrize("record", [CAPTURED, {**CAPTURED, "event": "Purchase"}])
def test_a_message_of_posthogs_capture_topic_is_the_call_in_its_text(record: Any) -> None:
    (event,) = read(record)
    assert type(event) is Event
    assert (event.id, event.name, event.user_id, event.properties) == ("01", "Purchase", "u1", {"amount": 5})


def test_a_message_of_posthogs_clickhouse_topic_has_its_properties_as_text() -> None:
    (event,) = read(CLICKHOUSE)
    assert type(event) is Event
    assert event.properties == {"amount": 5}


@pytest.mark.parametrize(
    ("record", "names"),
    [
        ({"type": "track", "event": "A", "userId": "u", "distinct_id": "d"}, ("posthog", "segment")),
        ({"event": "A", "userId": "u", "properties": {"distinct_id": "d"}}, ("posthog", "segment")),
        ({"event": "A", "userId": "u", "identity": "i"}, ("segment", "heap")),
        ({"event": "A", "identity": "i", "distinct_id": "d"}, ("posthog", "heap")),
        (
            {"specversion": "1.0", "type": "track", "event": "A", "source": "/s", "userId": "u"},
            ("cloudevents", "segment"),
        ),
    ],
)
def test_a_record_that_fits_two_shapes_is_refused_with_both_names(
    record: Any, names: tuple[str, str]
) -> None:
    said = reason(record)
    assert all(f"`{name}`" in said for name in names)
    assert "`format`" in said
    for name in names:
        (kept,) = read(record, format=name)
        assert type(kept) is Event or "neither" in str(kept)


@pytest.mark.parametrize(
    ("record", "user"),
    [
        ({"type": "track", "event": "A", "userId": "u", "properties": {"distinct_id": "d"}}, "u"),
        ({"type": "track", "event": "A", "userId": "u", "app_id": "7"}, "u"),
        ({"app_id": "1", "identity": "u", "event": "A", "properties": {"distinct_id": "d"}}, "u"),
        ({"specversion": "1.0", "type": "event", "id": "1", "source": "/s", "subject": "u"}, "u"),
        (
            {
                "specversion": "1.0",
                "type": "A",
                "source": "/s",
                "subject": "u",
                "identity": "x",
                "userId": "x",
            },
            "u",
        ),
        ({"type": "event", "name": "A", "user_id": "u", "specversion": "2", "collector_tstamp": 5}, "u"),
        ({"event": "A", "properties": {"distinct_id": "u"}}, "u"),
        ({"event": "A", "properties": {"distinct_id": "u", "token": "phc_x", "time": 5}}, "u"),
        ({"event": "A", "properties": {"distinct_id": "u", "$device_id": "d", "$lib": "web"}}, "u"),
        ({"event": "A", "properties": {"$distinct_id": "u", "$device_id": "d"}}, "u"),
        ({"event": "A", "timestamp": 1795866284, "properties": {"distinct_id": "u", "time": 5}}, "u"),
        ({"event": "A", "distinct_id": "u", "data": "{", "properties": {}}, "u"),
        ({"event": "A", "distinct_id": "u", "type": "capture", "properties": {}}, "u"),
    ],
)
def test_what_is_sure_is_read_also_with_fields_that_others_use(record: Any, user: str) -> None:
    (event,) = read(record)
    assert type(event) is Event, event
    assert event.user_id == user


def test_posthogs_calls_with_a_type_are_posthogs() -> None:
    call = {
        "type": "identify",
        "event": "$identify",
        "distinct_id": "u",
        "properties": {"$anon_distinct_id": "a"},
    }
    (link,) = read(call)
    assert type(link) is IdentityLink


def test_the_first_look_refuses_what_decode_refuses() -> None:
    time = "2026-11-28T11:44:50Z"
    both = [
        {"event": "A", "distinct_id": "d", "userId": "u", "timestamp": time, "properties": {}},
        {"event": "A", "distinct_id": "d", "identity": "u", "timestamp": time, "properties": {}},
        {"type": "track", "event": "A", "userId": "d", "identity": "u", "timestamp": time, "properties": {}},
    ]
    chunk = RawChunk("p", "f", [0, 1, 2], [orjson.dumps(one) for one in both], NOWHERE)
    assert scan(chunk, wants=lambda name, kind: False).invalid == 3


@pytest.mark.parametrize(
    "key", [b'{"id":7}', b"[7]", b'{"schema":{},"payload":{"id":7}}', b"\0\0\0\0\x01\x0e"]
)
def test_a_tombstone_whose_key_is_a_struct_deletes_nobody(key: bytes) -> None:
    assert "names no user" in reason(None, key=key)


@pytest.mark.parametrize("key", ["u1", "[bot] x", "{7}", "7"])
def test_a_tombstone_whose_key_is_an_id_deletes_that_user(key: str) -> None:
    (update,) = read(None, key=key.encode())
    assert type(update) is PropertyUpdate
    assert (update.user_id, update.delete) == (key, True)


def test_rudderstacks_identify_has_its_traits_in_the_context() -> None:
    call = {"type": "identify", "userId": "u", "anonymousId": "a", "context": {"traits": {"plan": "pro"}}}
    link, update = read(call)
    assert type(link) is IdentityLink
    assert type(update) is PropertyUpdate
    assert update.set == {"plan": "pro"}
    (_, own) = read({**call, "traits": {"plan": "free"}})
    assert type(own) is PropertyUpdate
    assert own.set == {"plan": "free"}
    (event,) = read({**call, "type": "track", "event": "A"})
    assert type(event) is Event


@pytest.mark.parametrize("format", ["auto", "segment"])
def test_rudderstacks_group_and_times_are_read(format: str) -> None:
    call = {"type": "group", "userId": "u", "groupId": "g", "context": {"traits": {"tier": "gold"}}}
    (event,) = read(
        {**call, "originalTimestamp": "2026-11-28T11:44:49Z", "sentAt": "2026-11-28T11:44:50Z"}, format=format
    )
    assert type(event) is Event
    assert event.properties == {"groupId": "g", "traits": {"tier": "gold"}}
    assert event.time == 1795866289000
    (own,) = read({**call, "traits": {}, "context": {"traits": {"users": "own"}}}, format=format)
    assert type(own) is Event
    assert own.properties["traits"] == {}


def test_what_sdks_really_send_is_read_or_refused_by_name() -> None:
    told: dict[str, int] = {}
    for line in (shared_data() / "events/sdk-captures/requests.jsonl").read_text().splitlines():
        body = json.loads(line)["body"]
        if not body.startswith(("{", "[")) or '"series"' in body or '"$anon_distinct_id"' in body:
            continue
        for record in read(body.encode()):
            if type(record) is Invalid:
                name = next(
                    (one for one in ("Amplitude", "Snowplow", "Mixpanel") if one in record.reason), ""
                )
                assert name, record
                told[name] = told.get(name, 0) + 1
    assert told["Amplitude"] == 2
    assert told["Snowplow"] >= 1


@pytest.mark.parametrize(
    ("record", "shape", "fields"),
    [
        ({"userId": 1, "name": "Alice", "plan": "pro"}, "segment", "`plan`"),
        ({"userId": "u", "event": "purchase", "amount": 10, "ts": 1}, "segment", "`amount`, `ts`"),
        ({"userId": "u", "event": "purchase", "properties": {}, "eventTime": 1}, "segment", "`eventTime`"),
        ({"userId": "u", "previousId": "draft", "status": "sent"}, "segment", "`status`"),
        ({"userId": "u", "action": "purchase", "amount": 10}, "segment", "`amount`"),
        ({"type": "delete", "userId": "u", "file": "x.txt"}, "segment", "`file`"),
        ({"identity": "passport", "user_id": 7, "country": "DE"}, "heap", "`country`"),
        ({"type": "purchase", "identity": "u", "properties": {"amount": 5}}, "heap", "`type`"),
        ({"name": "Clicked", "identity": "u", "properties": {"x": 1}}, "heap", "`name`"),
        (
            {"app_id": "shop", "user_id": "u", "event": "buy", "amount": 5, "time": 1},
            "heap",
            "`amount`, `time`",
        ),
        ({"app_id": "shop", "user_id": "u", "action": "buy", "properties": {}}, "heap", "`action`"),
        ({"event": "A", "distinct_id": "u", "amount": 5, "time": 1}, "posthog", "`amount`, `time`"),
        ({"type": "delete", "user_id": "u", "file": "x.txt"}, "native", "`file`"),
        (
            {"type": "user", "user_id": "u", "plan": "pro", "a": 1, "b": 2, "c": 3, "d": 4},
            "native",
            "`plan`, `a`",
        ),
        ({"type": "identify", "user_id": "u", "anonymous_id": "a", "plan": "pro"}, "native", "`plan`"),
    ],
)
def test_a_home_made_record_is_not_taken_for_what_has_a_name_in_common(
    record: Any, shape: str, fields: str
) -> None:
    said = reason(record)
    assert f"looks like a record of the shape `{shape}`, but has {fields}" in said
    assert f"`format: {shape}`" in said
    assert "hookline sniff" in said
    assert not any(type(one) is Invalid and "looks like" in one.reason for one in read(record, format=shape))


@pytest.mark.parametrize(
    "record",
    [
        {"userId": "u", "event": "A", "properties": {}, "timestamp": "2026-01-01T00:00:00Z", "tenant": "x"},
        {"userId": "u", "traits": {"a": 1}, "sentAt": "2026-01-01T00:00:00Z", "tenant": "x"},
        {"type": "track", "userId": "u", "event": "A", "tenant": "x"},
        {"type": "delete", "userId": "u", "messageId": "1", "context": {}, "integrations": {"All": True}},
        {"identity": "u", "event": "A", "properties": {}, "tenant": "x"},
        {"identity": "u", "user_id": "1", "tenant": None},
        {"event": "A", "distinct_id": "u", "properties": {}, "tenant": "x"},
        {"type": "event", "name": "A", "user_id": "u", "tenant": "x"},
        {"type": "user", "user_id": "u", "set": {}, "tenant": "x"},
        {"type": "user", "user_id": "u", "delete": True, "tenant": "x"},
    ],
)
def test_further_fields_of_what_is_surely_a_call_do_no_harm(record: Any) -> None:
    assert all(type(one) is not Invalid for one in read(record))
