"""A recording: JSON lines in one file or many, as one source partition (DESIGN 5).

One file is read in order, without looking at its times. Several are merged by the running maximum of their
record times; ties: update before event, then file name, then offset. The position holds a place per file, so
files may join or leave between runs.

While files are followed, a line goes out as soon as every other file was seen to have nothing before it: what
was appended to one file before something else was appended to another is handed out in that order.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heapreplace
from itertools import combinations
from pathlib import Path

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.model.errors import ConfigError, Fatal, StateError
from pipeline.sources.chunk import CHUNK_BYTES, NOWHERE, Position, RawChunk
from pipeline.sources.files.chunk_builder import ChunkBuilder, add_messages, without
from pipeline.sources.files.collected.cursor import SegmentsCursor
from pipeline.sources.files.collected.passed import Passed
from pipeline.sources.files.collected.place import MARK as FOLDER
from pipeline.sources.files.collected.place import SegmentPlace
from pipeline.sources.files.cursor import Cursor
from pipeline.sources.files.entry import Entry
from pipeline.sources.files.file_set import (
    STDIN,
    Input,
    as_utf8_name,
    each_once,
    find_inputs,
    name_apart,
    part_of,
)
from pipeline.sources.files.followed import FollowedCursor
from pipeline.sources.files.line_cursor import LineCursor
from pipeline.sources.files.lives import Moved
from pipeline.sources.files.origins import MARK, Origins
from pipeline.sources.growth import Listener
from pipeline.sources.reader import BaseReader
from pipeline.telemetry.happenings import RECORDED_TWICE
from pipeline.telemetry.log import get

log = get(__name__)

VERSION = "jsonl-3"
OLDER = ("jsonl-1", "jsonl-2")
"""Positions without the origins that were seen; the first without doubts about a file's latest time."""
COLLECTED = "jsonl-4"
"""Positions with places in collectors' folders."""

MAX_LINE_BYTES = 16 << 20

FEW = 16
"""So many files are quickly asked for their sizes."""
RESCAN_SECS = 1.0
"""How often a followed directory is searched for new files."""


