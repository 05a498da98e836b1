"""Recordings: source partitions whose records are read in one order, as they come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from pipeline.job.steps.source import SourcePartition
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import BaseReader
from tests.simulation.life import Life
from tests.simulation.records import Users
from tests.simulation.world import World


class Recordings:
    """The source of a schedule; each partition has its own users."""

    def __init__(self, world: World, partitions: int) -> None:
        self.world = world
        self.users = {f"kafka-{number}": Users(number, world.luck) for number in range(partitions)}
        self.lines: dict[str, list[bytes]] = {name: [] for name in self.users}
        self.more()
        self.ended = False

    def more(self) -> None:
        """Let some more records come."""
        for name, users in self.users.items():
            self.lines[name] += [users.record() for _ in range(self.world.luck.randint(0, 6))]

    def end(self, life: Life) -> None:
        """Nothing comes any more."""
        self.ended = True

    def arrive(self) -> None:
        """What comes is there at once."""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Nothing stands in anybody's place."""
        yield

    def open_source(self) -> Recordings:
        return self

    def check(self, records: Mapping[str, int]) -> None:
        """A recording has one order."""

    def is_read(self, partitions: Iterable[SourcePartition]) -> bool:
        """Return whether all that came has left."""
        return all(one.line == len(self.lines[one.name]) for one in partitions)

    def line(self, partition: str, source: str, offset: int) -> bytes:
        return self.lines[partition][offset]

    def list_partitions(self) -> list[str]:
        return list(self.users)

    def open(self, name: str, position: Position | None) -> LineReader:
        return LineReader(self, name, position[1] if position is not None else 0)


class LineReader(BaseReader):
    """Reads the lines of one partition, so many at a time as luck has it."""

    def __init__(self, of: Recordings, name: str, line: int) -> None:
        self.of = of
        self.name = name
        self.next = line

    @property
    def position(self) -> Position:
        return ("lines-1", self.next, ())

    @property
    def done(self) -> bool:
        return self.of.ended and self.next == len(self.of.lines[self.name])

    def read(self, limit: int) -> RawChunk | None:
        lines = self.of.lines[self.name][self.next :][: self.of.world.luck.randint(1, limit)]
        if not lines:
            return None
        offsets = list(range(self.next, self.next + len(lines)))
        self.next += len(lines)
        return RawChunk(self.name, f"{self.name}.jsonl", offsets, list(lines), self.position)
