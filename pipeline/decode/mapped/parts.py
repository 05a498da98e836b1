"""The parts of an entry: event, user, link, each read from the record or from each of its elements."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from pipeline.config.models.shape import EventPart, LinkPart, UserPart
from pipeline.decode.mapped.frame import Frame
from pipeline.decode.mapped.objects import Object, compile_object, empty
from pipeline.decode.mapped.values.forms import Context, compile_source, missing
from pipeline.decode.mapped.values.texts import as_text
from pipeline.decode.mapped.values.times import Time, compile_time
from pipeline.decode.raw import fields
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, Value, kind_of
from pipeline.model.records import MISSING, Event, IdentityLink, Invalid, Missing, Origin, PropertyUpdate

Made: TypeAlias = "Event | PropertyUpdate | IdentityLink"
ReadPart: TypeAlias = "Callable[[Json, Frame, Origin, int | None], Made]"
"""Returns the record of a part, given the broker's time; raises LeftOut where a required path is missing,
else InvalidRecord."""


class LeftOut(InvalidRecord):
    """A required path is missing: another part, or another entry, may fit."""


class Id(Protocol):
    """Reads an id."""

    def __call__(self, here: Json, frame: Frame) -> str | None:
        """Return it as text, None where it is not set. Raises InvalidRecord."""


def no_time(here: Json, frame: Frame) -> int | None:
    """Return None."""
    return None


def told(value: Value) -> str:
    """Return a source as a person wrote it, for reasons."""
    if type(value) is str:
        return f"`{value}`"
    if type(value) is list:
        return " and ".join(told(one) for one in value)
    if type(value) is not dict:
        return "what it is made of"
    if "join" in value:
        parts = value["join"]
        text = " + ".join(map(told, parts)) if type(parts) is list else "what it is made of"
    elif "json" in value:
        inside = f"`{value['path']}` in " if "path" in value else ""
        text = f"{inside}the JSON of {told(value['json'])}"
    elif "text" in value:
        text = f"the text `{value['text']}`"
    else:
        text = told(value.get("path"))
    return f"{text} by `find`" if "find" in value else text


def compile_id(value: Value, context: Context, name: str) -> Id:
    """Return the reader of an id or name: texts and numbers; the empty text, of ids the blank one, counts as
    unset.
    """
    if value is None:
        return lambda here, frame: None
    is_set = fields.is_id if name in ("user_id", "anonymous_id", "id") else bool
    source = compile_source(value, context.at(name))
    if type(value) is dict and type(value.get("text")) is bool:
        word = str(value["text"]).lower()
        message, hint = f"no id or name is {word}", f'write it in quotes: "{word}"'
        context.problems.refuse((name, "text"), "wrong-source", message, hint=hint)

    def read(here: Json, frame: Frame) -> str | None:
        found = source(here, frame)
        if type(found) is str:
            return found if is_set(found) else None
        if found is MISSING or found is None:
            return None
        text = None if type(found) is bool else as_text(found)
        if text is None:
            raise InvalidRecord(f"`{name}` ({told(value)}) is {kind_of(found)}, expected a text or a number")
        return text

    return read


def _time(value: Value, context: Context, name: str) -> Time | None:
    return None if value is None else compile_time(value, context.at(name))


def _object(value: Value, context: Context, name: str) -> Object:
    return empty if value is None else compile_object(value, context.at(name))


@dataclass(slots=True, frozen=True)
class EventReads:
    """The readers of an event's fields, also used without its properties (fast_path/glance.py)."""

    name: Id
    kind: Id
    user_id: Id
    anonymous_id: Id
    id: Id
    time: Time | None
    received_at: Time | None
    source: Id


def event_reads(model: EventPart, context: Context) -> EventReads:
    """Return the readers of everything except the objects."""
    return EventReads(
        compile_id(model.name, context, "name"),
        compile_id(model.kind, context, "kind"),
        compile_id(model.user_id, context, "user_id"),
        compile_id(model.anonymous_id, context, "anonymous_id"),
        compile_id(model.id, context, "id"),
        _time(model.time, context, "time"),
        _time(model.received_at, context, "received_at"),
        compile_id(model.source, context, "source"),
    )


def event_objects(model: EventPart, context: Context) -> tuple[Object, Object]:
    """Return the readers of properties and context."""
    return _object(model.properties, context, "properties"), _object(model.context, context, "context")


