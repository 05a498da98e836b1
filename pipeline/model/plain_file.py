"""Reads files that a config names: whole, of bounded size, without ever blocking on a pipe."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Final

MOST: Final = 16 << 20
"""Bytes of a config file."""
WRITER_SECS: Final = 5.0
"""So long a pipe that was named may be without a writer."""


def read_plain(path: Path) -> bytes:
    """Return a file's content. Raises OSError, and ValueError for what is no file or larger than `MOST`.

    A pipe without a writer would be waited for for ever, and a device read without end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no file but a pipe, a device or a socket: a plain file is wanted here")
        # What is asked for is set aside, and the limit is a thousand times what most files hold.
        raw = file.read(min(found.st_size, MOST) + 1)
        if len(raw) > found.st_size:
            raw += file.read(MOST + 1 - len(raw))  # it has grown meanwhile
    if len(raw) > MOST:
        raise ValueError(f"is larger than {MOST:,} bytes, the most that is read of such a file")
    return raw


def read_given(path: Path) -> bytes:
    """Return what a file or a pipe gives, up to its end or one byte more than `MOST`.

    A pipe may be slow, as what a person types is. Raises OSError, and ValueError where nobody writes to it.
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
    """Return what stands first in a pipe that does not block, b"" where its writer has written nothing yet.

    Raises ValueError where nobody has come to write.
    """
    deadline = time.monotonic() + WRITER_SECS
    while time.monotonic() < deadline:
        try:
            first = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return b""  # there is a writer, who has nothing to say yet
        if first:
            return first
        time.sleep(0.02)
    raise ValueError("is a pipe to which nobody writes")


def is_endless(descriptor: int) -> bool:
    """Return whether what is open is a device such as /dev/zero; terminals and /dev/null have an end."""
    found = os.fstat(descriptor)
    if not stat.S_ISCHR(found.st_mode):
        return stat.S_ISBLK(found.st_mode)
    return not os.isatty(descriptor) and found.st_rdev != os.stat(os.devnull).st_rdev
