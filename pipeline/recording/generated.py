"""A reader over an endless made-up shop, at a steady rate, with current times."""

from __future__ import annotations

import time
from collections.abc import Iterator

import orjson

from pipeline.model.times import format_iso
from pipeline.recording.shop import Shop
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import BaseReader


class Generated(BaseReader):
    """Yields ``per_sec`` records a second. Every run is another shop day."""

    name = "generated"
    done = False

    def __init__(self, per_sec: float) -> None:
        self._per_sec = per_sec
        self._begun = time.monotonic()
        self._made = 0
        self._records = _present()

    @property
    def position(self) -> Position:
        """The number of records so far, which means nothing to another run."""
        return ("generated-1", self._made, ())

    def read(self, limit: int) -> RawChunk | None:
        """Return the records that are due by now."""
        due = int((time.monotonic() - self._begun) * self._per_sec) - self._made
        lines = [next(self._records) for _ in range(min(due, limit))]
        if not lines:
            return None
        first, self._made = self._made, self._made + len(lines)
        return RawChunk(self.name, self.name, list(range(first, self._made)), [*lines], self.position)


def _present() -> Iterator[bytes]:
    # Every run is another shop day: its events have ids of their own.
    run = time.time_ns() // 1_000_000
    for record in Shop(seed=run).records():
        if "id" in record:
            record["id"] = f"{run:x}-{record['id']}"
        record["time"] = format_iso(time.time_ns() // 1_000_000)
        yield orjson.dumps(record)
