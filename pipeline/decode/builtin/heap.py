"""Heap's server-side API: track, add_user_properties, identify; ``events[]`` and ``users[]`` in bulk.

track                  an event of kind ``track``. ``identity`` is the user id, ``user_id`` Heap's number of
                       an anonymous user; ``idempotency_key`` is the event's id. Lists stay lists (Heap
                       itself would join them by ``||``). A ``hierarchy`` among the properties is the element
                       chain of an autocaptured event, whose kind is ``type`` among them (else ``click``).
add_user_properties    an update: ``identity`` and ``properties`` without ``event``.
identify               a link: ``user_id`` and ``identity`` without ``event`` and ``properties``.
"""

from __future__ import annotations

from pipeline.decode.builtin.elements import parse_hierarchy
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.strangers import ALWAYS
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Event, PropertyUpdate, Record


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one call. Raises InvalidRecord."""
    if "event" in record:
        return [_event(record, place)]
    identity = fields.text_id(record, "identity")
    number = fields.text_id(record, "user_id")
    if "properties" in record:
        if identity is None and number is None:
            raise InvalidRecord("the user properties have neither `identity` nor `user_id`")
        times = fields.times(record, place, "timestamp")
        properties = fields.mapping(record, "properties")
        return [PropertyUpdate(None, identity, number, *times, None, properties, {}, (), place.origin)]
    if identity is not None and number is not None:
        time, _ = fields.times(record, place, "timestamp")
        return fields.link(record, place, number, identity, time)
    raise InvalidRecord(
        "no Heap call: expected `event` (track), `properties` (add_user_properties) or `user_id` with "
        "`identity` (identify)"
    )


_OTHERS = frozenset({"type", "action", "specversion", "userId", "anonymousId", "distinct_id"}) | ALWAYS


def is_sure(record: Fields) -> bool:
    """Return whether the object is a call with an app id and has no field of another shape."""
    return "app_id" in record and _OTHERS.isdisjoint(record)


def fits(record: Fields) -> bool:
    """Return whether the object's fields are those of a call."""
    return ("identity" in record or "app_id" in record) and "specversion" not in record


_FIELDS = frozenset(
    {
        "app_id", "env_id", "identity", "user_id", "event", "properties", "timestamp", "idempotency_key",
        "event_id", "session_id", "source", "library",
    }
)  # fmt: skip
"""Fields of a call. With others, an identity and no event, it may be any table's row, and would wrongly
change users."""


def strays(record: Fields) -> list[str]:
    """Return the fields that no call has, if they make the object doubtful."""
    if type(record.get("properties")) is dict and "event" in record:
        return []
    return [name for name in record if name not in _FIELDS]


def is_doubtful(record: Fields) -> bool:
    """Return whether the object has no field of Heap's alone, or one of another shape."""
    return ("identity" not in record and "app_id" not in record) or not _OTHERS.isdisjoint(record)


def _event(record: Fields, place: Place) -> Event:
    name = fields.text(record, "event")
    if name is None:
        raise InvalidRecord("the track call has no `event`")
    identity = fields.text_id(record, "identity")
    number = fields.text_id(record, "user_id")
    if identity is None and number is None:
        raise InvalidRecord("the track call has neither `identity` nor `user_id`")
    properties = fields.mapping(record, "properties")
    context: Fields = {}
    session_id = fields.text_id(record, "session_id")
    if session_id is not None:
        context["session_id"] = session_id
    hierarchy = properties.get("hierarchy")
    event = Event(
        fields.text_id(record, "idempotency_key", "event_id"),
        name,
        "track",
        identity,
        number,
        *fields.times(record, place, "timestamp"),
        fields.text(record, "source"),
        properties,
        context,
        place.origin,
    )
    if type(hierarchy) is str and hierarchy:
        kind = properties.get("type")
        event.kind = kind if type(kind) is str and kind else "click"
        event.elements = parse_hierarchy(hierarchy)
        if event.elements and event.elements[0]["text"] is None:
            clicked = properties.get("target_text")
            event.elements[0]["text"] = clicked if type(clicked) is str else None
    return event
