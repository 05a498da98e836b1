"""Values as Kafka Connect's JsonConverter writes them, by the schema beside them (``{schema, payload}``).

What a schema calls a decimal or a time becomes what people write: a number, an ISO 8601 text. Without a
schema nothing tells 20785 from a day, so values stay as they are.

Names and units: Kafka's ``org.apache.kafka.connect.data``, Debezium's ``io.debezium.time`` and ``.data``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec

from pipeline.decode.glance.glance import NOT_SEEN
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.work import TOO_EXPENSIVE, begin_work, spend_work
from pipeline.language.work import CHARS, TooExpensive
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of

Convert: TypeAlias = Callable[[Json], Json]

_EPOCH = datetime(1970, 1, 1)
_FIRST_DAY = date(1970, 1, 1)
_NS = 1_000_000_000
_DAY_SECS = 86_400
_MOST_SCALE = 200_000
"""Digits before or after the point, beyond what any database keeps."""
_FREE = 64
"""Letters of a decimal whose work is not counted: counting would cost more."""
_SQUARE = 128
"""Letters of base64 whose square is one unit of work, measured."""


class Schema:
    """A schema of Connect; what it makes of values is worked out once."""

    __slots__ = ("_convert", "_fields", "_is_compiled", "raw")

    def __init__(self, raw: Fields) -> None:
        self.raw = raw
        self._convert: Convert | None = None
        self._is_compiled = False
        self._fields: dict[str, Schema] | None = None

    def converted(self, value: Json) -> Json:
        """Return a value in the terms of JSON. Raises InvalidRecord for a schema that is none, and
        where that is too much work.
        """
        if not self._is_compiled:
            self._convert, self._is_compiled = _converter(self.raw), True
        if self._convert is None:
            return value
        begin_work()
        try:
            return self._convert(value)
        except TooExpensive:
            raise InvalidRecord(TOO_EXPENSIVE) from None

    def field(self, name: str) -> Schema | None:
        """Return the schema of a struct's field; None where there is none. Raises InvalidRecord."""
        if self._fields is None:
            self._fields = {str(field["field"]): Schema(field) for field in _fields(self.raw)}
        return self._fields.get(name)


class _Wrapped(msgspec.Struct, forbid_unknown_fields=True):
    schema: msgspec.Raw
    payload: msgspec.Raw


_SPLIT = msgspec.json.Decoder(_Wrapped)
_SCHEMAS: dict[bytes, Schema] = {}
"""By their text: every message of a topic brings the same one again, and it is most of the message."""
_MOST_SCHEMAS = 64
_MOST_SCHEMA_BYTES = 4 << 20
"""Of their texts; what is made of them takes some ten times that."""


def parse(raw: bytes, place: Place) -> Json:
    """Return what a line holds, with a `Schema` in the place of a schema. Raises InvalidRecord."""
    if not raw.startswith(b'{"schema":{'):
        return strict.loads(raw)
    try:
        parts = _SPLIT.decode(raw)
    except NOT_SEEN:
        return strict.loads(raw)
    text = bytes(parts.schema)
    schema = _SCHEMAS.get(text)
    if schema is None:
        found = strict.loads(text)
        assert type(found) is dict  # it begins with a brace
        if len(_SCHEMAS) >= _MOST_SCHEMAS or sum(map(len, _SCHEMAS)) + len(text) > _MOST_SCHEMA_BYTES:
            _SCHEMAS.clear()
        schema = _SCHEMAS[text] = Schema(found)
    return {"schema": schema, "payload": strict.loads(bytes(parts.payload))}  # type: ignore[dict-item]  # `unwrap` knows


def unwrap(value: Json) -> tuple[Json, Schema | None]:
    """Return payload and schema of ``{schema, payload}``; anything else is its own payload, without one.

    Raises InvalidRecord for a schema that is none.
    """
    if type(value) is dict and len(value) == 2 and "schema" in value and "payload" in value:
        schema: object = value["schema"]
        if isinstance(schema, Schema):
            return value["payload"], schema
        if schema is None or type(schema) is dict:
            return value["payload"], None if schema is None else Schema(schema)
        raise InvalidRecord(f"`schema` is {kind_of(value['schema'])}, expected an object or null")
    return value, None


def _fields(schema: Fields) -> list[Fields]:
    fields = schema.get("fields")
    if type(fields) is not list:
        return []
    found: list[Fields] = []
    for field in fields:
        if type(field) is not dict or type(field.get("field")) is not str:
            raise InvalidRecord("`schema.fields` has a member without `field`: it is no schema of Connect")
        found.append(field)
    return found


def _converter(schema: Fields) -> Convert | None:
    """Return what makes JSON of a value of the schema; None where it is that already."""
    name = schema.get("name")
    if type(name) is str and name in _BY_NAME:
        if name == _DECIMAL:
            return _decimals(schema)
        return _BY_NAME[name]
    match schema.get("type"):
        case "struct":
            inner = {
                str(field["field"]): convert
                for field in _fields(schema)
                if (convert := _converter(field)) is not None
            }
            return _of_struct(inner) if inner else None
        case "array":
            items = schema.get("items")
            return _of_items(_converter(items)) if type(items) is dict else None
        case "map":
            values = schema.get("values")
            return _of_values(_converter(values)) if type(values) is dict else None
    return None


