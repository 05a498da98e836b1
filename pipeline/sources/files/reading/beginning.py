"""A file's first bytes, by which it is recognised whatever its name, compressed or not."""

from __future__ import annotations

import hashlib
import os
from typing import Final

from pipeline.sources.files.lines.blocks import Blocks, Damaged
from pipeline.sources.files.reading.entry import Entry

HEAD_BYTES: Final = 1024
"""How much of a file's beginning identifies it."""


def digest(data: bytes) -> str:
    """Return 16 hexadecimal digits that identify these bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def head_of(path: str, size: int = HEAD_BYTES, *, is_raw: bool = False) -> bytes | None:
    """Return a file's beginning, decompressed; None where it is unreadable, or compressed and truncated.

    is_raw: as it is on disk.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if is_raw:
            return os.pread(fd, size, 0)
        blocks, head = Blocks(fd), b""
        while len(head) < size and (block := blocks.read()):
            head += block
        return None if len(head) < size and (blocks.is_cut or not head) else head[:size]
    except (OSError, Damaged):
        return None
    finally:
        os.close(fd)


def holds(path: str, entry: Entry) -> bool:
    """Return whether a file of fewer than `HEAD_BYTES`, decompressed, has what was read of an entry's, and
    no further line.
    """
    head = head_of(path) or b""
    size = entry.head_bytes
    is_all = size >= entry.offset and len(head) < HEAD_BYTES
    is_same = is_all and 0 < size <= len(head) and digest(head[:size]) == entry.digest
    return is_same and not head[size:].strip()


def is_as_read(path: str, entry: Entry) -> bool:
    """Return whether a file has what was read of an entry's; of a short one: that, and no further line."""
    return (begins_as if entry.head_bytes >= HEAD_BYTES else holds)(path, entry)


def begins_as(path: str, entry: Entry) -> bool:
    """Return whether a file, as it is or decompressed, begins as an entry says, if it says anything."""
    size = entry.head_bytes
    return size > 0 and any(
        head is not None and len(head) == size and digest(head) == entry.digest
        for head in (head_of(path, size, is_raw=is_raw) for is_raw in (True, False))
    )
