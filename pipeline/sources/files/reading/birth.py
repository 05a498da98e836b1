"""When a file was made: together with its inode, which is reused, this identifies a file of any length."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any, Final

_AT_FDCWD: Final = -100
_AT_EMPTY_PATH: Final = 0x1000
_STATX_BTIME: Final = 0x800
_BTIME_AT: Final = 0x50
"""Where in `struct statx` (256 bytes on every architecture) the seconds and nanoseconds are."""


def _statx() -> Any:
    try:
        return ctypes.CDLL(None).statx
    except (AttributeError, OSError, TypeError):
        return None  # not Linux, or a C library from before 2018


_STATX: Final = _statx()


def born_ns(file: str | int) -> int:
    """Return when the file at a path, or that is open, was made, in nanoseconds since 1970.

    0 where the system or the file system does not say. Never raises.
    """
    if _STATX is None:
        return 0
    found = ctypes.create_string_buffer(256)
    at, path = (file, b"") if isinstance(file, int) else (_AT_FDCWD, os.fsencode(file))
    flags = 0 if path else _AT_EMPTY_PATH
    if _STATX(at, path, flags, _STATX_BTIME, found) or not struct.unpack_from("I", found)[0] & _STATX_BTIME:
        return 0
    secs, nanosecs = struct.unpack_from("qI", found, _BTIME_AT)
    return int(secs) * 1_000_000_000 + int(nanosecs)
