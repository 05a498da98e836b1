"""Jitsu: messages of its ingest topics, and rows of its bulker.

A message holds an SDK's call in ``httpPayload``, which is read like Segment's (segment.py); its
``messageId``, ``messageCreated`` and ``type`` are used where the call lacks them. A row of the bulker (its
layouts ``segment-single-table`` and ``segment``) is such a call in snake case, with the properties beside its
fields: whatever is not a field of a call is a property; the traits are those of ``context.traits``, a group's
those of ``context.group``. A row of the layout ``jitsu-legacy`` has ``event_type`` as its name, and in
``user`` the user's ids and properties, an update before the event.

Source: github.com/jitsucom, IngestMessage and the layouts of the bulker's destination.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pipeline.decode.builtin import segment
from pipeline.decode.raw import fields
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Event, PropertyUpdate, Record
from pipeline.model.times import parse_time

_CALL: Final = frozenset(
    {
        "type", "event", "name", "category", "message_id", "user_id", "anonymous_id", "timestamp", "sent_at",
        "received_at", "original_timestamp", "request_ip", "write_key", "channel", "context", "integrations",
        "group_id", "previous_id", "traits", "_metadata", "writekey",
    }
)  # fmt: skip
"""Fields of a call, in snake case."""
_LEGACY: Final = frozenset(
    {"user", "event_type", "eventn_ctx_event_id", "eventn_ctx", "_timestamp", "utc_time", "src"}
)


def is_row(record: Fields) -> bool:
    """Return whether an object is a call in snake case with its properties beside it; no SDK sends that."""
    return (
        record.get("type") in ("track", "page", "screen")
        and "message_id" in record
        and "properties" not in record
        and not _CALL.issuperset(record)
    )


def read(record: Fields, place: Place) -> list[Record]:
    """Return the records of one message or row. Raises InvalidRecord."""
    if "httpPayload" in record:
        call = fields.mapping(record, "httpPayload")
        spare = {"messageId": record.get("messageId"), "receivedAt": record.get("messageCreated")}
        if "type" not in call and "action" not in call:
            spare["type"] = record.get("type")
        missing = {key: value for key, value in spare.items() if value is not None and call.get(key) is None}
        return segment.read({**call, **missing} if missing else call, place)
    if "eventn_ctx_event_id" in record or "eventn_ctx" in record:
        return _legacy(record, place)
    kind = record.get("type")
    if type(kind) is not str or kind not in segment.CALLS or "message_id" not in record:
        raise InvalidRecord("no message or row of Jitsu: expected `httpPayload`, or `message_id` and `type`")
    return _row(record, place)


def _row(record: Fields, place: Place) -> list[Record]:
    context = fields.mapping(record, "context")
    call: Fields = {key: value for key, value in record.items() if key in _CALL}
    call["context"] = context
    call.setdefault("originalTimestamp", record.get("original_timestamp"))
    call.setdefault("sentAt", record.get("sent_at"))
    others: Fields = {
        key: value
        for key, value in record.items()
        if key not in _CALL and key != "properties" and value is not None
    }
    if record["type"] == "identify":
        call["traits"] = {**fields.mapping(context, "traits"), **fields.mapping(record, "traits")}
    elif record["type"] == "group":
        call["groupId"] = record.get("group_id") or context.get("group_id")
        call["traits"] = {**fields.mapping(context, "group"), **fields.mapping(record, "traits")}
    else:
        call["properties"] = {**others, **fields.mapping(record, "properties")}
    return segment.read(call, place)


def _legacy(record: Fields, place: Place) -> list[Record]:
    name = fields.text(record, "event_type")
    if name is None:
        raise InvalidRecord("the row of Jitsu has no `event_type`")
    user = fields.mapping(record, "user")
    ids = (
        fields.text_id(user, "id", "internal_id"),
        fields.text_id(user, "anonymous_id", "hashed_anonymous_id"),
    )
    if ids == (None, None):
        raise InvalidRecord("the row of Jitsu has neither `user.id` nor `user.anonymous_id`")
    times = fields.times(record, place, "utc_time", "_timestamp")
    holder = fields.mapping(record, "eventn_ctx")
    call_id = fields.text_id(record, "eventn_ctx_event_id") or fields.text_id(holder, "event_id")
    known: Fields = {
        key: value
        for key, value in user.items()
        if value is not None and key not in ("id", "internal_id", "anonymous_id", "hashed_anonymous_id")
    }
    records: list[Record] = []
    user_id, anonymous_id = ids
    is_identify = name == "identify" or name == "user_identify"
    if is_identify and user_id is not None and anonymous_id is not None:
        records += fields.link(record, place, anonymous_id, user_id, times[0])
    if known:
        records.append(PropertyUpdate(call_id, *ids, *times, None, known, {}, (), place.origin))
    if is_identify and records:
        return records
    properties: Fields = {
        key: value for key, value in record.items() if key not in _LEGACY and value is not None
    }
    kind = "page" if name in ("page", "pageview") else "track"
    return [*records, Event(call_id, name, kind, *ids, *times, None, properties, {}, place.origin)]


class _When(msgspec.Struct):
    type: Any = None
    timestamp: Any = None
    originalTimestamp: Any = None
    original_timestamp: Any = None
    utc_time: Any = None
    messageCreated: Any = None


class _Message(_When):
    httpPayload: _When | None = None


_peek = msgspec.json.Decoder(_Message).decode


def peek(line: bytes, _place: Place) -> Seen:
    """Return its time, and whether it is an update."""
    message = _peek(line)
    call = message if message.httpPayload is None else message.httpPayload
    named = call.timestamp, call.originalTimestamp, call.original_timestamp, call.utc_time
    when = next((time for time in (*named, message.messageCreated) if time is not None), None)
    return None if when is None else parse_time(when), call.type in ("identify", "alias", "delete")
