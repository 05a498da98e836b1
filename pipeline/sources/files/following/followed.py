"""A followed file: read as it grows, and across rotations, when its name passes to another file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from enum import Enum, auto
from errno import ESTALE
from typing import Any

from pipeline.model.errors import Fatal
from pipeline.sources.files.following.growing import GrowingCursor
from pipeline.sources.files.following.rotated import (
    Beside,
    changed,
    find_after,
    is_counted,
    is_renewed,
)
from pipeline.sources.files.reading.block_cursor import Unreadable, open_regular
from pipeline.sources.files.reading.entry import Entry
from pipeline.telemetry import log as logs

log = logs.get(__name__)


class PathIs(Enum):
    """Whose the path of a followed file is."""

    OWN = auto()
    """It leads to the open file, or to none, or to an empty one."""
    NEXT = auto()
    """It is that of a file to which new lines are written; this cursor turns to it, or to one between."""
    OTHERS = auto()
    """Another cursor reads the file there; this one stays with its own, which was renamed."""
    LATER = auto()
    """It led to the open file long ago, which is read in case that somebody still writes there."""


class FollowedCursor(GrowingCursor):
    """Reads a file continuously, and the files that take its name, one after another.

    known: what the file at a path, of this status, is called, where it is open or was read. Where the
    numbers of rotated files count up, each path passes to a file that another cursor reads: this one stays
    with its own, whatever its path is by then.
    """

    path_is = PathIs.OWN
    _asked = (0, 0)
    """Inode and size of the file at its path that was no other cursor's at the last look."""
    _searched_ns = 0
    """When the folder had last changed at the last search that found no next file."""

    def __init__(
        self, *given: Any, known: Callable[[str, os.stat_result], str | None] = lambda *_: None, **more: Any
    ) -> None:
        self._known = known
        self._unreadable = Unreadable()
        super().__init__(*given, **more)
        path = self.source.path
        self.stem = "" if os.path.islink(path) else os.path.splitext(os.path.basename(path))[0]
        """With what the name of each copy of it begins."""

    @property
    def has_path(self) -> bool:
        """Return whether its path leads to what it reads or will read, not to what another cursor reads."""
        return self.path_is in (PathIs.OWN, PathIs.NEXT)

    @property
    def is_late(self) -> bool:
        """Return whether it reads a rotated file, in case somebody still writes there."""
        return self.path_is is PathIs.LATER

    @property
    def heard_at(self) -> str:
        """Where the system can be asked to report what is written to it."""
        return self.source.path if self.has_path else f"/proc/self/fd/{self._fd}"

    @property
    def before(self) -> Entry | None:
        """What the state knows of the file that was read before this one."""
        return self._lives.before

    def fill(self) -> bool:
        """Get lines when all were yielded; False where there are none now."""
        try:
            return not self.is_stale and super().fill()
        except (Fatal, OSError) as error:
            self._note_stale(error)
            return False

    def _note_stale(self, error: Exception) -> None:
        """Note that there is nothing to read any more, if it is that. Raises any other error."""
        cause = error.__cause__ or error
        if not isinstance(cause, OSError) or cause.errno != ESTALE:
            raise error
        self.is_stale = True
        entry = self._entries.get(self.name)
        if entry is not None and not self._left_ns:
            self._entries[self.name] = entry._replace(left_ns=self._seen_ns)  # as of one that was rotated
        log.warning(
            "a followed file was deleted by another machine: what was not read of it is lost, and the next "
            "one is read",
            file=self._path,
            called=self.name,
        )

    def remember(self) -> None:
        """Record its place, for the recovery state, while there is a file."""
        if not self.is_stale:
            super().remember()

    def entry(self) -> Entry:
        """Return what the recovery state has to remember."""
        entry = super().entry()
        # By that time a file is found that nothing was read of, so that its content tells nothing: as of the
        # last look, since what it had between two looks may have been copied away.
        is_known = entry.offset or self._fd < 0
        return entry if is_known else entry._replace(left_ns=self._seen_ns)

    def is_over(self) -> bool:
        """True where its path is another's, all was handed out, and nothing more comes: its file has no name
        any more, or is a rotated one that was overwritten.
        """
        try:
            return self.is_empty if self.is_stale else self._is_over()
        except OSError as error:
            self._note_stale(error)
            return self.is_empty

    def _is_over(self) -> bool:
        if self.has_path or self._fd < 0 or not self.is_empty or self._splitter.has_rest:
            return False
        is_deleted = not os.fstat(self._fd).st_nlink
        if self._has_changed():
            return is_deleted or self.is_late
        return is_deleted and self.is_still() and not self._splitter.has_open_line

    def is_still(self) -> bool:
        """True where everything in the file was yielded, and it still has its name."""
        try:
            return self.path_is is not PathIs.NEXT and not self.is_stale and super().is_still()
        except OSError:
            return False  # the next look tells what is wrong

    def is_at_rest(self) -> bool:
        """True where its file has the same size as before, and its name."""
        if self.path_is is not PathIs.OWN or self._left_ns or self._splitter.has_rest:
            return False
        try:
            now = os.stat(self.source.path)
        except OSError:
            return False
        return now.st_ino == self._inode and now.st_size == self._blocks.fed

    def _resume(self, entry: Entry) -> None:
        is_another = self._fault(entry) is not None
        is_moved = bool(entry.born_ns) and (entry.inode, entry.born_ns) != (self._inode, self._born_ns)
        if (is_another or is_moved or not entry.offset) and self._open_copy(entry, is_another=is_another):
            is_another = False
        is_rotated = entry.left_ns > 0 or is_counted(self.source.path)
        is_gone = (
            is_another
            and not is_rotated
            and (self._open_truncated(entry) or self._heads.are_past(entry.name) or self._was_outlived(entry))
        )
        if is_gone:
            self.time = entry.time
            self._begin_anew(entry.offset, None, abs(entry.left_ns))
            return
        if not is_another or not is_rotated:
            super()._resume(entry)
            return
        # It was deleted: after it had been read to its end, or as its number was too high.
        after = find_after(self.source, entry.left_ns, self._entries.values()) if entry.left_ns > 0 else None
        fd = None if after is None else open_regular(after.path, after.inode)
        if after is not None and fd is not None:
            self._change_to(fd, after.path)
        self._start_next()
        log.info("a rotated file is gone: the next one is read", file=self._path, called=self.name)

    def _was_outlived(self, entry: Entry) -> bool:
        """Return whether a younger file was rotated than that of an entry, which is not there any more: there
        were more rotations than files are kept.
        """
        return entry.left_ns < 0 and self._unseen(-entry.left_ns) is not None

    def _at_end(self) -> bool:
        """Check whether another file has taken the name; True where there are lines."""
        if self.is_replaced():
            return self._replaced()
        if self.path_is is PathIs.NEXT:
            return self._go_on()
        if not self.has_path:
            return self._take_last_of_deleted()
        try:
            now = os.stat(self.source.path)
        except OSError:
            return self._pass_on(to_next=self._was_followed())  # it is gone, for now at least
        if now.st_ino == self._inode:
            if self.name.startswith(self.source.name):
                self._left_ns = 0  # it may have been away for an instant
                return False
            return self._pass_on(to_next=False)  # found under another name than before, which has passed on
        sign = now.st_ino, now.st_size
        if sign != self._asked and self._is_anothers(self.source.path, now):
            self.path_is = PathIs.OTHERS
            return False
        self._asked = sign
        # Once the writer writes there, it no longer writes here: what came until then is read first.
        is_next = stat.S_ISREG(now.st_mode) and (now.st_size > 0 or self._was_followed())
        return self._pass_on(to_next=is_next)

    def _pass_on(self, *, to_next: bool) -> bool:
        """Note that what was read is all, as the file may be gone at the next start; True where there is a
        last line.
        """
        if to_next:
            self.path_is = PathIs.NEXT
        if self._is_looking:
            return False
        if self._take_last_of_deleted():
            return True
        if not self._left_ns and not self._splitter.has_open_line:
            self._left_ns = os.fstat(self._fd).st_mtime_ns
            self.remember()
        return False

    def _take_last_of_deleted(self) -> bool:
        return not os.fstat(self._fd).st_nlink and self._splitter.has_open_line and self._take_last()

    def _is_anothers(self, path: str, status: os.stat_result) -> bool:
        return self._known(path, status) not in (None, self.name)

    def _was_followed(self) -> bool:
        """Return whether the next file was rotated away, too, though none at the path has lines yet."""
        changed_ns = changed(self.source.path)
        if changed_ns == self._searched_ns:
            return False
        self._searched_ns = changed_ns
        return self._after() is not None

    def _open_next(self, path: str, inode: int = 0) -> int | None:
        """Open a file as `open_regular` does; None also where it may not be read yet."""
        try:
            return open_regular(path, inode)
        except Fatal as error:
            if self._unreadable.waits(error):
                return None
            raise

    def _after(self) -> Beside | None:
        """Return the file that was rotated away next after the open one."""
        written_ns = self._left_ns or os.fstat(self._fd).st_mtime_ns
        folder = os.path.dirname(os.path.realpath(f"/proc/self/fd/{self._fd}"))  # by its present name
        return find_after(self.source, written_ns, self._entries.values(), but=self._inode, folder=folder)

    def _change_to(self, fd: int, path: str) -> None:
        super()._change_to(fd, path)
        self._searched_ns = 0

    def _go_on(self) -> bool:
        """Start the next file; True where there are lines, a last one without its end first."""
        if self._is_looking:
            return False
        if self._splitter.has_open_line:
            return self._take_last()
        path = self.source.path
        # Opened before searching for others: the search then finds what is rotated away meanwhile.
        fd = self._open_next(path)
        between = self._after()
        if between is not None:
            if fd is not None:
                os.close(fd)
            path = between.path
            fd = self._open_next(path, between.inode)
        elif fd is not None and self._is_anothers(path, os.fstat(fd)):
            os.close(fd)
            self.path_is = PathIs.OTHERS
            return False
        if fd is None:
            if between is None:
                self.path_is = PathIs.OWN  # the next one has disappeared again
            return False
        entry = self._entries.get(self.name)
        is_same = (
            between is None and entry is not None and self._path == path
            and is_renewed(self._fd, fd, entry.offset)
        )  # fmt: skip
        self._change_to(fd, path)
        self.path_is = PathIs.OWN
        if is_same and entry is not None:
            self._split_from(entry.offset)
            self._go_to(entry.offset, entry.offset)
            return self.fill()
        self._start_next()
        log.info("a followed file was rotated: the next one is read", file=self._path, called=self.name)
        return self.fill()
