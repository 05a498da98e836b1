"""Notices through inotify that files grow, so that nobody need poll them. Linux only."""

from __future__ import annotations

import ctypes
import os
import select
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

HEAR_SECS = 0.4
"""How long to wait for a notification."""
UNHEARD = 3
"""Changes without a notification after which another machine must be the writer: then the files
are polled."""

_MODIFY, _CREATE, _MOVED_TO = 0x2, 0x100, 0x80
_MOVE_SELF, _ATTRIB = 0x800, 0x4
"""A file was renamed; a file was removed that is still open."""
_EVENTS = _MODIFY | _CREATE | _MOVED_TO | _MOVE_SELF | _ATTRIB
_EVENTS_BYTES = 1 << 16
"""Read per look: only the fact that there are events counts."""


class Growth:
    """Notices what this machine writes to some files, and to files in some folders, and that one is rotated.

    Raises OSError where the system has no inotify, or no more watches.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            begin, add = libc.inotify_init1, libc.inotify_add_watch
        except (AttributeError, OSError, TypeError) as error:
            raise OSError(f"there is no inotify: {error}") from error
        self._fd = _done(begin(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            for path in paths:
                _done(add(self._fd, os.fsencode(path), _EVENTS))
        except BaseException:
            self.close()
            raise
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def wait(self, secs: float) -> bool:
        """Return True as soon as something has been written since the last call, False on a timeout."""
        if not self._poll.poll(secs * 1000):
            return False
        with suppress(BlockingIOError):
            os.read(self._fd, _EVENTS_BYTES)
        return True

    def close(self) -> None:
        """Stop watching; may be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Listener:
    """Watches files for a reader, as long as that helps."""

    def __init__(self) -> None:
        self._growth: Growth | None = None
        self._unheard = 0

    @property
    def hears(self) -> bool:
        """True where `listen` notices writes."""
        return self._growth is not None

    def listen_to(self, paths: Sequence[str]) -> None:
        """Watch these from now on, and no others."""
        self.close()
        if paths and self._unheard < UNHEARD:
            with suppress(OSError):  # no inotify, or no such path yet
                self._growth = Growth(paths)

    def heard(self) -> bool:
        """Return whether something was written since the last call of this or of `listen`."""
        return self._growth is not None and self._growth.wait(0)

    def listen(self, is_still: Callable[[], bool]) -> None:
        """Sleep until something comes, `HEAR_SECS` at most. is_still: says whether nothing has come."""
        growth = self._growth
        if growth is None:
            return
        growth.wait(0)  # what was noticed so far can be read now
        if not is_still() or growth.wait(HEAR_SECS) or is_still() or growth.wait(0):
            return
        self._unheard += 1
        if self._unheard >= UNHEARD:
            self.close()

    def close(self) -> None:
        """Stop watching; may be called twice."""
        if self._growth is not None:
            self._growth.close()
            self._growth = None


def _done(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
