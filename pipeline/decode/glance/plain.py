"""Reads ordinary native events in one step, types included; leaves unusual ones to decode."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pipeline.decode.raw.fields import FIRST_OF_ID
from pipeline.model.records import Event, Origin
from pipeline.model.times import time_or_none


class NativeEvent(msgspec.Struct, gc=False):
    """A native event with texts where texts are usual; unusual ones do not fit and raise."""

    type: Literal["event"]
    name: str
    id: str | None = None
    kind: str | None = None
    user_id: str | None = None
    anonymous_id: str | None = None
    received_at: None = None
    source: str | None = None
    elements: None = None
    specversion: None = None
    """A CloudEvent may call itself an event, too."""


class _Whole(NativeEvent, gc=False):
    time: str | int | float | None = None
    properties: dict[str, Any] | None = None
    context: dict[str, Any] | None = None


_read = msgspec.json.Decoder(_Whole).decode


def plain_event(line: bytes, origin: Origin, received_at: int | None) -> Event | None:
    """Return the event that `decode` would return, or None where only decode can tell.

    For lines known to be UTF-8 without lone surrogates, long integers and deep nesting.
    """
    try:
        found = _read(line)
        at = None if found.time is None or found.time == "" else time_or_none(found.time)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None
    user_id, anonymous_id, event_id = found.user_id or None, found.anonymous_id or None, found.id or None
    if not found.name or (user_id is None and anonymous_id is None):
        return None
    first = FIRST_OF_ID
    if (user_id or first) < first or (anonymous_id or first) < first or (event_id or first) < first:
        return None  # perhaps blank
    properties, context = found.properties, found.context
    return Event(
        event_id,
        found.name,
        found.kind or "track",
        user_id,
        anonymous_id,
        received_at if at is None else at,
        received_at,
        found.source or None,
        {} if properties is None else properties,
        {} if context is None else context,
        origin,
    )
