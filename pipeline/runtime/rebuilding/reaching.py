"""Up to where a source partition is read again: a position that another reader has written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.sources.chunk import CHUNK_LINES, Position
from pipeline.sources.files.position import at_beginnings, files_of, folders_of, has_only_folders

if TYPE_CHECKING:
    from pipeline.sources.topics.stream import SidePlace


class Goal:
    """A position to reach: for topics by offset, for a collector's folder by line number, for files by byte,
    as some may be gone, have grown or be new since.
    """

    def __init__(self, target: Any) -> None:
        self._target = target
        self.is_of_topics = target[0].startswith("kafka")
        self._is_of_files = not self.is_of_topics and not has_only_folders(target)

    @property
    def begin(self) -> Position | None:
        """Where a reader begins; None: where a new job does. Renamed files keep their names in the goal."""
        return at_beginnings(self._target) if self._is_of_files else None

    def is_reached(self, position: Any) -> bool:
        """Return whether a reader at this position has reached it."""
        if self.is_of_topics:
            have = _places(position)
            # A topic that the config no longer names cannot be read, and holds up nothing.
            known = [(have[key], place) for key, place in _places(self._target).items() if key in have]
            return all(read.offset >= place.offset for read, place in known)
        read = _collected(position)
        is_collected = all(read.get(source, 0) >= line for source, line in _collected(self._target).items())
        return is_collected and not self.missing(position)

    def missing(self, position: Any) -> list[str]:
        """Return the files that were read further by the job than by the reader at this position."""
        have = files_of(position)
        return [name for name, byte in files_of(self._target).items() if have.get(name, 0) < byte]

    def limit(self, position: Any) -> int:
        """Return how many lines to read next: not too many where the files are as the job has read them."""
        left = int(self._target[1]) - int(position[1]) if self._is_of_files else 0
        return min(CHUNK_LINES, left) if left > 0 else CHUNK_LINES

    def ends(self, partition: str) -> dict[str, int]:
        """Return up to which offset each topic partition, folder or file was read, by origin source.

        The job itself will read what is beyond: an event there sees what precedes it, including changes.
        """
        if not self.is_of_topics:
            return _collected(self._target) | files_of(self._target)
        number = int(partition.rpartition("-")[2])
        # Of whatever life a topic is, a reader that begins anew calls it the first.
        return {
            place._replace(life=1).source(number if place.partition < 0 else place.partition): place.offset
            for place in _places(self._target).values()
        }


def _collected(position: Any) -> dict[str, int]:
    return {f"{place.name}/0": place.line for place in folders_of(position)}


def _places(position: Any) -> dict[str, SidePlace]:
    # The Kafka client takes a tenth of a second to load: only for jobs that read topics.
    from pipeline.sources.topics.stream import places_of

    return places_of(position[2])
