"""A cheap look into a raw line: when it happened, and whether it is an update or an event.

Only the order in which several files are merged depends on it, so nothing here complains.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pipeline.decode.shapes import SHAPES
from pipeline.model.times import parse_time

_SHAPES = SHAPES.values()
_UPDATE_TYPES = frozenset().union(*(shape.updates for shape in _SHAPES))
_UPDATE_EVENTS = frozenset().union(*(shape.update_events for shape in _SHAPES))
_LAST = ("sent_at", "received_at", "receivedAt")
_TIMES = tuple(
    sorted(dict.fromkeys(name for shape in _SHAPES for name in shape.times), key=_LAST.__contains__)
)
"""When it happened goes before when it was sent or arrived."""

_NOTHING = msgspec.Raw()


class _Marks(msgspec.Struct):
    type: Any = None
    event: Any = None
    specversion: Any = None
    name: Any = None
    action: Any = None
    batch: msgspec.Raw = _NOTHING
    events: msgspec.Raw = _NOTHING
    users: msgspec.Raw = _NOTHING


_Peek = msgspec.defstruct("_Peek", [(name, Any, None) for name in _TIMES], bases=(_Marks,))
_DECODER: msgspec.json.Decoder[_Marks] = msgspec.json.Decoder(_Peek)
_MEMBERS: msgspec.json.Decoder[list[_Marks]] = msgspec.json.Decoder(list[_Peek])  # type: ignore[valid-type]  # made above


def peek(line: bytes | None) -> tuple[int | None, bool]:
    """Return (unix milliseconds or None, True for an update of a user); of an envelope's first member."""
    if line is None:
        return None, True
    try:
        seen = _DECODER.decode(line)
        members = next((raw for raw in (seen.batch, seen.events, seen.users) if raw is not _NOTHING), None)
        if members is not None:
            first = _MEMBERS.decode(members)[0]
            when = _time(first)
            return (_time(seen) if when is None else when), members is seen.users or _is_update(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
        return None, False
    return _time(seen), _is_update(seen)


def _time(seen: _Marks) -> int | None:
    for name in _TIMES:
        value = getattr(seen, name)
        if value is not None:
            try:
                return parse_time(value)
            except ValueError:
                return None
    return None


def _is_update(seen: _Marks) -> bool:
    if type(seen.type) is str and seen.specversion is None:
        return seen.type in _UPDATE_TYPES
    if type(seen.event) is str:
        return seen.event in _UPDATE_EVENTS
    return seen.event is None and seen.specversion is None and seen.name is None and seen.action is None
