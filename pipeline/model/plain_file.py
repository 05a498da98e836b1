"""Files that people name in a config: read whole, of bounded size, and never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

MOST: Final = 16 << 20
"""Bytes of a config file."""


def read_plain(path: Path, limit: int = MOST) -> bytes:
    """Return a file's content. Raises OSError, and ValueError for what is no file or has more bytes.

    A pipe without a writer would be waited for for ever, and a device read without end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("is no file but a pipe, a device or a socket: a plain file is wanted here")
        raw = file.read(limit + 1)
    if len(raw) > limit:
        raise ValueError(f"is larger than {limit:,} bytes, the most that is read of such a file")
    return raw


def is_endless(descriptor: int) -> bool:
    """Return whether what is open is a device such as /dev/zero; terminals and /dev/null have an end."""
    found = os.fstat(descriptor)
    if not stat.S_ISCHR(found.st_mode):
        return stat.S_ISBLK(found.st_mode)
    return not os.isatty(descriptor) and found.st_rdev != os.stat(os.devnull).st_rdev