def compile_event(model: EventPart, reads: EventReads, properties: Object, around: Object) -> ReadPart:
    """Return the reader of an event; around reads its context."""
    name_of, user_of, time_of = reads.name, reads.user_id, reads.time
    anonymous_of = None if model.anonymous_id is None else reads.anonymous_id
    id_of = None if model.id is None else reads.id
    kind_of_, received_of = None if model.kind is None else reads.kind, reads.received_at
    source_of = None if model.source is None else reads.source
    no_name = f"the event has no `name` ({told(model.name)})"
    ids = " or ".join(told(one) for one in (model.user_id, model.anonymous_id) if one is not None)
    nobody = f"the event has no id of a user ({ids})"

    def read(here: Json, frame: Frame, origin: Origin, at: int | None) -> Event:
        name = name_of(here, frame)
        if name is None:
            raise LeftOut(no_name)
        user_id = user_of(here, frame)
        anonymous_id = None if anonymous_of is None else anonymous_of(here, frame)
        if user_id is None and anonymous_id is None:
            raise LeftOut(nobody)
        received_at = None if received_of is None else received_of(here, frame)
        if received_at is None:
            received_at = at
        time = None if time_of is None else time_of(here, frame)
        return Event(
            None if id_of is None else id_of(here, frame),
            name,
            "track" if kind_of_ is None else kind_of_(here, frame) or "track",
            user_id,
            anonymous_id,
            received_at if time is None else time,
            received_at,
            None if source_of is None else source_of(here, frame),
            properties(here, frame),
            around(here, frame),
            origin,
        )

    return read


def compile_user(model: UserPart, context: Context, usual_time: Time) -> ReadPart:
    """Return the reader of an update of a user. usual_time: the entry's, where the part has none."""
    user_of, anonymous_of = (
        compile_id(model.user_id, context, "user_id"),
        compile_id(model.anonymous_id, context, "anonymous_id"),
    )
    id_of, source_of = compile_id(model.id, context, "id"), compile_id(model.source, context, "source")
    time_of = _time(model.time, context, "time") or usual_time
    set_, set_once = _object(model.set, context, "set"), _object(model.set_once, context, "set_once")
    unset = missing if model.unset is None else compile_source(model.unset, context.at("unset"))
    is_deleted = _deleted(model.delete, context)
    ids = " or ".join(told(one) for one in (model.user_id, model.anonymous_id) if one is not None)
    nobody = f"the user has no id ({ids})"

    def read(here: Json, frame: Frame, origin: Origin, at: int | None) -> PropertyUpdate:
        user_id, anonymous_id = user_of(here, frame), anonymous_of(here, frame)
        if user_id is None and anonymous_id is None:
            raise LeftOut(nobody)
        time = time_of(here, frame)
        return PropertyUpdate(
            id_of(here, frame),
            user_id,
            anonymous_id,
            at if time is None else time,
            at,
            source_of(here, frame),
            set_(here, frame),
            set_once(here, frame),
            _names(unset(here, frame)),
            origin,
            is_deleted(here, frame),
        )

    return read


def _names(found: Json | Missing) -> tuple[str, ...]:
    if found is MISSING or found == "":
        return ()
    return fields.names({"unset": found}, "unset")  # type: ignore[dict-item]  # not MISSING


def _deleted(value: Value, context: Context) -> Callable[[Json, Frame], bool]:
    if value is None or type(value) is bool:
        return lambda here, frame: value is True
    source = compile_source(value, context.at("delete"))
    is_conditional = context.is_conditional

    def deleted(here: Json, frame: Frame) -> bool:
        found = source(here, frame)
        if found is True or found == "true":
            return True
        if found is MISSING or found is None or found in ("", "false", 0):  # False is 0
            return False
        if is_conditional:
            return True
        raise InvalidRecord(f"`delete` ({told(value)}) is {found!r:.40}, expected true or false")

    return deleted


def compile_link(model: LinkPart, context: Context, usual_time: Time) -> ReadPart:
    """Return the reader of a link. usual_time: the entry's, where the part has none."""
    user_of = compile_id(model.user_id, context, "user_id")
    anonymous_of = compile_id(model.anonymous_id, context, "anonymous_id")
    time_of = _time(model.time, context, "time") or usual_time
    lacks_user = f"the link has no `user_id` ({told(model.user_id)})"
    lacks_other = f"the link has no `anonymous_id` ({told(model.anonymous_id)})"

    def read(here: Json, frame: Frame, origin: Origin, at: int | None) -> IdentityLink:
        user_id, anonymous_id = user_of(here, frame), anonymous_of(here, frame)
        if user_id is None:
            raise LeftOut(lacks_user)
        if anonymous_id is None:
            raise LeftOut(lacks_other)
        time = time_of(here, frame)
        (made,) = fields.link({}, fields.Place(origin), anonymous_id, user_id, at if time is None else time)
        if isinstance(made, Invalid):
            raise InvalidRecord(made.reason)
        assert isinstance(made, IdentityLink)
        return made

    return read


def is_empty(record: object) -> bool:
    """Return whether a record is an update that changes nothing."""
    return (
        type(record) is PropertyUpdate
        and not record.set
        and not record.set_once
        and not record.unset
        and not record.delete
    )
