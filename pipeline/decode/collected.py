"""Lines written by a collector (`hookline collect`): their headers say how to read each.

The protocol replaces guessing: no member is tested for another shape. The time received is the line's, never
one that a client wrote into a member. Headers have this meaning only in a collector's recording, recognised
by the source of its lines, and where ``format: collected`` says so.

hk-protocol   how the member came: native, segment, posthog, heap, cloudevents, mixpanel, amplitude, hooks
hk-format     for hooks: the shape that reads it, built-in or custom
hk-type       what the request's path says of a member whose own bytes do not
hk-context    the context shared by all members of the request, as JSON
hk-lib        the SDK and its version, which PostHog's v1 calls leave to a header of the request
hk-shift      milliseconds to add to the times of a client with a wrong clock
hk-key        the name of the key that it was posted with
hk-cut        the size in bytes of a member that was too large; only its beginning is kept
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final

from pipeline.decode.builtin import native, posthog
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Fields, Headers, Place
from pipeline.decode.shape import Shape, Told
from pipeline.decode.shapes import SHAPES
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import IdentityLink, Invalid, Record
from pipeline.model.times import MAX_MS, MIN_MS

NAME: Final = "collected"
CUT: Final = "hk-cut"
_SOURCE: Final = re.compile(r"collect-[0-9a-f]{8}/[0-9]+")
_OF_THE_SERVER: Final = ("receivedAt", "received_at", "now")
"""Fields in which a server records when it received a call."""
_HOOKS: Final = "hooks"

Amend = Callable[[Fields, str], Fields]
"""Returns a call as its protocol reads it, with what its path implies; raises InvalidRecord."""


@lru_cache
def is_collected(source: str) -> bool:
    """Return whether this source is a collector's recording: ``collect-XXXXXXXX/0``."""
    return _SOURCE.fullmatch(source) is not None


def collected(named: Mapping[str, Shape]) -> Shape:
    """Return the shape of collected lines. named: the shapes that hooks may name, built-in and custom."""

    def told(headers: Headers | None) -> Told:
        protocol = format = shift = None
        has_type = has_context = False
        for name, value in headers or ():
            if name == "hk-protocol":
                protocol = value
            elif name == "hk-format":
                format = value
            elif name == "hk-shift":
                shift = value
            elif name == "hk-type":
                has_type = True
            elif name == "hk-context":
                has_context = True
            elif name == CUT:
                raise InvalidRecord(_too_large(value))
        shape = _BY_PROTOCOL.get(protocol)
        if shape is None:
            shape = _of_hook(format, named) if protocol == _HOOKS.encode() else _unknown(protocol)
        if shape is _SEGMENT or shape is _POSTHOG:
            # Whether an event is wanted does not depend on its time; a call's own type counts.
            is_plain = not has_context and not (has_type and shape is _POSTHOG)
        else:
            is_plain = not has_context and not has_type and shift is None
        return Told(shape, is_plain, 0 if shift is None else _milliseconds(shift))

    return Shape(
        NAME,
        _unread,
        "what `hookline collect` writes, each line by the protocol that its headers name",
        envelopes=tuple(dict.fromkeys(name for shape in SHAPES.values() for name in shape.envelopes)),
        by_headers=told,
    )


def corrected(records: list[Record], told: Told, received_at: int | None) -> list[Record]:
    """Return the records with the clock's shift applied, and the line's time as the time received."""
    shift = told.shift_ms
    for record in records:
        if isinstance(record, Invalid):
            continue
        if received_at is not None and not isinstance(record, IdentityLink):
            record.received_at = received_at
        if shift and record.time is not None:
            record.time = min(max(record.time + shift, MIN_MS), MAX_MS)
    return records


# --- headers


def _unread(record: Fields, place: Place) -> list[Record]:
    raise InvalidRecord("a collected line is read by the shape that its headers name")


def _unknown(protocol: bytes | None) -> Shape:
    if protocol is None:
        raise InvalidRecord(
            "the line has no header `hk-protocol`, which every line of a collector has: set the `format` of "
            "what wrote it in its place"
        )
    raise InvalidRecord(
        f"`hk-protocol` is {_shown(protocol)}, which this version does not know ({', '.join(PROTOCOLS)}): a "
        "newer collector wrote the line. Update Hookline here, then replay the line "
        "(`hookline dlq export --records`)"
    )


def _too_large(size: bytes | None) -> str:
    shown = f"{int(size):,}" if size and size.isdigit() and len(size) <= 16 else "too many"
    allowed = "`collect.limits.member` or its topic allowed"
    return f"the record had {shown} bytes, more than {allowed}: its beginning was kept"


def _of_hook(format: bytes | None, named: Mapping[str, Shape]) -> Shape:
    if format is None:
        raise InvalidRecord("the line of a hook has no header `hk-format`: nothing says which shape reads it")
    name = format.decode("utf-8", "replace")
    shape = named.get(name)
    if shape is None or shape.by_headers is not None:
        raise InvalidRecord(
            f"`hk-format` is {_shown(format)}, and there is no such shape: put it back into config/shapes, "
            "then replay the line (`hookline dlq export --records`)"
        )
    return shape


def _milliseconds(text: bytes) -> int:
    try:
        if len(text) <= 16:
            return int(text)
    except ValueError:
        pass
    raise InvalidRecord(f"`hk-shift` is {_shown(text)}, expected a whole number of milliseconds")


def _shown(value: bytes) -> str:
    return repr(value[:40].decode("utf-8", "replace"))


# --- protocols


