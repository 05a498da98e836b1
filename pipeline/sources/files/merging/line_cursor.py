"""Lines read ahead from one input, until the merge takes them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.model.records import Origin
from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.lines.lines import Lines
from pipeline.sources.files.merging.running_time import AHEAD_MS, Mark, Outlook, RunningTime
from pipeline.sources.peek import peek

_BEFORE_ALL_TIMES = -(2**63)


class LineCursor(ABC):
    """One input of a recording. ``fill()`` gets the next lines; their consumer calls ``advance``."""

    def __init__(self, source: Input) -> None:
        self.name = source.name
        """Name in its lines' origins, and in positions."""
        self.source = source
        self.ended = False
        self.damage: str | None = None
        self.buffer = Lines([], [0])
        self.index = 0
        self.time = RunningTime()
        self.total_bytes = 0
        self.passed_bytes = 0
        """Read from files before the open one."""
        self._formats = ALL_AUTO
        self._order: tuple[int, int] | None = None
        self.is_astray = False
        """Whether the next line's own time is far from the one by which it is merged; known by `order`."""
        self._time_with_order = self.time
        self._outlook = Outlook(self._look)
        self._is_looking = False
        """Lines are read ahead while others are not yielded yet: they must be of the same file."""

    @abstractmethod
    def fill(self) -> bool:
        """Get lines when all were yielded; False where there are none now (or ever: ``ended``)."""

    @abstractmethod
    def remember(self) -> None:
        """Record its place, for the recovery state."""

    @abstractmethod
    def close(self) -> None:
        """Close what is open. Never raises."""

    @property
    @abstractmethod
    def read_bytes(self) -> int:
        """Bytes read from the disk."""

    @property
    def is_empty(self) -> bool:
        """True where every line that was read has been yielded."""
        return self.index >= len(self.buffer.lines)

    @property
    def has_path(self) -> bool:
        """Return whether its path leads to what it reads or will read, not to what another cursor reads."""
        return True

    @property
    def is_late(self) -> bool:
        """Return whether it reads a rotated file, in case that somebody still writes there."""
        return False

    def is_open_as(self, status: os.stat_result) -> bool:
        """Return whether this is the file that is open."""
        return False

    @property
    def is_pipe(self) -> bool:
        """True for standard input and other pipes: they end when their writer is gone, also when followed."""
        return False

    @property
    def heard_at(self) -> str:
        """Where the system can be asked to report what is written to it."""
        return self.source.path

    def is_over(self) -> bool:
        """True where nothing will ever come, though it has not ended."""
        return False

    def is_still(self) -> bool:
        """True where it is certain that there is nothing new."""
        return False

    def is_at_rest(self) -> bool:
        """True where the status of what is at its path says that there is nothing new."""
        return False

    def advance(self, lines: int) -> None:
        """Count this many lines as yielded."""
        self.index += lines
        self._outlook.advance(lines)
        if self._order is not None:
            self.time = self._time_with_order
            self._order = None

    def under(self, formats: Formats) -> None:
        """From the next line on, look at lines by these shapes."""
        self._formats = formats
        self._order = None
        self._outlook = Outlook(self._look)

    def order(self) -> tuple[int, int]:
        """Return the sort key of the next line: latest time so far, and 0 for an update, 1 for an event.

        Lines before a file's first time sort before everything.
        """
        if self._order is None:
            mark = self._outlook.mark(0)
            assert mark is not None  # there is a next line
            own, is_update = mark
            time, latest = self.time, self.time.latest
            if own is not None and latest is not None and own <= latest + AHEAD_MS and not time.doubts:
                when: int | None = latest if own <= latest else own  # nearly all lines
                if own > latest:
                    time = RunningTime(own)
            else:
                when, time = time.after(own, self._outlook)
            self._time_with_order = time
            self.is_astray = own is not None and when is not None and abs(own - when) > AHEAD_MS
            side = self.source.side
            self._order = (
                _BEFORE_ALL_TIMES if when is None else when,
                side if side is not None else 0 if is_update else 1,
            )
        return self._order

    def _look(self, ahead: int) -> Mark | None:
        """Return the look at a line this many after the next one, None while it is not there."""
        while self.index + ahead >= len(self.buffer.lines):
            if self.ended:
                return None
            before = self.buffer.since(self.index)
            self.buffer, self.index = Lines([], before.starts[-1:]), 0
            self._is_looking = bool(before.lines)
            got = self.fill()
            self._is_looking = False
            self.buffer, self.index = before.joined(self.buffer), 0
            if not got:
                return None
        at = self.index + ahead
        line = self.buffer.lines[at]
        if self.buffer.messages is None:
            origin = Origin(self.name, self.buffer.starts[at])
            return peek(line, self._formats.of(self.name, self.source.part), origin=origin)
        message = self.buffer.messages[at]
        _, is_update = peek(
            line,
            self._formats.of(message.source, self.source.part),
            origin=Origin(message.source, message.offset),
            headers=message.headers,
            key=message.key,
            received_at=message.time,
        )
        return message.time, is_update
