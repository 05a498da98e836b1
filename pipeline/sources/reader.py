"""The contract of every source: it has partitions, and a reader yields the records of one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from pipeline.decode.formats import Formats
from pipeline.sources.chunk import Position, RawChunk

GATHER_SECS = 0.003
"""Half of it, and twice what a chunk's walk takes, are to be less than two milliseconds."""


class Reader(Protocol):
    """One source partition, read from one thread. Constructed with the position to go on from, or None."""

    @property
    def name(self) -> str:
        """The partition's name: part of the recovery state, so it does not depend on file names."""

    @property
    def done(self) -> bool:
        """True when nothing will ever come any more, and everything that came was handed out."""

    @property
    def position(self) -> Position:
        """Where the reader stands after the last chunk it returned; constructing with it goes on there."""

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes there are in all); the second is 0 where nobody knows."""

    @property
    def expects_answer(self) -> bool:
        """True while it is worth asking again at once: what holds records back ends within a millisecond."""

    @property
    def gather_secs(self) -> float:
        """How long records may gather between two reads while few come, at most."""

    def is_still(self) -> bool:
        """True where it is certain that `read` would return None; costs next to nothing."""

    @property
    def hears(self) -> bool:
        """True where `hear` returns as soon as something comes: nobody need look again and again."""

    def hear(self, secs: float) -> None:
        """Sleep until something has come, about so long at most. For who `hears`."""

    def keep_trail(self, folder: Path) -> None:
        """Keep in a folder of the state directory what repeats the order of records after a crash.

        To be called before the first `read`, which may then begin at another position.
        """

    def under(self, formats: Formats) -> None:
        """From the next line on these shapes read what comes; the order may depend on them.

        Called again where another version of the config begins.
        """

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` records, or None where there is nothing now. Never waits.

        Raises StateError where the input contradicts the resumed position, Fatal where it cannot be read.
        """

    def durable(self, position: Position) -> None:
        """Nobody will go on from before this position, which a `position` or a chunk once said."""

    def close(self) -> None:
        """Let go of files and connections; again is fine. Never raises; no resume depends on it."""


class BaseReader:
    """What a reader need not say: no progress, no answers to wait for, an order that the input itself has."""

    gather_secs = GATHER_SECS

    @property
    def progress(self) -> tuple[int, int]:
        """Unknown."""
        return (0, 0)

    @property
    def expects_answer(self) -> bool:
        """It never does."""
        return False

    def is_still(self) -> bool:
        """Never certain."""
        return False

    @property
    def hears(self) -> bool:
        """It never does."""
        return False

    def hear(self, secs: float) -> None:
        """Nobody asks."""

    def keep_trail(self, folder: Path) -> None:
        """Nothing to keep: read again, the input has the same order."""

    def under(self, formats: Formats) -> None:
        """Whatever the shapes are, the order is the same."""

    def durable(self, position: Position) -> None:
        """Nobody to tell."""

    def close(self) -> None:
        """Nothing to let go of."""


class Source(Protocol):
    """What has the partitions: files, topics."""

    def list_partitions(self) -> list[str]:
        """Return the names of the source partitions."""

    def open(self, name: str, position: Position | None) -> Reader:
        """Return the reader of one of them, at a position it had before, or at the beginning."""
