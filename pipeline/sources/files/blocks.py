"""Blocks of bytes from a file or pipe, decompressed; whether it is compressed is told by its first bytes.

A block is what one read gives, at most about 256 KiB after decompression, so that a small file that would
unpack to terabytes costs time and never memory.
"""

from __future__ import annotations

import os
import select
import stat
import zlib
from typing import Protocol

import zstandard

from pipeline.model.plain_file import await_writer

BLOCK_BYTES = 1 << 18
"""Measured: a megabyte leaves the processor's caches before its lines are read, 0.3 us per line more."""

_COMPRESSED_BYTES = 1 << 16
_ZSTD_BYTES = 256
"""Input per step: one step of zstd cannot be told to stop early, and these may unpack to 8 MiB at worst."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MAGIC_BYTES = 4
_MAGIC_STARTS = frozenset({0x1F, 0x28, *range(0x50, 0x60)})
"""First bytes after which the next ones must be seen; a pipe may give one byte at a time."""


class Damaged(Exception):
    """Compressed data cannot be read on; ``byte`` is where in the compressed file."""

    def __init__(self, byte: int, reason: str) -> None:
        super().__init__(reason)
        self.byte = byte
        self.reason = reason


class _Unpacker(Protocol):
    def push(self, data: bytes) -> None: ...

    def pull(self) -> bytes:
        """Return decompressed bytes; empty: more input is needed. Raises ValueError for damage."""

    @property
    def unread(self) -> int:
        """Input bytes not consumed yet."""

    @property
    def inside(self) -> bool:
        """True in the middle of a gzip member or zstd frame."""


def first_line(path: str, most: int = 64 << 20) -> bytes:
    """Return how a regular file begins, unpacked, up to its first line end; b"" of one that is damaged.

    most: so many bytes, or a block more, are read.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        blocks, start = Blocks(fd), bytearray()
        while len(start) < most and (block := blocks.read()):
            start += block
            if b"\n" in block:
                break
        return bytes(start.partition(b"\n")[0])
    except Damaged:
        return b""  # who reads it all says what is wrong
    finally:
        os.close(fd)


class Blocks:
    """Reads one open descriptor forward. ``read()`` may be called again after an end: a file may grow."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.is_stream = not stat.S_ISREG(os.fstat(fd).st_mode)
        self.fed = 0
        """Bytes read from the descriptor."""
        self._unpacker: _Unpacker | None = None
        self._begun = False
        self._start = b""

    @property
    def is_compressed(self) -> bool:
        """True once the first bytes were seen to be gzip's or zstd's."""
        return self._unpacker is not None

    @property
    def is_cut(self) -> bool:
        """True where the bytes so far end inside a gzip member or zstd frame."""
        return self._unpacker is not None and (self._unpacker.inside or self._unpacker.unread > 0)

    def await_writer(self) -> bool:
        """Return whether somebody writes to a named pipe, as soon as that is known; True for what is none.

        What has been read for that is kept.
        """
        if not stat.S_ISFIFO(os.fstat(self._fd).st_mode):
            return True
        try:
            self._start += await_writer(self._fd)
        except ValueError:
            return False
        return True

    def seek(self, offset: int) -> None:
        """Go on from this byte of a plain regular file."""
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
                if len(data) < _MAGIC_BYTES and data[0] in _MAGIC_STARTS:
                    self._start = data
                    continue
                self._begun = True
                self._start = b""
                self._unpacker = _unpacker_for(data)
            if self._unpacker is None:
                return data
            self._unpacker.push(data)

    def _read(self, size: int) -> bytes | None:
        if self.is_stream and not select.select([self._fd], [], [], 0)[0]:
            return None
        data = os.read(self._fd, size)
        self.fed += len(data)
        return data

    def _pull(self, unpacker: _Unpacker) -> bytes:
        try:
            return unpacker.pull()
        except ValueError as error:
            raise Damaged(self.fed - unpacker.unread, str(error)) from None


def _unpacker_for(data: bytes) -> _Unpacker | None:
    # No JSON text begins with these bytes. 0x184D2A5? is a skippable zstd frame, which some tools put first.
    if data.startswith(_GZIP_MAGIC):
        return _Gzip()
    if data.startswith(_ZSTD_MAGIC) or (data[1:4] == b"\x2a\x4d\x18" and data[0] & 0xF0 == 0x50):
        return _Zstd()
    return None


def is_compressed(head: bytes) -> bool:
    """Return whether a file that begins so is compressed."""
    return _unpacker_for(head) is not None


class _Gzip:
    """Gzip, also of several members one after the other, padded with zeros or not."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._input = b""
        self._error: str | None = None
        self.inside = False

    @property
    def unread(self) -> int:
        return len(self._input)

    def push(self, data: bytes) -> None:
        self._input += data

    def pull(self) -> bytes:
        if self._error is not None:
            raise ValueError(self._error)
        while self._input:
            if not self.inside:
                self._input = self._input.lstrip(b"\0")
                if not self._input:
                    break
                self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
                self.inside = True
            before = self._member.copy()
            try:
                out = self._member.decompress(self._input, BLOCK_BYTES)
            except zlib.error as error:
                self._error = str(error)
                out = self._salvage(before)
                if not out:
                    raise ValueError(self._error) from None
                return out
            self.inside = not self._member.eof
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if out:
                return out
        # What did not fit into the last block may wait inside zlib, without any input left.
        return self._member.decompress(b"", BLOCK_BYTES) if self.inside else b""

    def _salvage(self, member: zlib._Decompress) -> bytes:
        """Return what comes out before the damage: a failing call gives nothing of what it had unpacked."""
        out = b""
        while self._input:
            try:
                out += member.decompress(self._input[:1], BLOCK_BYTES)
            except zlib.error:
                break
            self._input = self._input[1:]
        return out


class _Zstd:
    """Zstandard, also of several frames one after the other."""

    def __init__(self) -> None:
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._input = b""
        self._at = 0
        self.inside = False

    @property
    def unread(self) -> int:
        return len(self._input) - self._at

    def push(self, data: bytes) -> None:
        self._input = self._input[self._at :] + data
        self._at = 0

    def pull(self) -> bytes:
        out: list[bytes] = []
        size = 0
        while self._at < len(self._input) and size < BLOCK_BYTES:
            if not self.inside:
                self._frame = self._decompressor.decompressobj()
                self.inside = True
            step = self._input[self._at : self._at + _ZSTD_BYTES]
            try:
                piece = self._frame.decompress(step)
            except zstandard.ZstdError as error:
                if out:
                    break  # the next call meets the damage again, with nothing to lose
                raise ValueError(str(error)) from None
            self._at += len(step)
            if self._frame.eof:
                self._at -= len(self._frame.unused_data)
                self.inside = False
            if piece:
                out.append(piece)
                size += len(piece)
        return b"".join(out)
