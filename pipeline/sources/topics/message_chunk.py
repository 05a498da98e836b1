"""Messages of topics as a chunk of raw records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from pipeline.decode.builtin.cloudevents import is_binary
from pipeline.decode.decode import reads_binary
from pipeline.decode.formats import Formats
from pipeline.decode.shape import Shape
from pipeline.sources.chunk import Headers, Position, RawChunk
from pipeline.sources.topics.merging.side import Run
from pipeline.sources.topics.stream import Message, headers_of

EMPTY: Final = "a record without a value in a topic of events"


def raw_chunk(partition: str, runs: list[Run[Message]], position: Position) -> RawChunk:
    """Return the messages of some runs, in their order; those without a value are lines of None."""
    messages = runs[0].items if len(runs) == 1 else [item for run in runs for item in run.items]
    lines: list[bytes | None] = [message.value() for message in messages]
    headers = headers_of(messages)
    stamps = runs[0].stamps if len(runs) == 1 else [stamp for run in runs for stamp in run.stamps]
    received: list[int | None] = list(stamps)
    if min(stamps) <= 0:
        received = [stamp if stamp > 0 else None for stamp in stamps]
    sources: str | list[str] = runs[0].side.name
    if any(run.side is not runs[0].side for run in runs):
        sources = [name for run in runs for name in [run.side.name] * len(run.offsets)]
    return RawChunk(
        partition=partition,
        sources=sources,
        offsets=[offset for run in runs for offset in run.offsets],
        lines=lines,
        position=position,
        received=received,
        headers=headers if any(headers) else None,
        keys=[message.key() for message in messages],
    )


def mark_empty_events(chunk: RawChunk, updates: AbstractSet[str], formats: Formats) -> None:
    """Turn events without a value into faults: only in a topic of user updates a null value has a meaning.

    updates: the sources that are such topics. A CloudEvent in binary mode says all it must in its headers,
    and some shapes know what such a record means.
    """
    faults = {}
    for index, line in enumerate(chunk.lines):
        source = chunk.sources if isinstance(chunk.sources, str) else chunk.sources[index]
        if line is not None or source in updates:
            continue
        if is_empty(formats.of(source), chunk.headers[index] if chunk.headers is not None else None):
            chunk.lines[index] = b""
            faults[index] = EMPTY
    chunk.faults = faults or None


def is_empty(shape: Shape, headers: Headers | None) -> bool:
    """Return whether an event without a value says nothing."""
    says_all = headers is not None and reads_binary(shape) and is_binary(headers)
    return shape.tombstone is None and not says_all


def offsets_of(messages: Sequence[Message]) -> list[int]:
    """Return the offsets of messages of one partition, in order; there are few gaps between them."""
    if not messages:
        return []
    first, last = messages[0].offset(), messages[-1].offset()
    if last - first == len(messages) - 1:
        return list(range(first, last + 1))
    return [message.offset() for message in messages]


def bytes_of(values: Iterable[bytes | None]) -> int:
    """Return the total length of values."""
    return sum(map(len, filter(None, values)))


def sizes_of(messages: Sequence[Message]) -> list[int]:
    """Return the lengths of their values."""
    return list(map(len, messages))
