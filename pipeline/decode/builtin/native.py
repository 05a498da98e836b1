"""Hookline's own shape: one JSON object per record, told apart by ``type``.

    {"type": "event", "name": "Purchase", "user_id": "u1", "time": "2026-11-23T14:50:00Z",
     "properties": {"amount": 12.5}}
    {"type": "user", "user_id": "u1", "time": "2026-11-23T14:49:00Z", "set": {"plan": "pro"},
     "set_once": {"first_seen": "2026-11-23"}, "unset": ["trial"]}
    {"type": "user", "user_id": "u1", "delete": true}
    {"type": "identify", "anonymous_id": "a1", "user_id": "u1", "time": "2026-11-23T14:48:00Z"}

event       ``name`` and at least one of ``user_id`` and ``anonymous_id`` are required. Optional: ``id``,
            ``kind`` (default ``track``), ``time``, ``received_at``, ``source``, ``properties``, ``context``,
            ``elements`` (the element chain of an autocaptured event, innermost first).
user        one of the two ids; ``set`` (or ``properties``) overwrites, ``set_once`` only fills what is
            missing, ``unset`` is a list of names; of one name ``set`` wins over ``set_once``, and ``unset``
            over both. ``"delete": true`` forgets the user, and so does
            ``{"type": "delete", "user_id": ...}``.
identify    from here on the anonymous id is the user: both ids are required. With ``set``, ``set_once`` or
            ``unset`` it is an update of the user as well, which comes after the link.

Ids may be numbers and become text. Times are ISO 8601 (without a zone: UTC) or unix times: seconds,
milliseconds, microseconds or nanoseconds by their size, as numbers or as texts of nine digits and more.
Fields that are not listed here are ignored.
"""

from __future__ import annotations

from pipeline.decode.builtin.elements import read_elements
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import kind_of
from pipeline.model.records import Event, PropertyUpdate, Record

_OTHERS = frozenset(
    {"userId", "anonymousId", "traits", "distinct_id", "identity", "specversion", "event", "previousId"}
)
"""Fields that show that an identify or delete has another shape."""


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one native object. Raises InvalidRecord."""
    match record.get("type"):
        case "event":
            return [_event(record, place)]
        case "user":
            return [_update(record, place)]
        case "identify":
            return _identify(record, place)
        case "delete":
            return [_update({**record, "delete": True}, place)]
        case None:
            raise InvalidRecord("the record has no `type`: expected one of event, user, identify and delete")
        case other:
            raise InvalidRecord(f"`type` is {other!r:.60}, expected one of event, user, identify and delete")


FIELDS = frozenset(
    {
        "type", "id", "user_id", "anonymous_id", "time", "received_at", "source", "delete", "set", "set_once",
        "unset", "properties", "name", "kind", "context", "elements",
    }
)  # fmt: skip
_CHANGES = frozenset({"set", "set_once", "unset", "properties", "delete"})


def strays(record: Fields) -> list[str]:
    """Return the fields that no native record has, where ignoring them would lose data or forget a user."""
    kind = record.get("type")
    if kind == "event" or (kind != "delete" and not _CHANGES.isdisjoint(record)):
        return []
    return [name for name in record if name not in FIELDS]


def fits(record: Fields) -> bool:
    """Return whether the object has a ``type`` that Segment uses too, but the ids of this shape."""
    return record.get("type") in ("identify", "delete") and _OTHERS.isdisjoint(record)


def _event(record: Fields, place: Place) -> Event:
    # In the usual event these are plain texts: the checked readers (0.15 us each) are for the others.
    get = record.get
    name = get("name")
    if type(name) is not str or not name:
        name = fields.text(record, "name")
    if name is None:
        raise InvalidRecord("the event has no `name`")
    user_id = get("user_id")
    if type(user_id) is not str or user_id < fields.FIRST_OF_ID:
        user_id = fields.text_id(record, "user_id")
    anonymous_id = fields.text_id(record, "anonymous_id") if "anonymous_id" in record else None
    if user_id is None and anonymous_id is None:
        raise InvalidRecord("the event has neither `user_id` nor `anonymous_id`")
    received_at = fields.time(record, "received_at") if "received_at" in record else None
    if received_at is None:
        received_at = place.received_at
    time = fields.time(record, "time")
    chain = get("elements")
    event_id = get("id")
    if type(event_id) is not str or event_id < fields.FIRST_OF_ID:
        event_id = fields.text_id(record, "id")
    source = get("source")
    if type(source) is not str or not source:
        source = fields.text(record, "source")
    properties, context = get("properties"), get("context")
    return Event(
        event_id,
        name,
        fields.text(record, "kind") or "track" if "kind" in record else "track",
        user_id,
        anonymous_id,
        received_at if time is None else time,
        received_at,
        source,
        properties if type(properties) is dict else fields.mapping(record, "properties"),
        context if type(context) is dict else fields.mapping(record, "context"),
        place.origin,
        None if chain is None else read_elements(chain),
    )


def _update(record: Fields, place: Place) -> PropertyUpdate:
    # As with events: no call for fields that most updates lack.
    user_id = record.get("user_id")
    if type(user_id) is not str or user_id < fields.FIRST_OF_ID:
        user_id = fields.text_id(record, "user_id")
    anonymous_id = fields.text_id(record, "anonymous_id") if "anonymous_id" in record else None
    if user_id is None and anonymous_id is None:
        raise InvalidRecord("the user has neither `user_id` nor `anonymous_id`")
    received_at = fields.time(record, "received_at") if "received_at" in record else None
    if received_at is None:
        received_at = place.received_at
    time = fields.time(record, "time")
    delete = record.get("delete")
    if delete is not None and type(delete) is not bool:
        raise InvalidRecord(f"`delete` is {kind_of(delete)}, expected true or false")
    given = fields.mapping(record, "properties") if "properties" in record else None
    set_ = record.get("set")
    if type(set_) is not dict:
        set_ = fields.mapping(record, "set")
    return PropertyUpdate(
        fields.text_id(record, "id") if "id" in record else None,
        user_id,
        anonymous_id,
        received_at if time is None else time,
        received_at,
        fields.text(record, "source") if "source" in record else None,
        {**given, **set_} if given else set_,
        fields.mapping(record, "set_once") if "set_once" in record else {},
        fields.names(record, "unset") if "unset" in record else (),
        place.origin,
        bool(delete),
    )


def _identify(record: Fields, place: Place) -> list[Record]:
    user_id = fields.text_id(record, "user_id")
    anonymous_id = fields.text_id(record, "anonymous_id")
    if user_id is None or anonymous_id is None:
        missing = "user_id" if user_id is None else "anonymous_id"
        raise InvalidRecord(f"the identify has no `{missing}`")
    update = _update(record, place)
    records = fields.link(record, place, anonymous_id, user_id, update.time)
    return [*records, update] if update.set or update.set_once or update.unset else records
