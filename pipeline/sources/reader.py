"""What every source is to the flow: one reader is one source partition."""

from __future__ import annotations

from typing import Protocol

from pipeline.sources.chunk import Position, RawChunk


class Reader(Protocol):
    """One source partition, read from one thread. Constructed with the position to go on from, or None."""

    @property
    def name(self) -> str:
        """The partition's name: part of the recovery state, so it does not depend on file names."""

    @property
    def done(self) -> bool:
        """True when nothing will ever come any more."""

    @property
    def position(self) -> Position:
        """Where the reader stands after the last chunk it returned; constructing with it goes on there."""

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` records, or None where there is nothing now. Never waits.

        Raises StateError where the input contradicts the resumed position, Fatal where it cannot be read.
        """

    def close(self) -> None:
        """Let go of files and connections. Never raises; changes nothing that a resume depends on."""
