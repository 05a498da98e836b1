"""The first records of files, standard input and recordings; the latest ones of topics."""

from __future__ import annotations

import json
import os
import re
import select
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from pipeline.decode.raw.fields import Headers
from pipeline.decode.raw.strict import without_bom
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import InvalidRecord, UsageError
from pipeline.model.json import Value
from pipeline.model.records import Origin, topic_of
from pipeline.model.words import did_you_mean
from pipeline.operate.sniff.foreign import foreign
from pipeline.sources.files.collected.folder import Folder
from pipeline.sources.files.finding.inputs import STDIN, Input, find_inputs
from pipeline.sources.files.lines.blocks import Blocks, Damaged
from pipeline.sources.files.lines.lines import without_hole
from pipeline.sources.files.lines.recorded import PREFIX, Message, is_recording, parse_line

MOST_RECORDS: Final = 1_000
MOST_BYTES: Final = 16 << 20
_BLANK: Final = re.compile(r"\s*")
STDIN_FD = 0
_SEGMENTS: Final = 10


@dataclass(slots=True, frozen=True)
class Sampled:
    """One line or message."""

    part: str
    """The file as named by the user, or the topic."""
    place: str
    origin: Origin
    raw: bytes | None
    received_at: int | None = None
    headers: Headers | None = None
    key: bytes | None = None


@dataclass(slots=True)
class SampledPart:
    """One file or topic of a sample."""

    name: str
    is_topic: bool = False
    is_recorded: bool = False
    """True for a file of recorded messages."""
    records: int = 0
    is_whole: bool = True
    """False where there is more than was read."""
    looks_like: str | None = None
    """Its format where it does not hold JSON lines."""
    remedy: str | None = None
    is_sure: bool = False
    """True where that is certain."""


@dataclass(slots=True)
class StreamSample:
    """The records that were read."""

    parts: dict[str, SampledPart] = field(default_factory=dict)
    records: list[Sampled] = field(default_factory=list)

    def add(self, part: SampledPart, one: Sampled) -> None:
        """Add a record of a part."""
        self.records.append(one)
        part.records += 1


