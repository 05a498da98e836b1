"""One leniency for both clients: answers in every form that receivers write, and what each of them is."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from pipeline.deliver.http.reader import AnswerReader
from pipeline.deliver.requests.answers import text_of
from tests.kit.delivery.sending import Sending, in_a_loop

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FOLDED = b"HTTP/1.1 200 OK\r\nx-note: one\r\n  two\r\n\tthree\r\ncontent-length: 2\r\n\r\nok"


def ok(head: bytes, body: bytes = b"ok") -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return ok(b"transfer-encoding: chunked\r\n", body)


BOTH = ok(
    b"connection: keep-alive\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"
)

TAKEN_ONCE: dict[str, bytes] = {
    "a length beside chunks": BOTH,
    "a wrong length beside chunks": BOTH.replace(b"length: 2", b"length: 99"),
    "a length beside chunks in HTTP/1.0": BOTH.replace(b"HTTP/1.1", b"HTTP/1.0"),
    "chunked twice": ok(b"transfer-encoding: chunked, chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
    "a coding nobody asked for": ok(b"transfer-encoding: gzip, chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
    "chunked in two headers": ok(b"transfer-encoding: chunked\r\n" * 2, b"2\r\nok\r\n0\r\n\r\n"),
    "a header without a colon": ok(b"nonsense\r\ncontent-length: 2\r\n"),
    "a header without a name": ok(b": x\r\ncontent-length: 2\r\n"),
    "a name with a blank": ok(b"x y: 1\r\ncontent-length: 2\r\n"),
    "a bare CR in a header": ok(b"x-a: 1\rx-b: 2\r\ncontent-length: 2\r\n"),
    "a zero byte in a header": ok(b"x-a: \0\r\ncontent-length: 2\r\n"),
    "a control character in a header": ok(b"set-cookie: a=\x01\r\ncontent-length: 2\r\n"),
    "a folded first line": b"HTTP/1.1 200 OK\r\n x: y\r\ncontent-length: 2\r\n\r\nok",
}
"""What is a 200 with the body ``ok``, on a connection that is not used again."""

TAKEN: dict[str, bytes] = TAKEN_ONCE | {
    "plain": OK,
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-type: text/plain\ncontent-length: 2\n\nok",
    "bare line feeds here and there": b"HTTP/1.1 200 OK\r\nx-a: 1\ncontent-length: 2\r\n\nok",
    "bare line feeds around chunks": b"HTTP/1.1 200 OK\ntransfer-encoding: chunked\n\n2\nok\n0\n\n",
    "folded headers": FOLDED,
    "a folded header of line feeds": FOLDED.replace(b"\r\n", b"\n"),
    "one length twice": ok(b"Content-Length: 2\r\nx-a: b\r\ncontent-length: 2\r\n"),
    "one length twice in a line": ok(b"content-length: 2, 2\r\n"),
    "one length three times": ok(b"content-length: 2\r\n" * 3),
    "a blank before the colon": ok(b"content-length : 2\r\n"),
    "blanks after the length": ok(b"content-length:   2  \t\r\n"),
    "no blank after the colon": ok(b"content-length:2\r\n"),
    "an empty header": ok(b"x-empty:\r\ncontent-length: 2\r\n"),
    "chunks": chunked(b"2\r\nok\r\n0\r\n\r\n"),
    "chunks with padded sizes": chunked(b"2  \r\nok\r\n0 \r\n\r\n"),
    "chunks with zeros before their size": chunked(b"0002\r\nok\r\n000\r\n\r\n"),
    "chunks with extensions": chunked(b'2;a=b;c="d"\r\nok\r\n0;x\r\n\r\n'),
    "chunks with trailers": chunked(b"2\r\nok\r\n0\r\nx-sum: 1\r\nretry-after: 9\r\n\r\n"),
    "chunks in capitals": ok(b"TRANSFER-ENCODING: Chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
    "chunks said twice over": ok(b"transfer-encoding: identity, chunked\r\n", b"2\r\nok\r\n0\r\n\r\n"),
    "identity and a length": ok(b"transfer-encoding: identity\r\ncontent-length: 2\r\n"),
    "no reason": b"HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok",
    "a blank for a reason": b"HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok",
    "a long reason": b"HTTP/1.1 200 " + b"Fine " * 99 + b"\r\ncontent-length: 2\r\n\r\nok",
    "a reason in Latin-1": b"HTTP/1.1 200 Gr\xfc\xdfe\r\ncontent-length: 2\r\n\r\nok",
    "an empty line before it": b"\r\n" + OK,
    "several empty lines before it": b"\n\r\n\n" + OK,
    "Latin-1 in a header": ok(b"x-city: K\xf6ln\r\ncontent-length: 2\r\n"),
    "1xx before it": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nretry-after: 5\r\n\r\n" + OK,
    "1xx with line feeds": b"HTTP/1.1 100 Continue\n\n" + OK,
    "HTTP/1.0 kept alive": b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
}  # fmt: skip
"""What is a 200 with the body ``ok``."""

TAKEN_TO_THE_END: dict[str, bytes] = {
    "HTTP/1.0 until the end": b"HTTP/1.0 200 OK\r\n\r\nok",
    "HTTP/1.1 until the end": b"HTTP/1.1 200 OK\r\n\r\nok",
    "close until the end": b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok",
    "line feeds until the end": b"HTTP/1.1 200 OK\n\nok",
    "no line after the last chunk": chunked(b"2\r\nok\r\n0\r\n"),
    "no end of the trailers, until the end": chunked(b"2\r\nok\r\n0\r\nx-a: 1\r\n"),
    "identity until the end": b"HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok",
}
"""The same where the receiver closes afterwards."""

REFUSED: dict[str, tuple[bytes, int]] = {
    "two lengths": (ok(b"content-length: 2\r\ncontent-length: 3\r\n"), 200),
    "two lengths in a line": (ok(b"content-length: 2, 3\r\n"), 200),
    "no length in a length": (ok(b"content-length:\r\n"), 200),
    "a length with a sign": (ok(b"content-length: +2\r\n"), 200),
    "a length below zero": (ok(b"content-length: -2\r\n"), 200),
    "a hexadecimal length": (ok(b"content-length: 0x2\r\n"), 200),
    "a length beyond 64 bits": (ok(b"content-length: 18446744073709551618\r\n"), 200),
    "a folded length": (ok(b"content-length: 2\r\n 3\r\n"), 200),
    "a length without a colon": (ok(b"content-length 2\r\n"), 200),
    "a length behind a bare CR": (ok(b"x-a: 1\rcontent-length: 3\r\ncontent-length: 2\r\n"), 200),
    "another answer in a header": (ok(b"x-a\x00" + OK.partition(b"\r\n\r\n")[0] + b"\r\n"), 200),
    "a zero byte in a coding": (ok(b"transfer-encoding: chunked\0\r\ncontent-length: 2\r\n"), 200),
    "two lengths beside chunks": (BOTH.replace(b"length: 2", b"length: 2, 3"), 200),
    "a coding after chunks": (ok(b"transfer-encoding: chunked, gzip\r\n", b"2\r\nok\r\n0\r\n\r\n"), 200),
    "a coding between chunks": (ok(b"transfer-encoding: chunked, gzip, chunked\r\n"), 200),
    "a coding without chunks": (ok(b"transfer-encoding: gzip\r\ncontent-length: 2\r\n"), 200),
    "an unknown coding": (ok(b"transfer-encoding: xchunked\r\n"), 200),
    "chunks without a size": (chunked(b"\r\nok\r\n0\r\n\r\n"), 200),
    "chunks with a size that is none": (chunked(b"zz\r\nok\r\n0\r\n\r\n"), 200),
    "chunks with a negative size": (chunked(b"-2\r\nok\r\n0\r\n\r\n"), 200),
    "chunks with a size beyond 64 bits": (chunked(b"1" * 17 + b"\r\nok\r\n0\r\n\r\n"), 200),
    "a chunk longer than its size": (chunked(b"1\r\nok\r\n0\r\n\r\n"), 200),
    "a zero byte in the reason": (b"HTTP/1.1 200 O\0K\r\ncontent-length: 2\r\n\r\nok", 0),
    "a failure with two lengths": (
        b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok", 503,
    ),
    "HTTP/0.9 as a version": (b"HTTP/0.9 200 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "HTTP/0.9": (b"<html>hello</html>\n\n", 0),
    "HTTP/2 as a version": (b"HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "HTTP/2": (b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64\r\n\r\n", 0),
    "RTSP": (b"RTSP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "ICE": (b"ICE/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "small letters": (b"http/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "a request": (b"POST / HTTP/1.1\r\nhost: x\r\n\r\n", 0),
    "no status": (b"HTTP/1.1 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "a status of four digits": (b"HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "a status below 100": (b"HTTP/1.1 099 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "two blanks before the status": (b"HTTP/1.1  200 OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "a status in letters": (b"HTTP/1.1 2OO OK\r\ncontent-length: 2\r\n\r\nok", 0),
    "another protocol": (b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", 0),
    "SSH": (b"SSH-2.0-OpenSSH_9.6\r\n", 0),
}  # fmt: skip
"""What is no answer, and the status that it told before that showed."""


ENDLESS: dict[str, tuple[bytes, int]] = {
    "neither a length nor an end": (b"HTTP/1.1 200 OK\r\n\r\nok", 200),
    "a close that does not come": (b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok", 200),
    "less than its length": (ok(b"content-length: 3\r\n"), 200),
    "no last chunk": (chunked(b"2\r\nok\r\n"), 200),
    "no end of the trailers": (chunked(b"2\r\nok\r\n0\r\nx-a: 1\r\n"), 200),
    "a failure without an end": (b"HTTP/1.1 503 Busy\r\n\r\nbusy", 503),
    "no answer after 1xx": (b"HTTP/1.1 103 Hints\r\n\r\n", 0),
}  # fmt: skip
"""What goes on and never ends, and the status that it told."""


@asynccontextmanager
async def saying(wire: bytes, *, close: bool = False, pieces: int = 1) -> AsyncIterator[str]:
    """Serve one answer to every request, in so many pieces; the receiver's URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n{}"):
                size = -(-len(wire) // pieces)
                for start in range(0, len(wire), size):
                    writer.write(wire[start : start + size])
                    await writer.drain()
                    await asyncio.sleep(0)
                if close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def verdict(
    name: str, wire: bytes, *, close: bool, pieces: int, whole: bool, patience_secs: float = 5.0
) -> tuple[object, ...]:
    """Return what a client makes of an answer."""
    sending = Sending(name)
    try:
        async with saying(wire, close=close, pieces=pieces) as url:
            attempt = await sending.send(url, whole=whole, timeout_secs=patience_secs)
            return attempt.fault, attempt.status, attempt.begun, attempt.answer
    finally:
        await sending.client.close()


def verdicts(wire: bytes, *, close: bool = False) -> set[tuple[object, ...]]:
    """Return what the clients make of it, in one piece and in many, with and without a look at the body."""

    async def all_of_them() -> set[tuple[object, ...]]:
        return {
            await verdict(name, wire, close=close, pieces=pieces, whole=whole)
            for name in ("native", "aiohttp")
            for pieces in (1, 9)
            for whole in (False, True)
        }

    return in_a_loop(all_of_them())


@pytest.mark.parametrize("form", TAKEN)
def test_both_clients_take_it_as_a_success(form: str) -> None:
    assert verdicts(TAKEN[form]) == {(None, 200, 0, b"ok")}


@pytest.mark.parametrize("form", TAKEN_TO_THE_END)
def test_both_clients_read_to_the_end(form: str) -> None:
    assert verdicts(TAKEN_TO_THE_END[form], close=True) == {(None, 200, 0, b"ok")}


@pytest.mark.parametrize("form", REFUSED)
def test_both_clients_refuse_it_and_tell_what_status_there_was(form: str) -> None:
    wire, begun = REFUSED[form]
    assert {(fault, status, told) for fault, status, told, _ in verdicts(wire)} == {("protocol", 0, begun)}


@pytest.mark.parametrize("name", ["native", "aiohttp"])
@pytest.mark.parametrize("form", ENDLESS)
def test_of_one_without_an_end_both_clients_tell_its_status(form: str, name: str) -> None:
    wire, begun = ENDLESS[form]
    # An answer that is there at the end of a second tells its status; before that none may be there yet.
    fault, status, told, _ = in_a_loop(
        verdict(name, wire, close=False, pieces=1, whole=False, patience_secs=1.0)
    )
    assert (fault, status, told) == ("timeout", 0, begun)


@pytest.mark.parametrize("name", ["native", "aiohttp"])
def test_a_coding_within_the_chunks_is_one_of_the_content(name: str) -> None:
    packed = gzip.compress(b'{"ok": true}')
    wire = ok(b"transfer-encoding: gzip, chunked\r\n", b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed), packed))

    async def said() -> str:
        sending = Sending(name)
        try:
            async with saying(wire) as url:
                attempt = await sending.send(url, whole=True)
                return text_of(attempt.answer, attempt.headers or {})
        finally:
            await sending.client.close()

    assert in_a_loop(said()) == '{"ok": true}'


@pytest.mark.parametrize("form", TAKEN_ONCE)
def test_one_that_others_may_read_differently_ends_the_connection(form: str) -> None:
    reader = AnswerReader()
    assert reader.feed(TAKEN_ONCE[form]) == b"ok"
    assert reader.done
    assert not reader.keep
