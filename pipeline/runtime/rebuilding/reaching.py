"""Whether a reader has reached a position of the recovery store that another reader wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.sources.chunk import CHUNK_LINES
from pipeline.sources.files.position import folders_of, has_only_folders

if TYPE_CHECKING:
    from pipeline.sources.topics.stream import SidePlace


def reached(position: Any, target: Any) -> bool:
    """Return whether a reader has reached the position.

    For topics by offset, for a collector's folder by line number, since some of what the job has read may be
    gone; for other files by the number of lines read.
    """
    if position[0].startswith("kafka"):
        have = _places(position)
        # A topic that the config no longer names cannot be read, and holds up nothing.
        return all(have[key].offset >= place.offset for key, place in _places(target).items() if key in have)
    if has_only_folders(target):
        read = _collected(position)
        return all(read.get(source, 0) >= line for source, line in _collected(target).items())
    return bool(position[1] >= target[1])


def limit_to(position: Any, target: Any) -> int:
    """Return how many lines may be read next; for files, without passing the target."""
    if position[0].startswith("kafka") or has_only_folders(target):
        return CHUNK_LINES
    return min(CHUNK_LINES, int(target[1]) - int(position[1]))


def ends_of(name: str, target: Any) -> dict[str, int]:
    """Return up to which offset each topic partition, or collector's folder, was read, by origin source.

    The job itself will read what is beyond: an event there sees what precedes it, including changes.
    """
    if not target[0].startswith("kafka"):
        return _collected(target) if has_only_folders(target) else {}
    number = int(name.rpartition("-")[2])
    return {
        place.source(number if place.partition < 0 else place.partition): place.offset
        for place in _places(target).values()
    }


def _collected(position: Any) -> dict[str, int]:
    return {f"{place.name}/0": place.line for place in folders_of(position)}


def _places(position: Any) -> dict[str, SidePlace]:
    # The Kafka client takes a tenth of a second to load: only for jobs that read topics.
    from pipeline.sources.topics.stream import places_of

    return places_of(position[2])
