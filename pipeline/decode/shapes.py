"""From raw bytes to records. Nothing here raises for bad input: what cannot be understood is Invalid.

Each shape has a module and a row in the table here. This module opens envelopes, finds the shape of each
record, and turns an InvalidRecord of one member into one Invalid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import orjson
from msgspec import UNSET

from pipeline.decode import cloudevents, heap, native, posthog, segment, strict
from pipeline.decode.fields import Fields, Place
from pipeline.decode.glance import Stub, Wants
from pipeline.decode.strangers import stranger, stranger_bytes, unread
from pipeline.language.formats import FORMATS
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, kind_of
from pipeline.model.records import Invalid, Origin, PropertyUpdate, Record
from pipeline.model.sizes import USUAL
from pipeline.model.words import without_addresses

OUR_FAULT = "Hookline failed to read this record"
"""How the reason of an Invalid begins whose cause is a fault in this package."""

Headers = Sequence[tuple[str, bytes | None]]
Read = Callable[[Fields, Place], list[Record]]
Glance = Callable[[Stub, Wants], bool]
NOTHING: frozenset[str] = frozenset()


@dataclass(slots=True, frozen=True)
class Shape:
    """A row of the table. A new shape is a module, a name in language/formats.py, and its row."""

    read: Read
    """Gives the records of one object; raises InvalidRecord."""
    fits: Callable[[Fields], bool]
    """Whether an object whose ``type`` does not say it may be of this shape, by its fields."""
    types: frozenset[str] = NOTHING
    """What ``type`` says of this shape alone, whatever else is there."""
    envelopes: tuple[str, ...] = ()
    """Fields that hold many records."""
    glance: Glance | None = None
    """True for an event that `read` would surely give, and that is not wanted (decode/glance.py)."""
    times: tuple[str, ...] = ()
    """Fields with the time of a record, the first that is set: for the merge of files (sources/peek.py)."""
    updates: frozenset[str] = NOTHING
    """What ``type`` says of an update of a user: it goes before an event of the same time."""
    update_events: frozenset[str] = NOTHING
    """What ``event`` says of one."""


SHAPES: dict[str, Shape] = {
    "cloudevents": Shape(cloudevents.read, cloudevents.fits, times=("time",)),
    "posthog": Shape(
        posthog.read,
        posthog.fits,
        envelopes=("batch",),
        glance=posthog.glance,
        times=("timestamp", "sent_at"),
        update_events=posthog.PERSON_CALLS,
    ),
    "native": Shape(
        native.read,
        native.fits,
        types=frozenset({"event", "user"}),
        times=("time", "received_at"),
        updates=frozenset({"user", "identify", "delete"}),
    ),
    "segment": Shape(
        segment.read,
        segment.fits,
        envelopes=("batch",),
        glance=segment.glance,
        times=("timestamp", "originalTimestamp", "sentAt", "receivedAt"),
        updates=frozenset({"identify", "alias", "delete"}),
    ),
    "heap": Shape(heap.read, heap.fits, envelopes=("events", "users"), times=("timestamp",)),
}
"""In the order in which ``auto`` asks whether a record fits; one that fits two is refused."""

_BY_TYPE = {kind: shape.read for shape in SHAPES.values() for kind in shape.types}
_FITS = tuple((name, shape.fits, shape.read) for name, shape in SHAPES.items())
_ENVELOPES = {name: shape.envelopes for name, shape in SHAPES.items()}
_ENVELOPES["auto"] = tuple(dict.fromkeys(name for names in _ENVELOPES.values() for name in names))
_OWNERS = {
    name: owners[0]
    for name in _ENVELOPES["auto"]
    if len(owners := [shape.read for shape in SHAPES.values() if name in shape.envelopes]) == 1
}
"""The shape of a member without ``type``, where an envelope is of one shape alone."""


def decode(
    raw: bytes | None,
    *,
    format: str = "auto",
    origin: Origin,
    received_at: int | None = None,
    headers: Headers | None = None,
    key: bytes | None = None,
    is_clean: bool = False,
    most_members: int = USUAL.members,
) -> list[Record]:
    """Return the records of one line or message, in order; what is broken comes as Invalid with its reason.

    ``raw`` None is a tombstone: a PropertyUpdate that deletes the user named by ``key``.
    ``received_at`` is the broker's time in unix milliseconds. ``is_clean`` is for scan (decode/scan.py): it
    has checked the whole chunk for long integers and deep nesting. Never raises for any input.
    """
    place = Place(origin, received_at, raw=raw)
    try:
        if headers and format in ("auto", "cloudevents") and cloudevents.is_binary(headers):
            return cloudevents.read_binary(raw, headers, place)
        if raw is None:
            return [_tombstone(key, place)]
        value = strict.loads(raw, is_clean=is_clean)
        if type(value) is dict:
            for name in _ENVELOPES[format]:
                if name in value and type(members := value[name]) is list and _is_envelope(value):
                    return _read_all(members, name, value, format, raw, place, most_members)
            return _shape(value, format)(value, place)
        if type(value) is list:
            return _read_all(value, "the list", {}, format, raw, place, most_members)
        raise InvalidRecord(f"the line is {kind_of(value)}, an object is wanted")
    except InvalidRecord as error:
        return [Invalid(raw or b"", _reason(raw, error, format), origin)]
    except Exception as error:
        # A fault of ours must not stop a stream for ever at the record that shows it.
        reason = without_addresses(f"{OUR_FAULT}: {type(error).__name__}: {error}")
        return [Invalid(raw or b"", reason, origin)]


def _reason(raw: bytes | None, error: InvalidRecord, format: str) -> str:
    """Return why a line cannot be read: what it looks like, where it is a known thing and no JSON at all."""
    looks_like = stranger_bytes(raw) if raw and format == "auto" else None
    return str(error) if looks_like is None else unread(looks_like)


def _is_envelope(value: Fields) -> bool:
    return "event" not in value and value.get("type") in (None, "batch")


def _tombstone(key: bytes | None, place: Place) -> PropertyUpdate:
    if not key:
        raise InvalidRecord("a tombstone without a key says nobody's name")
    if key.startswith(b"\0") or _is_struct(key):
        # Debezium's keys are structs ({"id":7}), a registry's are framed: no user is called so.
        shown = key[:40].decode("utf-8", "replace")
        raise InvalidRecord(
            f"the key of the tombstone is {shown!r}, as Debezium and Kafka Connect write keys: it names no "
            "user, and Hookline has no reader for it yet"
        )
    try:
        user_id = key.decode()
    except UnicodeDecodeError:
        raise InvalidRecord("the key of the tombstone is not UTF-8") from None
    at = place.received_at
    return PropertyUpdate(None, user_id, None, at, at, None, {}, {}, (), place.origin, delete=True)


def _is_struct(key: bytes) -> bool:
    try:
        return key[:1] in (b"{", b"[") and type(orjson.loads(key)) in (dict, list)
    except orjson.JSONDecodeError:
        return False


def _read_all(
    members: list[Json], name: str, envelope: Fields, format: str, raw: bytes, place: Place, most: int
) -> list[Record]:
    """Return the records of an envelope; a broken member costs that member only."""
    if not members:
        raise InvalidRecord(f"`{name}` is empty: there is no record in it")
    if len(members) > most:
        raise InvalidRecord(f"`{name}` holds {len(members):,} records; `limits.members` allows {most:,}")
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
            read = _shape(member, format, _OWNERS.get(name))
            records += read(member, inside)
        except InvalidRecord as error:
            records.append(Invalid(_dumps(member, raw), str(error), origin))
    return records


def _dumps(member: Json, raw: bytes) -> bytes:
    try:
        return orjson.dumps(member)
    except orjson.JSONEncodeError:
        return raw


def _shape(record: Fields, format: str, owner: Read | None = None) -> Read:
    """Return the reader of the format; of ``auto`` that of the one shape that the fields tell.

    owner: the shape whose envelope holds a member, which needs no marks there. Raises InvalidRecord.
    """
    if format != "auto":
        return SHAPES[format].read
    if cloudevents.is_sure(record):
        return cloudevents.read
    kind = record.get("type")
    if type(kind) is str:
        if kind in _BY_TYPE:
            return _BY_TYPE[kind]
        if kind in segment.CALLS and segment.is_sure(record):
            return segment.read
    elif posthog.is_sure(record):
        return posthog.read
    elif heap.is_sure(record):
        return heap.read
    looks_like = stranger(record) if "specversion" not in record else None
    if looks_like is not None:
        raise InvalidRecord(unread(looks_like))
    if owner is not None and kind is None:
        return owner
    fitting = [(name, read) for name, fits, read in _FITS if fits(record)]
    if len(fitting) == 1:
        return fitting[0][1]
    if fitting:
        both = " and ".join(f"`{name}`" for name, _ in fitting)
        raise InvalidRecord(f"the record may be of the shapes {both}: say which by `format`")
    keys = ", ".join(f"`{name:.30}`" for name in list(record)[:8]) or "no field at all"
    raise InvalidRecord(f"the shape fits none of {', '.join(FORMATS[1:])}: it has {keys}")


def _glance_any(stub: Stub, wants: Wants) -> bool:
    """Tell the shape in the order of the table; leave it to decode where that is not obvious."""
    if stub.type == "event" or stub.unusual_version is not UNSET or stub.unusual_batch is not UNSET:
        return False
    if stub.unusual_identity is not UNSET or stub.unusual_app_id is not UNSET:
        return False
    properties = stub.properties
    has_distinct_id = stub.distinct_id is not UNSET or (
        properties is not None and (properties.distinct_id is not UNSET or properties.distinct is not UNSET)
    )
    if has_distinct_id:
        return (
            stub.type is None
            and stub.userId is None
            and stub.anonymousId is None
            and posthog.glance(stub, wants)
        )
    return type(stub.type) is str and segment.glance(stub, wants)


GLANCES: dict[str, Glance] = {"auto": _glance_any} | {
    name: shape.glance for name, shape in SHAPES.items() if shape.glance is not None
}
"""The first look by format; of the native shape scan has one that costs half."""
