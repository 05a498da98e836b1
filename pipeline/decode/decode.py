"""From raw bytes to records. Bad input never raises: what cannot be read becomes Invalid.

This module opens envelopes, and turns the InvalidRecord of one member into one Invalid; the meaning of a
record is its shape's business (shape.py, shapes.py).
"""

from __future__ import annotations

import orjson

from pipeline.decode.auto import AUTO, RECORDED, refuse_another
from pipeline.decode.builtin import cloudevents
from pipeline.decode.collected import collected, corrected
from pipeline.decode.envelope import CONNECT
from pipeline.decode.raw import strict, walk
from pipeline.decode.raw.fields import Fields, Headers, Place
from pipeline.decode.shape import Shape
from pipeline.decode.shapes import SHAPES
from pipeline.decode.strangers import stranger_bytes, unread
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Invalid, Origin, PropertyUpdate, Record
from pipeline.model.sizes import KEPT_BYTES, USUAL
from pipeline.model.words import without_addresses

OUR_FAULT = "Hookline failed to read this record"
"""Prefix of the reason of an Invalid caused by a fault in this package."""

_ROWS: dict[str, Shape] = {AUTO.name: AUTO, RECORDED.name: RECORDED, CONNECT.name: CONNECT, **SHAPES}
COLLECTED = collected(_ROWS)
"""For lines of a collector, where there are no custom shapes."""

BY_NAME: dict[str, Shape] = {**_ROWS, COLLECTED.name: COLLECTED}
"""Every shape that `format` may name, except custom ones."""


def decode(
    raw: bytes | None,
    *,
    format: str | Shape = "auto",
    origin: Origin,
    received_at: int | None = None,
    headers: Headers | None = None,
    key: bytes | None = None,
    is_clean: bool = False,
    most_members: int = USUAL.members,
) -> list[Record]:
    """Return the records of one line or message, in order; broken ones are Invalid with their reason.

    ``raw`` None is a tombstone: a PropertyUpdate that deletes the user named by ``key``. ``received_at`` is
    the broker's time in unix milliseconds. ``is_clean`` is for scan (scan.py): it has checked the whole chunk
    for long integers and deep nesting. Never raises for any input.
    """
    shape = format if isinstance(format, Shape) else BY_NAME[format]
    if shape.by_headers is not None:
        try:
            told = shape.by_headers(headers)
        except InvalidRecord as error:
            return [Invalid(raw or b"", str(error), origin)]
        records = decode(
            raw, format=told.shape, origin=origin, received_at=received_at, headers=headers, key=key,
            is_clean=is_clean, most_members=most_members,
        )  # fmt: skip
        return corrected(records, told, received_at)
    # Positional: keywords take twice the time.
    place = Place(origin, received_at, None, None, raw, "", headers, key, most_members)
    try:
        if headers and reads_binary(shape) and cloudevents.is_binary(headers):
            unframe = None if shape.frame is None else shape.parse
            return cloudevents.read_binary(raw, headers, place, unframe)
        if raw is None:
            if shape.frame is not None:
                place.key = shape.frame.key(key, headers)
            return [_tombstone(place)] if shape.tombstone is None else shape.tombstone(place)
        try:
            value = strict.loads(raw, is_clean=is_clean) if shape.parse is None else shape.parse(raw, place)
        except InvalidRecord:
            found = None if shape.takes_any else walk.members(raw, shape.envelopes)
            if found is None:
                raise
            name, texts, rest = found
            envelope = strict.loads(rest)
            if type(envelope) is not dict or not (name == "the list" or _is_envelope(envelope)):
                raise
            return _read_all(texts, name, envelope, shape, raw, place)
        if type(value) is str:
            value = strict.inside(value)
        if type(value) is dict:
            for name in shape.envelopes:
                if name in value and _is_envelope(value) and (held := _list(value[name])) is not None:
                    return _read_all(held, name, value, shape, raw, place)
            if shape.is_doubtful is not None and shape.is_doubtful(value):
                refuse_another(value, shape)
            return shape.read(value, place)
        if shape.takes_any:
            return shape.read(value, place)  # type: ignore[arg-type]  # as it says
        if type(value) is list:
            return _read_all(value, "the list", {}, shape, raw, place)
        raise InvalidRecord(f"the line is {kind_of(value)}, expected an object")
    except InvalidRecord as error:
        return [Invalid(raw or b"", _reason(raw, error, shape), origin)]
    except Exception as error:
        # A fault of ours must not stop a stream for ever at the record that triggers it.
        reason = without_addresses(f"{OUR_FAULT}: {type(error).__name__}: {error}")
        return [Invalid(raw or b"", reason, origin)]


