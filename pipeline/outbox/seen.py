"""What a template saw, kept to render it again: the body of ``render`` and ``condition`` letters."""

from __future__ import annotations

import msgspec
import orjson

from pipeline.model.json import Value
from pipeline.model.records import Event, Origin, User
from pipeline.model.times import parse_time
from pipeline.outbox.codec import DeadLetter


def seen_of(event: Event, user: User) -> bytes:
    """Return event and user as they were, every field of them.

    Except the origin, which is in the letter's key: a file's name may not be valid text.
    """
    known = msgspec.structs.asdict(event)
    del known["origin"]
    return msgspec.msgpack.encode({"event": known, "user": msgspec.structs.asdict(user)})


def event_and_user(letter: DeadLetter) -> tuple[Event, User]:
    """Return what `seen_of` was given. Letters of older versions lack old values and elements."""
    body = letter.request.body
    if body.startswith(b"{"):
        views = orjson.loads(body)
        return _old_event(views["event"], letter.origin), _old_user(views["event"], views["user"])
    seen = msgspec.msgpack.decode(body)
    return Event(origin=letter.origin, **seen["event"]), User(**seen["user"])


def _old_event(view: dict[str, Value], origin: Origin) -> Event:
    return Event(
        id=view.get("id"),
        name=str(view["name"]),
        kind=str(view["kind"]),
        user_id=view.get("user_id"),
        anonymous_id=view.get("anonymous_id"),
        time=_time(view.get("time")),
        received_at=_time(view.get("received_at")),
        source=view.get("source"),
        properties=view.get("properties") or {},
        context=view.get("context") or {},
        origin=origin,
    )


def _old_user(event: dict[str, Value], view: dict[str, Value]) -> User:
    user_id = view.get("id")
    return User(
        id=user_id,
        anonymous_id=event.get("anonymous_id"),
        identified=user_id is not None,
        properties=view.get("properties") or {},
    )


def _time(value: Value) -> int | None:
    return None if value is None else parse_time(value)
