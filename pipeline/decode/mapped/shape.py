"""A custom shape: turns the model of its YAML into a `Shape` like the built-in ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn, TypeAlias, TypeVar

import orjson

from pipeline.config.models.shape import EventPart, InlineShape, Part, ShapeEntry, UserPart
from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.mapped.conditions import CompileConditions, failing, holds
from pipeline.decode.mapped.entries import Entry, Member, Numbers, first_time, is_update, read_entry
from pipeline.decode.mapped.fast_path.glance import compile_look
from pipeline.decode.mapped.fast_path.plain import compile_plain
from pipeline.decode.mapped.frame import Frame, Source
from pipeline.decode.mapped.parts import (
    LeftOut,
    ReadPart,
    compile_event,
    compile_id,
    compile_link,
    compile_user,
    event_objects,
    event_reads,
    no_time,
)
from pipeline.decode.mapped.values.forms import Context, checked
from pipeline.decode.mapped.values.paths import compile_record_path
from pipeline.decode.mapped.values.times import Time, compile_time
from pipeline.decode.raw import strict
from pipeline.decode.raw.fields import Fields, Place
from pipeline.decode.shape import Seen, Shape, Side
from pipeline.decode.work import TOO_EXPENSIVE, begin_work
from pipeline.language.path_syntax import ANY, Path
from pipeline.language.record_paths import MESSAGE, RECORD
from pipeline.language.work import TooExpensive
from pipeline.model.errors import InvalidRecord
from pipeline.model.json import Json, Value, kind_of
from pipeline.model.records import Invalid, PropertyUpdate, Record

P = TypeVar("P", bound=Part)
Make: TypeAlias = Callable[[P, Context, Member], ReadPart]


def compile_shape(
    name: str, model: InlineShape, data: Value, problems: Problems, conditions: CompileConditions
) -> Shape:
    """Return the shape that a model describes; mistakes in paths and forms become problems.

    name: for reasons. data: the model's source. A shape with errors must not be used.
    """
    listed = data["records"]
    entries = [
        _entry(entry, raw, f"records[{number}]", problems.at(*place), conditions)
        for number, (entry, raw, place) in enumerate(
            zip(model.records, _many(listed), _places("records", listed), strict=True)
        )
    ]
    read = _reader(name, entries)
    return Shape(
        name,
        read,
        takes_any=True,
        look=compile_look(entries),
        plain=compile_plain(entries),
        peek=_peek(read),
        side=_side(entries),
        lengthens=_puts_together(listed),
        tombstone=_tombstone(entries),
    )


_LONG_TEXT = 64


def _puts_together(value: Value) -> bool:
    """Return whether an id may become longer than its line."""
    if isinstance(value, dict):
        return "join" in value or any(map(_puts_together, value.values()))
    if isinstance(value, list):
        return any(map(_puts_together, value))
    return isinstance(value, str) and len(value) > _LONG_TEXT


def _tombstone(entries: Sequence[Entry]) -> Callable[[Place], list[Record]] | None:
    """Return the reader of a message without a value: it forgets the user that key or headers name.

    None where only records name users: the key is the id then.
    """
    members = [one for entry in entries for one in entry.users if one.of_message is not None]
    if not members:
        return None

    def forget(place: Place) -> list[Record]:
        frame = Frame(None, place)
        for member in members:
            user_id = None if member.of_message is None else member.of_message(None, frame)
            if user_id is not None:
                at, origin = place.received_at, place.origin
                return [PropertyUpdate(None, user_id, None, at, at, None, {}, {}, (), origin, delete=True)]
        raise InvalidRecord("a tombstone whose key and headers have no id of a user")

    return forget


def _many(value: Value) -> list[Value]:
    return value if isinstance(value, list) else [value]


def _places(field: str, value: Value) -> list[tuple[str | int, ...]]:
    """Return the paths of a field's members: it may hold one map or a list of them."""
    return [(field, index) for index in range(len(value))] if isinstance(value, list) else [(field,)]


def _side(entries: Sequence[Entry]) -> Side:
    has_events = any(entry.events for entry in entries)
    has_users = any(entry.users or entry.links for entry in entries)
    return "both" if has_events == has_users else "events" if has_events else "users"


# --- compiling


def _entry(
    model: ShapeEntry, data: Value, name: str, problems: Problems, conditions: CompileConditions
) -> Entry:
    context = Context(problems, is_conditional=model.when is not None)
    judge = None
    if model.when is not None:
        judge = conditions(model.when, problems.at("when"), 0)
        context.reads.extend(judge.paths)
    entry = Entry(name, judge, None if judge is None else holds(judge), is_ignored=bool(model.ignore))
    entry.paths = context.reads
    usual = _usual_time(model, context)

    def members(field: str, parts: Sequence[P], make: Make[P]) -> list[Member]:
        return [
            _member(part, context.at(*place), conditions, make)
            for part, place in zip(parts, _places(field, data.get(field, [])), strict=True)
        ]

    entry.events = members("event", model.event, _event)
    entry.users = members("user", model.user, partial(_user, usual=usual))
    entry.links = members("link", model.link, lambda part, at, member: compile_link(part, at, usual))
    return entry


def _event(part: EventPart, context: Context, member: Member) -> ReadPart:
    member.model, member.reads = part, event_reads(part, context)
    member.properties, member.context = event_objects(part, context)
    return compile_event(part, member.reads, member.properties, member.context)


