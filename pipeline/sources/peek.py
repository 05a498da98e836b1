"""A cheap look at a raw line: its time, and whether it is an update or an event.

It only decides the order in which several files are merged, so it never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from pipeline.decode.auto import AUTO, RECORDED
from pipeline.decode.raw.fields import Headers, Place
from pipeline.decode.shape import UNSEEN, Seen, Shape
from pipeline.decode.shapes import SHAPES
from pipeline.model.errors import InvalidRecord
from pipeline.model.records import Origin
from pipeline.model.times import parse_time

_LAST = ("sent_at", "received_at", "receivedAt")
_NOTHING = msgspec.Raw()
_NOWHERE: Final = Origin("", 0)


class _Marks(msgspec.Struct):
    type: Any = None
    event: Any = None
    specversion: Any = None
    name: Any = None
    action: Any = None
    batch: msgspec.Raw = _NOTHING
    events: msgspec.Raw = _NOTHING
    users: msgspec.Raw = _NOTHING


class _Look:
    """The look of one built-in shape, or of all that `auto` distinguishes."""

    def __init__(self, shapes: Sequence[Shape]) -> None:
        times = dict.fromkeys(name for shape in shapes for name in shape.times)
        # The time of occurrence takes precedence over when it was sent or received.
        self._times = tuple(sorted(times, key=_LAST.__contains__))
        self._update_types = frozenset[str]().union(*(shape.updates for shape in shapes))
        self._update_events = frozenset[str]().union(*(shape.update_events for shape in shapes))
        marks = msgspec.defstruct(
            "_Peek", [(name, Any, None) for name in self._times if name not in _Marks.__struct_fields__],
            bases=(_Marks,),
        )  # fmt: skip
        self._decode: Callable[[bytes], _Marks] = msgspec.json.Decoder(marks).decode  # type: ignore[assignment]  # made above
        self._members: Callable[[bytes | msgspec.Raw], list[_Marks]] = msgspec.json.Decoder(
            list[marks]  # type: ignore[valid-type]  # made above
        ).decode

    def seen(self, line: bytes) -> Seen:
        """Return the look at a line; for an envelope, at its first member."""
        try:
            seen = self._decode(line)
            members = next(
                (raw for raw in (seen.batch, seen.events, seen.users) if raw is not _NOTHING), None
            )
            if members is not None:
                first = self._members(members)[0]
                when = self._time(first)
                return (
                    self._time(seen) if when is None else when,
                    members is seen.users or self._is_update(first),
                )
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, IndexError):
            return None, False
        return self._time(seen), self._is_update(seen)

    def _time(self, seen: _Marks) -> int | None:
        for name in self._times:
            value = getattr(seen, name)
            if value is not None:
                try:
                    return parse_time(value)
                except ValueError:
                    return None
        return None

    def _is_update(self, seen: _Marks) -> bool:
        if type(seen.type) is str and seen.specversion is None:
            return seen.type in self._update_types
        if type(seen.event) is str:
            return seen.event in self._update_events
        return seen.event is None and seen.specversion is None and seen.name is None and seen.action is None


_LOOKS: dict[str, _Look] = dict.fromkeys(
    (AUTO.name, RECORDED.name), _Look([shape for shape in SHAPES.values() if shape.fits is not None])
)


_USERS_CALLS: Final = frozenset(
    {b"identify", b"alias", b"delete", b"$identify", b"add_user_properties", b"engage"}
)


def _inside(line: bytes) -> bytes:
    """Return what a record holds that was encoded twice; any other line as it is."""
    try:
        return msgspec.json.decode(line, type=str).encode()
    except UNSEEN:
        return line


def _calls_user(headers: Headers | None) -> bool:
    """Return whether the path of a collected request says that it is about a user."""
    return any(name == "hk-type" and value in _USERS_CALLS for name, value in headers or ())


def peek(
    line: bytes | None,
    shape: Shape = AUTO,
    *,
    origin: Origin = _NOWHERE,
    headers: Headers | None = None,
    key: bytes | None = None,
    received_at: int | None = None,
) -> Seen:
    """Return (unix milliseconds or None, True for an update of a user), by a shape."""
    if shape.by_headers is not None:
        try:
            shape = shape.by_headers(headers).shape
        except InvalidRecord:
            return received_at, False
        seen = peek(line, shape, origin=origin, headers=headers, key=key, received_at=received_at)
        # A page may claim any time of occurrence: these lines are ordered by when they were received.
        return received_at, line is not None and (seen[1] or _calls_user(headers))
    if line is None:
        return None, True
    if line.startswith(b'"'):
        line = _inside(line)
    if shape.peek is not None:
        try:
            return shape.peek(line, Place(origin, received_at, raw=line, headers=headers, key=key))
        except UNSEEN:
            return None, False
    look = _LOOKS.get(shape.name)
    if look is None:
        look = _LOOKS[shape.name] = _Look((shape,))
    return look.seen(line)
