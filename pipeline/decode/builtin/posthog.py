"""PostHog's capture calls, single and in ``batch[]``.

An event keeps its name; ``$pageview`` has the kind ``page``, ``$screen`` ``screen``, ``$groupidentify``
``group``, ``$autocapture`` the kind in ``$event_type`` (click, change, submit) and its element chain.
``distinct_id`` is the user id, unless it equals ``$device_id`` or ``$is_identified`` is false: then it is
an anonymous id. ``$set``, ``$set_once`` and ``$unset``, in the properties or beside them, are an update
that comes before the event. ``$set`` and ``$unset`` calls are an update and no event; ``$identify`` is a
link from ``$anon_distinct_id`` and the update; ``$create_alias`` a link from ``alias``, or to it, where
only the other id is one that a device made (so the Python library sends it). The time is ``now`` (else when
it was received, or sent) minus ``offset`` (milliseconds), as PostHog's capture reckons; without an offset
``timestamp``, else ``sent_at``, ``$time``.

What PostHog itself writes is read as well (posthog_rows.py): messages of its capture topic, of
``clickhouse_events_json``, and rows of its batch exports.
"""

from __future__ import annotations

from msgspec import UNSET

from pipeline.decode.builtin import posthog_rows
from pipeline.decode.builtin.elements import read_elements
from pipeline.decode.glance.glance import Stub, Wants, are_simple, is_time
from pipeline.decode.placeholder_ids import is_generated
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.strangers import ALWAYS
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json
from pipeline.model.records import Event, PropertyUpdate, Record
from pipeline.model.times import MAX_MS, MIN_MS

KINDS = {"$pageview": "page", "$screen": "screen", "$groupidentify": "group"}

PERSON_CALLS = frozenset({"$set", "$unset", "$identify", "$create_alias", "$merge_dangerously"})
"""Calls that say something about a user and are no events."""


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one capture call, message or row. Raises InvalidRecord."""
    if (type(record.get("properties")) is not dict or "person_properties" in record) and posthog_rows.is_one(
        record
    ):
        record = posthog_rows.as_call(record)
    name = fields.text(record, "event")
    if name is None:
        raise InvalidRecord("the capture call has no `event`")
    properties = fields.mapping(record, "properties")
    distinct_id = _distinct_id(record, properties)
    if distinct_id is None:
        raise InvalidRecord("the capture call has no `distinct_id`")
    time, received_at = _times(record, properties, place)
    origin = place.origin
    if name == "$create_alias" or name == "$merge_dangerously":
        alias = fields.text_id(properties, "alias")
        if alias is None:
            raise InvalidRecord(f"the `{name}` call has no `alias` in its properties")
        user, other = distinct_id, alias
        if name == "$create_alias":
            user, other = _alias(distinct_id, alias, properties)
        return fields.link(record, place, other, user, time, alias=True)

    call_id = fields.text_id(record, "uuid")
    source = fields.text(properties, "$lib")
    user_id, anonymous_id = _who(name, distinct_id, properties)
    set_, set_once = _both(record, properties, "$set"), _both(record, properties, "$set_once")
    unset = fields.names(properties, "$unset") + fields.names(record, "$unset")
    records: list[Record] = []
    if name == "$identify":
        previous = fields.text_id(properties, "$anon_distinct_id")
        if previous is not None and previous != distinct_id:
            records += fields.link(record, place, previous, distinct_id, time)
    if set_ or set_once or unset or (name in PERSON_CALLS and not records):
        update = PropertyUpdate(
            call_id, user_id, anonymous_id, time, received_at, source, set_, set_once, unset, origin
        )
        records.append(update)
    if name not in PERSON_CALLS:
        kind, chain = _kind(name, properties), _elements(record, properties)
        event = Event(
            call_id,
            name,
            kind,
            user_id,
            anonymous_id,
            time,
            received_at,
            source,
            properties,
            {},
            origin,
            chain,
        )
        records.append(event)
    return records


_OTHERS = frozenset({"type", "specversion", "userId", "anonymousId", "identity", "app_id"}) | ALWAYS


def is_sure(record: Fields) -> bool:
    """Return whether the object is a capture call, and has no field of another shape."""
    return (
        "distinct_id" in record
        and "event" in record
        and type(record.get("properties")) is dict
        and _OTHERS.isdisjoint(record)
    )


def fits(record: Fields) -> bool:
    """Return whether the object is a capture call by its fields."""
    if "event" not in record:
        return posthog_rows.is_one(record)
    if "distinct_id" in record:
        return True
    properties = record.get("properties")
    # Beside Heap's `app_id` it is a property like any other.
    return (
        type(properties) is dict
        and ("distinct_id" in properties or "$distinct_id" in properties)
        and "app_id" not in record
    )


_FIELDS = frozenset(
    {
        "event", "distinct_id", "$distinct_id", "properties", "timestamp", "uuid", "offset", "now", "sent_at",
        "$set", "$set_once", "$unset", "api_key", "token", "$token", "type", "library", "library_version",
        "messageId", "context", "send_feature_flags", "ip", "site_url", "team_id", "elements",
        "elements_chain", "$elements", "$elements_chain", "session_id", "window_id", "options",
    }
)  # fmt: skip
"""Of a capture call: beside others it may be anybody's row whose properties stand there."""


