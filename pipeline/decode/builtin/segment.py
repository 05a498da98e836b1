"""Segment's calls (also RudderStack's and others'): track, page, screen, identify, group, alias, delete.

track       an event of kind ``track`` named by ``event``.
page        an event of kind ``page`` named by ``name``, or ``page`` where the call has none; ``screen``
            alike. A ``category`` becomes a property unless there is one.
group       an event of kind ``group`` named ``group`` with the properties ``groupId`` and ``traits`` (those
            of the context only where the call has no field ``traits``: elsewhere they are the user's).
identify    the traits are an update of the user; with both ids also a link. RudderStack's SDKs put them under
            ``context.traits``, which is read where the call has no ``traits`` of its own.
alias       a link from ``previousId`` (else ``anonymousId``) to ``userId``.
delete      forgets the user.

A call without ``type`` (the bodies of the HTTP API's endpoints, or with ``action`` in its place) is told by
its fields. Snake case ids (``user_id``) are read too, as some of Segment's own cloud sources send them.
``event.source`` is the ``channel``; ``sentAt`` is not used to correct clocks.
"""

from __future__ import annotations

from pipeline.decode.builtin import native
from pipeline.decode.glance.glance import Stub, Wants, are_ids, are_simple, is_time
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Event, PropertyUpdate, Record

CALLS = frozenset({"track", "page", "screen", "identify", "group", "alias", "delete"})

_NAMED_BY = {
    "event": "track",
    "previousId": "alias",
    "groupId": "group",
    "traits": "identify",
    "name": "page",
}
"""Fields that identify a call without ``type`` and ``action``; the first one present decides."""
_FIELDS = frozenset(
    {
        "type", "action", "event", "name", "category", "properties", "traits", "context", "integrations",
        "userId", "user_id", "anonymousId", "anonymous_id", "previousId", "previous_id", "groupId",
        "group_id", "messageId", "message_id", "timestamp", "originalTimestamp", "sentAt",
        "receivedAt", "received_at", "channel", "version", "writeKey", "projectId", "_metadata", "options",
        "library", "request_ip", "rudderId",
    }
)  # fmt: skip
"""Fields of a call; with others it may be anything."""
_BAGS = ("properties", "traits", "context")
_TIMES = frozenset({"timestamp", "originalTimestamp", "sentAt", "receivedAt", "received_at"})
_USER = ("userId", "user_id")
_ANONYMOUS = ("anonymousId", "anonymous_id")


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one call. Raises InvalidRecord."""
    call = call_of(record)
    if call == "track":
        name = fields.text(record, "event")
        if name is None:
            raise InvalidRecord("the track call has no `event`")
        return [_event(record, place, name, "track", fields.mapping(record, "properties"))]
    if call == "page" or call == "screen":
        properties = fields.mapping(record, "properties")
        if record.get("category") is not None:
            properties = {"category": record["category"], **properties}
        return [_event(record, place, fields.text(record, "name") or call, call, properties)]
    if call == "identify":
        return _identify(record, place)
    if call == "group":
        group_id = fields.text_id(record, "groupId", "group_id")
        if group_id is None:
            raise InvalidRecord("the group call has no `groupId`")
        holder = record if "traits" in record else fields.mapping(record, "context")
        properties = {"groupId": group_id, "traits": fields.mapping(holder, "traits")}
        return [_event(record, place, "group", "group", properties)]
    if call == "alias":
        return _alias(record, place)
    if call == "delete":
        return [_update(record, place, {}, delete=True)]
    if call == "merge":
        raise InvalidRecord(
            "RudderStack's `merge` joins rows of its warehouses: `alias` joins two users here"
        )
    raise InvalidRecord(
        f"no Segment call: `type` is {call!r:.60}, expected one of {', '.join(sorted(CALLS))}"
    )


def is_sure(record: Fields) -> bool:
    """Return whether an object with a call's ``type`` is one: it has Segment's ids, and no other shape's."""
    return ("userId" in record or "anonymousId" in record) and not (
        "distinct_id" in record or "identity" in record or "specversion" in record
    )


def fits(record: Fields) -> bool:
    """Return whether the object is a call: by ``type`` without another shape's ids, or by its own ids."""
    kind = record.get("type")
    if kind is None:
        kind = record.get("action")
    names_call = type(kind) is str and kind in CALLS
    if "userId" in record or "anonymousId" in record:
        return names_call or "specversion" not in record
    if not names_call or native.fits(record):
        return False
    return not ("distinct_id" in record or "identity" in record or "specversion" in record)