def _user(part: UserPart, context: Context, member: Member, usual: Time) -> ReadPart:
    who = replace(context, problems=Problems(), reads=[])
    read = compile_id(part.user_id, who, "user_id")
    if any(path.root == MESSAGE for path in who.reads) and part.each is None:
        member.of_message = read
    return compile_user(part, context, usual)


def _usual_time(model: ShapeEntry, context: Context) -> Time:
    """Return the time of the entry's first part that has one; its users and links without one share it."""
    parts: list[Part] = [*model.event, *model.link, *model.user]
    for part in parts:
        if part.time is not None and part.each is None:
            # Its problems are reported at its own place.
            return compile_time(part.time, replace(context, problems=Problems()))
    return no_time


def _member(model: P, context: Context, conditions: CompileConditions, make: Make[P]) -> Member:
    member = Member(_unread)
    if model.each is not None:
        member.told = model.each
        path = checked(model.each, context.at("each"))
        member.each = () if path is None else _steps(path, context)
        context = replace(context, levels=max(1, len(member.each)), reads=[])
    if model.when is not None:
        judge = conditions(model.when, context.problems.at("when"), context.levels)
        context.reads.extend(judge.paths)
        context = replace(context, is_conditional=True)
        member.when = holds(judge)
    member.read = make(model, context, member)
    return member


def _unread(here: Json, frame: Frame, origin: object, at: int | None) -> NoReturn:
    raise InvalidRecord("the part was not compiled")


def _steps(path: Path, context: Context) -> tuple[Source, ...]:
    """Return the path to each list that `each` enters, relative to the previous element."""
    if path.root != RECORD:
        context.at("each").wrong("`each` goes through lists of the record", "for example lines[*]")
    steps: list[Source] = []
    begin = 0
    for at, part in enumerate(path.parts):
        if part is ANY:
            steps.append(compile_record_path(Path(RECORD, path.parts[begin:at], path.text)))
            begin = at + 1
    if begin < len(path.parts):
        if steps:
            context.at("each").wrong("`each` ends with `[*]`", "paths of the member go on from the element")
        else:
            steps.append(compile_record_path(path))
    if len(steps) > 2:
        context.at("each").wrong("`each` enters two lists at most")
    return tuple(steps)


# --- reading


def _reader(name: str, entries: Sequence[Entry]) -> Callable[[Fields, Place], list[Record]]:
    only = {entry.name: entry.only_event for entry in entries}

    def of_record(record: Json, place: Place, numbers: Numbers | None) -> list[Record]:
        if type(record) is not dict:
            raise InvalidRecord(f"the record is {kind_of(record)}, expected an object")
        frame = Frame(record, place)
        lacking: tuple[str, str] | None = None  # no error, which would keep the record
        for entry in entries:
            if entry.when is not None and not entry.when(record, frame):
                continue
            if entry.is_ignored:
                return []
            member = only[entry.name]
            try:
                if member is not None and numbers is None:
                    return [member.read(record, frame, place.origin, place.received_at)]
                if numbers is None:
                    numbers = Numbers(place.origin, place.most_members)
                return read_entry(entry, frame, numbers, place.raw or b"")
            except LeftOut as error:
                if lacking is None:
                    lacking = entry.name, str(error)
        if lacking is not None:
            raise InvalidRecord(
                f"no entry of the shape `{name}` fits: {lacking[0]} comes nearest, but {lacking[1]}"
            )
        raise InvalidRecord(f"no entry of the shape `{name}` fits: {_nearest(entries, frame)}")

    def read(value: Value, place: Place) -> list[Record]:
        begin_work()
        try:
            if type(value) is not list:
                return of_record(value, place, None)
            return _all(value, place)
        except TooExpensive:
            raise InvalidRecord(TOO_EXPENSIVE) from None

    def _all(members: list[Json], place: Place) -> list[Record]:
        if not members:
            raise InvalidRecord("the list is empty: there is no record in it")
        if len(members) > place.most_members:
            raise InvalidRecord(
                f"the list holds {len(members):,} records; `limits.members` allows {place.most_members:,}"
            )
        numbers = Numbers(place.origin, place.most_members)
        records: list[Record] = []
        for member in members:
            try:
                records += of_record(member, place, numbers)
            except InvalidRecord as error:
                records.append(Invalid(_dumps(member, place), str(error), numbers.origin(numbers.invalid)))
                numbers.invalid += 1
        return records

    return read


def _dumps(member: Json, place: Place) -> bytes:
    try:
        return orjson.dumps(member)
    except orjson.JSONEncodeError:
        return place.raw or b""


def _nearest(entries: Sequence[Entry], frame: Frame) -> str:
    """Return the closest entry where no `when` holds, and what the record lacks for it."""
    judged = [(failing(entry.judge, frame), entry.name) for entry in entries if entry.judge is not None]
    (_, text), name = max(judged, key=lambda one: one[0][0])
    return f"{name} comes nearest, but `when: {text}` does not hold"


def _peek(read: Callable[[Fields, Place], list[Record]]) -> Callable[[bytes, Place], Seen]:
    def peek(line: bytes, place: Place) -> Seen:
        records = read(strict.loads(line), place)  # type: ignore[arg-type]  # whatever it is
        return first_time(records), is_update(records)

    return peek