class Recording(BaseReader):
    """A reader of JSON lines. written: how the paths are called in formats, where they have such a name.

    Raises ConfigError where a path leads nowhere, StateError where the files are not those that ``resume``
    speaks of, Fatal where a file cannot be read. Compressed files that end early or are damaged do not raise:
    the rest of such a file is one line with a fault, and ``problems`` says so. A recorded message that was
    handed out already is left out and noted.
    """

    def __init__(
        self,
        paths: Sequence[str] = (),
        *,
        events: Sequence[str] = (),
        users: Sequence[str] = (),
        written: Mapping[str, str] | None = None,
        collected: Sequence[str] = (),
        follow: bool = False,
        reader: Callable[[], str] | None = None,
        name: str = "recording",
        resume: Position | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.problems: list[str] = []
        self._given = (tuple(paths), tuple(events), tuple(users))
        self._collected = tuple(collected)
        self._reader = reader
        self._passed: dict[str, Passed] = {}
        self._follow = follow
        self._max_line_bytes = max_line_bytes
        self._clock = clock
        self._scanned_at = clock()
        self._origins = Origins()
        self._entries: dict[str, Entry] = {}
        self._aside: set[tuple[str, int]] = set()
        """Further names of what is read already, and inodes."""
        self._places: dict[str, SegmentPlace] = {}
        self._count = 0
        self._resume(resume)
        self._resumed_names = frozenset(self._entries)
        self._cursors: list[LineCursor] = []
        self._written = written or {}
        self._formats = ALL_AUTO
        self._listener = Listener()
        self._gave = False
        try:
            # A followed file that the state knows may have gone for as long as it takes to rotate it.
            self._open(self._find(again=follow and bool(self._entries)))
            self._tell_left()
        except BaseException:
            self.close()
            raise

    def _find(self, *, again: bool = False) -> list[Input]:
        sides = zip(self._given, (None, 1, 0), strict=True)
        found = [
            replace(one, part=self._written.get(path) or part_of(one.path, self._written))
            for paths, side in sides
            for path in paths
            if path not in self._collected
            for one in find_inputs([path], side, may_be_empty=self._follow, may_be_gone=again)
        ]
        named = name_apart(
            [*found, *(Input(Path(one).name, one, is_collectors=True) for one in self._collected)]
        )
        return each_once(named, self._entries)

    def _open(self, inputs: Iterable[Input]) -> None:
        moved = Moved(self._entries.values())
        # What is called as it was first: of what is not, some may be read there under its old name.
        for source in sorted(inputs, key=lambda one: one.name not in self._entries):
            if source.sole_name in self._resumed_names and source.name not in self._resumed_names:
                raise StateError(
                    f"{source.path}: several files are called {source.sole_name}, and the state directory "
                    "knows one of that name. Rename the others, or start with an empty state directory"
                )
            follow, longest = self._follow, self._max_line_bytes
            cursor: LineCursor
            if source.is_collectors:
                cursor = SegmentsCursor(source, self._places, follow=follow, max_line_bytes=longest)
            else:
                try:
                    entry = self._entry_of(source, moved)
                except BlockingIOError:
                    continue
                kind = FollowedCursor if follow else Cursor
                try:
                    cursor = kind(source, self._entries, max_line_bytes=longest, is_of=entry)
                except Fatal as error:
                    if follow and isinstance(error.__cause__, FileNotFoundError):
                        continue  # it was renamed since it was found: its name is looked for again
                    raise
            cursor.under(self._formats)
            self._cursors.append(cursor)
        self._cursors.sort(key=lambda cursor: cursor.source.name)
        self._listen()
        collectors = [cursor for cursor in self._cursors if cursor.source.is_collectors]
        for one, other in combinations(collectors, 2):
            if one.name == other.name and one.name.startswith("collect-"):
                raise ConfigError(
                    f"{other.source.path}: it is a copy of what lies in {one.source.path} ({one.name}): read "
                    "one of them"
                )

    def _entry_of(self, source: Input, moved: Moved) -> Entry | None:
        """Return what is known of a file that was read under another name; None of any other.

        Raises BlockingIOError where it is not to be opened: it is open under that name, or being compressed.
        """
        if source.path == STDIN or source.name in self._entries:
            return None
        try:
            inode = os.stat(source.path).st_ino
        except OSError:
            return None  # who opens it says what is wrong
        entry = moved.entry_of(source.path, inode)
        files = [cursor for cursor in self._cursors if isinstance(cursor, Cursor)]
        if any(cursor.is_of(inode) or (entry and cursor.name == entry.name) for cursor in files):
            self._aside.add((source.path, inode))
            raise BlockingIOError(source.path)
        return entry

    def _listen(self) -> None:
        cursors = self._cursors
        is_heard = self._follow and len(cursors) <= FEW and not any(cursor.is_pipe for cursor in cursors)
        self._listener.listen_to([cursor.source.path for cursor in cursors] if is_heard else [])

    def _tell_left(self) -> None:
        """Warn where folders that were read before are not among those of now, and one of these is new."""
        collectors = [cursor for cursor in self._cursors if cursor.source.is_collectors]
        left = sorted(self._places.keys() - {cursor.name for cursor in collectors})
        new = [cursor.source.path for cursor in collectors if cursor.name not in self._places]
        if left and new:
            log.warning(
                "a collector's folder that was read before is not there: put it back, or name it in "
                "`source.jsonl.paths` beside the new one; else what was not read of it never will be",
                read=", ".join(f"{name} up to line {self._places[name].line}" for name in left),
                folder=", ".join(new),
            )  # fmt: skip

    def _resume(self, position: Position | None) -> None:
        if position is None:
            return
        if len(position) != 3 or position[0] not in (VERSION, COLLECTED, *OLDER):
            raise StateError(
                f"the recovery state holds the position {str(position[:1])[:40]}, {VERSION} is wanted: "
                "it is from another version or another kind of source. Start with an empty state directory"
            )
        _, self._count, places = position
        for place in places:
            if place[0] == MARK:
                self._origins.resume(place)
            elif place[0] == FOLDER:
                folder = SegmentPlace(*place)  # type: ignore[arg-type]  # written by us
                self._places[folder.name] = folder
            else:
                entry = Entry(*place)  # type: ignore[arg-type]  # written by us
                # Older versions kept a name that is no UTF-8 as Python reads it: the file is the same.
                name = as_utf8_name(entry.name)
                self._entries[name] = entry._replace(name=name)

    # --- what every reader has

    @property
    def done(self) -> bool:
        """True when every file was handed out to its end; never while files are followed."""
        if self._follow and (not self._cursors or any(not cursor.is_pipe for cursor in self._cursors)):
            return False
        return all(cursor.ended and cursor.is_empty for cursor in self._cursors)

    @property
    def position(self) -> Position:
        """``(version, lines handed out, (an Entry or a SegmentPlace, ..., what `Origins` says, ...))``."""
        files = [tuple(entry) for entry in self._entries.values()]
        if not self._places:
            return (VERSION, self._count, (*files, *self._origins.places()))
        folders = [tuple(place) for place in self._places.values()]
        return (COLLECTED, self._count, (*files, *folders, *self._origins.places()))

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes there are on disk); the second is 0 for a pipe."""
        return (
            sum(cursor.read_bytes for cursor in self._cursors),
            sum(cursor.total_bytes for cursor in self._cursors),
        )

    def is_still(self) -> bool:
        """True where files and collectors' folders are followed, few of them, and none has grown."""
        cursors = self._cursors
        return self._follow and 0 < len(cursors) <= FEW and all(cursor.is_still() for cursor in cursors)

    @property
    def hears(self) -> bool:
        """True where files are followed that this machine writes, few of them."""
        return self._listener.hears

    def hear(self, secs: float) -> None:
        """Sleep until one of them has grown, for longer than ``secs`` where it is certain that none has."""
        if self.is_still():
            self._listener.listen(self.is_still)
        elif not self._gave and not self._listener.heard():
            time.sleep(secs)  # never still, as where a file is damaged

    def under(self, formats: Formats) -> None:
        """From the next line on its time, and whether it is an update, are told by these shapes."""
        if formats is not self._formats:
            self._formats = formats
            for cursor in self._cursors:
                cursor.under(formats)

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` lines, or None where there is nothing now. Never waits."""
        if self._follow:
            self._rescan()
        # Where one file is left there is nothing to merge, and no line need be looked into.
        left = [cursor for cursor in self._cursors if not (cursor.ended and cursor.is_empty)]
        is_alone = len(left) == 1 and (not self._follow or len(self._cursors) == 1)
        chunk = self._read_one(left[0], limit) if is_alone else self._read_merged(limit)
        self._gave = chunk is not None
        if chunk is not None:
            chunk.position = self.position
            if chunk.noted:
                RECORDED_TWICE.happened(log, chunk.noted["twice"])
        return chunk

    def durable(self, position: Position) -> None:
        """Tell the collectors whose folders are read that what lies before it may go."""
        if self._reader is None or position[0] != COLLECTED:
            return
        lines = {place[1]: SegmentPlace(*place).line for place in position[2] if place[0] == FOLDER}  # type: ignore[arg-type]  # written by us
        for cursor in self._cursors:
            line = lines.get(cursor.name)
            if line is not None and cursor.source.is_collectors:
                passed = self._passed.get(cursor.name)
                if passed is None:
                    passed = self._passed[cursor.name] = Passed(cursor.source.path, self._reader)
                passed.durable(line)

    def close(self) -> None:
        """Close the files. Never raises."""
        self._listener.close()
        for cursor in self._cursors:
            cursor.close()
        for passed in self._passed.values():
            passed.close()

    # --- one file

    def _read_one(self, cursor: LineCursor, limit: int) -> RawChunk | None:
        if cursor.is_empty and not self._fill(cursor):
            self._remember(cursor)
            return None
        start = cursor.index
        end = min(start + limit, len(cursor.buffer.lines))
        found = cursor.buffer
        chunk = RawChunk(self.name, cursor.name, found.starts[start:end], found.lines[start:end], NOWHERE)
        chunk.parts = cursor.source.part
        if found.messages is not None:
            add_messages(chunk, found.messages[start:end])
        if found.faults:
            faults = {at - start: reason for at, reason in found.faults.items() if start <= at < end}
            chunk.faults = faults or None
        if found.messages is not None:
            twice = [at for at in range(start, end) if not self._is_new(cursor, at)]
            if twice:
                chunk = without(chunk, [at - start for at in twice])
        cursor.advance(end - start)
        self._count += end - start
        self._remember(cursor)
        return chunk

    # --- several files

    def _read_merged(self, limit: int) -> RawChunk | None:
        if not self._fill_all():
            return None
        heap = [(cursor.order(), at) for at, cursor in enumerate(self._cursors) if not cursor.is_empty]
        heapify(heap)
        builder = ChunkBuilder(self.name)
        touched: set[int] = set()
        taken = 0
        while heap and taken < limit and builder.bytes <= CHUNK_BYTES:
            _, at = heap[0]
            cursor = self._cursors[at]
            if self._is_new(cursor, cursor.index):
                builder.add(cursor)
            else:
                builder.twice += 1
            taken += 1
            cursor.advance(1)
            touched.add(at)
            if not cursor.is_empty or (not self._follow and self._fill(cursor)):
                heapreplace(heap, (cursor.order(), at))
            else:
                heappop(heap)
                # Followed files: others may get lines before this one does. A pipe: wait for it.
                if self._follow or not cursor.ended:
                    break
        self._count += taken
        for at in touched:
            self._remember(self._cursors[at])
        return builder.chunk()

    def _is_new(self, cursor: LineCursor, at: int) -> bool:
        """Return whether a line is to be handed out: not a recorded message that was already."""
        found = cursor.buffer
        if found.messages is None or at in found.faults:
            return True
        message = found.messages[at]
        return self._origins.is_new(message.source, message.offset)

    def _fill_all(self) -> bool:
        """Get lines of every file; False where one must be waited for, or none has any."""
        empty = [cursor for cursor in self._cursors if cursor.is_empty]
        got = True
        while got:
            # Once around without finding anything: what was found has nothing before it elsewhere.
            got = sum(self._fill(cursor) for cursor in empty) > 0
            empty = [cursor for cursor in empty if cursor.is_empty]
            if not self._follow:
                break
        for cursor in empty:
            if cursor.ended:
                self._remember(cursor)
            elif not self._follow:
                return False
        return len(empty) < len(self._cursors)

    def _is_aside(self, source: Input) -> bool:
        try:
            return bool(self._aside) and (source.path, os.stat(source.path).st_ino) in self._aside
        except OSError:
            return False

    def _fill(self, cursor: LineCursor) -> bool:
        name = cursor.name
        got = cursor.fill()
        if cursor.name != name and self._listener.hears:
            self._listen()  # it is another file now
        if cursor.damage is not None and cursor.damage not in self.problems:
            self.problems.append(cursor.damage)
        return got

    def _remember(self, cursor: LineCursor) -> None:
        if isinstance(cursor, SegmentsCursor):
            if cursor.place is not None:
                self._places[cursor.name] = cursor.place
        elif isinstance(cursor, Cursor):
            entry = cursor.entry()
            if entry is not None:
                self._entries[entry.name] = entry

    def _rescan(self) -> None:
        now = self._clock()
        if now - self._scanned_at < RESCAN_SECS:
            return
        self._scanned_at = now
        known = {cursor.source.path for cursor in self._cursors}
        found = [source for source in self._find(again=True) if source.path not in known]
        new = [source for source in found if not self._is_aside(source)]
        if new:
            self._open(new)
        elif not self._listener.hears:
            self._listen()  # what was not there may be now
