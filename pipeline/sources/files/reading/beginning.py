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


def head_of(path: str, size: int = HEAD_BYTES) -> bytes | None:
    """Return a file's beginning, decompressed; None where it is unreadable, or compressed and truncated."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        blocks, head = Blocks(fd), b""
        while len(head) < size and (block := blocks.read()):
            head += block
        return None if len(head) < size and (blocks.is_cut or not head) else head[:size]
    except (OSError, Damaged):
        return None
    finally:
        os.close(fd)


def begins_as(path: str, entry: Entry) -> bool:
    """Return whether a file, decompressed, begins as an entry of a plain file says, if it says anything."""
    if not entry.head_bytes:
        return False
    head = head_of(path, entry.head_bytes)
    return head is not None and len(head) == entry.head_bytes and digest(head) == entry.digest