def sample_files(paths: Sequence[str]) -> StreamSample:
    """Return the first records of files, directories, patterns or ``-``, each file with its share.

    Raises UsageError where a path does not exist, ConfigError for a directory without recordings.
    """
    for path in paths:
        _exists(path)
    inputs = [one for found in find_inputs(paths) for one in _files_of(found)]
    if not inputs:
        raise UsageError(f"{', '.join(paths)}: the collector has kept nothing there yet")
    sample = StreamSample()
    for given in inputs:
        _read(given, sample, max(1, MOST_RECORDS // len(inputs)), max(1 << 16, MOST_BYTES // len(inputs)))
    return sample


def _files_of(found: Input) -> list[Input]:
    """Return the files of an input: for a collector's folder its latest segments."""
    if not found.is_collectors:
        return [found]
    folder = Folder(found.path)
    files = [folder.files(first)[0] for first in folder.firsts()[-_SEGMENTS:]]
    return [Input(os.path.basename(path), path) for path in files if os.path.getsize(path)]


def _exists(text: str) -> None:
    path = Path(text)
    if text == STDIN or path.exists() or any(sign in text for sign in "*?["):
        return
    beside = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
    close = did_you_mean(path.name, beside)
    hint = f": did you mean {path.parent / close}?" if close else ""
    raise UsageError(f"{text}: there is no such file or directory{hint}")


def _read(given: Input, sample: StreamSample, most: int, most_bytes: int) -> None:
    part = sample.parts.setdefault(given.path, SampledPart(given.path, is_recorded=is_recording(given.path)))
    data, fault = _head(given.path, most, most_bytes)
    part.is_whole = not fault and len(data) <= most_bytes
    data = data[:most_bytes]
    lines = _lines(data, part.is_whole, keep=fault is None)
    if not _any_json(lines) or _is_open(lines[0][2]):
        document, is_one = _document(data)
        if document is not None:
            part.is_sure = True
            part.looks_like = (
                f"{'one JSON document' if is_one else 'JSON documents, each'} over several lines"
            )
            words = _JQ[is_one and type(document) is list]
            part.remedy = f"`jq -c {words} FILE > out.jsonl` makes a line of each record"
            for at, value in enumerate(_members(document)[:most]):
                place = f"record {at + 1}"
                sample.add(part, Sampled(part.name, place, Origin(given.name, at), orjson.dumps(value)))
            return
        found = None if fault is not None and not lines else foreign(data)
        if found is not None and not _is_framed(lines):
            part.looks_like, part.remedy = found
            part.is_sure = found[0].startswith("empty")
            if not _is_spread(lines):
                return
    if fault is not None:
        part.is_sure = True
        part.looks_like, part.remedy = fault, "fetch it anew; what could be read of it is looked at here"
    for number, offset, line in lines[:most]:
        sample.add(part, _sampled(given, part, number, offset, line))
    part.is_whole = part.is_whole and len(lines) <= most


_JQ: Final = {True: "'.[]'", False: "."}


def _sampled(given: Input, part: SampledPart, number: int, offset: int, line: bytes) -> Sampled:
    place, origin = f"line {number:,}", Origin(given.name, offset)
    if part.is_recorded or line.startswith(PREFIX):
        try:
            message = parse_line(line)
        except InvalidRecord:
            return Sampled(part.name, place, origin, line)
        part.is_recorded = True
        topic = topic_of(message.source) or message.source
        return _message(message, topic, place)
    return Sampled(part.name, place, origin, line)


def _message(message: Message, topic: str, place: str) -> Sampled:
    origin = Origin(message.source, message.offset)
    return Sampled(topic, place, origin, message.value, message.time, message.headers, message.key)


def sample_topics(settings: KafkaSettings, topics: Sequence[str]) -> StreamSample:
    """Return the latest messages of topics, each with its share.

    Commits nothing. Raises ConfigError, and Fatal where the brokers do not answer.
    """
    from pipeline.sources.topics.latest import latest

    sample = StreamSample()
    for topic in topics:
        part = sample.parts[topic] = SampledPart(topic, is_topic=True)
        found, part.is_whole = latest(
            settings, topic, max(1, MOST_RECORDS // len(topics)), MOST_BYTES // len(topics)
        )
        for message in found:
            sample.add(part, _message(message, topic, f"{message.source}:{message.offset}"))
        if not found:
            part.is_sure = True
            part.looks_like, part.remedy = "empty: it holds no message", "name a topic with records"
    return sample


def _head(path: str, most: int, most_bytes: int) -> tuple[bytes, str | None]:
    """Return the first bytes of a file, decompressed, enough for the lines wanted; and any damage."""
    fd = STDIN_FD if path == STDIN else os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    data = bytearray()
    try:
        blocks = Blocks(fd)
        if fd != STDIN_FD and not blocks.await_writer():
            return b"", None
        while len(data) <= most_bytes and data.count(b"\n") <= most:
            block = blocks.read()
            if block is None:
                select.select([fd], [], [], 1.0)
                continue
            if not block:
                return bytes(data), "a compressed file that ends too early" if blocks.is_cut else None
            data += block
    except Damaged as error:
        return bytes(data), f"a damaged compressed file ({error.reason})"
    finally:
        if fd != STDIN_FD:
            os.close(fd)
    return bytes(data), None


def _lines(data: bytes, is_whole: bool, *, keep: bool) -> list[tuple[int, int, bytes]]:
    """Return (number, offset, line) of the non-blank lines; the last one only if it is complete.

    keep: keep an incomplete line if it is the only one.
    """
    found = []
    offset = 0
    texts = data.split(b"\n")
    for number, text in enumerate(texts if is_whole or (keep and len(texts) == 1) else texts[:-1], 1):
        bare = without_hole(text)
        line = without_bom(bare)
        if line.strip():
            found.append((number, offset + len(text) - len(bare), line.rstrip(b"\r")))
        offset += len(text) + 1
    return found


def _values(lines: list[tuple[int, int, bytes]], most: int) -> Iterator[Value]:
    for _, _, line in lines[:most]:
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            yield None


def _any_json(lines: list[tuple[int, int, bytes]]) -> bool:
    """Return whether one of the first lines is an object or a list."""
    found = list(_values(lines, 20))
    return any(type(one) is dict or (type(one) is list and len(one) > 0) for one in found)


def _is_open(first: bytes) -> bool:
    """Return whether a first line begins a list or an object that continues on later lines."""
    if not first.lstrip().startswith((b"{", b"[")):
        return False
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return True
    return False


def _document(data: bytes) -> tuple[Value, bool]:
    """Return what one or several JSON documents over several lines hold, or None; and whether it is one."""
    bare = without_bom(data)
    try:
        value: Value = orjson.loads(bare)
    except orjson.JSONDecodeError:
        return _documents(bare), False
    return (value if type(value) in (dict, list) else None), True


def _documents(data: bytes) -> list[Value] | None:
    """Return consecutive multi-line JSON values; None where there are none."""
    found: list[Value] = []
    try:
        text, at = data.decode().rstrip(), 0
        while at < len(text):
            value, end = json.JSONDecoder().raw_decode(text, at)
            if "\n" not in text[at:end] or type(value) is not dict:
                return None
            found.append(orjson.loads(text[at:end]))  # as it is read: Python's own takes larger integers
            blank = _BLANK.match(text, end)
            at = end if blank is None else blank.end()
    except (ValueError, RecursionError):
        return None
    return found or None


def _members(document: Value) -> list[Value]:
    if type(document) is list:
        return document
    lists = [one for one in document.values() if type(one) is list and one and type(one[0]) is dict]
    return lists[0] if len(lists) == 1 and len(document) == 1 else [document]


def _is_spread(lines: list[tuple[int, int, bytes]]) -> bool:
    """Return whether lines may be Snowplow's tab-separated ones."""
    return bool(lines) and lines[0][2].count(b"\t") >= 100


def _is_framed(lines: list[tuple[int, int, bytes]]) -> bool:
    """Return whether lines begin with a Schema Registry frame: 00, then the schema's id."""
    raw = lines[0][2] if lines else b""
    return raw.startswith(b"\0") and len(raw) > 5 and raw[1:5] != b"\0\0\0\0"
