"""A chunk built line by line from several files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from pipeline.sources.chunk import NOWHERE, RawChunk
from pipeline.sources.files.lines.recorded import Message
from pipeline.sources.files.merging.line_cursor import LineCursor

T = TypeVar("T")


class ChunkBuilder:
    """Collects the current lines of cursors in the order of the calls."""

    def __init__(self, partition: str) -> None:
        self._chunk = RawChunk(partition, [], [], [], NOWHERE)
        self._sources: list[str] = []
        self._messages: list[Message | None] = []
        self._faults: dict[int, str] = {}
        self.twice = 0
        """Duplicate lines, which are not added."""
        self.unordered = 0
        """Lines that are not where their time belongs."""
        self._parts: list[str | None] = []
        self.bytes = 0
        """Size of the added lines."""

    def __len__(self) -> int:
        return len(self._sources)

    def add(self, cursor: LineCursor) -> None:
        """Add the cursor's current line."""
        at = cursor.index
        found = cursor.buffer
        if at in found.faults:
            self._faults[len(self._sources)] = found.faults[at]
        self._sources.append(cursor.name)
        self._parts.append(cursor.source.part)
        self._chunk.offsets.append(found.starts[at])
        line = found.lines[at]
        self._chunk.lines.append(line)
        self.bytes += 0 if line is None else len(line)
        self._messages.append(None if found.messages is None else found.messages[at])

    def chunk(self) -> RawChunk | None:
        """Return the collected lines, None for nothing."""
        if not self._sources and not self.twice:
            return None
        self._chunk.sources = self._sources
        self._chunk.faults = self._faults or None
        noted = {"twice": self.twice, "unordered": self.unordered}
        self._chunk.noted = {kind: number for kind, number in noted.items() if number} or None
        if any(part is not None for part in self._parts):
            self._chunk.parts = self._parts
        if any(message is not None for message in self._messages):
            add_messages(self._chunk, self._messages)
        return self._chunk


def without(chunk: RawChunk, twice: Sequence[int]) -> RawChunk:
    """Return a chunk without the duplicate lines at these indexes, and note how many."""
    gone = set(twice)
    left = [at for at in range(len(chunk)) if at not in gone]

    def some(values: Sequence[T] | None) -> list[T] | None:
        return None if values is None else [values[at] for at in left]

    sources = chunk.sources
    faults = chunk.faults or {}
    return replace(
        chunk,
        sources=sources if isinstance(sources, str) else [sources[at] for at in left],
        offsets=[chunk.offsets[at] for at in left],
        lines=[chunk.lines[at] for at in left],
        parts=some(chunk.parts) if isinstance(chunk.parts, list) else chunk.parts,
        received=some(chunk.received),
        headers=some(chunk.headers),
        keys=some(chunk.keys),
        faults={new: faults[old] for new, old in enumerate(left) if old in faults} or None,
        noted={"twice": len(gone)},
    )


def add_messages(chunk: RawChunk, messages: Sequence[Message | None]) -> None:
    """Give the lines of a chunk the origins, times, keys and headers of the recorded messages in them."""
    sources = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
    chunk.received = []
    chunk.headers = []
    chunk.keys = []
    for at, message in enumerate(messages):
        if message is not None:
            sources[at] = message.source
            chunk.offsets[at] = message.offset
        chunk.received.append(None if message is None else message.time)
        chunk.headers.append(None if message is None else message.headers)
        chunk.keys.append(None if message is None else message.key)
    chunk.sources = sources
