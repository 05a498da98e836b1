"""Decompresses bodies, but never to more than a body may hold.

The decompressor is asked for a little at a time: a bomb of 20 KB that holds 20 GB costs its limit, not its
size.
"""

from __future__ import annotations

import zlib
from typing import Final

import zstandard

from pipeline.model.charsets import NO_CODING

_GZIP: Final = b"\x1f\x8b"
_MOST_LAYERS: Final = 3
"""Layers of compression: no client uses more."""
_STEP: Final = 1 << 18
_ZSTD_WINDOW: Final = 1 << 23
"""The window that RFC 8878 (3.1.1.1.2) recommends decoders to support: frames that need more are refused."""
_MOST_BLOCKS: Final = 1 << 16
"""Of 128 KiB each; a body has a hundred or two."""
ACCEPTED: Final = "gzip, deflate, zstd"


class UnpackError(Exception):
    """A body that cannot be decompressed. ``status`` and ``code`` are those of the answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def is_packed(encoding: str | None, body: bytes) -> bool:
    """Return whether there is anything to decompress: a header says so, or the body begins like gzip."""
    return (encoding is not None and encoding.strip().lower() not in NO_CODING) or body[:2] == _GZIP


def unpack(encoding: str | None, body: bytes, limit: int) -> bytes:
    """Return the decompressed body, at most ``limit`` bytes. Raises UnpackError.

    A body that begins like gzip is decompressed without a header (posthog-js and rudder-sdk-node send none),
    and one declared as compressed that is plain JSON is taken as it is.
    """
    layers = [one.strip().lower() for one in (encoding or "").split(",")]
    layers = [one for one in layers if one not in NO_CODING]
    if len(layers) > _MOST_LAYERS:
        raise UnpackError(400, "bad_encoding", "the body is packed too many times over")
    for layer in reversed(layers):
        if body[:1] in (b"{", b"[") and layer in ("gzip", "x-gzip", "deflate"):
            continue  # neither begins like that
        body = _layer(layer, body, limit)
    for _ in range(_MOST_LAYERS - len(layers)):
        if body[:2] != _GZIP:
            break
        body = _inflate(body, limit, 31)
    return body


def tried(encoding: str | None, body: bytes, limit: int) -> bytes | UnpackError:
    """Return the body, or the reason why there is none.

    It is a new error: one that was raised, and the one that led to it, would keep the partial output alive
    until a garbage collection.
    """
    try:
        return unpack(encoding, body, limit)
    except UnpackError as error:
        return UnpackError(error.status, error.code, error.message)


def most(encoding: str | None, size: int) -> int:
    """Return the maximum decompressed size: with DEFLATE 1,032 times as much per layer."""
    return size * 1032 if encoding is None or encoding.lower() in ("gzip", "deflate") else 1 << 40


def _layer(layer: str, body: bytes, limit: int) -> bytes:
    if layer in ("gzip", "x-gzip"):
        return _inflate(body, limit, 31)
    if layer == "deflate":
        # The name means zlib; half of the world sends raw deflate. A zlib head is a multiple of 31.
        zlib_head = len(body) >= 2 and body[0] & 15 == 8 and not int.from_bytes(body[:2], "big") % 31
        return _inflate(body, limit, 15 if zlib_head else -15)
    if layer == "zstd":
        return _unzstd(body, limit)
    raise UnpackError(415, "unknown_encoding", f"the body's content-encoding is not one of {ACCEPTED}")


def too_large(limit: int) -> UnpackError:
    """Return the answer to a body that holds more than allowed."""
    return UnpackError(413, "too_large", f"the body is larger than {limit} bytes")


def _inflate(body: bytes, limit: int, window: int) -> bytes:
    found: list[bytes] = []
    room = limit
    try:
        while body:
            packed = zlib.decompressobj(window)
            while True:
                piece = packed.decompress(body, min(room + 1, _STEP))
                found.append(piece)
                room -= len(piece)
                if room < 0:
                    raise too_large(limit)
                body = packed.unconsumed_tail
                if packed.eof:
                    body = packed.unused_data
                    break
                if not body and not piece:
                    raise UnpackError(400, "bad_encoding", "the packed body ends too early")
            if window != 31 or body[:2] != _GZIP:
                break  # gzip may have several members; other trailing data is ignored
    except zlib.error:
        raise UnpackError(400, "bad_encoding", "the body is not packed as it says") from None
    return b"".join(found) if len(found) > 1 else found[0] if found else b""


def _unzstd(body: bytes, limit: int) -> bytes:
    found: list[bytes] = []
    room = limit
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(
            body, read_across_frames=True
        )
        while piece := reader.read(min(room + 1, _STEP)):
            found.append(piece)
            room -= len(piece)
            if room < 0:
                raise too_large(limit)
    except zstandard.ZstdError:
        raise UnpackError(400, "bad_encoding", "the body is not packed as it says") from None
    if not _ends_with_a_frame(body):
        raise UnpackError(400, "bad_encoding", "the packed body ends too early")
    return b"".join(found)


def _ends_with_a_frame(body: bytes) -> bool:
    """Return whether no frame is truncated (RFC 8878, 3.1), which the decompressor does not report."""
    at, blocks = 0, 0
    while at < len(body):
        magic = int.from_bytes(body[at : at + 4], "little")
        if magic & 0xFFFFFFF0 == 0x184D2A50:  # to be skipped
            at += 8 + int.from_bytes(body[at + 4 : at + 8], "little")
            continue
        said = body[at + 4] if at + 4 < len(body) else 0
        single = said >> 5 & 1
        at += 6 - single + (0, 1, 2, 4)[said & 3] + (single, 2, 4, 8)[said >> 6]
        last = 0
        while not last:
            block = int.from_bytes(body[at : at + 3], "little")
            last, kind = block & 1, block >> 1 & 3
            at += 3 + (1 if kind == 1 else block >> 3)
            blocks += 1
            if at > len(body) or blocks > _MOST_BLOCKS:
                return False
        at += 4 * (said >> 2 & 1)
    return at == len(body)
