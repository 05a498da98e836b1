"""Avro's logical types as JSON, in the forms in which Kafka Connect's values come (connect_values.py).

Times are ISO 8601 texts, with a Z where the instant is known; decimals are numbers where a JSON number holds
all their digits, else texts; bytes are base64. What JSON cannot say of a float (NaN, infinity) is null.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Final, TypeAlias
from uuid import UUID

from pipeline.decode.framed.connect_values import day, fraction, number, times, timestamps
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json

Convert: TypeAlias = Callable[..., Json]
"""From the value as fastavro reads it: an int, a float, bytes."""

_NANOS: Final = 1_000_000_000
_SINGLE: Final = struct.Struct("<f")
_MOST_BYTES: Final = 512
"""Of a decimal: 1,200 digits, beyond what any database keeps. Longer ones take a time that grows squarely."""


def decimals(scale: int) -> Callable[[bytes], Json]:
    """Return what reads the two's complement of a decimal with so many places."""

    def convert(value: bytes) -> Json:
        if len(value) > _MOST_BYTES:
            raise InvalidRecord(f"a decimal has {len(value):,} bytes, {_MOST_BYTES} are allowed")
        unscaled = int.from_bytes(value, "big", signed=True)
        sign, digits, _ = Decimal(unscaled).as_tuple()
        return number(Decimal((sign, digits, -scale)))

    return convert


def duration(value: bytes) -> Json:
    """Return Avro's months, days and milliseconds as an ISO 8601 duration."""
    months, days, millis = (int.from_bytes(value[at : at + 4], "little") for at in (0, 4, 8))
    seconds, rest = divmod(millis, 1000)
    parts = [f"{months}M"] * bool(months) + [f"{days}D"] * bool(days)
    clock = f"T{seconds}{fraction(rest * 1_000_000)}S" if millis or not parts else ""
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
