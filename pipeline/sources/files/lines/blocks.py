"""Blocks of bytes from a file or pipe, decompressed; the first bytes tell whether they are compressed.

A block is the result of one read, at most about 256 KiB after decompression, so that a small file that would
decompress to terabytes costs time but never memory.
"""

from __future__ import annotations

import os
import select
import stat

from pipeline.model.files.plain_file import await_writer
from pipeline.sources.files.lines.unpackers import MAGIC_BYTES, MAGIC_STARTS, Unpacker, unpacker_for

BLOCK_BYTES = 1 << 18
"""Measured: a megabyte leaves the CPU's caches before its lines are read, which costs 0.3 us more
per line."""

_COMPRESSED_BYTES = 1 << 16


FIRST_BYTES = 64 << 20


class Damaged(Exception):
    """Compressed data cannot be decompressed further; ``byte`` is where in the compressed file."""

    def __init__(self, byte: int, reason: str) -> None:
        super().__init__(reason)
        self.byte = byte
        self.reason = reason


def first_line(path: str) -> bytes:
    """Return the beginning of a regular file, decompressed, up to its first line end; b"" for a damaged one.

    At most `FIRST_BYTES`, or a block more, are read.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        blocks, start = Blocks(fd), bytearray()
        while len(start) < FIRST_BYTES and (block := blocks.read()):
            start += block
            if b"\n" in block:
                break
        return bytes(start.partition(b"\n")[0])
    except Damaged:
        return b""  # whoever reads it all reports what is wrong
    finally:
        os.close(fd)


class Blocks:
    """Reads one open descriptor forward. ``read()`` may be called again after an end: a file may grow."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.is_stream = not stat.S_ISREG(os.fstat(fd).st_mode)
        self.fed = 0
        """Bytes read from the descriptor."""
        self._unpacker: Unpacker | None = None
        self._begun = False
        self._start = b""

    @property
    def is_compressed(self) -> bool:
        """True once the first bytes were found to be gzip's or zstd's."""
        return self._unpacker is not None

    @property
    def is_cut(self) -> bool:
        """True where the bytes so far end inside a gzip member or zstd frame."""
        return self._unpacker is not None and (self._unpacker.inside or self._unpacker.unread > 0)

    def await_writer(self) -> bool:
        """Return whether somebody writes to a named pipe, once that is known; True for anything else.

        Bytes read to find out are kept.
        """
        if not stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            return True
        try:
            self._start += await_writer(self._fd)
        except ValueError:
            return False
        return True

    def seek(self, offset: int) -> None:
        """Continue from this byte of a plain regular file."""
        os.lseek(self._fd, offset, os.SEEK_SET)
        self.fed = offset
        self._begun = offset > 0

    def read(self) -> bytes | None:
        """Return the next bytes, b"" at the (present) end, None where a pipe has nothing now.

        Raises Damaged.
        """
        while True:
            if self._unpacker is not None:
                block = self._pull(self._unpacker)
                if block:
                    return block
            data = self._read(_COMPRESSED_BYTES if self._unpacker is not None else BLOCK_BYTES)
            if not data:
                if data is not None and self._start:
                    data, self._start = self._start, b""
                    self._begun = True
                return data
            if not self._begun:
                data = self._start + data
                if len(data) < MAGIC_BYTES and data[0] in MAGIC_STARTS:
                    self._start = data
                    continue
                self._begun = True
                self._start = b""
                self._unpacker = unpacker_for(data)
            if self._unpacker is None:
                return data
            self._unpacker.push(data)

    def _read(self, size: int) -> bytes | None:
        if self.is_stream and not select.select([self._fd], [], [], 0)[0]:
            return None
        data = os.read(self._fd, size)
        self.fed += len(data)
        return data

    def _pull(self, unpacker: Unpacker) -> bytes:
        try:
            return unpacker.pull(BLOCK_BYTES)
        except ValueError as error:
            raise Damaged(self.fed - unpacker.unread, str(error)) from None
