"""A recording: JSON lines in one file or many, as one source partition (DESIGN 5).

The position holds a place per file, so files may join or leave between runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.files.collected.passed import Passed
from pipeline.sources.files.merging.merge import Merge
from pipeline.sources.files.opening import Inputs, Paths
from pipeline.sources.files.position import Known, entries_of, folders_of
from pipeline.sources.growth import Listener
from pipeline.sources.reader import BaseReader
from pipeline.telemetry.happenings import FILES_UNORDERED, RECORDED_TWICE
from pipeline.telemetry.log import get

log = get(__name__)

MAX_LINE_BYTES = 16 << 20

FEW = 16
"""So many followed files are looked at closely each time."""
MOST_HEARD = 4_000
"""Followed files that are listened to: the system has a few thousand watches at least."""
RESCAN_SECS = 1.0
"""How often a followed directory is searched for new files, and many files are looked at closely."""
RESCAN_SHARE = 20
"""Thousands are searched less often: between two searches this many times what one takes."""


class Recording(BaseReader):
    """A reader of JSON lines. written: how the paths are called in formats, where they have such a name.

    collected: those paths that are a collector's folder. reader: how the job is called in such folders; None
    where it does not say there what it has read. heads: the file of `Heads`.

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
        heads: Path | None = None,
        max_line_bytes: int = MAX_LINE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._follow = follow
        self._reader = reader
        self._passed: dict[str, Passed] = {}
        self._clock = clock
        self._scans_at = clock() + RESCAN_SECS
        self._formats = ALL_AUTO
        self._listener = Listener()
        self._gave = False
        self._known = Known(resume, heads)
        given = Paths(paths, events, users, collected, written)
        self._inputs = Inputs(given, self._known, follow=follow, max_line_bytes=max_line_bytes)
        self._cursors = self._inputs.cursors
        self._merge = Merge(name, self._cursors, self._known.origins, is_followed=follow)
        try:
            self._inputs.open()
            self._resumed()
            self._listen()
        except BaseException:
            self.close()
            raise

    @property
    def problems(self) -> list[str]:
        """What is damaged, and where."""
        return self._merge.problems

    @property
    def done(self) -> bool:
        """True when every file was handed out to its end; never while files are followed."""
        if self._follow and (not self._cursors or any(not cursor.is_pipe for cursor in self._cursors)):
            return False
        return all(cursor.ended and cursor.is_empty for cursor in self._cursors)

    @property
    def position(self) -> Position:
        """What `Known` takes up again."""
        return self._known.position()

    @property
    def progress(self) -> tuple[int, int]:
        """(bytes read, bytes there are on disk); the second is 0 for a pipe."""
        passed = self._inputs.passed_bytes + sum(cursor.passed_bytes for cursor in self._cursors)
        return (
            passed + sum(cursor.read_bytes for cursor in self._cursors),
            passed + sum(cursor.total_bytes for cursor in self._cursors),
        )

    def under(self, formats: Formats) -> None:
        """From the next line on its time, and whether it is an update, are told by these shapes."""
        if formats is not self._formats:
            self._formats = formats
            self._inputs.under(formats)

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` lines, or None where there is nothing now. Never waits."""
        if self._follow:
            self._merge.is_glancing = not self._rescan() and len(self._cursors) > FEW
        chunk = self._merge.read(limit)
        if self._merge.has_renamed:
            self._merge.has_renamed = False
            if self._listener.hears:
                self._listen()
        self._gave = chunk is not None
        if chunk is not None:
            self._known.lines += len(chunk)
            if chunk.noted:
                if twice := chunk.noted.get("twice", 0):
                    self._known.lines += twice
                    RECORDED_TWICE.happened(log, twice)
                if unordered := chunk.noted.get("unordered", 0):
                    FILES_UNORDERED.happened(log, unordered)
            chunk.position = self._known.position()
        return chunk

    def _rescan(self) -> bool:
        """Search for new files if that is due, and return whether it was."""
        now = self._clock()
        if now < self._scans_at:
            return False
        # What was not there may be now.
        if self._inputs.open_new() or not self._listener.hears:
            self._listen()
        done = self._clock()
        self._scans_at = max(now + RESCAN_SECS, done + RESCAN_SHARE * (done - now))
        return True

    def _resumed(self) -> None:
        """Tell collectors where reading goes on: other jobs may have passed what this one is yet to list."""
        if self._reader is None:
            return
        lines = {place.name: place.line for place in folders_of(self.position)}
        for cursor in self._cursors:
            if cursor.source.is_collectors:
                passed = self._passed[cursor.name] = Passed(cursor.source.path, self._reader)
                passed.resumed(lines.get(cursor.name, 0))

    def durable(self, position: Position) -> None:
        """Tell the collectors whose folders are read that what lies before it may go."""
        if self._known.heads.are_noted:
            self._known.heads.forget(entries_of(position))
        if self._reader is None:
            return
        lines = {place.name: place.line for place in folders_of(position)}
        for cursor in self._cursors if lines else ():
            line = lines.get(cursor.name)
            if line is not None and cursor.source.is_collectors:
                passed = self._passed.get(cursor.name)
                if passed is None:
                    passed = self._passed[cursor.name] = Passed(cursor.source.path, self._reader)
                passed.durable(line)

    def close(self) -> None:
        """Close the files. Never raises."""
        self._listener.close()
        self._inputs.close()
        self._known.heads.close()
        for passed in self._passed.values():
            passed.close()

    # --- listening

    def _listen(self) -> None:
        cursors = self._cursors
        is_heard = (
            self._follow and len(cursors) <= MOST_HEARD and not any(cursor.is_pipe for cursor in cursors)
        )
        self._listener.listen_to([cursor.heard_at for cursor in cursors] if is_heard else [])

    def is_still(self) -> bool:
        """True where files and collectors' folders are followed, not too many, and none has grown."""
        cursors = self._cursors
        return (
            self._follow and 0 < len(cursors) <= MOST_HEARD and all(cursor.is_still() for cursor in cursors)
        )

    @property
    def hears(self) -> bool:
        """True where files are followed that this machine writes."""
        return self._listener.hears

    def hear(self, secs: float) -> None:
        """Sleep until one of them has grown, for longer than ``secs`` where it is certain that none has."""
        if self.is_still():
            self._listener.listen(self.is_still)
        elif not self._gave and not self._listener.heard():
            time.sleep(secs)  # never still, as where a file is damaged
