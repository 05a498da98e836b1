"""Amplitude: rows of its export, and the bodies of its HTTP API (``events[]``, ``identification[]``).

``event_type`` is the name, ``user_id`` the user, ``device_id`` the anonymous id, ``insert_id`` (exports:
``$insert_id``, else ``uuid``) the event's id (of its device, else user), ``event_properties`` its properties;
every other field is context. The time is ``event_time`` (exports, UTC), else ``time`` (HTTP, milliseconds),
else ``client_event_time``. ``user_properties`` are an update before the event: plain ones are set, as are
``$set`` and ``$setOnce``; ``$unset`` removes, before these. Operators that need the previous value (``$add``,
``$append``, ``$prepend``, ``$preInsert``, ``$postInsert``, ``$remove``) and ``$clearAll`` become a dead
letter; the rest of the record is still read. ``$identify`` is the update and no event, and with both ids also
a link; other events with both ids are not links. ``$groupidentify`` is an event of kind ``group`` with the
properties ``groups`` and ``traits``.

Source: amplitude.com/docs, HTTP V2 API, Identify API and Export API; the operators as its SDKs name and order
them (@amplitude/analytics-core, `OrderedIdentifyOperations`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipeline.decode.builtin.exports import operators
from pipeline.decode.builtin.exports.operators import Meaning
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen
from pipeline.decode.strangers import ALWAYS
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Event, Invalid, Record
from pipeline.model.times import parse_time

IDENTIFY: Final = "$identify"
_GROUP: Final = "$groupidentify"
_TIMES: Final = ("event_time", "time", "client_event_time")
_KINDS: Final = {"[Amplitude] Page Viewed": "page", "[Amplitude] Screen Viewed": "screen"}

_OPERATORS: Final[dict[str, Meaning]] = {
    "$set": "set",
    "$setOnce": "set_once",
    "$unset": "unset",
    "$add": "unsaid",
    "$append": "unsaid",
    "$prepend": "unsaid",
    "$preInsert": "unsaid",
    "$postInsert": "unsaid",
    "$remove": "unsaid",
    "$clearAll": "unsaid",
}

_READ: Final = frozenset(
    {
        "event_type", "user_id", "device_id", "insert_id", "$insert_id", "event_properties",
        "user_properties", "event_time", "time", "library", "api_key",
    }
)  # fmt: skip


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one event. Raises InvalidRecord."""
    name = fields.text(record, "event_type")
    if name is None:
        if "user_properties" not in record:
            raise InvalidRecord("the event of Amplitude has no `event_type`")
        name = IDENTIFY  # the Identify API's path implies it
    user_id, device_id = ids = fields.text_id(record, "user_id"), fields.text_id(record, "device_id")
    if user_id is None and device_id is None:
        raise InvalidRecord("the event of Amplitude has neither `user_id` nor `device_id`")
    times = fields.times(record, place, *_TIMES, received=("server_received_time", "server_upload_time"))
    call_id = fields.text_id(record, "insert_id", "$insert_id", "uuid")
    source = fields.text(record, "library")
    given = fields.mapping(record, "user_properties")
    changes = operators.read_changes(given, _OPERATORS)
    for key, value in given.items():
        if key not in _OPERATORS:
            changes.set.setdefault(key, value)
    changes.unset_first()
    records: list[Record] = []
    if name == IDENTIFY and user_id is not None and device_id is not None:
        records += fields.link(record, place, device_id, user_id, times[0])
    is_empty = name == IDENTIFY and "user_properties" in record and not (records or changes.unsaid)
    if changes or is_empty:
        records.append(operators.update(changes, place, call_id, ids, times, source))
    records += operators.unsaid(changes, record, place)
    if len(dead := [one for one in records if type(one) is Invalid]) > 1:  # of one place: one dead letter
        reason = "; ".join(one.reason for one in dead)
        records = [one for one in records if type(one) is not Invalid]
        records.append(Invalid(dead[0].raw, reason, place.origin))
    if name == _GROUP:
        properties: Fields = {"groups": record.get("groups"), "traits": _traits(record)}
    elif name == IDENTIFY:
        if not records:
            raise InvalidRecord("the identify call of Amplitude has no `user_properties`, and not both ids")
        return records
    else:
        properties = fields.mapping(record, "event_properties")
    context: Fields = {key: value for key, value in record.items() if value is not None and key not in _READ}
    kind = "group" if name == _GROUP else _KINDS.get(name, "track")
    scope = user_id if device_id is None else device_id  # an insert_id is unique for a device
    event = Event(
        call_id, name, kind, *ids, *times, source, properties, context, place.origin, id_scope=scope
    )
    return [*records, event]


def is_doubtful(record: Fields) -> bool:
    """Return whether the object names no event, or has a field of another shape."""
    return "event_type" not in record or not ALWAYS.isdisjoint(record)


def _traits(record: Fields) -> Fields:
    traits = fields.mapping(record, "group_properties")
    changes = operators.read_changes(traits, _OPERATORS)
    plain = {key: value for key, value in traits.items() if key not in _OPERATORS}
    return {**changes.set_once, **changes.set, **plain}


class _Member(msgspec.Struct):
    event_type: Any = None
    event_time: Any = None
    time: Any = None
    client_event_time: Any = None


class _Line(_Member):
    events: list[_Member] = []
    identification: list[_Member] = []


_peek = msgspec.json.Decoder(_Line).decode


def peek(line: bytes, _place: Place) -> Seen:
    """Return its time, and whether it is an update; for an envelope, of the first member."""
    seen = _peek(line)
    first = next(iter((*seen.events, *seen.identification)), seen)
    times = (first.event_time, first.time, first.client_event_time)
    when = next((time for time in times if time is not None), None)
    is_update = first.event_type is None or first.event_type == IDENTIFY
    return None if when is None else parse_time(when), is_update
