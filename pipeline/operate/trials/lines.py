"""Raw lines of a config's input: the n-th of a file, that of a dead letter, the first of a sample."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from pipeline.config.job import PipelineConfig
from pipeline.config.models.installation.source import KafkaSource
from pipeline.decode.decode import decode
from pipeline.decode.formats import Formats
from pipeline.decode.shape import Shape
from pipeline.model.errors import GivenError, UsageError
from pipeline.model.findings import Finding
from pipeline.model.json import Value
from pipeline.model.records import Envelope, Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record
from pipeline.model.words import counted
from pipeline.operate.kept.dlq import find
from pipeline.operate.trials.given import Given, known, shapes_of
from pipeline.operate.trials.numbers import LineNumbers
from pipeline.outbox.seen import event_and_user
from pipeline.recording.native_lines import native_line
from pipeline.sources.chunk import NOWHERE, RawChunk


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
    reader = Recording([path])
    try:
        while not reader.done:
            chunk = reader.read(200)
            if chunk is None:
                time.sleep(0 if reader.done else 0.01)
                continue
            for at in range(len(chunk)):
                line = _line(chunk, at, formats, now)
                yield replace(line, number=numbers.of(line.origin))
    finally:
        reader.close()


def _line(chunk: RawChunk, at: int, formats: Formats, now: int | None = None) -> Line:
    source = chunk.sources if isinstance(chunk.sources, str) else chunk.sources[at]
    origin = Origin(source, chunk.offsets[at])
    shapes = shapes_of(formats, source)
    if chunk.faults and at in chunk.faults:
        return Line(
            origin, chunk.lines[at], shapes[0], [Invalid(chunk.lines[at] or b"", chunk.faults[at], origin)]
        )
    best: Line | None = None
    for shape in shapes:
        records = decode(
            chunk.lines[at],
            format=shape,
            origin=origin,
            received_at=now if chunk.received is None else chunk.received[at],
            headers=None if chunk.headers is None else chunk.headers[at],
            key=None if chunk.keys is None else chunk.keys[at],
        )
        line = Line(origin, chunk.lines[at], shape, records)
        if not any(isinstance(record, Invalid) for record in records):
            return line
        best = best or line
    assert best is not None  # there is always a first shape
    return best


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
        source, raw = letter.origin.source, letter.request.body
        around = letter.message or Envelope()
        line = None if around.is_tombstone else raw
        chunk = RawChunk(
            "", source, [letter.origin.offset], [line], NOWHERE, [around.time], [around.headers], [around.key]
        )
        return replace(given_of(told, _line(chunk, 0, formats).records), joins_now=True)
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

    settings = KafkaSettings.of(config.source, aside="replay")
    at = _PLACE.fullmatch(place)
    topic = place if at is None else at[1]
    found = one_message(settings, topic, *(map(int, at.groups()[1:]) if at is not None else ()))
    if found is None:
        raise UsageError(f"there is no message at {place}")
    chunk = RawChunk(
        "", found.source, [found.offset], [found.value], NOWHERE, [found.time], [found.headers], [found.key]
    )
    return given_of(f"{found.source}:{found.offset}", _line(chunk, 0, formats).records)


def given_of(name: str, records: list[Record]) -> Given:
    """Return records as input for a verb. Raises GivenError for unreadable ones."""
    broken = [record for record in records if isinstance(record, Invalid)]
    if broken:
        raise GivenError([Finding(name, 0, 0, "record", record.reason) for record in broken])
    if not records:
        raise GivenError([Finding(name, 0, 0, "record", "its shape says to leave it out (`ignore`)")])
    owner = next((one for one in records if isinstance(one, (Event, PropertyUpdate))), None)
    if owner is None:
        return Given(name, records, None)
    anonymous_id = None if owner.user_id is not None else owner.anonymous_id
    return Given(name, records, known(owner.user_id, anonymous_id, {}))
