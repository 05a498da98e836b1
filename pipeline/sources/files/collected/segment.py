"""One segment, read forward by whole lines: a plain file that may grow, or a complete compressed one.

Places are uncompressed bytes in both, so they are interchangeable.
"""

from __future__ import annotations

import os
from typing import Protocol

from pipeline.sources.files.lines.blocks import BLOCK_BYTES, Blocks, Damaged
from pipeline.sources.files.lines.lines import EXCERPT_BYTES, Lines, LineSplitter


class Segment(Protocol):
    """An open segment."""

    first: int
    """The number of its first line."""

    def read(self) -> Lines | None:
        """Return the next lines, None at its (present) end. Raises OSError, and Damaged."""

    @property
    def size(self) -> int:
        """Bytes of its file."""

    @property
    def read_bytes(self) -> int:
        """How far it was read in the file."""

    @property
    def is_gone(self) -> bool:
        """True where it was empty, and its file is deleted: another one may have its name."""

    def is_still(self) -> bool:
        """True where it is certain that nothing has come since it was read to its end."""

    def reaches(self, byte: int) -> bool:
        """Return False where it certainly has fewer bytes."""

    def close(self) -> None:
        """Close it."""


class PlainSegment:
    """Bytes after the last line end are read again: a restarting collector may have cut them off."""

    def __init__(self, path: str, first: int, byte: int, max_line_bytes: int) -> None:
        self.first = first
        self._at = byte
        self._seen = -1
        self._max_line_bytes = max_line_bytes
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read(self) -> Lines | None:
        """Return the next lines, None at its present end."""
        size = BLOCK_BYTES
        while True:
            data = os.pread(self._fd, size, self._at)
            end = data.rfind(b"\n") + 1
            if end:
                return self._take(data if end == len(data) else data[:end])
            if len(data) < size:
                self._seen = self._at + len(data)
                return None
            if size > self._max_line_bytes:
                return self._pass_over(data)
            size *= 4

    def _take(self, data: bytes) -> Lines | None:
        found = LineSplitter(self._at, self._max_line_bytes).push(data)
        self._at += len(data)
        return found if found.lines else self.read()

    def _pass_over(self, data: bytes) -> Lines | None:
        """Return an overlong line as one with a fault, once its end is there."""
        length, at = len(data), self._at + len(data)
        while block := os.pread(self._fd, BLOCK_BYTES, at):
            cut = block.find(b"\n")
            if cut >= 0:
                length += cut
                start, self._at = self._at, at + cut + 1
                reason = f"the line is {length} bytes long, at most {self._max_line_bytes} are read"
                return Lines([data[:EXCERPT_BYTES]], [start, self._at], {0: reason})
            length += len(block)
            at += len(block)
        return None

    @property
    def read_bytes(self) -> int:
        """How far it was read."""
        return self._at

    @property
    def size(self) -> int:
        """Bytes of its file."""
        return os.fstat(self._fd).st_size

    @property
    def is_gone(self) -> bool:
        """True where it was empty, and its file is deleted."""
        return self._at == 0 and os.fstat(self._fd).st_nlink == 0

    def is_still(self) -> bool:
        """True where its size is as at the end of the last read that found no line."""
        return os.fstat(self._fd).st_size == self._seen

    def reaches(self, byte: int) -> bool:
        """Return whether it has this many bytes."""
        return self.size >= byte

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)


class PackedSegment:
    """Read from its beginning, whatever the place: what was read before is skipped."""

    def __init__(self, path: str, first: int, byte: int, max_line_bytes: int) -> None:
        self.first = first
        self._to_skip = byte
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._blocks = Blocks(self._fd)
        self._splitter = LineSplitter(byte, max_line_bytes)

    def read(self) -> Lines | None:
        """Return the next lines, None at its end."""
        while True:
            block = b"" if self._splitter.has_rest else self._blocks.read()
            if not block and not self._splitter.has_rest:
                if self._blocks.is_cut:
                    raise Damaged(self._blocks.fed, "it is cut off")
                return None
            block = block or b""
            if self._to_skip:
                passed = min(self._to_skip, len(block))
                self._to_skip -= passed
                block = block[passed:]
            found = self._splitter.push(block)
            if found.lines:
                return found

    @property
    def size(self) -> int:
        """Bytes of its file."""
        return os.fstat(self._fd).st_size

    @property
    def is_gone(self) -> bool:
        """Never: it has lines, since an empty one is not compressed."""
        return False

    def is_still(self) -> bool:
        """Never certain: another segment is about to follow."""
        return False

    def reaches(self, byte: int) -> bool:
        """Return True: only reading it would tell."""
        return True

    @property
    def read_bytes(self) -> int:
        """How far it was read in the compressed file."""
        return self._blocks.fed

    def close(self) -> None:
        """Close it."""
        os.close(self._fd)
