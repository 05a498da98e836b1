"""A file that grows while it is read, and may be truncated: then its copy is read, or what it has now."""

from __future__ import annotations

import os

from pipeline.sources.files.following.rotated import (
    Beside,
    before_rotation,
    changed,
    find,
    find_after,
    find_by_birth,
    first_byte,
    is_counted,
)
from pipeline.sources.files.lines.blocks import Blocks
from pipeline.sources.files.reading.beginning import HEAD_BYTES, begins_as, digest
from pipeline.sources.files.reading.birth import born_ns
from pipeline.sources.files.reading.block_cursor import open_regular
from pipeline.sources.files.reading.entry import Entry
from pipeline.sources.files.reading.file import FileCursor
from pipeline.telemetry import log as logs
from pipeline.telemetry.happenings import FILE_LOST, FILE_TRUNCATED

log = logs.get(__name__)

_TRIES = 3


class GrowingCursor(FileCursor):
    """Reads the open file continuously, and what takes its place."""

    _is_followed = True
    is_stale = False
    """It was deleted by another machine, so that nothing can be read of it any more."""
    _first = b""
    """The beginning of a plain file, as read."""

    def is_replaced(self) -> bool:
        """Return whether what was read of the open file is no longer there: it was truncated.

        A rotated file is overwritten before it is deleted (logrotate's `shred`): that is none of it.
        """
        return self._fd >= 0 and not self.is_stale and self._has_changed() and not self._is_rotated()

    def _is_rotated(self) -> bool:
        is_packed = self._blocks.is_compressed and before_rotation(os.path.basename(self._path)) != ""
        return self.is_late or self._left_ns > 0 or is_packed or is_counted(self.source.path)

    def _name_file(self) -> None:
        super()._name_file()
        self._seen_ns = os.fstat(self._fd).st_mtime_ns

    def _go_to(self, byte: int, offset: int) -> None:
        before = self._blocks.fed
        super()._go_to(byte, offset)
        self.passed_bytes -= self._blocks.fed - before  # skipped
        self._first = os.pread(self._fd, min(HEAD_BYTES, byte), 0)

    def _take_read(self, block: bytes) -> bool:
        status = os.fstat(self._fd)
        size = status.st_size
        was_written = self._blocks.fed == len(block) and status.st_mtime_ns > self._seen_ns
        if was_written and changed(self.source.path) > self._seen_ns and self._open_unseen(self._seen_ns):
            return False
        if size < self._blocks.fed:
            self.total_bytes = self._blocks.fed  # truncated since: this is of what it had
        elif block:
            if not self._begins_alike():
                return not self._is_rotated() and self._replaced()
            self.total_bytes, self._seen_ns = size, status.st_mtime_ns
        self._first += block[: HEAD_BYTES - len(self._first)]
        if block.startswith(b"\0") and not self._splitter.next_start:
            begin = first_byte(self._fd)  # 0 where it is compressed, too
            if begin and os.pread(self._fd, 1, begin).strip(b"\0"):
                self._split_from(begin)
                self._go_to(begin, 0)
                return False
        return super()._take_read(block)

    def _take(self, block: bytes) -> bool:
        self._left_ns = 0
        return super()._take(block)

    def _has_changed(self) -> bool:
        """Return whether what was read of the open file is no longer there."""
        size, fed = os.fstat(self._fd).st_size, self._blocks.fed
        # Of a remote file the size may be an older one, while its bytes can be read.
        if (size < fed and not os.pread(self._fd, 1, fed - 1)) or not self._begins_alike():
            return True
        self.total_bytes = max(size, fed)
        return False

    def _begins_as(self, entry: Entry) -> bool:
        return digest(os.pread(self._fd, entry.head_bytes, 0)) == entry.digest

    def _begins_alike(self) -> bool:
        """Return whether a plain file still begins as it did, now that more of it was read.

        It may have been truncated and have grown beyond its old length.
        """
        if self._blocks.is_compressed:
            return True
        return os.pread(self._fd, len(self._first), 0) == self._first

    def _beginning(self, size: int) -> bytes:
        # As it was read: by now it may be another one.
        return super()._beginning(size) if self._blocks.is_compressed else self._first[:size]

    def _replaced(self) -> bool:
        """Continue in the copy of a truncated file (copytruncate), or in what it has now; True where there is
        a last line of what it had.
        """
        if self._is_looking:
            return False
        entry = self._entries.get(self.name)
        offset = 0 if entry is None else entry.offset
        if entry is None or not self._open_copy(entry):
            is_packed, size = self._blocks.is_compressed, os.fstat(self._fd).st_size
            # A writer may take back a line that it had begun.
            if offset and (is_packed or size < offset or entry is None or not self._begins_as(entry)):
                if self._splitter.has_open_line and self._take_last():
                    return True
                unread = self.total_bytes - (self._blocks.fed if is_packed else offset)
                self._begin_anew(offset, unread, self._seen_ns)
                return False
            self._reopen()
        self._split_from(offset)
        self._go_to(min(offset, self.total_bytes), offset)
        return False

    def _reopen(self) -> None:
        fd = os.dup(self._fd)
        os.lseek(fd, 0, os.SEEK_SET)
        self._change_to(fd, self._path)

    def _begin_anew(self, offset: int, unread: int | None, seen_ns: int) -> None:
        """Read a truncated file from its beginning, as the next one of its name.

        offset: up to where its old content was handed out. unread: bytes of it that were not, as far as they
        were seen; None where it was truncated while no job ran. seen_ns: when that was last written, 0 where
        it is not known. What it had between two truncations may have a copy, which is read then.
        """
        facts = {"file": self._path, "read_bytes": offset}
        if unread == 0:
            FILE_TRUNCATED.happened(log, **facts)
        else:
            FILE_LOST.happened(log, **facts, unread_bytes="unknown" if unread is None else unread)
        before = self.name
        if not seen_ns or not self._open_unseen(seen_ns):
            self._reopen()
        self._start_next()
        self._entries.pop(before, None)  # no file has that content any more

    def _begin(self) -> None:
        """Take the name of the open file, of which the state knows nothing.

        A run that was killed may have sent lines of a file of that name: it is this one, if it begins alike,
        or lies elsewhere now, or is lost.
        """
        while (noted := self._heads.of(self._lives.name)) is not None:
            if begins_as(self._path, noted):
                break
            self._entries[noted.name] = noted
            if self._open_copy(noted):
                break
            FILE_LOST.happened(log, file=self._path, called=noted.name, unread_bytes="unknown")
            self._lives.next()
            del self._entries[noted.name]  # no file has that content any more
        self.name = self._lives.name

    def _start_next(self) -> None:
        """Begin with the open file, as the next one of its name."""
        self._lives.next()
        self._begin()
        self._is_copy = False
        self._to_skip = 0
        self._head = (0, digest(b""))
        begin = first_byte(self._fd)
        self._split_from(begin)
        self._go_to(begin, 0)
        self.remember()  # its name is taken: another cursor's next file may be of the same path

    def _open_copy(self, entry: Entry, *, is_another: bool = True) -> bool:
        """Open the file of an entry under its present name; False where there is none.

        is_another: the open file is certainly another one, also where only a copy of that of the entry is
        left. Files may be renamed during the search: then it is repeated.
        """
        for _ in range(_TRIES):
            found = find(self.source.path, entry, may_be_copy=is_another)
            if found is None and not entry.head_bytes and entry.left_ns > 0:
                found = self._unseen(entry.left_ns)
            if found is not None and (fd := open_regular(found.path, found.inode)) is not None:
                self._change_to(fd, found.path)
                log.info(
                    "a followed file was rotated: what is left of the old one is read first", file=found.path
                )
                return True
        return False

    def _unseen(self, seen_ns: int) -> Beside | None:
        """Return a copy of what the file had since then, between two looks; None where there is none."""
        found = find_after(self.source, seen_ns, self._entries.values())
        if found is not None and 0 < born_ns(found.path) < seen_ns:
            return None  # an older one, to which somebody still writes: no copy of this one
        return found

    def _open_unseen(self, seen_ns: int) -> bool:
        found, own = self._unseen(seen_ns), os.fstat(self._fd)
        if found is None or (found.written_ns >= own.st_mtime_ns and not self._has_own_path()):
            return False
        fd = open_regular(found.path, found.inode)
        if fd is None:
            return False
        self._change_to(fd, found.path)
        return True

    def _has_own_path(self) -> bool:
        try:
            return os.stat(self.source.path).st_ino == self._inode
        except OSError:
            return False

    def _open_truncated(self, entry: Entry) -> bool:
        """Open the file of an entry, which was truncated, under its present name; False where it was not."""
        if (entry.inode, entry.born_ns) == (self._inode, self._born_ns):
            # With its old beginning a power cut may have cut it off: all of it would be sent again.
            return entry.born_ns > 0 and not self._begins_as(entry)
        found = find_by_birth(self.source.path, entry)
        fd = None if found is None else open_regular(found.path, found.inode)
        if found is None or fd is None:
            return False
        self._change_to(fd, found.path)
        return True

    def _change_to(self, fd: int, path: str) -> None:
        """Switch to another open file, from its beginning."""
        self.passed_bytes += self._blocks.fed
        self._close_fd()
        self._left_ns = 0
        os.set_blocking(fd, True)
        self._fd, self._path, self._blocks = fd, path, Blocks(fd)
        self._name_file()
