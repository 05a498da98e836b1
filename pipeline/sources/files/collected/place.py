"""A reader's position in a collector's folder, part of the position in the recovery state."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pipeline.sources.files.merging.running_time import RunningTime

COLLECTED: Literal["\0collected"] = "\0collected"
"""The first field of a place in a collector's folder: no file is called so."""


class SegmentPlace(NamedTuple):
    """Behind the last line that was handed out."""

    mark: str
    name: str
    """Of the collector: ``collect-XXXXXXXX``."""
    segment: int
    """The number of the first line of the segment; its file is named after it."""
    byte: int
    """In the segment, uncompressed."""
    line: int
    """The number of the last line, and one."""
    latest: int | None = None
    """With what follows: `RunningTime`."""
    doubts: tuple[int | None, ...] = ()
    since: int = 0

    @property
    def time(self) -> RunningTime:
        """Where the time of the lines stands."""
        return RunningTime(self.latest, self.doubts, self.since)
