"""Which shape a record has, by the table of shapes itself: what `auto` chooses, or what a format reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import orjson

from pipeline.decode.auto import chosen, looks_like
from pipeline.decode.builtin import cloudevents
from pipeline.decode.collected import collected, is_collected
from pipeline.decode.decode import BY_NAME, COLLECTED, decode
from pipeline.decode.framed.frame import split
from pipeline.decode.framed.framing import Frame
from pipeline.decode.framed.schemas import Registry
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Fields
from pipeline.decode.shape import Shape
from pipeline.decode.strangers import READ_AS, stranger_bytes
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import Invalid, Record
from pipeline.operate.sniff.sample import Sampled

OWN: Final = "home-made"
FRAMED: Final = "framed for a schema registry"
TOMBSTONE: Final = "no value (tombstone)"
BROKEN: Final = "no JSON"
NO_OBJECT: Final = "no object"
_NO_READER: Final = "Hookline has no reader for it yet"


@dataclass(slots=True)
class Recognised:
    """What one line or message is."""

    sampled: Sampled
    shape: str
    """The name of a format, or one of the words above, or a known format that no module reads."""
    reason: str | None = None
    """Why its own shape cannot read it; None where it can."""
    value: Json = None
    """Its value, if it is JSON."""
    is_read: bool = True
    schema: str | None = None
    """The id of the schema that its frame names, if it was decoded by it."""
    registry: str | None = None
    """The URL of the registry that has this schema."""


def recognise(one: Sampled, own: Mapping[str, Shape], registry: Registry | None = None) -> Recognised:
    """Return which shape a record has. own: a config's custom shapes, tried after the built-in ones.

    registry: the one with known schemas, for framed records.
    """
    raw = one.raw
    if is_collected(one.origin.source) or any(name == "hk-protocol" for name, _ in one.headers or ()):
        reason = first_reason(read_by(one, collected({**BY_NAME, **own})))
        return Recognised(one, COLLECTED.name, reason, is_read=reason is None)
    if raw is None:
        return Recognised(one, TOMBSTONE)
    framed = _of_frame(one, raw, own, registry)
    if framed is not None:
        return framed
    by_auto = read_by(one, "auto")
    reason = first_reason(by_auto)
    if one.headers and cloudevents.is_binary(one.headers):
        return Recognised(one, "cloudevents", reason, is_read=reason is None)
    try:
        value = strict.loads(raw)
        if type(value) is str:
            value = strict.inside(value)
    except InvalidRecord as error:
        looks = stranger_bytes(raw)
        vendor = None if looks is None else READ_AS.get(looks)
        if vendor is not None:
            return _of_vendor(one, vendor, None)
        if reason is None:  # a batch with one member that is not valid JSON
            return Recognised(one, "auto")
        return Recognised(one, BROKEN, str(error), is_read=False)
    return _of_json(one, value, reason, own)


def _of_json(one: Sampled, value: Json, reason: str | None, own: Mapping[str, Shape]) -> Recognised:
    """Return which shape a record of JSON has. reason: why `auto` cannot read it; None where it can."""
    found = _objects(value)
    first = found[0] if found else None
    if first is None:
        return Recognised(one, NO_OBJECT, reason or "there is no object in it", is_read=False)
    name = _chosen(first)
    if reason is None:
        return Recognised(one, name or "auto", value=value)
    looks = next((seen for member in found[:2] if (seen := looks_like(member))), None)
    vendor = None if looks is None else READ_AS.get(looks)
    if vendor is not None and not (vendor == "amplitude" and _AMPLITUDE.isdisjoint(first)):
        read = _of_vendor(one, vendor, value)
        if read.is_read or vendor != "kafka-connect":
            return read
    elif looks is not None and vendor is None:
        return Recognised(one, looks, _NO_READER, value, is_read=False)
    for label, shape in own.items():
        if first_reason(read_by(one, shape)) is None:
            return Recognised(one, label, value=value)
    if name is not None:
        return Recognised(one, name, reason, value, is_read=False)
    for format in _AS_NAMED if "may be of the shapes" in reason else ():
        if f"`{format}`" in reason and first_reason(read_by(one, format)) is None:
            return Recognised(one, format, value=value)
    return Recognised(one, OWN, reason, value, is_read=False)


def _of_frame(
    one: Sampled, raw: bytes, own: Mapping[str, Shape], registry: Registry | None
) -> Recognised | None:
    """Return the contents of a Schema Registry frame: JSON is decoded; None for a record without a frame."""
    if raw[:1] in (b"{", b"[") and not one.headers:
        return None
    try:
        found = split(raw, one.headers)
    except InvalidRecord as error:
        is_other = raw[:1] in (b"\0", b"\3", b"\xc3") or "the header" in str(error)
        return Recognised(one, FRAMED, str(error), is_read=False) if is_other else None
    bare = [header for header in one.headers or () if header[0] != "__value_schema_id"]
    if registry is not None:
        frame = Frame("avro", registry)
        try:
            text = orjson.dumps(frame.value(raw, one.headers))
        except (InvalidRecord, orjson.JSONEncodeError) as error:
            return Recognised(one, FRAMED, str(error), is_read=False, schema=found.id)
        shown = replace(one, raw=text, headers=bare or None, key=frame.key(one.key, one.headers))
        inside = recognise(shown, own)
        inside.schema, inside.registry = found.id, registry.url
        return inside
    if found.payload[:1] not in (b"{", b"["):
        return Recognised(one, FRAMED, f"{OF_SCHEMA} {found.id}", is_read=False, schema=found.id)
    inside = recognise(replace(one, raw=found.payload, headers=bare or None), own)
    inside.schema = found.id
    return inside


OF_SCHEMA: Final = "Avro, or Protobuf which is not read, of the schema"
_AS_NAMED: Final = ("segment", "posthog", "heap", "native", "cloudevents")
_AMPLITUDE: Final = frozenset(
    {
        "event_properties", "user_properties", "amplitude_id", "insert_id", "$insert_id", "event_time",
        "library", "events", "identification", "device_id",
    }
)  # fmt: skip
"""Fields that distinguish Amplitude's records from others with `event_type` and `user_id`."""


