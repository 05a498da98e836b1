"""Avro as JSON: every type, and what a schema or bytes may do to this process."""

from __future__ import annotations

import json
import time
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from uuid import UUID

import pytest

from pipeline.decode.framed.avro import MOST_FIELDS, compile_avro
from pipeline.model.errors import InvalidRecord
from tests.kit.named import cut
from tests.kit.receivers.registry import avro

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LONG = "0.12345678901234567890"
SUIT = {"type": "enum", "name": "Suit", "symbols": ["HEARTS", "SPADES"]}


def logical(kind: str, name: str, **more: object) -> dict[str, object]:
    return {"type": kind, "logicalType": name, **more}


def fixed(size: int, **more: object) -> dict[str, object]:
    return {"type": "fixed", "name": "Fixed", "size": size, **more}


def connect(kind: str, name: str) -> dict[str, object]:
    return {"type": kind, "connect.version": 1, "connect.name": name}


TYPES: list[tuple[object, object, object]] = [
    ("null", None, None),
    ("boolean", True, True),
    ("int", -7, -7),
    ("long", 2**63 - 1, 2**63 - 1),
    ("float", 0.1, 0.1),
    ("double", 0.1, 0.1),
    ("double", float("nan"), None),
    ("double", float("-inf"), None),
    ("float", float("inf"), None),
    ("string", "Zoë", "Zoë"),
    ("bytes", b"\xff\x00", "/wA="),
    (fixed(2), b"\xff\x00", "/wA="),
    (SUIT, "SPADES", "SPADES"),
    ({"type": "array", "items": "int"}, [1, 2], [1, 2]),
    ({"type": "map", "values": ["null", "string"]}, {"a": None, "b": "x"}, {"a": None, "b": "x"}),
    (["null", "long", "string"], "x", "x"),
    (logical("bytes", "decimal", precision=9, scale=2), Decimal("12.30"), 12.3),
    (logical("bytes", "decimal", precision=9, scale=2), Decimal("-5.00"), -5),
    (logical("bytes", "decimal", precision=40, scale=20), Decimal(LONG), LONG),
    (fixed(8, logicalType="decimal", precision=9, scale=1), Decimal("7.5"), 7.5),
    (logical("int", "date"), date(2026, 1, 2), "2026-01-02"),
    (logical("int", "time-millis"), clock(1, 2, 3), "01:02:03"),
    (logical("long", "time-micros"), clock(1, 2, 3, 4), "01:02:03.000004"),
    (logical("long", "timestamp-millis"), AT, "2026-01-02T03:04:05.678Z"),
    (logical("long", "timestamp-micros"), AT, "2026-01-02T03:04:05.678901Z"),
    (logical("long", "timestamp-nanos"), 1, "1970-01-01T00:00:00.000000001Z"),
    (logical("long", "local-timestamp-millis"), AT.replace(tzinfo=None), "2026-01-02T03:04:05.678"),
    (logical("long", "timestamp-millis"), -(2**60), -(2**60)),
    (logical("string", "uuid"), UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (fixed(16, logicalType="uuid"), bytes(15) + b"\5", "00000000-0000-0000-0000-000000000005"),
    (fixed(12, logicalType="duration"), b"\1\0\0\0\2\0\0\0\xb8\x0b\0\0", "P1M2DT3S"),
    (fixed(12, logicalType="duration"), bytes(12), "PT0S"),
    (connect("long", "io.debezium.time.MicroTimestamp"), 1_500_000, "1970-01-01T00:00:01.5Z"),
    (connect("int", "io.debezium.time.Date"), 1, "1970-01-02"),
    (logical("string", "nobody-knows-it"), "x", "x"),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "given", "wanted"), TYPES, ids=lambda one: str(one)[:40])
def test_every_type_comes_out_as_json(schema: object, given: object, wanted: object) -> None:
    record = {"type": "record", "name": "shop.R", "fields": [{"name": "x", "type": schema}]}
    assert compile_avro(json.dumps(record))(avro(record, {"x": given})) == {"x": wanted}


def test_types_are_named_across_records_namespaces_and_references() -> None:
    address = {"type": "record", "name": "geo.Address", "fields": [{"name": "city", "type": "string"}]}
    user = {
        "type": "record", "name": "User", "namespace": "shop",
        "fields": [
            {"name": "home", "type": "geo.Address"}, {"name": "work", "type": ["null", "geo.Address"]},
            {"name": "suit", "type": SUIT},
            {"name": "other", "type": "Suit", "default": "HEARTS", "aliases": ["o"]},
        ],
    }  # fmt: skip
    value = {"home": {"city": "Köln"}, "work": {"city": "Bonn"}, "suit": "HEARTS", "other": "SPADES"}
    raw = avro([address, user], ("shop.User", value))[1:]
    assert compile_avro(json.dumps(user), [json.dumps(address)])(raw) == value


