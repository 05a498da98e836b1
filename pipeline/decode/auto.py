"""`auto`: chooses, for each record, the one built-in shape that fits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from msgspec import UNSET

from pipeline.decode.builtin import cloudevents, heap, native, posthog, segment
from pipeline.decode.builtin.exports import jitsu
from pipeline.decode.glance.glance import Stub, Wants
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Read, Shape
from pipeline.decode.shapes import SHAPES
from pipeline.decode.strangers import READ_AS, stranger, unread
from pipeline.language.formats import FORMATS, RECORDING
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Record

_CHOSEN = tuple(shape for shape in SHAPES.values() if shape.fits is not None)
_BY_TYPE: Final = {kind: shape.read for shape in _CHOSEN for kind in shape.types}
_FITS: Final = tuple((shape.name, shape.fits, shape.read) for shape in _CHOSEN if shape.fits is not None)
_ENVELOPES: Final = tuple(dict.fromkeys(name for shape in _CHOSEN for name in shape.envelopes))
_OWNERS: Final = {
    name: owners[0]
    for name in _ENVELOPES
    if len(owners := [shape.read for shape in _CHOSEN if name in shape.envelopes]) == 1
}
"""The shape of a member without ``type``, by the one shape that has its envelope."""
_NAMES: Final = {shape.read: shape.name for shape in _CHOSEN}


_STRAYS: Final[dict[Read, Callable[[Fields], list[str]]]] = {
    SHAPES["native"].read: native.strays,
    SHAPES["segment"].read: segment.strays,
    SHAPES["heap"].read: heap.strays,
    SHAPES["posthog"].read: posthog.strays,
}
"""Per shape, fields that speak against it, for objects recognised by their fields alone."""


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of an object, read by the one shape that its fields indicate. Raises
    InvalidRecord.
    """
    return _reader(record, _OWNERS.get(place.envelope))(record, place)


def _unless_home_made(record: Fields, read: Read) -> Read:
    """Return the reader, unless the object has meaningful fields that its shape lacks.

    A row of a users table has a name like a page view, an order has an identity. Raises InvalidRecord.
    """
    strays = _STRAYS[read](record) if read in _STRAYS else []
    strays = [one for one in strays if record[one] not in (None, "", [], {})]
    if not strays:
        return read
    name = _NAMES[read]
    shown = ", ".join(f"`{one:.30}`" for one in strays[:4]) + (", .." if len(strays) > 4 else "")
    raise InvalidRecord(
        f"looks like a record of the shape `{name}`, but has {shown}, which that shape does not know. If it "
        f"is one, set `format: {name}`; else it wants a shape of its own (`hookline sniff` proposes one)"
    )


def _reader(record: Fields, owner: Read | None) -> Read:
    """Return the reader of the one shape that the fields indicate.

    owner: the shape whose envelope holds the member, which then needs no distinctive fields. Raises
    InvalidRecord.
    """
    if cloudevents.is_sure(record):
        return cloudevents.read
    kind = record.get("type")
    if type(kind) is str:
        if kind in _BY_TYPE:
            return _BY_TYPE[kind] if kind == "event" else _unless_home_made(record, _BY_TYPE[kind])
        if kind in segment.CALLS and segment.is_sure(record):
            return segment.read if kind != "delete" else _unless_home_made(record, segment.read)
    elif posthog.is_sure(record):
        return posthog.read
    elif heap.is_sure(record):
        return _unless_home_made(record, heap.read)
    known = looks_like(record) if "specversion" not in record else None
    if known is not None:
        raise InvalidRecord(unread(known))
    if owner is not None and kind is None:
        return owner
    fitting = [(name, read) for name, fits, read in _FITS if fits(record)]
    if len(fitting) == 1:
        return _unless_home_made(record, fitting[0][1])
    if fitting:
        both = " and ".join(f"`{name}`" for name, _ in fitting)
        raise InvalidRecord(f"the record may be of the shapes {both}: say which by `format`")
    keys = ", ".join(f"`{name:.30}`" for name in list(record)[:8]) or "no field at all"
    raise InvalidRecord(f"the shape fits none of {', '.join(NAMES)}: it has {keys}")


def chosen(record: Fields) -> str:
    """Return the name of the shape by which `auto` reads a record. Raises InvalidRecord."""
    return _NAMES[_reader(record, None)]


def looks_like(record: Fields) -> str | None:
    """Return what a record that `auto` refuses by name looks like; None for any other."""
    found = stranger(record)
    return "a message of Jitsu" if found is None and jitsu.is_row(record) else found


def refuse_another(record: Fields, shape: Shape) -> None:
    """Raise InvalidRecord where the object certainly has another shape than the one `format` names.

    Ambiguous objects have the named shape: that is what naming it is for.
    """
    known = looks_like(record)
    if known is not None and "specversion" not in record:
        if READ_AS.get(known) != shape.name:
            raise InvalidRecord(unread(known, shape.name))
        return
    if shape.fits is not None and shape.fits(record):
        other = _sure(record)
    else:
        fitting = [one.name for one in _CHOSEN if one.fits is not None and one.fits(record)]
        other = _sure(record) or (fitting[0] if shape.fits is not None and len(fitting) == 1 else None)
    # In snake case, calls of both are the same.
    if other is None or other == shape.name or {other, shape.name} == {"segment", "native"}:
        return
    raise InvalidRecord(f"looks like a record of the shape `{other}`: set `format: {other}` or `auto`")


def _sure(record: Fields) -> str | None:
    """Return the one shape that the object certainly has; None where there is none."""
    if cloudevents.is_sure(record):
        return "cloudevents"
    kind = record.get("type")
    if type(kind) is str:
        if kind in _BY_TYPE:
            return "native"
        return "segment" if kind in segment.CALLS and segment.is_sure(record) else None
    if posthog.is_sure(record):
        return "posthog"
    return "heap" if heap.is_sure(record) else None


def _glance(stub: Stub, wants: Wants) -> bool:
    """Tell the shape in the order of the table; leave unclear cases to decode."""
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
            and stub.userId is UNSET
            and stub.anonymousId is UNSET
            and posthog.glance(stub, wants)
        )
    return type(stub.type) is str and segment.glance(stub, wants)


NAMES: Final = tuple(sorted((name for name, _, _ in _FITS), key=FORMATS.index))
"""The shapes that `auto` distinguishes, in the order in which dead letters have always named them."""

AUTO: Final = Shape("auto", read, envelopes=_ENVELOPES, glance=_glance)
"""A row of the table like the others."""

RECORDED: Final = replace(AUTO, name=RECORDING)
"""For values of recorded messages whose topic has no `format`."""
