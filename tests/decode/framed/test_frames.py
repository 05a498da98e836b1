"""What is around a record: whose frame it is, and that the shape behind it reads what is inside."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from pipeline.decode.auto import AUTO
from pipeline.decode.connect.debezium import DEBEZIUM
from pipeline.decode.decode import BY_NAME, decode
from pipeline.decode.framed.framing import Frame
from pipeline.decode.framed.schemas import SCHEMAS, Registry, Stored
from pipeline.decode.framed_shapes import framed as framed_shape
from pipeline.decode.raw.fields import Headers
from pipeline.decode.scan import scan
from pipeline.decode.shape import Shape
from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate, Record
from pipeline.sources.chunk import RawChunk
from tests.kit.receivers.registry import avro, framed

URL = "http://registry:8081"
GUID = "89791762-2336-4186-9674-299b90a802e2"
EVENT = {"type": "record", "name": "E", "fields": [
    *({"name": name, "type": "string"} for name in ("type", "name", "user_id")),
    {"name": "properties", "type": {"type": "map", "values": ["long", "string"]}},
]}  # fmt: skip
VALUE = {"type": "event", "name": "Order", "user_id": "u1", "properties": {"sum": 2**62}}
KEY = {"type": "record", "name": "K", "fields": [{"name": "id", "type": "long"}]}
AVRO = framed_shape(Frame("avro", Registry(URL)), AUTO)
JSON = framed_shape(Frame("json_schema"), AUTO)


@pytest.fixture(autouse=True)
def _known() -> None:
    known = [
        ("7", EVENT, "AVRO"),
        (GUID, EVENT, "AVRO"),
        ("8", KEY, "AVRO"),
        ("9", "string", "AVRO"),
        ("10", "syntax", "PROTOBUF"),
        ("11", {"type": "object"}, "JSON"),
        ("12", {"type": "map"}, "AVRO"),
    ]
    for id, schema, kind in known:
        SCHEMAS.learn(Stored(version=1, registry=URL, id=id, type=kind, schema=json.dumps(schema)))


def read(
    raw: bytes | None, headers: Headers | None = None, key: bytes | None = None, shape: object = AVRO
) -> Record:
    (found,) = decode(raw, format=shape, origin=Origin("t/0", 1), headers=headers, key=key, received_at=5)  # type: ignore[arg-type]  # stand-ins do
    return found


def reason(raw: bytes | None, headers: Headers | None = None, shape: object = AVRO) -> str:
    found = read(raw, headers, None, shape)
    assert isinstance(found, Invalid)
    assert found.raw == (raw or b""), "a dead letter holds what was on the topic"
    return found.reason


def test_a_record_is_read_by_the_schema_whose_id_stands_before_it() -> None:
    found = read(framed(7, avro(EVENT, VALUE)))
    assert isinstance(found, Event)
    assert (found.name, found.user_id, found.properties) == ("Order", "u1", {"sum": 2**62})


def test_a_header_names_the_schema_by_its_guid_and_the_value_is_bare() -> None:
    headers = [("a", b"b"), ("__value_schema_id", b"\1" + UUID(GUID).bytes)]
    assert isinstance(read(avro(EVENT, VALUE), headers), Event)
    assert isinstance(read(avro(EVENT, VALUE), [("__value_schema_id", b"\0\0\0\0\7")]), Event)


def test_json_behind_an_id_needs_no_schema() -> None:
    raw = json.dumps(VALUE).encode()
    assert isinstance(read(framed(999, raw), shape=JSON), Event)
    assert isinstance(read(raw, [("__value_schema_id", b"\1" + bytes(16))], shape=JSON), Event)
    assert isinstance(read(framed(11, raw)), Event), "among Avro, too: the registry says what it is"
    assert "behind the id of schema 999 stands no JSON" in reason(framed(999, avro(EVENT, VALUE)), shape=JSON)
    assert "does not fit into 64 bits" in reason(framed(1, b'{"x":123456789012345678901}'), shape=JSON)


@pytest.mark.parametrize("then", [AUTO, SHAPES["native"], SHAPES["segment"]], ids=lambda shape: shape.name)
def test_json_behind_an_id_is_dropped_before_it_is_parsed_as_it_would_be_without(then: Shape) -> None:
    shape = framed_shape(Frame("json_schema"), then)
    calls = [
        {"type": "event", "name": "Order", "user_id": "u1"},
        {"type": "event", "name": "Order", "user_id": "u1", "kind": "page"},
        {"type": "track", "event": "Order", "userId": "u1", "properties": {}},
        {"type": "identify", "userId": "u1", "traits": {"a": 1}},
        {"type": "event", "name": "Order"},
        {"type": "event", "name": 7, "user_id": "u1"},
    ]
    bodies = [json.dumps(call).encode() for call in calls] + [b"{", b"", b"\xff"]
    for verdict in (lambda name, kind: False, lambda name, kind: True):
        counts = []
        for lines, by in (([framed(7, one) for one in bodies], shape), (bodies, then)):
            chunk = RawChunk("p", "t/0", [*range(len(lines))], [*lines], ("", 0, ()))
            found = scan(chunk, format=by, wants=verdict)
            counts.append((found.read, found.events, found.updates, found.invalid, len(found.records)))
        assert counts[0] == counts[1]
    looks = [shape.look(framed(7, one), lambda name, kind: False) for one in bodies[:3]]  # type: ignore[misc]  # stand-ins do
    assert any(looks) == (then.name != "segment"), "its look wants more of a call"
    assert not shape.look(b"\0\0\0\0\0" + bodies[0], lambda name, kind: False)  # type: ignore[misc]  # stand-ins do


def test_a_key_in_a_frame_is_what_it_would_be_without() -> None:
    key = framed(9, avro("string", "u7"))
    found = read(None, None, key)
    assert isinstance(found, PropertyUpdate)
    assert (found.user_id, found.delete) == ("u7", True)
    assert isinstance(
        read(None, [("__key_schema_id", b"\0\0\0\0\x09")], avro("string", "u7")), PropertyUpdate
    )
    assert read(None, None, b"u7") == found, "plain keys beside framed values are usual"
    struct = read(None, None, framed(8, avro(KEY, {"id": 7})))
    assert isinstance(struct, Invalid)
    assert '{"id":7}' in struct.reason
    number = (2**24 + 7).to_bytes(8, "big")
    assert isinstance(read(framed(7, avro(EVENT, VALUE)), None, number), Event), (
        "a number of 8 bytes is no frame"
    )


@pytest.mark.parametrize(
    ("raw", "headers", "told"),
    [
        (b"", None, "names no schema"),
        (b"\0\0\0", None, "3 bytes"),
        (b"\0" * 8 + b"\7" + b"x" * 9, None, "Apicurio"),
        (b"x", [("apicurio.value.globalId", b"\0" * 8)], "Apicurio"),
        (b"\3\0" + bytes(16) + b"x", None, "Glue"),
        (b"\xc3\1" + bytes(9), None, "single-object"),
        (b"Obj\1abc", None, "whole Avro file"),
        (b'{"type":"event"}', None, "plain JSON"),
        (b"\x0ahello", None, "begins with 0a"),
        (b"x", [("__value_schema_id", b"\1abc")], "GUID of 16 bytes"),
        (b"x", [("__value_schema_id", None)], "GUID of 16 bytes"),
        (framed(10, b"\0\x0a"), None, "Protobuf, which is not read"),
        (framed(12, b"\0"), None, "no Avro schema"),
        (framed(13, b"\0"), None, "schema 13 of http://registry:8081 is not here"),
        (framed(7, b"\0"), None, "schema 7 of http://registry:8081: it is damaged"),
        (framed(7, avro(EVENT, VALUE) + b"!"), None, "1 bytes are left over"),
    ],
    ids=lambda one: str(one)[:40],
)
def test_other_frames_and_damage_are_dead_records_with_a_name(
    raw: bytes, headers: Headers | None, told: str
) -> None:
    assert told in reason(raw, headers)


def test_a_shape_without_a_frame_says_so_too() -> None:
    told = reason(framed(7, avro(EVENT, VALUE)), shape=AUTO)
    assert "looks like a message framed for a schema registry; set `format: {avro: " in told


def test_a_row_that_is_deleted_in_avro_forgets_the_user_of_its_framed_key() -> None:
    table = framed_shape(Frame("avro", Registry(URL)), DEBEZIUM)
    found = read(None, None, framed(8, avro(KEY, {"id": 7})), table)
    assert isinstance(found, PropertyUpdate)
    assert (found.user_id, found.delete) == ("7", True)


def test_the_shape_behind_the_frame_keeps_its_side() -> None:
    for then in SHAPES.values():
        assert framed_shape(Frame("json_schema"), then).side == then.side


@pytest.mark.parametrize("name", ["mixpanel", "auto"])
def test_what_a_frame_holds_is_told_apart_as_without_one(name: str) -> None:
    people = json.dumps({"$distinct_id": "u1", "$token": "t", "$set": {"plan": "pro"}}).encode()
    found = read(framed(7, people), shape=framed_shape(Frame("json_schema"), BY_NAME[name]))
    if name == "mixpanel":
        assert isinstance(found, PropertyUpdate)
        assert found.set == {"plan": "pro"}
    else:
        assert isinstance(found, Invalid)
        assert "set `format: mixpanel`" in found.reason


@pytest.mark.parametrize("then", ["auto", "cloudevents"])
def test_the_data_of_a_cloudevent_in_binary_mode_may_be_in_a_frame(then: str) -> None:
    headers = [("ce_specversion", b"1.0"), ("ce_type", b"Order"), ("ce_source", b"/shop"), ("ce_id", b"1")]
    headers += [("ce_subject", b"u1"), ("content-type", b"application/avro")]
    shape = framed_shape(Frame("avro", Registry(URL)), BY_NAME[then])
    event = read(framed(8, avro(KEY, {"id": 7})), headers, shape=shape)
    assert isinstance(event, Event)
    assert (event.name, event.user_id, event.properties) == ("Order", "u1", {"id": 7})
    assert "schema 99 of" in reason(framed(99, b"x"), headers, shape)