def test_a_key_is_often_a_text_alone() -> None:
    assert compile_avro('"string"')(avro("string", "u7")) == "u7"
    assert compile_avro("string")(avro("string", "u7")) == "u7", "as some registries answer"


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


@pytest.mark.parametrize("levels", [500, 5_000, 1_000_000])
def test_nesting_ends_at_a_bound_and_not_the_process(levels: int) -> None:
    read = compile_avro(json.dumps(NODE))
    assert read(b"\2" * 3 + b"\0") == {"next": {"next": {"next": {"next": None}}}}
    with pytest.raises(InvalidRecord, match="nested"):
        read(b"\2" * levels + b"\0")


WIDE = {"type": "record", "name": "W", "fields": [{"name": f"n{at}", "type": "null"} for at in range(1000)]}
CHAIN = [{"type": "record", "name": "R0", "fields": [{"name": "x", "type": "int"}]}] + [
    {"type": "record", "name": f"R{at}", "fields": [{"name": "x", "type": f"R{at - 1}"}]}
    for at in range(1, 5000)
]
LAUGHS = [{"type": "record", "name": "R0", "fields": [{"name": "x", "type": "null"}]}] + [
    {"type": "record", "name": f"R{at}", "fields": [{"name": name, "type": f"R{at - 1}"} for name in "ab"]}
    for at in range(1, 60)
]
MANY = b"\xfe\xff\xff\xff\x0f"
ONE = {"type": "record", "name": "One", "fields": [{"name": "x", "type": "boolean"}, *WIDE["fields"]]}


@pytest.mark.parametrize(
    ("schema", "payload", "reason"),
    [
        ({"type": "array", "items": "null"}, b"", "take no bytes"),
        ({"type": "array", "items": fixed(0)}, b"", "take no bytes"),
        ({"type": "array", "items": WIDE}, b"", "take no bytes"),
        ({"type": "array", "items": ONE}, MANY + bytes(1 << 20), f"more than {MOST_FIELDS:,}"),
        ([ONE, {"type": "array", "items": "One"}], b"\2" + MANY + bytes(1 << 20), "it holds more than"),
        (CHAIN, b"\x8e\x4e" + bytes(9), "more than 200 levels"),
        (LAUGHS, b"\x76", f"more than {MOST_FIELDS:,}"),
        ({"type": "array", "items": "boolean"}, b"\xfe\xff\xff\xff\xff\xff\xff\x0f\0\0", "ends too soon"),
        ({"type": "map", "values": "int"}, b"\xfe\xff\xff\xff\x0f\2a\2", "damaged"),
        ("string", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1abc", "ends too soon"),
        ("string", b"\1abc", "damaged"),
        ("string", b"\4\xff\xfe", "damaged"),
        (SUIT, b"\x08", "damaged"),
        (["null", "int"], b"\x08\0", "damaged"),
        ("int", b"\2\2", "1 bytes are left over"),
        (logical("bytes", "decimal", precision=1, scale=0), b"\x82\x20" + bytes(2049), "a decimal has"),
        ({"type": "record", "name": "A", "fields": [{"name": "a", "type": "A"}]}, b"", "nested too deep"),
    ],
    ids=cut(40),
)  # fmt: skip
def test_bombs_and_damage_are_dead_records_at_once(schema: object, payload: bytes, reason: str) -> None:
    begun = time.process_time()
    with pytest.raises(InvalidRecord, match=reason):
        compile_avro(json.dumps(schema))(payload)
    assert time.process_time() - begun < 2


def test_a_record_cut_anywhere_is_none() -> None:
    schema = {"type": "record", "name": "R", "fields": [
        {"name": "a", "type": "string"}, {"name": "b", "type": "double"},
        {"name": "c", "type": {"type": "array", "items": "int"}},
    ]}  # fmt: skip
    raw = avro(schema, {"a": "hello", "b": 1.5, "c": [1, 2, 3]})
    read = compile_avro(json.dumps(schema))
    for at in range(len(raw)):
        with pytest.raises(InvalidRecord):
            read(raw[:at])


@pytest.mark.parametrize(
    "text",
    [
        "nope", "{", "7", "[1]", '{"type":"map"}', '{"type":"record","name":"A"}',
        '{"type":"enum","name":"E"}', '{"type":"fixed","name":"F","size":-1}',
        '{"type":"record","name":"A","fields":[{"name":"a","type":"B"}]}',
        '{"type":"record","fields":[]}', "[" * 500 + "]" * 500, '{"type":' * 5000 + '"int"' + "}" * 5000,
        '{"type":"record","name":"A","fields":[{"name":"a","type":"int"},{"name":"a","type":"int"}]}',
        '[{"type":"fixed","name":"F","size":1},{"type":"fixed","name":"F","size":2}]',
    ],
    ids=lambda text: text[:60],
)  # fmt: skip
def test_what_is_no_schema_says_so(text: str) -> None:
    with pytest.raises(InvalidRecord, match="its schema"):
        compile_avro(text)