def _of_struct(inner: dict[str, Convert]) -> Convert:
    def convert(value: Json) -> Json:
        if type(value) is not dict:
            return value
        return {name: inner[name](one) if name in inner else one for name, one in value.items()}

    return convert


def _of_items(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    return lambda value: [convert(one) for one in value] if type(value) is list else value


def _of_values(convert: Convert | None) -> Convert | None:
    if convert is None:
        return None
    # A map whose keys are no texts comes as a list of pairs, and stays one.
    return lambda value: {name: convert(one) for name, one in value.items()} if type(value) is dict else value


def _decimals(schema: Fields) -> Convert:
    parameters = schema.get("parameters")
    scale = parameters.get("scale") if type(parameters) is dict else None
    try:
        places = int(scale)  # type: ignore[arg-type]  # a text; what is none is refused
    except (TypeError, ValueError):
        raise InvalidRecord(
            f"the schema of a decimal has the scale {scale!r:.40}, expected a number"
        ) from None
    return lambda value: _decimal(value, places)


def _decimal(value: Json, scale: Json) -> Json:
    if type(value) is not str or type(scale) is not int or abs(scale) > _MOST_SCALE:
        return value  # `decimal.format: NUMERIC` writes numbers
    if len(value) > _FREE or abs(scale) > _FREE:
        # The digits of a number take the square of its length; the scale adds zeros.
        spend_work(len(value) ** 2 // _SQUARE + (len(value) + abs(scale)) // CHARS)
    try:
        unscaled = int.from_bytes(base64.b64decode(value, validate=True), "big", signed=True)
    except ValueError:  # no base64; letters outside ASCII are no binascii.Error
        return value
    sign, digits, _ = Decimal(unscaled).as_tuple()
    return number(Decimal((sign, digits, -scale)))


def number(value: Decimal) -> Json:
    """Return a decimal as the number that it is; as text where a JSON number of 64 bits would lose digits."""
    if value == value.to_integral_value():
        # Such long ones are ids more often than amounts, and orjson writes up to 64 bits.
        if value.adjusted() < 20 and -(2**63) <= (whole := int(value)) < 2**64:
            return whole
        return format(value, "f")
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else format(value, "f")


def _variable(value: Json) -> Json:
    if type(value) is not dict:
        return value
    inner = value.get("value")
    found = _decimal(inner, value.get("scale"))
    return value if found is inner else found


def _json(value: Json) -> Json:
    if type(value) is not str:
        return value
    try:
        return strict.loads(value.encode())
    except (InvalidRecord, UnicodeEncodeError):
        return value  # with integers beyond 64 bits: as text it is at least whole


def day(value: Json) -> Json:
    """Return a day, counted from 1970 on, as text."""
    try:
        return (_FIRST_DAY + timedelta(days=value)).isoformat() if type(value) is int else value
    except OverflowError:
        return value  # BC, or infinity


def timestamps(per_second: int, zone: str = "Z") -> Convert:
    """Return what reads an instant, counted in parts of a second from 1970 on; zone "": a local one."""

    def convert(value: Json) -> Json:
        if type(value) is not int:
            return value
        seconds, rest = divmod(value, per_second)
        try:
            whole = (_EPOCH + timedelta(seconds=seconds)).isoformat()
        except OverflowError:
            return value  # BC, or infinity
        return f"{whole}{fraction(rest * (_NS // per_second))}{zone}"

    return convert


def times(per_second: int) -> Convert:
    """Return what reads a time of day, counted in parts of a second."""

    def convert(value: Json) -> Json:
        if type(value) is not int or not 0 <= value <= _DAY_SECS * per_second:
            return value
        seconds, rest = divmod(value, per_second)
        text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return text + fraction(rest * (_NS // per_second))

    return convert


def fraction(nanos: int) -> str:
    """Return the fraction of a second, without zeros at its end."""
    return f".{nanos:09}".rstrip("0") if nanos else ""


def _without_zone(value: Json) -> Json:
    """``time.precision.mode: isostring`` writes a Z after days and times of day, which have no zone."""
    return value.removesuffix("Z") if type(value) is str else value


_DECIMAL = "org.apache.kafka.connect.data.Decimal"
_BY_NAME: dict[str, Convert] = {
    _DECIMAL: lambda value: value,  # its scale is in the schema
    "io.debezium.data.VariableScaleDecimal": _variable,
    "io.debezium.data.Json": _json,
    "org.apache.kafka.connect.data.Date": day,
    "org.apache.kafka.connect.data.Time": times(1000),
    "org.apache.kafka.connect.data.Timestamp": timestamps(1000),
    "io.debezium.time.Date": day,
    "io.debezium.time.Time": times(1000),
    "io.debezium.time.MicroTime": times(1_000_000),
    "io.debezium.time.NanoTime": times(_NS),
    "io.debezium.time.Timestamp": timestamps(1000),
    "io.debezium.time.MicroTimestamp": timestamps(1_000_000),
    "io.debezium.time.NanoTimestamp": timestamps(_NS),
    "io.debezium.time.IsoDate": _without_zone,
    "io.debezium.time.IsoTime": _without_zone,
}


NAMES: Final = tuple(name for name in _BY_NAME if name != _DECIMAL)
"""Of schemas whose values are to be converted."""


def of_name(name: Json) -> Convert | None:
    """Return what makes JSON of a value whose schema has this name; None for a name that says nothing."""
    return _BY_NAME.get(name) if type(name) is str and name != _DECIMAL else None
