"""The lines of a file or pipe that is read in blocks, yielded one by one."""

from __future__ import annotations

import os
import stat
import sys
from abc import abstractmethod

from pipeline.model.errors import Fatal, StateError, reason
from pipeline.model.files.plain_file import is_endless
from pipeline.sources.files.finding.inputs import STDIN, Input
from pipeline.sources.files.lines.blocks import Blocks, Damaged
from pipeline.sources.files.lines.lines import Lines, LineSplitter
from pipeline.sources.files.lines.unpackers import unread
from pipeline.sources.files.merging.line_cursor import LineCursor
from pipeline.sources.files.reading.content import Content
from pipeline.sources.files.reading.entry import Entry
from pipeline.telemetry import log as logs

log = logs.get(__name__)

AT_ONCE = os.O_RDONLY | (os.O_NONBLOCK if sys.platform == "linux" else 0)
"""A pipe is opened without waiting for a writer: otherwise a job would react to no Ctrl-C meanwhile, and send
nothing of what it owes. Only Linux distinguishes such a pipe from one whose writer has gone."""


def open_input(path: str) -> int:
    """Open a file or pipe, at its beginning. Raises Fatal."""
    try:
        fd = os.dup(0) if path == STDIN else os.open(path, AT_ONCE)
        if path != STDIN:
            os.set_blocking(fd, True)
    except OSError as error:
        raise Fatal(f"{path}: cannot be read: {reason(error)}") from error
    if is_endless(fd):
        os.close(fd)
        raise Fatal(
            f"{path}: is a device, which has no end and no lines: a recording is a file, a folder of them, "
            "or a pipe"
        )
    return fd


def open_regular(path: str, inode: int = 0) -> int | None:
    """Open a file; None where it is gone, or the path leads nowhere, or by now to another inode."""
    try:
        fd = os.open(path, AT_ONCE)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Fatal(f"{path}: cannot be read: {reason(error)}") from error
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and inode in (0, status.st_ino):
        return fd
    os.close(fd)
    return None


class Unreadable:
    """Files that are there, but not for this user: followed ones are waited for, as if they were not there.

    They are created first and given to their readers then (logrotate), and one is no reason to read no other.
    """

    def __init__(self) -> None:
        self._told: set[str] = set()

    def waits(self, error: Fatal) -> bool:
        """Return whether a file could not be opened because of that, and warn where this is news."""
        if not isinstance(error.__cause__, PermissionError):
            return False
        if (reason := str(error)) not in self._told:
            self._told.add(reason)
            log.warning("a followed file is waited for: it may not be read", reason=reason)
        return True


class BlockCursor(LineCursor):
    """Reads an open descriptor to its end. fd: closed by this.

    entries: the state's entries of all files; read, and kept up to date by ``remember``.
    """

    def __init__(self, source: Input, fd: int, entries: dict[str, Entry], *, max_line_bytes: int) -> None:
        super().__init__(source)
        self._fd = fd
        self._entries = entries
        self._max_line_bytes = max_line_bytes
        self._blocks = Blocks(fd)
        self._splitter = LineSplitter(0, max_line_bytes)
        self._content = Content(source.path)
        self._to_skip = 0
        """Bytes, uncompressed, that were yielded in an earlier run."""
        self._is_finished = False
        """It ended properly, not by damage, after which a repaired file would continue."""

    @property
    def read_bytes(self) -> int:
        """Bytes read from the disk."""
        return self._blocks.fed

    # --- reading

    def fill(self) -> bool:
        """Get lines when all were yielded; False where there are none now (or ever: ``ended``)."""
        while not self.ended:
            try:
                block = b"" if self._splitter.has_rest else self._blocks.read()
            except Damaged as error:
                return self._stop_at(f"damaged at byte {error.byte}: {error.reason}")
            except OSError as error:
                raise Fatal(f"{self.source.path}: cannot be read: {reason(error)}") from error
            if block is None:
                return False
            if not block and not self._splitter.has_rest:
                return self._at_end()
            if not self._splitter.next_start and (fault := unread(block)) is not None:
                return self._stop_at(fault)
            if self._take_read(block):
                return True
        return False

    @property
    def _has_open_line(self) -> bool:
        return self._splitter.has_open_line

    def _at_end(self) -> bool:
        """End; True where there was a last line without its end."""
        if self._blocks.is_cut:
            return self._stop_at(f"damaged at byte {self._blocks.fed}: it is cut off")
        got = self._take_last() if self._has_open_line else False
        if self._to_skip:
            raise self._ends_early()
        self.ended = self._is_finished = True
        self._close_fd()
        return got

    def _ends_early(self) -> StateError:
        return StateError(
            f"{self.source.path}: it ends {self._to_skip} bytes before the place that was read before. "
            "Put the old file back, or start with an empty state directory"
        )

    def _take_last(self) -> bool:
        """Take the line that has no end."""
        got = self._take(b"\n")
        if got:
            # There is no line end in the file: the offset must not count one.
            self.buffer.starts[-1] -= 1
        return got

    def _stop_at(self, fault: str) -> bool:
        """Yield the rest as one line with a fault. Not finished: once repaired, the file continues here."""
        reason = f"{self.source.path}: {fault}; what follows is not read"
        self.damage = reason
        self.ended = True
        self._close_fd()
        at = self._splitter.next_start
        self.buffer = Lines([self._splitter.open_line], [at, at], {0: reason})
        self.index = 0
        return True

    def _take_read(self, block: bytes) -> bool:
        """Take a block that was read now; True where there are lines."""
        return self._take(block)

    def _take(self, block: bytes) -> bool:
        """Split a block into lines; True where there are any."""
        if self._to_skip:
            passed = min(self._to_skip, len(block))
            self._to_skip -= passed
            block = block[passed:]
            if not block:
                return False
        found = self._splitter.push(block)
        if not found.lines and found.starts == self.buffer.starts[-1:]:
            return False
        self.buffer = found
        self.index = 0
        format = self._formats.of(self.name, self.source.part).name
        if found.lines and self._content.is_recorded(found.lines[0] or b"", format):
            found.unwrap(self.name)
        return bool(found.lines)

    def _split_from(self, offset: int) -> None:
        self._splitter = LineSplitter(offset, self._max_line_bytes)
        self.buffer, self.index = Lines([], [offset]), 0

    # --- where to go on from

    @abstractmethod
    def entry(self) -> Entry | None:
        """Return the entry for the recovery state; None before anything was read of a pipe."""

    def remember(self) -> None:
        """Record its place, for the recovery state."""
        entry = self.entry()
        if entry is not None:
            self._entries[entry.name] = entry

    def _entry(
        self, head_bytes: int, digest: str, offset: int, size: int, inode: int, born: int = 0, left: int = 0
    ) -> Entry:
        # All at once: it is created again for each chunk.
        time = self.time
        return Entry(
            self.name, head_bytes, digest, offset, size, self._is_finished and self.is_empty,
            time.latest, time.doubts, time.since, self._content.kind, inode, born, left,
        )  # fmt: skip

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Close what is open. Never raises."""
        try:
            self._close_fd()
        except OSError:
            pass  # it is being discarded anyway
