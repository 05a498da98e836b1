"""From raw bytes to records. Nothing here raises for bad input: what cannot be understood is Invalid.

Each shape has a module with ``read(fields, place) -> records``; this one opens envelopes, finds the shape of
each record, and turns an InvalidRecord of one member into one Invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from pipeline.decode import cloudevents, heap, native, posthog, segment, strict
from pipeline.decode.fields import Fields, Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import kind_of
from pipeline.model.records import Invalid, Json, Origin, PropertyUpdate, Record

FORMATS = ("auto", "native", "heap", "segment", "posthog", "cloudevents")

OUR_FAULT = "Hookline failed to read this record"
"""How the reason of an Invalid begins whose cause is a fault in this package."""

Headers = Sequence[tuple[str, bytes | None]]
Shape = Callable[[Fields, Place], list[Record]]

_SHAPES: dict[str, Shape] = {
    "native": native.read,
    "heap": heap.read,
    "segment": segment.read,
    "posthog": posthog.read,
    "cloudevents": cloudevents.read,
}

_ENVELOPES: dict[str, tuple[str, ...]] = {
    "auto": ("batch", "events", "users"),
    "native": (),
    "heap": ("events", "users"),
    "segment": ("batch",),
    "posthog": ("batch",),
    "cloudevents": (),
}
"""The fields that hold many records, by format."""


def decode(
    raw: bytes | None,
    *,
    format: str = "auto",
    origin: Origin,
    received_at: int | None = None,
    headers: Headers | None = None,
    key: bytes | None = None,
    is_clean: bool = False,
) -> list[Record]:
    """Return the records of one line or message, in order; what is broken comes as Invalid with its reason.

    ``raw`` None is a tombstone: a PropertyUpdate that deletes the user named by ``key``.
    ``received_at`` is the broker's time in unix milliseconds. ``is_clean`` is for scan (decode/scan.py): it
    has checked the whole chunk for long integers and deep nesting. Never raises for any input.
    """
    place = Place(origin, received_at)
    try:
        if headers and format in ("auto", "cloudevents") and cloudevents.is_binary(headers):
            return cloudevents.read_binary(raw, headers, place)
        if raw is None:
            return [_tombstone(key, place)]
        value = strict.loads(raw, is_clean=is_clean)
        if type(value) is dict:
            for name in _ENVELOPES[format]:
                if name in value and _is_envelope(value, name):
                    return _read_all(value[name], name, value, format, raw, place)
            return (_shape_of(value) if format == "auto" else _SHAPES[format])(value, place)
        if type(value) is list:
            return _read_all(value, "the list", {}, format, raw, place)
        raise InvalidRecord(f"the line is {kind_of(value)}, an object is wanted")
    except InvalidRecord as error:
        return [Invalid(raw or b"", str(error), origin)]
    except Exception as error:
        # A fault of ours must not stop a stream for ever at the record that shows it.
        return [Invalid(raw or b"", f"{OUR_FAULT}: {type(error).__name__}: {error}", origin)]


def _is_envelope(value: Fields, name: str) -> bool:
    return type(value[name]) is list and "event" not in value and value.get("type") in (None, "batch")


def _tombstone(key: bytes | None, place: Place) -> PropertyUpdate:
    if not key:
        raise InvalidRecord("a tombstone without a key says nobody's name")
    try:
        user_id = key.decode()
    except UnicodeDecodeError:
        raise InvalidRecord("the key of the tombstone is not UTF-8") from None
    at = place.received_at
    return PropertyUpdate(None, user_id, None, at, at, None, {}, {}, (), place.origin, delete=True)


def _read_all(
    members: list[Json], name: str, envelope: Fields, format: str, raw: bytes, place: Place
) -> list[Record]:
    """Return the records of an envelope; a broken member costs that member only."""
    if not members:
        raise InvalidRecord(f"`{name}` is empty: there is no record in it")
    context = envelope.get("context")
    shared = context if type(context) is dict else None
    sent_at = envelope.get("sentAt", envelope.get("sent_at"))
    records: list[Record] = []
    for item, member in enumerate(members):
        origin = Origin(place.origin.source, place.origin.offset, item)
        inside = Place(origin, place.received_at, shared, sent_at)
        try:
            if type(member) is not dict:
                raise InvalidRecord(f"a member of `{name}` is {kind_of(member)}, an object is wanted")
            if name in ("events", "users"):
                shape = heap.read if format == "auto" and "type" not in member else _shape(member, format)
            else:
                shape = _shape(member, format)
            records += shape(member, inside)
        except InvalidRecord as error:
            records.append(Invalid(_dumps(member, raw), str(error), origin))
    return records


def _dumps(member: Json, raw: bytes) -> bytes:
    try:
        return orjson.dumps(member)
    except orjson.JSONEncodeError:
        return raw


def _shape(record: Fields, format: str) -> Shape:
    return _shape_of(record) if format == "auto" else _SHAPES[format]


def _shape_of(record: Fields) -> Shape:
    """Return the reader of the shape that a record has by its fields. Raises InvalidRecord."""
    kind = record.get("type")
    if kind == "event" or kind == "user":
        return native.read
    if "specversion" in record:
        return cloudevents.read
    if "event" in record and ("distinct_id" in record or _names_distinct_id(record)):
        return posthog.read
    if type(kind) is str:
        if kind in ("identify", "delete") and not ("userId" in record or "anonymousId" in record):
            return segment.read if "traits" in record else native.read
        if kind in segment.CALLS:
            return segment.read
    if "identity" in record or "app_id" in record:
        return heap.read
    action = record.get("action")
    if "userId" in record or "anonymousId" in record or (type(action) is str and action in segment.CALLS):
        return segment.read
    keys = ", ".join(f"`{name:.30}`" for name in list(record)[:8]) or "no field at all"
    raise InvalidRecord(f"the shape fits none of {', '.join(FORMATS[1:])}: it has {keys}")


def _names_distinct_id(record: Fields) -> bool:
    properties = record.get("properties")
    return type(properties) is dict and ("distinct_id" in properties or "$distinct_id" in properties)
