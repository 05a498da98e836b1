"""A reader's position in a collector's folder, part of the position in the recovery state."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pipeline.sources.files.merging.running_time import RunningTime

COLLECTED: Literal["\0collected"] = "\0collected"
"""The first field of a place in a collector's folder: no file has this name."""


class SegmentPlace(NamedTuple):
    """After the last line that was yielded."""

    mark: str
    name: str
    """Of the collector: ``collect-XXXXXXXX``."""
    segment: int
    """The number of the first line of the segment; its file is named after it."""
    byte: int
    """Offset in the segment, uncompressed."""
    line: int
    """One more than the number of the last line."""
    latest: int | None = None
    """With the next fields: `RunningTime`."""
    doubts: tuple[int | None, ...] = ()
    since: int = 0

    @property
    def time(self) -> RunningTime:
        """The running time of the lines."""
        return RunningTime(self.latest, self.doubts, self.since)
