"""The contract of every source: it has partitions, and a reader yields the records of one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pipeline.decode.formats import Formats
from pipeline.sources.chunk import Position, RawChunk

GATHER_SECS = 0.003
"""Half of it, and twice the time a chunk takes to its shard, must be less than two milliseconds."""


class Reader(Protocol):
    """One source partition, read from one thread. Constructed with the position to resume from, or None."""

    @property
    def name(self) -> str:
        """The partition's name: part of the recovery state, so it does not depend on file names."""

    @property
    def done(self) -> bool:
        """True when nothing will ever come any more, and everything that came was returned."""

    @property
    def position(self) -> Position:
        """The position after the last chunk it returned; constructing with it resumes there."""

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes in total); the second is 0 where unknown."""

    @property
    def expects_answer(self) -> bool:
        """True while asking again at once is worthwhile: what holds records back ends within a
        millisecond.
        """

    @property
    def gather_secs(self) -> float:
        """The longest time records may gather between two reads while few come."""

    def is_still(self) -> bool:
        """True where it is certain that `read` would return None; costs next to nothing."""

    @property
    def hears(self) -> bool:
        """True where `hear` returns as soon as something comes, so that no polling is needed."""

    def hear(self, secs: float) -> None:
        """Sleep until something has come, or about this long. Only if `hears`."""

    def keep_trail(self, folder: Path) -> None:
        """Record in a folder of the state directory what is needed to repeat the order of records after a
        crash.

        Call it before the first `read`, which may then begin at another position.
        """

    def under(self, formats: Formats) -> None:
        """From the next line on, read with these shapes; the order may depend on them.

        Called again where another version of the config begins.
        """

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` records, or None where there is nothing now. Never blocks.

        Raises StateError where the input contradicts the resumed position, Fatal where it cannot be read.
        """

    def durable(self, position: Position) -> None:
        """Nobody will resume from before this position, which `position` or a chunk once returned."""

    def close(self) -> None:
        """Close files and connections; may be called twice. Never raises; no resume depends on it."""


class BaseReader:
    """Defaults for a reader: no progress, no answers to wait for, an order that the input itself has."""

    gather_secs = GATHER_SECS

    @property
    def progress(self) -> tuple[int, int]:
        """Unknown."""
        return (0, 0)

    @property
    def expects_answer(self) -> bool:
        """Never."""
        return False

    def is_still(self) -> bool:
        """Never certain."""
        return False

    @property
    def hears(self) -> bool:
        """Never."""
        return False

    def hear(self, secs: float) -> None:
        """Never called."""

    def keep_trail(self, folder: Path) -> None:
        """Nothing to keep: read again, the input has the same order."""

    def under(self, formats: Formats) -> None:
        """Nothing to do: the order does not depend on shapes."""

    def durable(self, position: Position) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to close."""


class Source(Protocol):
    """Files or topics, with their partitions."""

    def list_partitions(self) -> list[str]:
        """Return the names of the source partitions."""

    def open(self, name: str, position: Position | None) -> Reader:
        """Return the reader of one of them, at a position it had before, or at the beginning."""
