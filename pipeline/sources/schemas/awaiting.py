"""A source whose readers hold records back until the schemas they name are on disk.

So decoding, which runs on the worker, never waits for a registry, and what has been handed out once can be
read again after a crash without one. Only the source partition whose record names a missing schema waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.decode.formats import Formats
from pipeline.decode.framed.framing import Frame
from pipeline.decode.framed.schemas import SCHEMAS, Registry
from pipeline.model.errors import Fatal
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.holding import HoldingReader
from pipeline.sources.reader import Reader, Source
from pipeline.sources.schemas.fetcher import Fetcher


class AwaitingSource:
    """Another source, with schemas."""

    def __init__(self, source: Source, fetcher: Fetcher, formats: Formats) -> None:
        """formats: which shape reads what at first."""
        self._source = source
        self._fetcher = fetcher
        self._formats = formats

    def list_partitions(self) -> list[str]:
        """Return what the source lists."""
        return self._source.list_partitions()

    def open(self, name: str, position: Position | None) -> Reader:
        """Return the source's reader, which waits for schemas."""
        return AwaitingReader(self._source.open(name, position), self._fetcher, self._formats)


class AwaitingReader(HoldingReader):
    """Another reader, one chunk behind it while a schema is missing."""

    def __init__(self, reader: Reader, fetcher: Fetcher, formats: Formats) -> None:
        super().__init__(reader, formats)
        self._fetcher = fetcher
        self._missing: list[tuple[Registry, str]] = []
        """What it waits for."""
        self._kept: set[tuple[str, str]] = set()
        """Schemas that are known to be in the fetcher's folder."""

    @property
    def position(self) -> Position:
        """Where it stands after the last chunk that it returned."""
        return self._position if self._held is not None else self._reader.position

    def under(self, formats: Formats) -> None:
        """From the next line on these shapes, and their registries."""
        super().under(formats)
        self._missing = []

    def read(self, limit: int) -> RawChunk | None:
        """Return a chunk whose schemas are all on disk, None while one is missing. Never waits."""
        chunk = self._held
        if chunk is None:
            before = self._reader.position
            chunk = self._reader.read(limit)
            if chunk is None:
                return None
            self._position = before
        elif any(self._fetcher.wants(registry, id) for registry, id in self._missing):
            return None
        self._missing = list(self._missing_of(chunk))
        for registry, id in self._missing:
            self._fetcher.ask(registry, id)
        self._held = chunk if self._missing else None
        return None if self._held is not None else chunk

    def _missing_of(self, chunk: RawChunk) -> Iterator[tuple[Registry, str]]:
        """Yield the schemas of a chunk that are not here."""
        for begin, end, shape in self._formats.runs(chunk.sources, chunk.parts, len(chunk.lines)):
            if shape.frame is not None and shape.frame.registry is not None:
                yield from self._missing_in(chunk, begin, end, shape.frame, shape.frame.registry)

    def _missing_in(
        self, chunk: RawChunk, begin: int, end: int, frame: Frame, registry: Registry
    ) -> Iterator[tuple[Registry, str]]:
        seen: set[str] = set()
        for at in range(begin, end):
            if chunk.faults and at in chunk.faults:
                continue
            key = chunk.keys[at] if chunk.keys else None
            headers = chunk.headers[at] if chunk.headers else None
            for id in frame.wanted(chunk.lines[at], key, headers):
                if id in seen:
                    continue
                seen.add(id)
                if not SCHEMAS.has(registry.url, id):
                    yield registry, id
                elif (registry.url, id) not in self._kept:
                    self._keep(registry.url, id)

    def _keep(self, url: str, id: str) -> None:
        """Have a schema that was found elsewhere in the folder of this job, too."""
        folder = self._fetcher.folder
        try:
            SCHEMAS.copy(url, id, folder)
        except OSError as error:
            raise Fatal(f"cannot keep schema {id} of {url} in {folder}: {error.strerror}") from None
        self._kept.add((url, id))
