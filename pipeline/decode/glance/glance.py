"""The first look at a line: is it certainly a valid event that no webhook wants?

A look reads the few fields that decide this and skips the rest, which is still checked as JSON. Wherever it
is not certain it answers False and leaves the line to decode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from pipeline.decode.glance.plain import NativeEvent
from pipeline.decode.raw.fields import FIRST_OF_ID
from pipeline.model.times import is_plainly_iso

Wants: TypeAlias = Callable[[str, str], bool]
"""(event name, kind) -> False where no webhook can want such an event."""

NOT_SEEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Raised by a look for a line that it cannot read."""

_FIRST_YEAR, _LAST_YEAR = 2, 9998
"""Well inside the printable years, whatever the zone."""
_LAST_MS = 10**13
"""Numbers up to this are certainly seconds or milliseconds."""


class _Unread(msgspec.Struct, gc=False):
    """An object that is checked but not read."""


class _Properties(msgspec.Struct, gc=False):
    """Properties, with the fields that PostHog keeps in them."""

    distinct_id: Any = UNSET
    set_: Any = msgspec.field(name="$set", default=UNSET)
    set_once: Any = msgspec.field(name="$set_once", default=UNSET)
    unset: Any = msgspec.field(name="$unset", default=UNSET)
    elements: Any = msgspec.field(name="$elements", default=UNSET)
    elements_chain: Any = msgspec.field(name="$elements_chain", default=UNSET)
    device_id: Any = msgspec.field(name="$device_id", default=None)
    lib: Any = msgspec.field(name="$lib", default=None)
    distinct: Any = msgspec.field(name="$distinct_id", default=UNSET)


class Stub(msgspec.Struct, gc=False):
    """The fields by which shapes other than native are recognised, and their events validated."""

    type: Any = None
    name: Any = None
    event: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    userId: Any = UNSET
    anonymousId: Any = UNSET
    distinct_id: Any = UNSET
    messageId: Any = None
    message_id: Any = None
    uuid: Any = None
    timestamp: Any = None
    received_at: Any = None
    receivedAt: Any = None
    now: Any = None
    channel: Any = None
    properties: _Properties | None = None
    context: _Unread | None = None
    elements: Any = None
    unusual_identity: Any = msgspec.field(name="identity", default=UNSET)
    unusual_app_id: Any = msgspec.field(name="app_id", default=UNSET)
    unusual_version: Any = msgspec.field(name="specversion", default=UNSET)
    unusual_batch: msgspec.Raw | UnsetType = msgspec.field(name="batch", default=UNSET)
    unusual_person: msgspec.Raw | UnsetType = msgspec.field(name="person_properties", default=UNSET)
    unusual_set: Any = msgspec.field(name="$set", default=UNSET)
    unusual_set_once: Any = msgspec.field(name="$set_once", default=UNSET)
    unusual_unset: Any = msgspec.field(name="$unset", default=UNSET)
    unusual_chain: Any = msgspec.field(name="elements_chain", default=UNSET)


class _Native(NativeEvent, gc=False):
    """Takes less than half the time of `Stub`."""

    time: datetime | int | float | None = None
    """Text as in RFC 3339, all of which decode reads too; other texts do not fit."""
    properties: _Unread | None = None
    context: _Unread | None = None


_STARTS = (b'{"type":"event"', b'{"type": "event"')

_read_native = msgspec.json.Decoder(_Native).decode

read_any = msgspec.json.Decoder(Stub).decode
"""Read the fields by which the other shapes are recognised; raises NOT_SEEN."""


def names_native(line: bytes) -> bool:
    """Return whether the line looks like a native event; reading it decides."""
    # Nearly all begin like this, which is checked in half the time of a search.
    return line.startswith(_STARTS) or b'"type":"event"' in line or b'"type": "event"' in line


def left_of_natives(lines: Iterable[bytes], wants: Wants) -> list[int]:
    """Return the indexes of all lines but those that are certainly good native events no webhook wants.

    All lines are read by one call, without a step of Python per line; each line that is no native event
    interrupts it, which costs as much as reading two lines.
    """
    seen: list[_Native | None] = []
    read = map(_read_native, lines)
    while True:
        try:
            seen.extend(read)
            break
        except NOT_SEEN:
            seen.append(None)  # `read` goes on with the next line
    names = dict.fromkeys([one.name for one in seen if one is not None])
    wanted = {name: wants(name, "track") for name in names}
    return [
        at
        for at, one in enumerate(seen)
        if one is None
        or (wants(one.name, one.kind) if one.kind else wanted[one.name])
        or not one.name
        or (one.user_id or one.anonymous_id or "") < FIRST_OF_ID
        or not (
            _FIRST_YEAR <= time.year <= _LAST_YEAR
            if type(time := one.time) is datetime
            else time is None or 0 <= time < _LAST_MS  # type: ignore[operator]  # a number then
        )
    ]


def are_ids(user_id: Any, anonymous_id: Any) -> bool:
    """Return True where both are texts or missing, and at least one is present; none may be blank."""
    user_id = None if user_id is UNSET else user_id
    anonymous_id = None if anonymous_id is UNSET else anonymous_id
    if type(user_id) is str and user_id >= FIRST_OF_ID:
        return anonymous_id is None or type(anonymous_id) is str
    return user_id is None and type(anonymous_id) is str and anonymous_id >= FIRST_OF_ID


def are_simple(first: Any, second: Any) -> bool:
    """Return True where both are texts or missing."""
    return (first is None or type(first) is str) and (second is None or type(second) is str)


def is_time(value: Any) -> bool:
    """Return True for ISO 8601 text well inside the printable years, and for no time."""
    return is_plainly_iso(value) if type(value) is str else value is None