def member_of(raw: bytes, item: int, shape: Shape) -> bytes:
    """Return the bytes of a record that `decode` returned for a line: an envelope's member, or the line.

    Where a shape opens envelopes itself: the line for its first record, the line's beginning for the others.
    """
    if shape.takes_any or shape.parse is not None:
        return raw if item == 0 else raw[:KEPT_BYTES]
    try:
        value = strict.loads(raw)
        if type(value) is str:
            value = strict.inside(value)
    except InvalidRecord:
        found = walk.members(raw, shape.envelopes)
        return raw if found is None or item >= len(found[1]) else found[1][item]
    held: Json = value
    if type(value) is dict:
        envelopes = [value[name] for name in shape.envelopes if type(value.get(name)) is list]
        held = envelopes[0] if envelopes and _is_envelope(value) else value
    return _dumps(held[item], raw) if type(held) is list and item < len(held) else raw


def reads_binary(shape: Shape) -> bool:
    """Return whether CloudEvents in binary mode are read, which their headers fully describe."""
    return shape.read is AUTO.read or shape.name == "cloudevents" or shape.by_headers is not None


def _reason(raw: bytes | None, error: InvalidRecord, shape: Shape) -> str:
    """Return why a line cannot be read: what it looks like, if it is a known thing other than JSON."""
    looks_like = stranger_bytes(raw) if raw and shape.parse is None else None
    return str(error) if looks_like is None else unread(looks_like, shape.name)


def _list(held: Json) -> list[Json] | None:
    """Return the members of an envelope. PHP writes an array from which one was removed as an object:
    ``{"0": .., "2": ..}``.
    """
    if type(held) is list:
        return held
    if type(held) is dict and held and all(map(str.isdigit, held)):
        return list(held.values())
    return None


def _is_envelope(value: Fields) -> bool:
    return "event" not in value and value.get("type") in (None, "batch")


def _tombstone(place: Place) -> PropertyUpdate:
    key = place.key
    if not key or not key.strip():
        raise InvalidRecord("a tombstone without a key says nobody's name")
    # JsonSerializer's texts are quoted.
    held = _json(key) if key[:1] in b'{["' else None
    if key.startswith(b"\0") or type(held) in (dict, list):
        # Debezium's keys are structs ({"id":7}), a registry's are framed: neither is a user id.
        shown = key[:40].decode("utf-8", "replace")
        raise InvalidRecord(
            f"the key of the tombstone is {shown!r}, as Debezium and Kafka Connect write keys: it names no "
            "user. Set `format: debezium` for the topic of a table"
        )
    try:
        user_id = held if type(held) is str and held.strip() else key.decode()
    except UnicodeDecodeError:
        raise InvalidRecord("the key of the tombstone is not UTF-8") from None
    at = place.received_at
    return PropertyUpdate(None, user_id, None, at, at, None, {}, {}, (), place.origin, delete=True)


def _json(key: bytes) -> Json:
    try:
        value: Json = orjson.loads(key)
    except orjson.JSONDecodeError:
        return None
    return value


def _read_all(
    held: list[Json] | list[bytes], name: str, envelope: Fields, shape: Shape, raw: bytes, place: Place
) -> list[Record]:
    """Return the records of an envelope; a broken member costs that member only.

    held: its members, or the text of each where not all of them are JSON.
    """
    if not held:
        raise InvalidRecord(f"`{name}` is empty: there is no record in it")
    most = place.most_members
    if len(held) > most:
        raise InvalidRecord(f"`{name}` holds {len(held):,} records; `limits.members` allows {most:,}")
    context = envelope.get("context")
    shared = context if type(context) is dict else None
    sent_at = envelope.get("sentAt", envelope.get("sent_at"))
    records: list[Record] = []
    for item, given in enumerate(held):
        origin = Origin(place.origin.source, place.origin.offset, item)
        inside = Place(
            origin, place.received_at, shared, sent_at,
            envelope=name, headers=place.headers, key=place.key, most_members=most,
        )  # fmt: skip
        try:
            member = strict.loads(given) if type(given) is bytes else given
            if type(member) is not dict:
                raise InvalidRecord(f"a member of `{name}` is {kind_of(member)}, expected an object")
            if shape.is_doubtful is not None and shape.is_doubtful(member):
                refuse_another(member, shape)
            records += shape.read(member, inside)
        except InvalidRecord as error:
            text = given if type(given) is bytes else _dumps(given, raw)
            records.append(Invalid(text, str(error), origin))
    return records


def _dumps(member: Json | bytes, raw: bytes) -> bytes:
    try:
        return orjson.dumps(member)
    except orjson.JSONEncodeError:
        return raw
