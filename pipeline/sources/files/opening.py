"""Finds and opens the inputs of a recording; repeatedly where it is followed, as files may be added."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.model.errors import ConfigError, Fatal
from pipeline.sources.files.collected.cursor import SegmentsCursor
from pipeline.sources.files.finding.inputs import STDIN, Input, find_inputs, left_out, part_of
from pipeline.sources.files.finding.names import as_utf8_name, each_once, name_apart
from pipeline.sources.files.following.departed import departed
from pipeline.sources.files.following.followed import FollowedCursor, PathIs
from pipeline.sources.files.following.moved import Moved, Unready, moved_entry
from pipeline.sources.files.following.rotated import PACKED, before_rotation, find, is_found
from pipeline.sources.files.merging.line_cursor import LineCursor
from pipeline.sources.files.naming import keeping_names, named_as_before, refuse_unsettled
from pipeline.sources.files.position import Known
from pipeline.sources.files.reading.block_cursor import Unreadable, open_input, open_regular
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.file import FileCursor
from pipeline.sources.files.reading.lives import parted
from pipeline.sources.files.reading.pipe import PipeCursor
from pipeline.telemetry.log import get

log = get(__name__)

FEW_KNOWN = 2_000
"""So many files in a position cost a few milliseconds per epoch."""


@dataclass(slots=True, frozen=True)
class Paths:
    """The paths of a recording: files, folders, patterns, ``-``."""

    both: Sequence[str] = ()
    """Each record says what it is."""
    events: Sequence[str] = ()
    users: Sequence[str] = ()
    collected: Sequence[str] = ()
    """Those among them that are a collector's folder, which may not exist yet."""
    written: Mapping[str, str] | None = None
    """How the paths are written in formats, if they have such a name."""