def _of_vendor(one: Sampled, format: str, value: Json) -> Recognised:
    reason = first_reason(read_by(one, format))
    return Recognised(one, format, reason, value, is_read=reason is None)


def _chosen(record: Fields) -> str | None:
    try:
        return chosen(record)
    except InvalidRecord:
        return None


def _objects(value: Json) -> list[Fields]:
    """Return the record, and the contents of its envelope."""
    if type(value) is list:
        return [one for one in value if type(one) is dict]
    if type(value) is not dict:
        return []
    for name in ("batch", "events", "users", "identification"):
        held = value.get(name)
        if type(held) is list and held and type(held[0]) is dict and "event" not in value:
            inside = [one for one in held if type(one) is dict]
            if value.get("type") in (None, "batch"):
                return [*inside[:1], value, *inside[1:]] if name == "batch" else [value, *inside]
    return [value]


def read_by(one: Sampled, format: str | Shape) -> list[Record]:
    """Return the records of a line or message, read by a shape. Never raises."""
    return decode(
        one.raw,
        format=format,
        origin=one.origin,
        received_at=one.received_at,
        headers=one.headers,
        key=one.key,
    )


def first_reason(records: list[Record]) -> str | None:
    """Return why one of the records is invalid; None where all are valid."""
    return next((one.reason for one in records if isinstance(one, Invalid)), None)


def settle(found: list[Recognised]) -> None:
    """Make records unknown if none of their shape is readable: their names match by accident."""
    read = {one.shape for one in found if one.is_read}
    for one in found:
        if not one.is_read and one.value is not None and one.shape not in read and one.reason != _NO_READER:
            one.shape = OWN