def strays(record: Fields) -> list[str]:
    """Return the fields that no call has, if they make an object without ``type`` doubtful.

    Without an object of properties, or without a time, these fields may be the properties; a delete has few.
    """
    call = record.get("type", record.get("action"))
    if type(call) is str and call in CALLS and call != "delete":
        return []
    if (
        call != "delete"
        and not _TIMES.isdisjoint(record)
        and any(type(record.get(bag)) is dict for bag in _BAGS)
    ):
        return []
    return [name for name in record if name not in _FIELDS]


def is_doubtful(record: Fields) -> bool:
    """Return whether the object is not a call of a known ``type`` with the ids of this shape alone."""
    kind = record.get("type")
    return type(kind) is not str or kind not in CALLS or not is_sure(record)


def glance(stub: Stub, wants: Wants) -> bool:
    """Return whether `read` would certainly yield an event, and an unwanted one."""
    call = stub.type
    if call == "track":
        name = stub.event
    elif call == "page" or call == "screen":
        name = call if stub.name is None or stub.name == "" else stub.name
    else:
        return False
    return (
        type(name) is str
        and name != ""
        and not wants(name, call)
        and are_ids(stub.userId, stub.anonymousId)
        and stub.user_id is None
        and stub.anonymous_id is None
        and stub.message_id is None
        and stub.received_at is None
        and are_simple(stub.messageId, stub.channel)
        and is_time(stub.timestamp)
        and stub.timestamp is not None
        and is_time(stub.receivedAt)
    )


def call_of(record: Fields) -> object:
    """Return the name of the call: from ``type``, from ``action``, or from its fields."""
    call = record.get("type")
    if call is None:
        call = record.get("action")
    if call is not None:
        return call
    return next((named for field, named in _NAMED_BY.items() if field in record), None)


def _ids(record: Fields) -> tuple[str | None, str | None]:
    # The usual id is a text: the checked reader (0.3 us) is for the others.
    user_id = record.get("userId")
    if type(user_id) is not str or user_id < fields.FIRST_OF_ID:
        user_id = fields.text_id(record, *_USER)
    anonymous_id = fields.text_id(record, *_ANONYMOUS)
    if user_id is None and anonymous_id is None:
        raise InvalidRecord("the call has neither `userId` nor `anonymousId`")
    return user_id, anonymous_id


def _times(record: Fields, place: Place) -> tuple[int | None, int | None]:
    received_at = fields.time(record, "receivedAt", "received_at")
    if received_at is None:
        received_at = place.received_at
    time = fields.time(record, "timestamp", "originalTimestamp", "sentAt")
    if time is None and place.sent_at is not None:
        time = fields.time({"sentAt": place.sent_at}, "sentAt")
    return (received_at if time is None else time), received_at


def _event(record: Fields, place: Place, name: str, kind: str, properties: Fields) -> Event:
    user_id, anonymous_id = _ids(record)
    time, received_at = _times(record, place)
    context = fields.mapping(record, "context")
    if place.context:
        context = {**place.context, **context}
    return Event(
        fields.text_id(record, "messageId", "message_id"),
        name,
        kind,
        user_id,
        anonymous_id,
        time,
        received_at,
        fields.text(record, "channel") if "channel" in record else None,
        properties,
        context,
        place.origin,
    )


def _update(record: Fields, place: Place, traits: Fields, *, delete: bool = False) -> PropertyUpdate:
    user_id, anonymous_id = _ids(record)
    time, received_at = _times(record, place)
    return PropertyUpdate(
        fields.text_id(record, "messageId", "message_id"),
        user_id,
        anonymous_id,
        time,
        received_at,
        fields.text(record, "channel"),
        traits,
        {},
        (),
        place.origin,
        delete,
    )


def _identify(record: Fields, place: Place) -> list[Record]:
    traits = fields.mapping(record, "traits")
    if not traits:
        traits = fields.mapping(fields.mapping(record, "context"), "traits")
    update = _update(record, place, traits)
    if update.user_id is None or update.anonymous_id is None:
        return [update]
    records = fields.link(record, place, update.anonymous_id, update.user_id, update.time)
    return [*records, update] if update.set else records


def _alias(record: Fields, place: Place) -> list[Record]:
    user_id = fields.text_id(record, *_USER)
    previous = fields.text_id(record, "previousId", "previous_id", *_ANONYMOUS)
    if user_id is None or previous is None:
        raise InvalidRecord(f"the alias call has no `{'userId' if user_id is None else 'previousId'}`")
    return fields.link(record, place, previous, user_id, _times(record, place)[0], alias=True)