def strays(record: Fields) -> list[str]:
    """Return the fields that no call has, where they speak against it."""
    if type(record.get("properties")) is dict or posthog_rows.is_one(record):
        return []
    return [name for name in record if name not in _FIELDS]


def is_doubtful(record: Fields) -> bool:
    """Return whether the object names nobody beside its properties, or has a field of another shape."""
    return "distinct_id" not in record or not _OTHERS.isdisjoint(record)


def glance(stub: Stub, wants: Wants) -> bool:
    """Return whether `read` would surely give an event alone, and one that is not wanted."""
    name = stub.event
    properties = stub.properties
    if type(name) is not str or name == "" or properties is None:
        return False
    distinct_id = stub.distinct_id
    if distinct_id is UNSET or distinct_id is None or distinct_id == "":
        distinct_id = properties.distinct_id
    return (
        name != "$autocapture"
        and name not in PERSON_CALLS
        and not wants(name, KINDS.get(name, "track"))
        and type(distinct_id) is str
        and distinct_id != ""
        and are_simple(stub.uuid, properties.device_id)
        and (properties.lib is None or type(properties.lib) is str)
        and stub.timestamp is not None
        and is_time(stub.timestamp)
        and is_time(stub.now)
        and (stub.distinct_id is not UNSET or (stub.type is None and stub.unusual_app_id is UNSET))
        and stub.unusual_person is UNSET
        and properties.set_ is UNSET
        and properties.set_once is UNSET
        and properties.unset is UNSET
        and properties.elements is UNSET
        and properties.elements_chain is UNSET
        and stub.unusual_set is UNSET
        and stub.unusual_set_once is UNSET
        and stub.unusual_unset is UNSET
        and stub.unusual_chain is UNSET
        and stub.elements is None
    )


def _distinct_id(record: Fields, properties: Fields) -> str | None:
    for name in ("distinct_id", "$distinct_id"):
        distinct_id = fields.text_id(record, name) or fields.text_id(properties, name)
        if distinct_id is not None:
            return distinct_id
    return None


def _alias(distinct_id: str, alias: str, properties: Fields) -> tuple[str, str]:
    """Return (user id, other id). PostHog makes one person of both, and asks not which is a device."""
    if distinct_id == fields.text_id(properties, "$device_id"):
        return alias, distinct_id
    # The Python library's alias(previous_id, distinct_id) sends the previous id as `distinct_id`.
    by_python = fields.text(properties, "$lib") == "posthog-python"
    if by_python and (is_generated(distinct_id) or not is_generated(alias)):
        return alias, distinct_id
    return distinct_id, alias


def _who(name: str, distinct_id: str, properties: Fields) -> tuple[str | None, str | None]:
    """Return (user id, anonymous id)."""
    device_id = fields.text_id(properties, "$device_id")
    anonymous = device_id == distinct_id or properties.get("$is_identified") is False
    # An identify call may still carry the flag of the moment before it.
    if anonymous and name != "$identify":
        return None, distinct_id
    return distinct_id, device_id if device_id != distinct_id else None


def _times(record: Fields, properties: Fields, place: Place) -> tuple[int | None, int | None]:
    received_at = fields.time(record, "now")
    if received_at is None:
        received_at = place.received_at
    time = None
    if "offset" in record:
        time = _by_offset(record["offset"], _sent_at(record, place) if received_at is None else received_at)
    if time is None:
        time = fields.time(record, "timestamp")
    if time is None:
        time = _sent_at(record, place)
    if time is None:
        time = fields.time(properties, "$time")
    return (received_at if time is None else time), received_at


def _sent_at(record: Fields, place: Place) -> int | None:
    sent_at = fields.time(record, "sent_at")
    if sent_at is None and place.sent_at is not None:
        sent_at = fields.time({"sent_at": place.sent_at}, "sent_at")
    return sent_at


def _by_offset(offset: Json, now: int | None) -> int | None:
    """Return the time that many milliseconds ago; None where that says nothing."""
    if now is None or (type(offset) is not int and type(offset) is not float):
        return None
    time = now - round(offset)
    return time if MIN_MS <= time <= MAX_MS else None


def _both(record: Fields, properties: Fields, name: str) -> Fields:
    inner = fields.mapping(properties, name)
    beside = fields.mapping(record, name)
    return {**inner, **beside} if inner and beside else inner or beside


def _kind(name: str, properties: Fields) -> str:
    if name == "$autocapture":
        return fields.text(properties, "$event_type") or "click"
    return KINDS.get(name, "track")


def _elements(record: Fields, properties: Fields) -> list[Fields] | None:
    for holder in (properties, record):
        for name in ("$elements", "$elements_chain", "elements", "elements_chain"):
            chain = holder.get(name)
            # Without the dollar they may be anybody's properties: only the form of a chain counts then.
            if chain and (name[0] == "$" or holder is record):
                return read_elements(chain)
    return None
