"""The writer thread: one group of lines after another, each on disk before it counts as kept."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Protocol

from pipeline.collect.sinks.recording.folder import Folder, remedy
from pipeline.collect.sinks.recording.segment import Segment
from pipeline.model.errors import Fatal


@dataclass(slots=True, frozen=True)
class Group:
    """Lines that are kept or refused together."""

    lines: bytes
    first: int
    """The number of the first of them."""
    last_ms: int
    """The time of the last of them."""
    begins_segment: bool


class Room(Protocol):
    """Where there is room on the disk, and who wants to know of closed segments."""

    def make_room(self, size: int) -> None:
        """Return where so much fits above the reserve. Raises OSError (ENOSPC) where it does not."""

    def closed(self) -> None:
        """A segment was closed."""


class Writer:
    """One group at a time: `put` the next one only after ``done`` was called for the one before.

    ``done`` is called in the writer's thread, with what went wrong or None. Raises Fatal where the folder
    takes no file.
    """

    def __init__(
        self,
        folder: Folder,
        room: Room,
        done: Callable[[Exception | None, float], None],
        *,
        segment_bytes: int,
        segment_secs: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder, self._room, self._done, self._clock = folder, room, done, clock
        self._segment_bytes, self._segment_secs = segment_bytes, segment_secs
        self.seen = False
        """Whether a reader may have seen lines of the last group, kept or not."""
        self._last_ms = folder.known.time_ms
        self._began = clock()
        self._segment: Segment | None = None
        self._full = False
        """The last group was refused for want of room, with lines in the segment."""
        self.written = 0
        """Bytes of the last group that was kept."""
        self._missing: int | None = None
        """The first number that no line has, since a group failed."""
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        try:
            self._begin(folder.known.next_line)
        except OSError as error:
            raise Fatal(f"cannot keep events in {folder.path}: {error.strerror}. {remedy(error)}") from None
        self._thread = threading.Thread(target=self._run, name="collect-writer", daemon=True)

    def start(self) -> None:
        """Let the thread take groups."""
        self._thread.start()

    def wants_new_segment(self) -> bool:
        """Return whether the next group should begin one; to be asked while no group is under way."""
        segment = self._segment
        if segment is None:
            return True
        due = (
            self._full
            or segment.size >= self._segment_bytes
            or self._clock() >= self._began + self._segment_secs
        )
        return due and segment.size > 0

    @property
    def growing(self) -> tuple[int, int] | None:
        """The growing segment's first number and size; None where there is none."""
        segment = self._segment
        return None if segment is None else (segment.first, segment.size)

    def put(self, group: Group) -> None:
        """Let a group be written."""
        self._groups.put(group)

    def close(self, next_line: int) -> None:
        """Let the thread end, and close the segment; ``next_line`` is the number that comes next.

        Raises OSError or StateError where that cannot be noted down: the next start finds the folder as after
        a crash.
        """
        self._groups.put(None)
        if self._thread.is_alive():
            self._thread.join()
        self._folder.hold()
        self._end(next_line, clean=True)

    def _run(self) -> None:
        while (group := self._groups.get()) is not None:
            failed: Exception | None = None
            began = self._clock()
            try:
                self.write(group)
            except Exception as error:
                failed = error
            self._done(failed, self._clock() - began)

    def write(self, group: Group) -> None:
        """Return when a group is on disk; what the thread does.

        Raises OSError where it is refused, StateError where another collector has the folder.
        """
        self.seen = False
        if group.begins_segment or self._segment is None:
            self._folder.hold()
            self._end(group.first)
            self._begin(group.first)
        assert self._segment is not None  # _begin
        try:
            self._room.make_room(len(group.lines))
        except OSError:
            # All may have read what stands in this segment: once it is closed it can go, too.
            self._full = self._segment.size > 0
            raise
        self.seen = True
        try:
            self._segment.append(group.lines)
            if not self._folder.is_ours():
                raise FileNotFoundError(errno.ENOENT, "its lock was moved or removed", str(self._folder.path))
        except BaseException:
            # Whatever it was: a part of the group may stand there, and nothing may be written behind it.
            self._fail(group.first)
            raise
        self._last_ms = group.last_ms
        self.written = len(group.lines)

    def _fail(self, first: int) -> None:
        """Let go of the segment: the next group begins another one, on a file of its own."""
        segment, self._segment = self._segment, None
        assert segment is not None  # it failed
        is_there = segment.size > 0 and segment.is_in_place()
        segment.give_up()
        self._missing = first if self._missing is None else self._missing
        if is_there:
            with self._folder.changing:
                self._folder.known.closed[segment.first] = segment.size

    def _begin(self, first: int) -> None:
        self._segment = Segment(self._folder.plain(first), first)
        self._full = False
        self._began = self._clock()

    def _end(self, next_line: int, *, clean: bool = False) -> None:
        """Close the segment, if there is one, and note down where things stand."""
        segment = self._segment
        with self._folder.changing:
            known = self._folder.known
            known.next_line, known.time_ms, known.clean = next_line, self._last_ms, clean
            if segment is not None and segment.size:
                known.closed[segment.first] = segment.size
            if self._missing is not None:
                self._folder.skip(self._missing, next_line)
                self._missing = None
            self._folder.save()
        self._segment = None
        if segment is not None:
            segment.close()
            if segment.size:
                # When it was closed: `retain` counts from here. Where the disk refused what is noted down
                # above, an earlier try did that, and by now it may be compressed.
                with suppress(FileNotFoundError):
                    os.utime(segment.path)
            else:
                segment.path.unlink(missing_ok=True)
            self._room.closed()