class Inputs:
    """Opens the files at paths. Raises ConfigError where one does not exist, StateError, Fatal."""

    def __init__(self, paths: Paths, known: Known, *, follow: bool, max_line_bytes: int) -> None:
        self.cursors: list[LineCursor] = []
        """All that are open, by name; the same list while they increase."""
        self.passed_bytes = 0
        """Read by cursors that are gone."""
        self._paths = paths
        self._known = known
        self._follow = follow
        self._max_line_bytes = max_line_bytes
        self._formats = ALL_AUTO
        self._most = FEW_KNOWN
        """From so many known files on it is asked again which of them can be forgotten."""
        self._is_open = False
        self._unreadable = Unreadable()
        self._late: dict[str, str] = {}
        """By path: the name of the rotated file that was looked for, as somebody may still write there."""
        self._aside: dict[str, tuple[int, str | None]] = {}
        """Further paths of open files: inode, and what the file is called, None where it is for good."""

    def under(self, formats: Formats) -> None:
        """Give these shapes to open cursors, and to later ones."""
        self._formats = formats
        for cursor in self.cursors:
            cursor.under(formats)

    def open(self) -> None:
        """Open everything that exists."""
        found = named_as_before(self._find(), self._known.files)
        refuse_unsettled(found, self._known.files)
        self._open(found)
        self._open_late()
        self._tell_left()
        self._tell_left_out({os.path.abspath(one.path) for one in found})
        self._is_open = True

    def _tell_left_out(self, read: Container[str]) -> None:
        """Warn of files beside those of a directory that no other path names. read: absolute paths."""
        given = self._paths
        for path in {*given.both, *given.events, *given.users} - {*given.collected, STDIN}:
            if not os.path.isdir(path):
                continue
            beside = left_out(Path(path), is_followed=self._follow)
            if names := [name for name in beside if os.path.abspath(os.path.join(path, name)) not in read]:
                log.warning(
                    "files of a directory are not read because of how their names end: give a pattern",
                    directory=path,
                    files=len(names),
                    example=as_utf8_name(names[0]),
                )

    def open_new(self) -> bool:
        """Open new files; return whether there are any."""
        for cursor in [cursor for cursor in self.cursors if cursor.is_over()]:
            self._drop(cursor)
        open_paths = {cursor.source.path for cursor in self.cursors if cursor.has_path}
        there = self._find()
        if len(self._known.files) > self._most:
            self._forget_departed(there)
        found = [source for source in there if source.path not in open_paths]
        new = [source for source in found if not self._is_aside(source)]
        if new:
            self._open(new)
        return self._open_late() or bool(new)

    def _forget_departed(self, there: Iterable[Input]) -> None:
        files = self._known.files
        for name in departed(
            files, {one.name: one.path for one in there}, [one.name for one in self.cursors]
        ):
            del files[name]
        self._most = max(FEW_KNOWN, 2 * len(files))

    def _drop(self, cursor: LineCursor) -> None:
        self.passed_bytes += cursor.passed_bytes + cursor.read_bytes
        cursor.close()
        self.cursors.remove(cursor)

    def close(self) -> None:
        """Close everything that is open. Never raises."""
        for cursor in self.cursors:
            cursor.close()

    def _find(self) -> list[Input]:
        given, written = self._paths, self._paths.written or {}
        found = [
            replace(one, part=part) if (part := written.get(path) or part_of(one.path, written)) else one
            for paths, side in ((given.both, None), (given.events, 1), (given.users, 0))
            for path in paths
            if path not in given.collected
            for one in find_inputs([path], side, is_followed=self._follow, known=self._known.files)
        ]
        collected = [Input(Path(one).name, one, is_collectors=True) for one in given.collected]
        named = each_once(name_apart([*found, *collected]), self._known.files)
        named = keeping_names(named, self._known.files, self.cursors, is_followed=self._follow)
        is_there = {STDIN, *given.collected}
        return [one for one in named if one.path in is_there or one.beside or os.path.exists(one.path)]

    def _open(self, inputs: Iterable[Input]) -> None:
        moved = Moved(self._known.entries())
        # First those that still have their names: a file without one may be read there under its old name.
        for source in sorted(inputs, key=lambda one: one.name not in self._known.files):
            try:
                cursor = self._opened(source, moved)
            except Unready:
                continue
            except Fatal as error:
                if self._follow and isinstance(error.__cause__, FileNotFoundError):
                    continue  # it was renamed since it was found: search for its name again
                # One that is given itself is an error at the start.
                if self._follow and (source.beside or self._is_open) and self._unreadable.waits(error):
                    continue
                raise
            cursor.under(self._formats)
            self.cursors.append(cursor)
        self.cursors.sort(key=lambda cursor: cursor.source.name)
        self._refuse_copies()

    def _opened(self, source: Input, moved: Moved) -> LineCursor:
        known, longest = self._known, self._max_line_bytes
        if source.is_collectors:
            return SegmentsCursor(source, known.folders, follow=self._follow, max_line_bytes=longest)
        entry = self._entry_of(source, moved)
        fd = open_input(source.path)
        if source.path == STDIN or not stat.S_ISREG(os.fstat(fd).st_mode):
            return PipeCursor(source, fd, known.files, max_line_bytes=longest)
        # The last file of this name may have been renamed before this one was there.
        taken = {cursor.name for cursor in self.cursors}
        if not self._follow:
            return FileCursor(
                source, fd, known.files, max_line_bytes=longest, heads=known.heads, is_of=entry, taken=taken
            )
        cursor = self._followed(source, fd, entry, taken)
        if cursor.name not in known.files and cursor.name != source.name:
            cursor.remember()  # another cursor's next file may be of the same path
        return cursor

    def _open_late(self) -> bool:
        """Open the last rotated file of each path, unless it is an input of its own; return whether there is
        one. Several processes may write to a file, and not all of them turn to the next one at once.
        """
        opened = False
        for cursor in [one for one in self._files() if isinstance(one, FollowedCursor) and one.has_path]:
            entry = cursor.before
            if entry is None or self._late.get(cursor.source.name) == entry.name:
                continue
            self._late[cursor.source.name] = entry.name
            for other in [one for one in self.cursors if one.is_late]:
                if other.source.name == cursor.source.name:
                    self._drop(other)
            found = find(cursor.source.path, entry, may_be_copy=False)
            if found is None or found.path.endswith(PACKED) or is_found(cursor.source, found):
                continue
            fd = open_regular(found.path, found.inode)
            if fd is None:
                continue  # it was renamed or deleted just now
            if os.fstat(fd).st_size < entry.offset:
                os.close(fd)
                continue  # it is being deleted
            late = self._followed(replace(cursor.source, path=found.path), fd, entry)
            late.path_is = PathIs.LATER
            late.under(self._formats)
            self.cursors.insert(self.cursors.index(cursor), late)  # of one time, its lines are the older ones
            opened = True
        return opened

    def _followed(
        self, source: Input, fd: int, entry: Entry | None, taken: Collection[str] = ()
    ) -> FollowedCursor:
        return FollowedCursor(
            source, fd, self._known.files, max_line_bytes=self._max_line_bytes, heads=self._known.heads,
            is_of=entry, taken=taken, known=self._name_of,
        )  # fmt: skip

    def _entry_of(self, source: Input, moved: Moved) -> Entry | None:
        """Return what is known of a file that was read under another name; None for any other.

        Raises Unready where it must not be opened: it is open under that name, or being compressed, or may be
        the copy that another cursor has to continue in.
        """
        has_name = source.name in self._known.files
        if source.path == STDIN or (has_name and not self._follow):
            return None
        try:
            status = os.stat(source.path)
        except OSError:
            return None  # opening it reports what is wrong
        is_own = has_name and source.path.endswith(PACKED)
        entry = (moved.renamed if is_own else moved.entry_of)(source.path, status.st_ino)
        if entry is not None and entry.name not in self._known.files and parted(entry.name)[0] == source.name:
            entry = None  # what was read of the one before it comes first
        name = os.path.basename(source.path)
        files = self._files()
        if before_rotation(name) and any(
            isinstance(cursor, FollowedCursor) and name.startswith(cursor.stem) and cursor.is_replaced()
            for cursor in files
        ):
            raise Unready(source.path)
        for cursor in files:
            if cursor.is_open_as(status) or (entry is not None and cursor.name == entry.name):
                # One that is too short to be recognised later must not be read as a new one then.
                self._aside[source.path] = status.st_ino, None if entry is None else cursor.name
                raise Unready(source.path)
        return entry

    def _files(self) -> list[FileCursor]:
        return [cursor for cursor in self.cursors if isinstance(cursor, FileCursor)]

    def _name_of(self, path: str, status: os.stat_result) -> str | None:
        """Return what the file at a path is called, where it is open or was read."""
        for cursor in self.cursors:
            if cursor.is_open_as(status):
                return cursor.name
        try:
            entry = moved_entry(self._known.files.values(), path, status.st_ino)
        except Unready:
            return path  # that of one that is open
        # Inodes are reused, and files may begin alike.
        is_new = entry is None or (entry.inode == status.st_ino and status.st_size < entry.offset)
        return None if is_new or entry is None else entry.name

    def _is_aside(self, source: Input) -> bool:
        inode, name = self._aside.get(source.path, (0, None))
        try:
            if not inode or os.stat(source.path).st_ino != inode:
                return False
        except OSError:
            return False
        return name is None or any(cursor.name == name for cursor in self.cursors)

    # --- collectors' folders

    def _collectors(self) -> list[LineCursor]:
        return [cursor for cursor in self.cursors if cursor.source.is_collectors]

    def _refuse_copies(self) -> None:
        for one, other in combinations(self._collectors(), 2):
            if one.name == other.name and one.name.startswith("collect-"):
                raise ConfigError(
                    f"{other.source.path}: it is a copy of what lies in {one.source.path} ({one.name}): read "
                    "one of them"
                )

    def _tell_left(self) -> None:
        """Warn where folders that were read before are not among the present ones, and one of
        these is new.
        """
        places, collectors = self._known.folders, self._collectors()
        left = sorted(places.keys() - {cursor.name for cursor in collectors})
        new = [cursor.source.path for cursor in collectors if cursor.name not in places]
        if left and new:
            log.warning(
                "a collector's folder that was read before is not there: put it back, or name it in "
                "`source.jsonl.paths` beside the new one; else what was not read of it never will be",
                read=", ".join(f"{name} up to line {places[name].line}" for name in left),
                folder=", ".join(new),
            )  # fmt: skip
