"""A chunk: about 200 raw records of one source partition, the item that flows through Bytewax."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

Headers: TypeAlias = Sequence[tuple[str, bytes | None]]
"""Message headers as in Kafka: names may repeat, a value may be null."""

Place: TypeAlias = tuple[str | int | tuple[int | None, ...] | None, ...]
"""A reader's position in one of its files or topics; only that kind of reader knows the fields."""

Position: TypeAlias = tuple[str, int, tuple[Place, ...]]
"""A reader's position: a version text, the number of lines yielded since the beginning of the partition,
places.

Builtins that pickle and compare: it is stored in the recovery state. The number of lines grows with every
chunk, and is the same when the same stretch is read again."""

NOWHERE: Position = ("", 0, ())
"""The position of a chunk that its reader has yet to place."""

CHUNK_LINES = 200
"""The usual size of a chunk: large enough to pay for itself, small enough for short queues."""

CHUNK_BYTES = 1 << 20
"""A chunk ends with the record that reaches this: a chunk is processed before what it fires leaves, and all
of its records are in memory at once, at up to sixty times their size."""


def fitting(sizes: Sequence[int], room: int = CHUNK_BYTES) -> int:
    """Return how many of the first records make a chunk by size: those that fit, and one more."""
    if sum(sizes) <= room:
        return len(sizes)
    for number, size in enumerate(sizes, 1):
        room -= size
        if room < 0:
            return number
    return len(sizes)


@dataclass(slots=True)
class RawChunk:
    """Undecoded records in stream order, with the origin of each."""

    partition: str
    """Name of the source partition (the reader's name)."""
    sources: str | list[str]
    """Origin.source of each line, or one for all of them."""
    offsets: list[int]
    """Origin.offset of each line."""
    lines: list[bytes | None]
    """The bytes of each record; None is a tombstone: the user named by the key is to be forgotten."""
    position: Position
    """The reader's position after this chunk."""
    received: list[int | None] | None = None
    """Broker timestamp of each line in unix milliseconds."""
    headers: list[Headers | None] | None = None
    keys: list[bytes | None] | None = None
    faults: dict[int, str] | None = None
    """Lines that cannot be records, by index, with the reason; the line holds their beginning."""
    noted: dict[str, int] | None = None
    """Counts of irregular lines: ``late_updates`` and ``late_events`` that came after a record of the other
    topic that they precede, ``ahead`` of the clock. ``twice``: lines of a recording that were left out as
    duplicates; ``unordered``: lines of files merged by time that are far
    from where theirs belongs."""

    parts: str | list[str | None] | None = None
    """For files with a format of their own: the path that names them in pipeline.yaml, per line
    or for all."""

    def run(self, begin: int, end: int) -> RawChunk:
        """Return a slice of its lines as a chunk, in the same order."""
        faults = self.faults or {}
        return RawChunk(
            self.partition,
            self.sources if isinstance(self.sources, str) else self.sources[begin:end],
            self.offsets[begin:end],
            self.lines[begin:end],
            self.position,
            None if self.received is None else self.received[begin:end],
            None if self.headers is None else self.headers[begin:end],
            None if self.keys is None else self.keys[begin:end],
            {at - begin: reason for at, reason in faults.items() if begin <= at < end} or None,
            parts=self.parts[begin:end] if isinstance(self.parts, list) else self.parts,
        )

    def __len__(self) -> int:
        return len(self.lines)
