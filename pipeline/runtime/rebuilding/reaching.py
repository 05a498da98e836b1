"""Whether a reader has reached a position of the recovery store that another reader wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.sources.chunk import CHUNK_LINES, Position
from pipeline.sources.files.position import at_beginnings, files_of, folders_of, has_only_folders

if TYPE_CHECKING:
    from pipeline.sources.topics.stream import SidePlace


def reached(position: Any, target: Any, *, is_followed: bool) -> bool:
    """Return whether a reader has reached the position.

    For topics by offset, for a collector's folder by line number, for files that are followed by byte, since
    some of what the job has read may be gone; for other files by the number of lines read.
    """
    if position[0].startswith("kafka"):
        have = _places(position)
        # A topic that the config no longer names cannot be read, and holds up nothing.
        return all(have[key].offset >= place.offset for key, place in _places(target).items() if key in have)
    if is_followed or has_only_folders(target):
        read = _collected(position)
        is_collected = all(read.get(source, 0) >= line for source, line in _collected(target).items())
        return is_collected and not missing(position, target)
    return bool(position[1] >= target[1])


def begin_at(target: Any, *, is_followed: bool) -> Position | None:
    """Return where a reader begins that is to reach the position; None: where a new job does.

    Rotated files keep the names that they have in the position.
    """
    is_by_byte = is_followed and not target[0].startswith("kafka") and not has_only_folders(target)
    return at_beginnings(target) if is_by_byte else None


def missing(position: Any, target: Any) -> list[str]:
    """Return the followed files that were read further by the job than by the reader at this position."""
    have = files_of(position)
    return [name for name, byte in files_of(target).items() if have.get(name, 0) < byte]


def limit_to(position: Any, target: Any, *, is_followed: bool) -> int:
    """Return how many lines may be read next; for files that are not followed, without passing the target."""
    if is_followed or position[0].startswith("kafka") or has_only_folders(target):
        return CHUNK_LINES
    return min(CHUNK_LINES, int(target[1]) - int(position[1]))


def ends_of(name: str, target: Any) -> dict[str, int]:
    """Return up to which offset each topic partition, collector's folder or file was read, by origin source.

    The job itself will read what is beyond: an event there sees what precedes it, including changes.
    """
    if not target[0].startswith("kafka"):
        return _collected(target) | files_of(target)
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
