"""Avro's logical types as JSON, in the forms in which Kafka Connect's values come (decode/connect/values.py).

Times are ISO 8601 texts, with a Z where the instant is known; decimals are numbers where a JSON number holds
all their digits, else texts; bytes are base64. What JSON cannot say of a float (NaN, infinity) is null.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import UUID

from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json

Convert: TypeAlias = Callable[..., Json]
"""From the value as fastavro reads it: an int, a float, bytes."""

_FIRST_DAY: Final = date(1970, 1, 1)
_EPOCH: Final = datetime(1970, 1, 1)
_NANOS: Final = 1_000_000_000
_DAY_SECS: Final = 86_400
_SINGLE: Final = struct.Struct("<f")
_MOST_BYTES: Final = 512
"""Of a decimal: 1,200 digits, beyond what any database keeps. Longer ones take a time that grows squarely."""


def number(value: Decimal) -> Json:
    """Return a decimal as the number that it is; as text where a JSON number of 64 bits would lose digits."""
    if value == value.to_integral_value():
        # Such long ones are ids more often than amounts, and orjson writes up to 64 bits.
        if value.adjusted() < 20 and -(2**63) <= (whole := int(value)) < 2**64:
            return whole
        return format(value, "f")
    nearest = float(value)
    return nearest if Decimal(repr(nearest)) == value else format(value, "f")


def decimals(scale: int) -> Callable[[bytes], Json]:
    """Return what reads the two's complement of a decimal with so many places."""

    def convert(value: bytes) -> Json:
        if len(value) > _MOST_BYTES:
            raise InvalidRecord(f"a decimal has {len(value):,} bytes, {_MOST_BYTES} are allowed")
        unscaled = int.from_bytes(value, "big", signed=True)
        sign, digits, _ = Decimal(unscaled).as_tuple()
        return number(Decimal((sign, digits, -scale)))

    return convert


def day(value: int) -> Json:
    """Return a day that is counted from 1970 on."""
    try:
        return (_FIRST_DAY + timedelta(days=value)).isoformat()
    except OverflowError:
        return value


def timestamps(per_second: int, zone: str = "Z") -> Convert:
    """Return what reads an instant, counted in parts of a second; without a zone the instant is local."""

    def convert(value: int) -> Json:
        seconds, rest = divmod(value, per_second)
        try:
            whole = (_EPOCH + timedelta(seconds=seconds)).isoformat()
        except OverflowError:
            return value
        return f"{whole}{_fraction(rest * (_NANOS // per_second))}{zone}"

    return convert


def times(per_second: int) -> Convert:
    """Return what reads a time of day."""

    def convert(value: int) -> Json:
        if not 0 <= value <= _DAY_SECS * per_second:
            return value
        seconds, rest = divmod(value, per_second)
        text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        return text + _fraction(rest * (_NANOS // per_second))

    return convert


def duration(value: bytes) -> Json:
    """Return Avro's months, days and milliseconds as an ISO 8601 duration."""
    months, days, millis = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
    seconds, rest = divmod(millis, 1000)
    parts = [f"{months}M"] * bool(months) + [f"{days}D"] * bool(days)
    clock = f"T{seconds}{_fraction(rest * 1_000_000)}S" if millis or not parts else ""
    return f"P{''.join(parts)}{clock}"


def uuid_of_fixed(value: bytes) -> Json:
    """Return the text of a UUID of 16 bytes."""
    return str(UUID(bytes=value))


def text_of_bytes(value: bytes) -> Json:
    """Return bytes as base64."""
    return base64.b64encode(value).decode()


def finite(value: float) -> Json:
    """Return a float; None for what JSON has no number for."""
    return value if -1.7976931348623157e308 <= value <= 1.7976931348623157e308 else None


def single(value: float) -> Json:
    """Return a float of 32 bits with the digits that it was written with: 0.1, not 0.10000000149011612."""
    if finite(value) is None:
        return None
    for digits in (6, 7, 8):
        shorter = float(f"{value:.{digits}g}")
        if _SINGLE.unpack(_SINGLE.pack(shorter))[0] == value:
            return shorter
    return value


def _fraction(nanos: int) -> str:
    return f".{nanos:09}".rstrip("0") if nanos else ""


LOGICAL: Final[dict[tuple[str, str], Convert]] = {
    ("int", "date"): day,
    ("int", "time-millis"): times(1000),
    ("long", "time-micros"): times(1_000_000),
    ("long", "timestamp-millis"): timestamps(1000),
    ("long", "timestamp-micros"): timestamps(1_000_000),
    ("long", "timestamp-nanos"): timestamps(_NANOS),
    ("long", "local-timestamp-millis"): timestamps(1000, ""),
    ("long", "local-timestamp-micros"): timestamps(1_000_000, ""),
    ("long", "local-timestamp-nanos"): timestamps(_NANOS, ""),
}
"""By type and logical type; the others have parameters (avro.py)."""

CONNECT: Final[dict[tuple[str, str], Convert]] = {
    ("int", "org.apache.kafka.connect.data.Date"): day,
    ("int", "org.apache.kafka.connect.data.Time"): times(1000),
    ("long", "org.apache.kafka.connect.data.Timestamp"): timestamps(1000),
    ("int", "io.debezium.time.Date"): day,
    ("int", "io.debezium.time.Time"): times(1000),
    ("long", "io.debezium.time.MicroTime"): times(1_000_000),
    ("long", "io.debezium.time.NanoTime"): times(_NANOS),
    ("long", "io.debezium.time.Timestamp"): timestamps(1000),
    ("long", "io.debezium.time.MicroTimestamp"): timestamps(1_000_000),
    ("long", "io.debezium.time.NanoTimestamp"): timestamps(_NANOS),
}
"""By type and ``connect.name``, which Connect's AvroConverter writes into its schemas."""
