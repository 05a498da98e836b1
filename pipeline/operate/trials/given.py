"""Input to try a config with: an event, a user, a recorded stream."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import orjson

from pipeline.compile.shapes import read_formats
from pipeline.config.job import load_pipeline
from pipeline.decode.builtin.native import FIELDS
from pipeline.decode.decode import BY_NAME, decode
from pipeline.decode.formats import Formats
from pipeline.decode.framed.schemas import FOLDER, SCHEMAS
from pipeline.decode.raw import strict
from pipeline.decode.raw.sizes import long_id, too_large
from pipeline.decode.raw.strict import without_bom
from pipeline.decode.scan import NATIVE
from pipeline.decode.shape import Shape
from pipeline.language.path_syntax import OTHER_NAMES
from pipeline.model.errors import GivenError, InvalidRecord
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.process.bounds import bounded
from pipeline.model.records import Event, Invalid, Origin, PropertyUpdate, Record
from pipeline.model.sizes import USUAL, Sizes
from pipeline.model.words import one_of
from pipeline.recording.record import messages
from pipeline.sources.chunk import RawChunk
from pipeline.sources.files.lines.recorded import Message, parse_line
from pipeline.sources.files.lines.unpackers import is_compressed, no_lines
from pipeline.sources.reader import Reader


@dataclass(slots=True, frozen=True)
class Text:
    """A JSON text, and its name in error messages."""

    name: str
    raw: bytes

    def json(self) -> Value:
        """Return its value, parsed by the rules for records. Raises GivenError."""
        raw = without_bom(self.raw)
        try:
            orjson.loads(raw)
            return strict.loads(raw)
        except InvalidRecord as error:
            raise GivenError([Finding(self.name, 0, 0, "json", str(error))]) from None
        except orjson.JSONDecodeError as error:
            where = Finding(self.name, error.lineno, error.colno, "json", error.msg)
            raise GivenError([self._packed() or replace(where, hint=self._hint())]) from None

    def _packed(self) -> Finding | None:
        """Return what is wrong with what is no text at all."""
        if is_compressed(self.raw):
            hint = "unpack it, or take the n-th of its lines by `--line N`"
            return Finding(self.name, 0, 0, "json", "it is compressed", hint=hint)
        what, remedy = no_lines(self.raw) or (None, None)
        return None if what is None else Finding(self.name, 0, 0, "json", f"it is {what}", hint=remedy)

    def _hint(self) -> str | None:
        return "it has a record in each line: `--line N` takes the n-th" if self._lines() else None

    def _lines(self) -> bool:
        """Return whether the first of several lines is a complete value."""
        first, _, rest = without_bom(self.raw).strip().partition(b"\n")
        try:
            orjson.loads(first)
        except orjson.JSONDecodeError:
            return False
        return bool(rest)


_IDS: Final = frozenset({"user_id", "anonymous_id"})
SOMEONE: Final = "someone"
"""Who did what a hand-written event says of nobody."""


@dataclass(slots=True, frozen=True)
class Given:
    """Records to try, and what is known of their user."""

    name: str
    records: list[Record]
    known: PropertyUpdate | None
    joins_now: bool = False
    """True for records whose users are as the job knows them now."""
    before: tuple[Record, ...] = ()
    """Updates and links that precede them in their stream, of their users."""
    names_nobody: bool = False
    """True for a hand-written event without an id, tried as that of `SOMEONE`."""


def formats_for(config: Path, format: str | None = None) -> Formats:
    """Return which shape reads what in a config; with a name, that shape reads everything.

    Raises UsageError for an unknown shape, ConfigError.
    """
    with bounded(root=str(config)):
        job = load_pipeline(config).require()
        formats = read_formats(config, job.defaults)
    SCHEMAS.look_in(job.state / FOLDER)
    return formats if format is None else Formats(named_shape(formats, format), named=formats.named)


def named_shape(formats: Formats, name: str) -> Shape:
    """Return a built-in or custom shape by its name. Raises UsageError."""
    known = {**BY_NAME, **formats.named}
    return known[one_of(name, known, "shape")]


def shapes_of(formats: Formats, source: str) -> list[Shape]:
    """Return the shape of a topic or file; where the config gives it none, every shape, that first."""
    first = formats.of(source)
    return [first] if formats.names(source) else list(dict.fromkeys([first, *formats.all()]))


def understand(event: Text, user: Text | None, formats: Formats, now: int | None = None) -> Given:
    """Return the records of one JSON value, and the user given by another one as an update.

    The first shape that reads it completely is used; where none can, the first one's error is raised. A line
    of a recording of topics is the message it holds, with its own origin, time and shape. now: unix ms for a
    record without a time; None: it has none then, as in a plain recording. An object without a type or other
    distinctive field, but with a name, is an event in Hookline's own shape, of the given user (or of an
    unknown one) where it names none. Raises GivenError for an unreadable one.
    """
    shapes = formats.all()
    user_id, anonymous_id, properties = (None, None, {}) if user is None else _user(user)
    if any(shape.parse for shape in shapes) and not event.raw.lstrip().startswith((b"{", b"[")):
        value: Value = None  # a shape whose lines are not JSON
    else:
        value = event.json()
    other, nobody = None, False
    if shapes[0].name in NATIVE and isinstance(value, dict):
        named = value.keys() & _IDS
        value = _completed(event.name, value, user_id)
        nobody = not named and value.get("anonymous_id") == SOMEONE
        other = _other_id(value) if value.get("type") == "event" else None
    if isinstance(value, dict) and value.keys() >= {"hookline", "source", "offset"}:
        message = _recorded(event)
        shapes = shapes_of(formats, message.source)
    else:
        raw = event.raw.strip(b"\r\n") if value is None else orjson.dumps(value)
        message = Message(Path(event.name).name, 0, now, None, None, raw)
    _, records = first_whole(message, shapes)
    if other is not None and any(isinstance(one, Invalid) for one in records):
        raise GivenError([Finding(event.name, 0, 0, "record", stray({other: None}) or "")])
    require_valid(event.name, records)
    whose = known_of(records, user_id, anonymous_id, properties)
    return Given(event.name, records, whose, names_nobody=nobody)


def require_valid(name: str, records: Sequence[Record]) -> None:
    """Raise GivenError where some of them cannot be read."""
    broken = [record for record in records if isinstance(record, Invalid)]
    if broken:
        raise GivenError([Finding(name, 0, 0, "record", record.reason) for record in broken])


def with_user(given: Given, user: Text) -> Given:
    """Return the records with what is known of their user, whatever precedes them. Raises GivenError."""
    return replace(given, before=(), known=known_of(given.records, *_user(user)))


def known_of(
    records: Sequence[Record], user_id: str | None, anonymous_id: str | None, properties: dict[str, Value]
) -> PropertyUpdate | None:
    """Return what is known of a user; without an id it is the one that the records name (None: nobody)."""
    if user_id is None and anonymous_id is None:
        owner = next((one for one in records if isinstance(one, (Event, PropertyUpdate))), None)
        if owner is None:
            return None
        user_id = owner.user_id
        anonymous_id = None if user_id is not None else owner.anonymous_id
    return known(user_id, anonymous_id, properties)


def stray(record: Mapping[str, Value]) -> str | None:
    """Return which field of a hand-written event or update no such record has; None where all are known."""
    name = next((one for one in record if one not in FIELDS), None)
    if name is None:
        return None
    whose, inside = ("a user", "set") if record.get("type") == "user" else ("an event", "properties")
    other = OTHER_NAMES.get(name)
    meant = f"did you mean `{other}`?" if other is not None else f"its properties go under `{inside}`"
    return f"`{name}` is no field of {whose}: {meant}"


def _other_id(event: Mapping[str, Value]) -> str | None:
    """Return the field that names the user as other products do; None where there is none, or one of ours."""
    return None if event.keys() & _IDS else next((one for one in event if OTHER_NAMES.get(one) in _IDS), None)


def _completed(given: str, value: dict[str, Value], user_id: str | None) -> dict[str, Value]:
    """Return a hand-written event with its type and a user id added. Raises GivenError."""
    if "name" in value and not value.keys() & {"type", "event", "specversion"}:
        if (wrong := stray(value)) is not None:
            raise GivenError([Finding(given, 0, 0, "record", wrong)])
        value = {"type": "event", **value}
    if value.get("type") != "event" or value.keys() & _IDS or _other_id(value):
        return value
    return {**value, "anonymous_id": SOMEONE} if user_id is None else {**value, "user_id": user_id}


def first_whole(message: Message, shapes: Iterable[Shape]) -> tuple[Shape, list[Record]]:
    """Return the first shape that reads a message completely, else the first one; and what it reads."""
    tried: list[tuple[Shape, list[Record]]] = []
    for shape in shapes:
        tried.append((shape, decode_message(message, shape)))
        if not any(isinstance(record, Invalid) for record in tried[-1][1]):
            return tried[-1]
    return tried[0]


def _recorded(line: Text) -> Message:
    try:
        return parse_line(without_bom(line.raw).strip())
    except InvalidRecord as error:
        raise GivenError([Finding(line.name, 0, 0, "record", str(error))]) from None


def decode_message(message: Message, format: Shape, sizes: Sizes = USUAL) -> list[Record]:
    """Return the records of a recorded message, under the origin it was recorded with."""
    return decode(
        message.value,
        format=format,
        origin=Origin(message.source, message.offset),
        received_at=message.time,
        headers=message.headers,
        key=message.key,
        most_members=sizes.members,
    )


def known(
    user_id: str | None, anonymous_id: str | None, properties: dict[str, Value], at: int | None = None
) -> PropertyUpdate:
    """Return what is known of a user as an update before everything."""
    origin = Origin("given", 0)
    return PropertyUpdate(None, user_id, anonymous_id, at, at, None, properties, {}, (), origin)


def _user(text: Text) -> tuple[str | None, str | None, dict[str, Value]]:
    """Return user id, anonymous id and properties."""
    value = text.json()
    if not isinstance(value, dict):
        raise GivenError([Finding(text.name, 0, 0, "user", "a user is a JSON object")])
    if not isinstance(value.get("properties"), dict):
        return None, None, value
    user_id, anonymous_id = value.get("id", value.get("user_id")), value.get("anonymous_id")
    return (
        None if user_id is None else str(user_id),
        None if anonymous_id is None else str(anonymous_id),
        value["properties"],
    )


EMPTY: Final[Mapping[str, str]] = MappingProxyType({})


def read_stream(
    paths: Sequence[str],
    formats: Formats,
    sizes: Sizes = USUAL,
    written: Mapping[str, str] = EMPTY,
) -> Iterator[Record]:
    """Yield every record of recordings, in the order in which the job would take them.

    written: the paths of pipeline.yaml by the files they lead to, which have their formats.
    """
    from pipeline.sources.files.recording import Recording  # only needed for streams

    SCHEMAS.look_beside(*map(Path, paths))
    reader = Recording(paths, written=written)
    reader.under(formats)
    for chunk in chunks_of(reader, 1000):
        for at, message in enumerate(messages(chunk)):
            line = message.value or b""
            fault = (chunk.faults or {}).get(at) or too_large(line, sizes.record_bytes)
            if fault is not None:
                yield Invalid(line, fault, Origin(message.source, message.offset))
                continue
            part = chunk.parts[at] if isinstance(chunk.parts, list) else chunk.parts
            for record in decode_message(message, formats.of(message.source, part), sizes):
                fault = long_id(record, sizes.id_chars)
                yield record if fault is None else Invalid(line, fault, record.origin)


def chunks_of(reader: Reader, most: int) -> Iterator[RawChunk]:
    """Yield what a reader has, up to its end, in chunks of at most so many lines; then close it."""
    try:
        while not reader.done:
            chunk = reader.read(most)
            if chunk is not None:
                yield chunk
            elif not reader.done:
                time.sleep(0.01)  # a pipe without data yet
    finally:
        reader.close()
