"""The position of a recording in the recovery state: where each file and collector's folder was left."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.model.errors import StateError
from pipeline.sources.chunk import Place, Position
from pipeline.sources.files.collected.place import COLLECTED, SegmentPlace
from pipeline.sources.files.finding.names import as_utf8_name
from pipeline.sources.files.merging.origins import SEEN, Origins
from pipeline.sources.files.merging.running_time import RunningTime
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.heads import Heads

VERSION = "jsonl-3"
_OLDER = ("jsonl-1", "jsonl-2")
"""Positions without seen origins; the first also without doubts about a file's latest time."""
_WITH_FOLDERS = "jsonl-4"
"""Positions with places in collectors' folders."""


class Known:
    """Restored from a position, kept up to date while the recording is read. Raises StateError."""

    def __init__(self, position: Position | None, heads: Path | None = None) -> None:
        """heads: the file of `Heads`."""
        self.lines = 0
        """How many were yielded."""
        self.files: dict[str, Entry] = {}
        self.folders: dict[str, SegmentPlace] = {}
        self.origins = Origins()
        if position is not None:
            self._resume(position)
        self.heads = Heads(heads)
        self.heads.resume(self.files)

    def _resume(self, position: Position) -> None:
        try:
            kind, self.lines, places = position
            if kind not in (VERSION, _WITH_FOLDERS, *_OLDER):
                raise ValueError
            self._take(places)
            self.folders = {place.name: place for place in folders_of(position)}
        except (TypeError, ValueError):
            if str(position[0]).startswith("jsonl-"):
                who = "a newer version of Hookline wrote it. Run that version again"
            else:
                who = "the job read another kind of source then. Give it that one again"
            raise StateError(
                f"the recovery state holds a position ({str(position[0])[:40]}) that cannot be read "
                f"as one of files: {who}, or start with an empty state directory, which reads all of it again"
            ) from None

    def _take(self, places: Sequence[Place]) -> None:
        for place in places:
            if place[0] == SEEN:
                self.origins.resume(place)
            elif place[0] != COLLECTED:
                entry = Entry(*place)  # type: ignore[arg-type]  # written by us
                # Older versions kept an invalid UTF-8 name as Python reads it: the file is the same.
                name = as_utf8_name(entry.name)
                self.files[name] = entry._replace(name=name)

    def entries(self) -> list[Entry]:
        """Return what is known of all files, also of those that no position speaks of yet."""
        return [*self.files.values(), *self.heads.beyond(self.files)]

    def position(self) -> Position:
        """``(version, lines handed out, (an Entry or a SegmentPlace, ..., what `Origins` says, ...))``."""
        files = [tuple(entry) for entry in self.files.values()]
        if not self.folders:
            return (VERSION, self.lines, (*files, *self.origins.places()))
        folders = [tuple(place) for place in self.folders.values()]
        return (_WITH_FOLDERS, self.lines, (*files, *folders, *self.origins.places()))


def folders_of(position: Position) -> list[SegmentPlace]:
    """Return the places in collectors' folders."""
    return [SegmentPlace(*place) for place in position[2] if place[0] == COLLECTED]  # type: ignore[arg-type]  # written by us


def entries_of(position: Position) -> dict[str, Entry]:
    """Return what is known of each file, by name."""
    return {place[0]: Entry(*place) for place in _files(position)}  # type: ignore[arg-type,misc]  # written by us


def files_of(position: Position) -> dict[str, int]:
    """Return up to which byte each file was read, by name."""
    return {place[0]: place[3] for place in _files(position)}  # type: ignore[misc]  # written by us


def at_beginnings(position: Position) -> Position:
    """Return the position before the first line of each of its files, which keep their names."""
    unread: dict[str, Any] = {"offset": 0, "size": 0, "finished": False, **RunningTime()._asdict()}
    entries = [Entry(*place) for place in _files(position)]  # type: ignore[arg-type]  # written by us
    return (VERSION, 0, tuple([tuple(entry._replace(**unread)) for entry in entries]))


def _files(position: Position) -> list[Place]:
    return [place for place in position[2] if place[0] not in (COLLECTED, SEEN)]


def has_only_folders(position: Position) -> bool:
    """Return whether only collectors' folders were read."""
    marks = {place[0] for place in position[2]}
    return COLLECTED in marks and marks <= {COLLECTED, SEEN}
