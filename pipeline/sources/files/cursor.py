"""One file of a recording, read forward: lines with their offsets, and where to go on from."""

from __future__ import annotations

import os
import sys

from pipeline.model.errors import Fatal, StateError
from pipeline.model.plain_file import is_endless
from pipeline.sources.files.blocks import Blocks, Damaged, is_compressed
from pipeline.sources.files.content import Content
from pipeline.sources.files.digests import StreamDigest, digest
from pipeline.sources.files.entry import Entry
from pipeline.sources.files.file_set import STDIN, Input
from pipeline.sources.files.line_cursor import LineCursor
from pipeline.sources.files.lines import Lines, LineSplitter
from pipeline.sources.files.lives import HEAD_BYTES, Lives, begins_as

_FIRST_LINE_BYTES = 1 << 16

AT_ONCE = os.O_RDONLY | (os.O_NONBLOCK if sys.platform == "linux" else 0)
"""A pipe is open before somebody writes to it: a job that waited for that would hear no Ctrl-C, and send
nothing of what it owes. Linux alone tells such a pipe from one whose writer has gone."""


class Cursor(LineCursor):
    """Reads one file or pipe to its end.

    is_of: what the state knows of the file, where it was read under another name.
    """

    _is_followed = False
    """It may grow: what has been read is not all of it."""

    def __init__(
        self,
        source: Input,
        entries: dict[str, Entry],
        *,
        max_line_bytes: int,
        is_of: Entry | None = None,
    ) -> None:
        super().__init__(source)
        self._max_line_bytes = max_line_bytes
        self._entries = entries
        self._lives = Lives(source.name, source.path, entries, is_of)
        self._path = source.path
        """Of the file that is open."""
        self._inode = 0
        self._is_copy = False
        """It is compressed now, and was not."""
        self._fd = -1
        self._blocks: Blocks | None = None
        self._finished = False
        self._finished_size = 0
        self._is_named = True
        self._splitter = LineSplitter(0, max_line_bytes)
        self._to_skip = 0
        self._head = (0, digest(b""))
        self._head_data = b""
        """The beginning of a file that was closed at its end."""
        self._content = Content(source.path)
        self._stream = StreamDigest()
        self._open()

    # --- opening and resuming

    def _open(self) -> None:
        self._open_file(self.source.path)
        assert self._blocks is not None  # just opened
        if self.source.path == STDIN or self._blocks.is_stream:
            self._blocks.is_stream = True
            self._is_named = False
            return
        self._name_file()
        entry = self._lives.entry
        if entry is not None:
            self._resume(entry)

    def _open_file(self, path: str) -> None:
        """Open a file or pipe, at its beginning. Raises Fatal."""
        try:
            fd = os.dup(0) if path == STDIN else os.open(path, AT_ONCE)
        except OSError as error:
            raise Fatal(f"{path}: cannot be read: {error.strerror}") from error
        self._use(fd, path)

    def _use(self, fd: int, path: str) -> None:
        """Read a file or pipe that was opened, from its beginning. Raises Fatal."""
        self._path, self._fd = path, fd
        try:
            if path != STDIN:
                os.set_blocking(fd, True)
            self._blocks = Blocks(fd)
        except OSError as error:
            raise Fatal(f"{path}: cannot be read: {error.strerror}") from error
        if is_endless(fd):
            self._close_fd()
            raise Fatal(
                f"{path}: is a device, which has no end and no lines: a recording is a file, a "
                "folder of them, or a pipe"
            )

    def _name_file(self) -> None:
        """Take the name and the place of the regular file that is open."""
        status = os.fstat(self._fd)
        self.name, self.total_bytes, self._inode = self._lives.name, status.st_size, status.st_ino

    def _resume(self, entry: Entry) -> None:
        """Go on in a regular file where an entry says. Raises StateError where it is another file."""
        assert self._blocks is not None  # it is open
        head = os.pread(self._fd, HEAD_BYTES, 0)
        self._content.resume(entry, head)
        fault = self._fault(entry)
        if fault is not None:
            raise StateError(
                f"{self.source.path}: {fault}. A recording may grow, but what was read of it must stay as it "
                "is: put the old file back, give the new one another name, or start with an empty state "
                "directory"
            )
        size = self.total_bytes
        self.time = entry.time
        self._head = (entry.head_bytes, entry.digest)
        if entry.finished and size == entry.size:
            self.ended = self._finished = not self._is_followed
        self._split_from(entry.offset)
        if self.ended:
            self._finished_size = self._blocks.fed = size
            self._close_fd()
        else:
            self._go_to(entry.offset, entry.offset)

    def _split_from(self, offset: int) -> None:
        self._splitter = LineSplitter(offset, self._max_line_bytes)
        self.buffer, self.index = Lines([], [offset]), 0

    def _go_to(self, byte: int, offset: int) -> None:
        """Go on at a byte of a plain file, at an offset of what a compressed one holds."""
        assert self._blocks is not None  # it is open
        head = os.pread(self._fd, HEAD_BYTES, 0)
        if is_compressed(head):
            self._to_skip = offset
        elif byte:
            self._blocks.seek(byte)

    def _fault(self, entry: Entry) -> str | None:
        """Return why the open file is not the one that an entry speaks of; None where it may be."""
        size, head = os.fstat(self._fd).st_size, os.pread(self._fd, HEAD_BYTES, 0)
        is_packed = is_compressed(head)
        is_same = digest(head[: entry.head_bytes]) == entry.digest
        self._is_copy = not is_same and is_packed and begins_as(self._path, entry)
        if self._is_copy:
            return None
        least = entry.size if entry.finished else 0 if is_packed else entry.offset
        if size < least:
            return f"it has {size} bytes, {least} of it were read"
        return None if is_same else "its beginning is not what was read before"

    # --- reading

    @property
    def is_pipe(self) -> bool:
        """True for standard input and other pipes: they end when their writer is gone, also when followed."""
        return self._blocks is not None and self._blocks.is_stream

    @property
    def read_bytes(self) -> int:
        """Bytes read from the disk."""
        return self._blocks.fed if self._blocks is not None else self.total_bytes

    def is_of(self, inode: int) -> bool:
        """Return whether this is the file that is open."""
        return self._fd >= 0 and not self.is_pipe and self._inode == inode

    def is_still(self) -> bool:
        """True where all that the file has was read and handed out."""
        blocks = self._blocks
        if blocks is None or blocks.is_stream or self.ended or not self.is_empty:
            return False
        return not self._splitter.has_rest and os.fstat(self._fd).st_size == blocks.fed

    def fill(self) -> bool:
        """Get lines when all were handed out; False where there are none now (or ever: ``ended``)."""
        while not self.ended:
            assert self._blocks is not None  # closed only when ended
            try:
                block = b"" if self._splitter.has_rest else self._blocks.read()
            except Damaged as error:
                return self._stop_at_damage(error)
            except OSError as error:
                raise Fatal(f"{self.source.path}: cannot be read: {error.strerror}") from error
            if block is None:
                return False
            if not block and not self._splitter.has_rest:
                return self._at_end(self._blocks)
            if self._take(block):
                return True
        return False

    def _at_end(self, blocks: Blocks) -> bool:
        if blocks.is_cut:
            return self._stop_at_damage(Damaged(blocks.fed, "it is cut off"))
        got = self._take_last() if self._stream.first or self._splitter.has_open_line else False
        if self._to_skip:
            raise StateError(
                f"{self.source.path}: it ends {self._to_skip} bytes before the place that was read before. "
                "Put the old file back, or start with an empty state directory"
            )
        self._finish()
        return got

    def _take_last(self) -> bool:
        """Take the line that has no end."""
        got = self._take(b"\n")
        if got:
            # There is no line end in the file: the offset must not count one.
            self.buffer.starts[-1] -= 1
        return got

    def _finish(self) -> None:
        self.ended = self._finished = True
        self._finished_size = self._blocks.fed if self._blocks is not None else 0
        if self._blocks is not None and not self._blocks.is_stream:
            self._head_data = os.pread(self._fd, HEAD_BYTES, 0)
        self._close_fd()

    def _stop_at_damage(self, error: Damaged) -> bool:
        """Hand out what is left as one line with a fault. Not finished: repaired, the file goes on here."""
        reason = f"{self.source.path}: damaged at byte {error.byte}: {error.reason}; what follows is not read"
        self.damage = reason
        self.ended = True
        self._close_fd()
        at = self._splitter.next_start
        self.buffer = Lines([self._splitter.open_line], [at, at], {0: reason})
        self.index = 0
        return True

    def _take(self, block: bytes) -> bool:
        """Split a block into lines; True where there are any."""
        assert self._blocks is not None  # closed only when ended
        if not self._is_named:
            block = self._name_stream(block)
            if not block:
                return False
        if self._to_skip:
            passed = min(self._to_skip, len(block))
            self._to_skip -= passed
            if self._blocks.is_stream:
                self._stream.skip(block[:passed], self._to_skip == 0, self.name)
            block = block[passed:]
            if not block:
                return False
        found = self._splitter.push(block)
        if self._blocks.is_stream:
            self._stream.keep(block)
        if not found.lines and found.starts == self.buffer.starts[-1:]:
            return False
        self.buffer = found
        self.index = 0
        format = self._formats.of(self.name, self.source.part).name
        if found.lines and self._content.is_recorded(found.lines[0] or b"", format):
            found.unwrap(self.name)
        return bool(found.lines)

    # --- pipes

    def _name_stream(self, block: bytes) -> bytes:
        """Name a pipe after its first line, so that the same stream given again goes on where it stopped.

        Returns what is to be split: nothing before the first line is complete.
        """
        self._stream.first += block
        cut = self._stream.first.find(b"\n")
        if cut < 0 and len(self._stream.first) < _FIRST_LINE_BYTES:
            return b""
        block, self._stream.first = self._stream.first, b""
        self._is_named = True
        self.name = f"stdin-{digest(block[:cut] if cut >= 0 else block[:_FIRST_LINE_BYTES])[:8]}"
        entry = self._entries.get(self.name)
        if entry is not None:
            self._content.resume(entry)
            self.time = entry.time
            self._to_skip = entry.offset
            self._splitter = LineSplitter(entry.offset, self._max_line_bytes)
            self._stream.expected = entry.digest
            self.buffer = Lines([], [entry.offset])
            self.index = 0
        return block

    # --- where to go on from

    def entry(self) -> Entry | None:
        """Return what the recovery state has to remember; None before anything was read of a pipe."""
        offset = self.buffer.starts[self.index]
        finished = self._finished and self.is_empty
        if self._blocks is not None and self._blocks.is_stream:
            if not self._is_named:
                return None
            return self._entry(0, self._stream.digest_at(offset), offset, 0, finished)
        size = self._finished_size if finished else 0
        # Of a plain file only what was handed out: a torn last line may be written anew.
        is_plain = self._blocks is None or not self._blocks.is_compressed
        self._know_head(min(HEAD_BYTES, offset) if is_plain and not finished else HEAD_BYTES)
        return self._entry(*self._head, offset, size, finished)

    def _entry(self, head_bytes: int, digest: str, offset: int, size: int, finished: bool) -> Entry:
        # In one go: it is made anew for each chunk.
        time = self.time
        return Entry(
            self.name, head_bytes, digest, offset, size, finished, time.latest, time.doubts, time.since,
            self._content.kind, 0 if self._blocks is not None and self._blocks.is_stream else self._inode,
        )  # fmt: skip

    def _know_head(self, size: int) -> None:
        if self._head[0] >= size or self._is_copy:
            return
        head = os.pread(self._fd, size, 0) if self._fd >= 0 else self._head_data[:size]
        if len(head) > self._head[0]:
            self._head = (len(head), digest(head))

    def _close_fd(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def close(self) -> None:
        """Close the file. Never raises."""
        try:
            self._close_fd()
        except OSError:
            pass  # it is being given up anyway
