"""Raw lines of a config's input: the n-th of a file, that of a dead letter, the first of a sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import KafkaSource
from pipeline.decode.formats import Formats
from pipeline.decode.shape import Shape
from pipeline.model.errors import GivenError, UsageError
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.records import Envelope, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.model.words import counted
from pipeline.operate.kept.dlq import find
from pipeline.operate.trials.given import (
    Given,
    chunks_of,
    first_whole,
    known,
    known_of,
    require_valid,
    shapes_of,
)
from pipeline.operate.trials.numbers import LineNumbers
from pipeline.outbox.seen import event_and_user
from pipeline.recording.native_lines import native_line
from pipeline.recording.record import messages
from pipeline.sources.files.lines.recorded import Message


@dataclass(slots=True, frozen=True)
class Line:
    """One line of a stream, and what its shape makes of it."""

    origin: Origin
    raw: bytes | None
    shape: Shape
    records: list[Record]
    number: int | None = None
    """Its line number in its file, from 1; None for a recorded message, and in a pipe."""

    @property
    def place(self) -> str:
        """Its place, in words."""
        return str(self.origin) if self.number is None else f"{self.origin.source} line {self.number}"

    def to_json(self) -> dict[str, Value]:
        """Return its place, the shape that read it and its records in Hookline's own form."""
        return {
            "origin": str(self.origin),
            "line": self.number,
            "format": self.shape.name,
            "records": [
                {"dead_letter": one.reason} if isinstance(one, Invalid) else orjson.loads(native_line(one))
                for one in self.records
            ],
        }


def read_lines(path: str, formats: Formats, now: int | None = None) -> Iterator[Line]:
    """Yield the lines of a recording in order, read by the shapes of a config.

    If the config names no shape for the file, the first of its shapes that reads a line completely is used.
    now: unix ms for a record without a time; None: it has none then.
    """
    from pipeline.sources.files.recording import Recording

    numbers = LineNumbers([path])
    for chunk in chunks_of(Recording([path]), 200):
        for at, message in enumerate(messages(chunk)):
            origin = Origin(message.source, message.offset)
            fault = (chunk.faults or {}).get(at)
            if fault is not None:
                records: list[Record] = [Invalid(message.value or b"", fault, origin)]
                shape = formats.of(message.source)
            else:
                timed = message._replace(time=now) if chunk.received is None else message
                shape, records = first_whole(timed, shapes_of(formats, message.source))
            yield Line(origin, message.value, shape, records, numbers.of(origin))


def line_of(path: str, number: int, formats: Formats, now: int | None = None) -> Given:
    """Return the n-th line of a file (from 1) as input for a verb, with what the lines before it say of its
    users. Raises GivenError, UsageError.

    now: as in `read_lines`.
    """
    last = 0
    links: list[IdentityLink] = []
    for count, line in enumerate(read_lines(path, formats, now), 1):
        last = line.number or count
        if last == number:
            found = given_of(f"{path}:{number}", line.records)
            ids = _connected(line.records, links)
            return replace(found, before=tuple(_before(path, number, formats, ids)))
        if last > number:
            raise UsageError(f"line {number:,} of {path} is blank")
        links += (one for one in line.records if isinstance(one, IdentityLink))
    raise UsageError(f"{path} has {counted(last, 'line')}: there is no line {number:,}")


def _connected(records: Iterable[Record], links: Sequence[IdentityLink]) -> set[str]:
    """Return the ids in records, user ids and anonymous ones, and those that links connect with them."""
    ids = {one for record in records for one in _ids(record)}
    known = 0
    while len(ids) > known:
        known = len(ids)
        ids.update(one for link in links if not ids.isdisjoint(_ids(link)) for one in _ids(link))
    return ids


def _before(path: str, number: int, formats: Formats, ids: set[str]) -> Iterator[Record]:
    """Yield what the lines before the n-th say of users; nothing where a file cannot be read twice."""
    if not Path(path).is_file():
        return
    for count, line in enumerate(read_lines(path, formats), 1):
        if (line.number or count) >= number:
            return
        for record in line.records:
            if isinstance(record, PropertyUpdate | IdentityLink) and not ids.isdisjoint(_ids(record)):
                yield record


def _ids(record: Record) -> Iterator[str]:
    if not isinstance(record, Invalid):
        yield from (one for one in (record.user_id, record.anonymous_id) if one is not None)


def letter_of(state: Path, name: str, formats: Formats) -> Given:
    """Return the record of a dead letter, read by the present shapes.

    Raises Refused, GivenError, UsageError.
    """
    letter = find(state, name)
    told = f"dead letter {name}"
    if letter.kind == "record":
        origin, around = letter.origin, letter.message or Envelope()
        raw = None if around.is_tombstone else letter.request.body
        message = Message(origin.source, origin.offset, around.time, around.key, around.headers, raw)
        _, records = first_whole(message, shapes_of(formats, origin.source))
        return replace(given_of(told, records), joins_now=True)
    if letter.kind in ("render", "condition"):
        event, user = event_and_user(letter)
        return Given(told, [event], known(user.id, user.anonymous_id, user.properties))
    raise UsageError(
        f"{told} is a request that was not delivered: `hookline dlq show {name}` has it; its event is not at "
        "hand any more"
    )


_PLACE = re.compile(r"(.+)/(\d+):(\d+)")


def message_of(config: PipelineConfig, place: str, formats: Formats) -> Given:
    """Return a message of a topic: at ``TOPIC/PARTITION:OFFSET``, or the latest of a ``TOPIC``.

    Raises GivenError, UsageError, ConfigError, Fatal.
    """
    if not isinstance(config.source, KafkaSource):
        raise UsageError("--from-topic reads the topics of the config: pipeline.yaml has no `source.kafka`")
    from pipeline.kafka.client import KafkaSettings
    from pipeline.sources.topics.latest import one_message
    from pipeline.sources.topics.message_chunk import EMPTY, is_empty

    settings = KafkaSettings.of(config.source, aside="replay")
    at = _PLACE.fullmatch(place)
    topic = place if at is None else at[1]
    found = one_message(settings, topic, *(map(int, at.groups()[1:]) if at is not None else ()))
    if found is None:
        raise UsageError(f"there is no message at {place}")
    name, shapes = f"{found.source}:{found.offset}", shapes_of(formats, found.source)
    if found.value is None and settings.side_of(topic) == "events" and is_empty(shapes[0], found.headers):
        raise GivenError([Finding(name, 0, 0, "record", f"{EMPTY}: the job makes a dead letter of it")])
    _, records = first_whole(found, shapes)
    return given_of(name, records)


def given_of(name: str, records: list[Record]) -> Given:
    """Return records as input for a verb. Raises GivenError for unreadable ones."""
    require_valid(name, records)
    if not records:
        raise GivenError([Finding(name, 0, 0, "record", "its shape says to leave it out (`ignore`)")])
    return Given(name, records, known_of(records, None, None, {}))
