"""The ways an answer can be broken, each a function of the connection and the answer."""

from __future__ import annotations

import asyncio
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

from pipeline.receiver.answer import Answer


class Wire(Protocol):
    """What a fault needs of a connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    served: int

    def answered(self) -> None:
        """The answer is out; continue with the next request."""


Fault = Callable[[Wire, Answer], None]
DRIP_SECS = 0.05


def _write(*pieces: bytes, close: bool = False) -> Fault:
    """Answer with these bytes, then continue or close."""
    wire = b"".join(pieces)

    def fault(connection: Wire, answer: Answer) -> None:
        connection.transport.write(wire)
        if close:
            connection.transport.close()
        else:
            connection.answered()

    return fault


def _stream(pieces: Callable[[], Iterator[bytes]], pause_secs: float = 0.0) -> Fault:
    """Answer piece by piece for as long as the client listens."""

    def fault(connection: Wire, answer: Answer) -> None:
        source = pieces()

        def step() -> None:
            if connection.transport.is_closing():
                return
            # A client that does not read gets no more than a buffer's worth.
            if connection.transport.get_write_buffer_size() < 1 << 20:
                piece = next(source, None)
                if piece is None:
                    connection.answered()
                    return
                connection.transport.write(piece)
            connection.loop.call_later(pause_secs, step)

        step()

    return fault


def _reset(connection: Wire) -> None:
    """Close so that the peer gets a RST instead of a FIN."""
    sock = connection.transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.transport.abort()


def _hang(connection: Wire, answer: Answer) -> None:
    """Never answer."""


def _half_close(connection: Wire, answer: Answer) -> None:
    """Close our side only, without an answer."""
    connection.transport.write_eof()


def _reset_mid_body(connection: Wire, answer: Answer) -> None:
    connection.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
    connection.loop.call_later(0.02, _reset, connection)


def _stale(connection: Wire, answer: Answer) -> None:
    """Serve the first request of each connection, close without an answer at the second."""
    if connection.served > 1:
        connection.transport.close()
    else:
        connection.transport.write(_OK)
        connection.answered()


def _bomb() -> bytes:
    """Ten megabytes of zeros, as gzip."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(bytes(10 << 20)) + packer.flush()


def _gzip_bomb(connection: Wire, answer: Answer) -> None:
    body = _bomb()
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body)
    connection.transport.write(head + body)
    connection.answered()


def _forever(start: bytes, piece: bytes) -> Callable[[], Iterator[bytes]]:
    def pieces() -> Iterator[bytes]:
        yield start
        while True:
            yield piece

    return pieces


def _bytes_of(wire: bytes) -> Callable[[], Iterator[bytes]]:
    return lambda: (wire[place : place + 1] for place in range(len(wire)))


_OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
_FLOOD_LINE = b"x-flood: " + b"a" * 50 + b"\r\n"

FAULTS: dict[str, Fault] = {
    "hang": _hang,
    "reset": lambda connection, answer: _reset(connection),
    "reset-mid-body": _reset_mid_body,
    "close": lambda connection, answer: connection.transport.close(),
    "half-close": _half_close,
    "stale": _stale,
    "close-after": _write(_OK, close=True),
    "connection-close": _write(
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", close=True
    ),
    "http10": _write(b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", close=True),
    "eof-body": _write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end of file", close=True),
    "short-body": _write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort", close=True),
    "short-head": _write(b"HTTP/1.1 200 OK\r\ncontent-le", close=True),
    "chunked": _write(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        b"2\r\nok\r\n1;x=y\r\n!\r\n0\r\nx-trailer: 1\r\n\r\n",
    ),
    "chunked-cut": _write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nhalf", close=True),
    "chunked-bad": _write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n0\r\n\r\n"),
    "length-twice": _write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!"),
    "length-and-chunked": _write(
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
    ),
    "204-with-length": _write(b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n"),
    "continue": _write(b"HTTP/1.1 100 Continue\r\n\r\n", _OK),
    "early-hints": _write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nretry-after: 9\r\n\r\n", _OK),
    "switch": _write(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
    "extra": _write(_OK, b"HTTP/1.1 500 Not Asked\r\ncontent-length: 0\r\n\r\n"),
    "extra-start": _write(_OK, b"HTTP/1.1 2"),
    "garbage": _write(b"\x00\xff\x16\x03 this is not HTTP\r\n\r\n"),
    "speak-first": lambda connection, answer: connection.transport.write(_OK),
    "drip-head": _stream(_bytes_of(_OK), DRIP_SECS),
    "drip-body": _stream(_forever(b"HTTP/1.1 200 OK\r\ncontent-length: 9999\r\n\r\n", b"."), DRIP_SECS),
    "gzip-bomb": _gzip_bomb,
    "endless": _stream(_forever(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 4096)),
    "endless-chunks": _stream(
        _forever(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 64)
    ),
    "endless-trailers": _stream(
        _forever(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n", _FLOOD_LINE * 16)
    ),
    "header-flood": _stream(_forever(b"HTTP/1.1 200 OK\r\n", _FLOOD_LINE * 16)),
    "long-header": _stream(_forever(b"HTTP/1.1 200 OK\r\nx-long: ", b"a" * 4096)),
    "103-flood": _stream(_forever(b"", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 16)),
    "redirect": _write(
        b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data\r\n",
        b"content-length: 0\r\n\r\n",
    ),
}