def _reads(shape: Shape, amend: Amend | None = None) -> Shape:
    """Return a built-in shape as a protocol's: nothing is guessed, and the headers apply."""

    def read(record: Fields, place: Place) -> list[Record]:
        for name in _OF_THE_SERVER:
            if name in record:
                del record[name]
        for name, value in place.headers or ():
            if name == "hk-type" and value is not None and amend is not None:
                record = amend(record, value.decode("utf-8", "replace"))
            elif name == "hk-lib" and value is not None:
                record = _posthog_v1(record, value.decode("utf-8", "replace"))
            elif name == "hk-context" and value is not None:
                place.context = _shared(value, place.context)
        return shape.read(record, place)

    return replace(shape, read=read, is_doubtful=None, tombstone=_no_tombstone)


def _no_tombstone(place: Place) -> list[Record]:
    raise InvalidRecord("the line has no value: only a CloudEvent in binary mode may be without one")


def _shared(text: bytes, own: Fields | None) -> Fields | None:
    """Return the request's context, and what an envelope inside adds."""
    try:
        found: Json = strict.loads(text)
    except InvalidRecord as error:
        raise InvalidRecord(f"`hk-context`: {error}") from None
    return {**found, **(own or {})} if type(found) is dict else own


def _no_such(protocol: str, word: str, known: Iterable[str]) -> InvalidRecord:
    return InvalidRecord(
        f"`hk-type` is {word[:40]!r}, which {protocol} does not have ({', '.join(known)}): a newer collector "
        "wrote the line. Update Hookline here, then replay it (`hookline dlq export --records`)"
    )


_SAYS: Final = {"name": "event", "set": "user", "set_once": "user", "unset": "user", "delete": "user"}
"""The kind of a native record without ``type``, by the first of these fields present."""


def _native(record: Fields, place: Place) -> list[Record]:
    """Return the records of a native record, which may omit ``type`` where a field implies it."""
    if record.get("type") is None:
        told = next((kind for name, kind in _SAYS.items() if name in record), None)
        if told is None:
            raise InvalidRecord(
                "the record has no `type`, and no field that implies it: `name` (of an event), `set`, "
                "`set_once`, `unset` or `delete` (of a user)"
            )
        record = {**record, "type": told}
    return native.read(record, place)


def _segment(record: Fields, word: str) -> Fields:
    return record if record.get("type") is not None else {**record, "type": word}


def _posthog(record: Fields, word: str) -> Fields:
    if word not in posthog.PERSON_CALLS:
        raise _no_such("posthog", word, sorted(posthog.PERSON_CALLS))
    return record if record.get("event") else {**record, "event": word}


_OUTSIDE: Final = (
    ("session_id", "$session_id"),
    ("window_id", "$window_id"),
    ("cookieless_mode", "$cookieless_mode"),
    ("disable_skew_correction", "$ignore_sent_at"),
    ("product_tour_id", "$product_tour_id"),
    ("process_person_profile", "$process_person_profile"),
)
"""Fields of a v1 call or its `options` that are properties of every other call."""


def _posthog_v1(record: Fields, sdk: str) -> Fields:
    """Return a v1 call with the properties that its SDK has moved out of them, as PostHog's server does."""
    options = record.get("options")
    outside = {**options, **record} if type(options) is dict else record
    lib, _, version = sdk.partition("/")
    moved: Fields = {"$lib": lib, "$lib_version": version}
    moved |= {name: outside[field] for field, name in _OUTSIDE if field in outside}
    properties = record.get("properties", {})
    return {**record, "properties": {**moved, **properties}} if type(properties) is dict else record


_HEAP: Final = ("track", "add_user_properties", "identify")


def _heap(record: Fields, word: str) -> Fields:
    if word == "track":
        return record if "event" in record else {**record, "event": None}
    if word not in _HEAP:
        raise _no_such("heap", word, _HEAP)
    left_out = ("event",) if word == "add_user_properties" else ("event", "properties")
    record = {name: value for name, value in record.items() if name not in left_out}
    if word == "add_user_properties" and "properties" not in record:
        raise InvalidRecord("the add_user_properties call has no `properties`")
    return record


_MIXPANEL: Final = ("track", "engage", "groups")


def _mixpanel(record: Fields, word: str) -> Fields:
    if word not in _MIXPANEL:
        raise _no_such("mixpanel", word, _MIXPANEL)
    if word == "track":
        return record if "event" in record else {**record, "event": None}
    return {name: value for name, value in record.items() if name != "event"}


def _amplitude(record: Fields, word: str) -> Fields:
    if word != "identify":
        raise _no_such("amplitude", word, ("identify",))
    return record if record.get("event_type") else {**record, "event_type": "$identify"}


_SHAPES: Final = {
    "native": _reads(replace(SHAPES["native"], read=_native)),
    "segment": _reads(SHAPES["segment"], _segment),
    "posthog": _reads(SHAPES["posthog"], _posthog),
    "heap": _reads(SHAPES["heap"], _heap),
    "cloudevents": _reads(SHAPES["cloudevents"]),
    "mixpanel": _reads(SHAPES["mixpanel"], _mixpanel),
    "amplitude": _reads(SHAPES["amplitude"], _amplitude),
}
_SEGMENT, _POSTHOG = _SHAPES["segment"], _SHAPES["posthog"]
_BY_PROTOCOL: Final[dict[bytes | None, Shape]] = {name.encode(): one for name, one in _SHAPES.items()}
PROTOCOLS: Final = (*_SHAPES, _HOOKS)
"""The values of ``hk-protocol``."""
