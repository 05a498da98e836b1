"""One regular file, plain or compressed: recognised by its first bytes, resumed where it was left."""

from __future__ import annotations

import os
from collections.abc import Collection

from pipeline.model.errors import StateError
from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.lines.unpackers import is_compressed
from pipeline.sources.files.reading.beginning import HEAD_BYTES, begins_as, digest
from pipeline.sources.files.reading.birth import born_ns
from pipeline.sources.files.reading.block_cursor import BlockCursor
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.heads import Heads
from pipeline.sources.files.reading.lives import Lives
from pipeline.telemetry import log as logs

log = logs.get(__name__)


class FileCursor(BlockCursor):
    """Reads one file to its end.

    heads: where it notes how the file begins. is_of: what the state knows of the file, where it was read
    under another name. taken: as in `Lives`. Raises StateError where the file is not the one that the state
    knows by its name.
    """

    _is_followed = False
    """It may grow: what has been read is not all of it."""

    def __init__(
        self,
        source: Input,
        fd: int,
        entries: dict[str, Entry],
        *,
        max_line_bytes: int,
        heads: Heads | None = None,
        is_of: Entry | None = None,
        taken: Collection[str] = (),
    ) -> None:
        super().__init__(source, fd, entries, max_line_bytes=max_line_bytes)
        self._heads = Heads() if heads is None else heads
        self._lives = Lives(source.name, entries, is_of, taken)
        self._path = source.path
        """Of the file that is open."""
        self._inode = 0
        self._born_ns = 0
        self._left_ns = 0
        self._seen_ns = 0
        """When a followed one was last written, as of the last look."""
        self._is_copy = False
        """It is compressed now, and was not."""
        self._finished_size = 0
        self._head = (0, digest(b""))
        self._head_data = b""
        """The beginning of a file that was closed at its end."""
        self._name_file()
        entry = self._lives.entry
        if entry is None:
            self._begin()
        else:
            self._resume(entry)

    def _begin(self) -> None:
        """Begin with a file of which the state knows nothing."""

    def _name_file(self) -> None:
        """Take the name and the place of the file that is open."""
        status = os.fstat(self._fd)
        self.name, self.total_bytes, self._inode = self._lives.name, status.st_size, status.st_ino
        self._born_ns = born_ns(self._fd)

    # --- resuming

    def _resume(self, entry: Entry) -> None:
        """Go on where an entry says. Raises StateError where it is another file."""
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
            self.ended = self._is_finished = not self._is_followed
        self._split_from(entry.offset)
        if self.ended:
            self._finished_size = self._blocks.fed = size
            self._close_fd()
        else:
            self._go_to(entry.offset, entry.offset)

    def _go_to(self, byte: int, offset: int) -> None:
        """Go on at a byte of a plain file, at an offset of what a compressed one holds."""
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
        if size < least and not os.pread(self._fd, 1, least - 1):  # it may be the size of a moment ago
            return f"it has {size} bytes, {least} of it were read"
        return None if is_same else "its beginning is not what was read before"

    # --- reading

    def is_open_as(self, status: os.stat_result) -> bool:
        """Return whether this is the file that is open."""
        return self._fd >= 0 and self._inode == status.st_ino and os.path.samestat(os.fstat(self._fd), status)

    def is_still(self) -> bool:
        """True where all that the file has was read and handed out."""
        if self.ended or not self.is_empty:
            return False
        return not self._splitter.has_rest and os.fstat(self._fd).st_size == self._blocks.fed

    def _at_end(self) -> bool:
        if not self._blocks.is_cut:
            self._finished_size = self._blocks.fed
            self._head_data = os.pread(self._fd, HEAD_BYTES, 0)
            if self._splitter.has_torn_line and not self._blocks.is_compressed:
                # Not finished: whoever writes it may not have come to the end of the line.
                log.warning(
                    "the last line has no end yet: it is read at the start that finds it whole",
                    file=self._path,
                    byte=self._splitter.next_start,
                )
                self.ended = True
                self._close_fd()
                return False
        return super()._at_end()

    # --- where to go on from

    def entry(self) -> Entry:
        """Return what the recovery state has to remember."""
        offset = self.buffer.starts[self.index]
        is_finished = self._is_finished and self.is_empty
        # Of a plain file only what was handed out: a torn last line may be written anew.
        is_short = not self._blocks.is_compressed and not is_finished
        self._know_head(min(HEAD_BYTES, offset) if is_short else HEAD_BYTES)
        size = self._finished_size if is_finished else 0
        return self._entry(
            *self._head, offset, size, self._inode, self._born_ns, self._left_ns or -self._seen_ns
        )

    def remember(self) -> None:
        """Record its place, for the recovery state, and before its lines leave how the file begins."""
        entry = self.entry()
        before = self._entries.get(entry.name)
        if entry.head_bytes > (0 if before is None else before.head_bytes):
            self._heads.note(entry)
        self._entries[entry.name] = entry

    def _beginning(self, size: int) -> bytes:
        return os.pread(self._fd, size, 0) if self._fd >= 0 else self._head_data[:size]

    def _know_head(self, size: int) -> None:
        if self._head[0] >= size or self._is_copy:
            return
        head = self._beginning(size)
        if len(head) > self._head[0]:
            self._head = (len(head), digest(head))
