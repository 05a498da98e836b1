"""Values by the schema of Kafka Connect."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.framed import connect_values as values
from pipeline.decode.framed.connect_values import Schema, parse
from pipeline.decode.raw.fields import Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import Origin

DAY = 86_400


def converted(value: Json, schema: dict[str, Any]) -> Json:
    return Schema(schema).converted(value)


def logical(name: str, **fields: Any) -> dict[str, Any]:
    prefix = "org.apache.kafka.connect.data." if name == "Decimal" else "io.debezium."
    return {"type": "any", "name": prefix + name, **fields}


@given(st.integers(-(10**40), 10**40), st.integers(-5, 45))
def test_a_decimal_is_the_number_or_all_of_its_digits(unscaled: int, scale: int) -> None:
    raw = unscaled.to_bytes(unscaled.bit_length() // 8 + 1, "big", signed=True)
    text = base64.b64encode(raw).decode()
    exact = Decimal((int(unscaled < 0), Decimal(abs(unscaled)).as_tuple().digits, -scale))
    variable: Json = {"scale": scale, "value": text}
    for found in (
        converted(text, logical("Decimal", parameters={"scale": str(scale)})),
        converted(variable, logical("data.VariableScaleDecimal")),
    ):
        assert Decimal(str(found)) == exact
        if type(found) is int:
            assert -(2**63) <= found < 2**64


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("time.Date", 0, "1970-01-01"),
        ("time.Date", -719_162, "0001-01-01"),
        ("time.Timestamp", 1, "1970-01-01T00:00:00.001Z"),
        ("time.MicroTimestamp", -1, "1969-12-31T23:59:59.999999Z"),
        ("time.NanoTimestamp", 10**9 + 1, "1970-01-01T00:00:01.000000001Z"),
        ("time.Time", 1, "00:00:00.001"),
        ("time.MicroTime", DAY * 10**6, "24:00:00"),
        ("time.NanoTime", 45_296 * 10**9, "12:34:56"),
        ("time.IsoDate", "2026-11-28Z", "2026-11-28"),
        ("time.IsoTime", "07:30:00.25Z", "07:30:00.25"),
        ("time.ZonedTimestamp", "2026-11-28T10:00:00Z", "2026-11-28T10:00:00Z"),
        ("data.Json", '{"a": [1, 2.50]}', {"a": [1, 2.5]}),
    ],
)
def test_times_and_json_are_what_people_write(name: str, value: Any, text: Any) -> None:
    assert converted(value, logical(name)) == text
    assert converted(None, logical(name)) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("data.VariableScaleDecimal", {"scale": 1, "value": "é"}),
        ("time.Date", 10**12),
        ("time.Date", "x"),
        ("time.MicroTimestamp", 9_223_372_036_825_200_000),
        ("time.MicroTimestamp", True),
        ("time.MicroTime", -1),
        ("data.Json", "{"),
        ("data.Json", '{"a": 123456789012345678901234567890}'),
        ("data.Json", "[" * 5000),
        ("data.VariableScaleDecimal", {"scale": 10**12, "value": "AQ=="}),
        ("data.VariableScaleDecimal", {"scale": 1}),
        ("data.VariableScaleDecimal", {"scale": 1, "value": "no base64"}),
        ("data.VariableScaleDecimal", 7),
        ("data.Uuid", "x"),
    ],
)
def test_what_is_no_such_value_stays_as_it_is(name: str, value: Any) -> None:
    assert converted(value, logical(name)) == value


def test_numbers_that_are_too_much_work_cost_their_message() -> None:
    for value, scale in (("f" * 800_000, "2"), ("AQ==", "-190000")):
        items: Json = logical("Decimal", parameters={"scale": scale})
        with pytest.raises(InvalidRecord, match="too-expensive"):
            Schema({"type": "array", "items": items}).converted([value] * 1_000)
    pi: Json = base64.b64encode(b"\x01" * 400).decode()  # some 1,000 digits
    assert len(str(converted(pi, logical("Decimal", parameters={"scale": "500"})))) > 900


def test_schemas_are_kept_while_they_are_small() -> None:
    values._SCHEMAS.clear()
    for number in range(9):
        text = json.dumps({"type": "struct", "doc": f"{number}" * 1_000_000})
        parse(f'{{"schema":{text},"payload":1}}'.encode(), Place(Origin("t/0", 0)))
        assert sum(map(len, values._SCHEMAS)) <= values._MOST_SCHEMA_BYTES
    assert values._SCHEMAS
