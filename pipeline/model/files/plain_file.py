"""Reads files that a config names: whole, of bounded size, without ever blocking on a pipe."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Final, NamedTuple

MOST: Final = 16 << 20
"""Maximum size of a config file, in bytes."""
WRITER_SECS: Final = 5.0
"""How long to wait for a named pipe's writer."""


class Sign(NamedTuple):
    """What distinguishes a file's content from the next one under its name.

    The modification time alone does not: who unpacks an archive, copies with `rsync -t` or builds with fixed
    times sets it. The time of the inode's change is nobody's to set.
    """

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int


NO_SIGN: Final = Sign(0, 0, -1, 0, 0)
"""Where there is no file."""


def sign_of(found: os.stat_result) -> Sign:
    """Return the sign of a file's content."""
    return Sign(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def sign_at(path: str | Path) -> Sign:
    """Return the sign of what is at a path; `NO_SIGN` where nothing is, or it cannot be looked at."""
    try:
        return sign_of(os.stat(path))
    except (OSError, ValueError):
        return NO_SIGN


def read_plain(path: str | Path) -> bytes:
    """Return a file's content. Raises OSError, and ValueError for special files and files beyond `MOST`.

    A pipe without a writer would block for ever, and a device never ends.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no file but a pipe, a device or a socket: expected a plain file")
        # read() allocates what it is asked for, and the limit is a thousand times a usual file.
        raw = file.read(min(found.st_size, MOST) + 1)
        if len(raw) > found.st_size:
            raw += file.read(MOST + 1 - len(raw))  # it has grown meanwhile
    if len(raw) > MOST:
        raise ValueError(f"is larger than {MOST:,} bytes, the most that is read of such a file")
    return raw


def read_given(path: Path) -> bytes:
    """Return the content of a file or pipe, up to its end or one byte more than `MOST`.

    A pipe may be slow: somebody may be typing. Raises OSError, and ValueError where nobody writes to it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb", buffering=0) as file:
        first = await_writer(descriptor) if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else b""
        os.set_blocking(descriptor, True)
        parts = [first]
        size = len(first)
        while size <= MOST and (block := file.read(MOST + 1 - size)):
            parts.append(block)
            size += len(block)
    return b"".join(parts)


def await_writer(descriptor: int) -> bytes:
    """Return the first bytes of a non-blocking pipe, b"" where its writer has written nothing yet.

    Raises ValueError where no writer appears.
    """
    deadline = time.monotonic() + WRITER_SECS
    while time.monotonic() < deadline:
        try:
            first = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return b""  # there is a writer, which has written nothing yet
        if first:
            return first
        time.sleep(0.02)
    raise ValueError("is a pipe to which nobody writes")


def is_endless(descriptor: int) -> bool:
    """Return whether an open file is a device such as /dev/zero; terminals and /dev/null do end."""
    found = os.fstat(descriptor)
    if not stat.S_ISCHR(found.st_mode):
        return stat.S_ISBLK(found.st_mode)
    return not os.isatty(descriptor) and found.st_rdev != os.stat(os.devnull).st_rdev
