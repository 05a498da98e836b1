"""Incremental gzip and Zstandard decompression; the first bytes tell which it is."""

from __future__ import annotations

import re
import zlib
from typing import Final, Protocol

import zstandard

MAGIC_BYTES = 4
MAGIC_STARTS = frozenset({0x1F, 0x28, *range(0x50, 0x60)})
"""First bytes that need a look at the next ones; a pipe may yield one byte at a time."""

_GZIP_MAGIC = b"\x1f\x8b"
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_BYTES = 256
"""Input per step: a zstd step cannot be stopped early, and this much may decompress to 8 MiB at worst."""
_TOO_LONG = "Frame requires too much memory"
"""How the library refuses a window over 128 MiB: one of 2 GiB would fill the memory (P8)."""
_PACK_ANEW = "it was packed with `--long` over 27: unpack it by `zstd -d --long=31`, and pack it without"


class Unpacker(Protocol):
    """Takes compressed bytes, yields their contents."""

    def push(self, data: bytes) -> None:
        """Take more input."""

    def pull(self, most: int) -> bytes:
        """Return about ``most`` decompressed bytes; empty: more input is needed. Raises ValueError for
        damage.
        """

    @property
    def unread(self) -> int:
        """Input bytes not consumed yet."""

    @property
    def inside(self) -> bool:
        """True in the middle of a gzip member or zstd frame."""


def unpacker_for(head: bytes) -> Unpacker | None:
    """Return the decompressor for data that begins like this; None where it is not compressed."""
    # No JSON text begins with these bytes. 0x184D2A5? is a skippable zstd frame, which some tools put first.
    if head.startswith(_GZIP_MAGIC):
        return _Gzip()
    if head.startswith(_ZSTD_MAGIC) or (head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50):
        return _Zstd()
    return None


_AS_THEY_ARE = "gzip and zstd are read as they are"
_ONCE = "unpack it once (`zcat FILE` or `zstdcat FILE`)"
_UNREAD: Final = (
    (rb"BZh[1-9]1AY&SY", "a file compressed with bzip2", f"`bunzip2 FILE`; {_AS_THEY_ARE}"),
    (rb"\xfd7zXZ\x00", "a file compressed with xz", f"`unxz FILE`; {_AS_THEY_ARE}"),
    (rb"\x04\x22\x4d\x18", "a file compressed with lz4", f"`unlz4 FILE`; {_AS_THEY_ARE}"),
    (rb"\x1f\x9d[\x89-\x90]", "a file compressed with compress", f"`uncompress FILE`; {_AS_THEY_ARE}"),
    (rb"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it and name what was in it"),
    (rb"PK\x03\x04", "a zip archive", "unpack it (`unzip FILE`) and name what was in it"),
    (rb"(?s:.{257})ustar(?:  )?\x00", "a tar archive", "unpack it (`tar xf FILE`) and name what was in it"),
    (rb"\x1f\x8b\x08", "compressed twice, with gzip inside", _ONCE),
    (rb"\x28\xb5\x2f\xfd", "compressed twice, with zstd inside", _ONCE),
    (rb"PAR1[\x00-\x1f]", "a Parquet file", "`duckdb -c \"COPY 'FILE' TO 'out.jsonl' (FORMAT json)\"`"),
    (rb"Obj\x01", "an Avro file", "`avro cat FILE > out.jsonl`, or `avro-tools tojson FILE > out.jsonl`"),
    (rb"\xff\xfe[^\x00]\x00|\xfe\xff\x00", "text in UTF-16", "`iconv -f UTF-16 -t UTF-8 FILE > out.jsonl`"),
)
"""What files begin with, once unpacked, that hold no lines: what such a file is, and what to do with it.

Each is more than a few odd bytes in a first line, after which there may be good ones.
"""


def no_lines(head: bytes) -> tuple[str, str] | None:
    """Return what a file is that begins like this and holds no lines, and what to do; None where it may."""
    return next(((what, remedy) for begin, what, remedy in _UNREAD if re.match(begin, head)), None)


def unread(head: bytes) -> str | None:
    """Return why the lines of a file that begins like this cannot be read; None where they may be."""
    found = no_lines(head)
    return None if found is None else f"it is {found[0]}, which is not read: {found[1]}"


def is_compressed(head: bytes) -> bool:
    """Return whether a file that begins like this is compressed."""
    return unpacker_for(head) is not None


class _Gzip:
    """Gzip, including several members in a row, padded with zeros or not."""

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

    def pull(self, most: int) -> bytes:
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
                out = self._member.decompress(self._input, most)
            except zlib.error as error:
                self._error = str(error)
                out = self._salvage(before, most)
                if not out:
                    raise ValueError(self._error) from None
                return out
            self.inside = not self._member.eof
            self._input = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if out:
                return out
        # What did not fit into the last block may wait inside zlib, without any input left.
        return self._member.decompress(b"", most) if self.inside else b""

    def _salvage(self, member: zlib._Decompress, most: int) -> bytes:
        """Return the output before the damage: a failing call returns nothing of what it had decompressed."""
        out = b""
        while self._input:
            try:
                out += member.decompress(self._input[:1], most)
            except zlib.error:
                break
            self._input = self._input[1:]
        return out


class _Zstd:
    """Zstandard, including several frames in a row."""

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

    def pull(self, most: int) -> bytes:
        out: list[bytes] = []
        size = 0
        while self._at < len(self._input) and size < most:
            if not self.inside:
                self._frame = self._decompressor.decompressobj()
                self.inside = True
            step = self._input[self._at : self._at + _ZSTD_BYTES]
            try:
                piece = self._frame.decompress(step)
            except zstandard.ZstdError as error:
                if out:
                    break  # the next call meets the damage again, with nothing to lose
                raise ValueError(_PACK_ANEW if _TOO_LONG in str(error) else str(error)) from None
            self._at += len(step)
            if self._frame.eof:
                self._at -= len(self._frame.unused_data)
                self.inside = False
            if piece:
                out.append(piece)
                size += len(piece)
        return b"".join(out)
