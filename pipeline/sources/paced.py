"""Readers that let event time pass at a multiple of real time: a replay at original or other speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipeline.decode.formats import ALL_AUTO
from pipeline.model.records import Origin
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.holding import HoldingReader
from pipeline.sources.peek import peek
from pipeline.sources.reader import Reader, Source


class PacedSource:
    """A source with paced readers. speed: a multiple of real time."""

    def __init__(self, source: Source, speed: float) -> None:
        self._source = source
        self._speed = speed

    def list_partitions(self) -> list[str]:
        """Return the partitions' names."""
        return self._source.list_partitions()

    def open(self, name: str, position: Position | None) -> Reader:
        """Return the paced reader of a partition."""
        return Paced(self._source.open(name, position), self._speed)


class Paced(HoldingReader):
    """Yields the lines of another reader one at a time, each when it is due.

    Lines without a time, or with an earlier time than before, follow at once.
    """

    def __init__(self, reader: Reader, speed: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(reader, ALL_AUTO)
        self._speed = speed
        self._clock = clock
        self._begun: tuple[float, int] | None = None
        self._due = 0.0

    @property
    def position(self) -> Position:
        """The end of the last line that was yielded, before any line that waits for its time."""
        return self._position

    def keep_trail(self, folder: Path) -> None:
        """Keep the inner reader's trail; it may then begin elsewhere."""
        super().keep_trail(folder)
        self._position = self._reader.position

    def read(self, limit: int) -> RawChunk | None:
        """Return the next line once it is due; None before."""
        if self._held is None:
            self._held = self._reader.read(1)
            if self._held is None:
                # The inner reader may have consumed something that is not a line, such as the end of a file.
                self._position = self._reader.position
                return None
            self._due = self._when(self._held)
        if self._clock() < self._due:
            return None
        chunk, self._held = self._held, None
        self._position = chunk.position
        return chunk

    def _when(self, chunk: RawChunk) -> float:
        source = chunk.sources if isinstance(chunk.sources, str) else chunk.sources[0]
        part = chunk.parts[0] if isinstance(chunk.parts, list) else chunk.parts
        at, _ = peek(
            chunk.lines[0],
            self._formats.of(source, part),
            origin=Origin(source, chunk.offsets[0]),
            headers=None if chunk.headers is None else chunk.headers[0],
            key=None if chunk.keys is None else chunk.keys[0],
            received_at=None if chunk.received is None else chunk.received[0],
        )
        if at is None:
            return self._due
        if self._begun is None:
            self._begun = (self._clock(), at)
        return max(self._due, self._begun[0] + (at - self._begun[1]) / 1000 / self._speed)
