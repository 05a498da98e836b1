"""What two servers could read in two ways is refused, and its connection ends; so is what is too much."""

from __future__ import annotations

import pytest

from tests.collect.rig import Running, post

CL = b"Content-Length: 3\r\n"
POST = b"POST /v1/events HTTP/1.1\r\nHost: x\r\n"
BAD = {
    "a length beside chunks": POST + CL + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks beside a length": POST + b"Transfer-Encoding: chunked\r\n" + CL + b"\r\n0\r\n\r\n",
    "two lengths": POST + CL + b"Content-Length: 4\r\n\r\nabcd",
    "two equal lengths": POST + CL + CL + b"\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "a signed length": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "an empty length": POST + b"Content-Length: \r\n\r\nabc",
    "a length beyond all numbers": POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "bare line feeds": b"POST /v1/events HTTP/1.1\nHost: x\nContent-Length: 3\n\nabc",
    "one bare line feed": POST + b"A: b\n" + CL + b"\r\nabc",
    "a bare carriage return": POST + b"A: b\rC: d\r\n\r\n",
    "a zero byte in a value": POST + b"A: b\0c\r\n\r\n",
    "a zero byte in a name": POST + b"A\0: b\r\n\r\n",
    "a zero byte in the path": b"POST /v1/ev\0ents HTTP/1.1\r\nHost: x\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\nabc",
    "a folded header": POST + b"A: b\r\n c\r\n\r\n",
    "a header without a name": POST + b": b\r\n\r\n",
    "chunked and something after it": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "almost chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a chunk of negative size": POST + b"Transfer-Encoding: chunked\r\n\r\n-3\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    "chunks with bare line feeds": POST + b"Transfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    "another encoding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "an unknown method": b"GRAB /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "nonsense": b"\xff" * 40 + b"\r\n\r\n",
}


@pytest.mark.parametrize("what", BAD)
def test_is_refused_and_ends_its_connection(running, what):
    smuggled = post(b'{"smuggled":true}')
    with running.connect() as client:
        client.send(BAD[what] + smuggled)
        reply = client.read()
        assert reply.status in (400, 501)
        assert reply.json["code"]
        assert reply.json["message"]
        assert reply.headers["connection"] == "close"
        assert client.is_closed()
    assert running.sink.values == []


CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_MUCH = {
    "a long path": (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
    "a long header": (POST + b"A: " + b"b" * 20_000 + b"\r\n\r\n", 431),
    "a head that does not end": (POST + b"A: " + b"b" * 40_000, 431),
    "a name that does not end": (POST + b"b" * 40_000, 431),
    "a path that does not end": (b"GET /" + b"a" * 40_000, 431),
    "101 headers": (POST + b"A: b\r\n" * 100 + b"\r\n", 431),
    "trailers without end": (POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: b\r\n" * 300, 431),
    "a trailer that does not end": (CHUNKED + b"0\r\nA: " + b"b" * 600_000, 400),
    "an extension that does not end": (CHUNKED + b"5;a=" + b"b" * 600_000, 400),
    "no version": (b"POST /v1/events\r\nHost: x\r\n\r\n", 505),
    "another version": (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
    "an expectation": (POST + b"Expect: a miracle\r\nContent-Length: 3\r\n\r\n", 417),
    "a tunnel": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", 405),
    "a length beyond the limit": (POST + b"Content-Length: 20971521\r\n\r\n", 413),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_is_too_much(running, what):
    request, status = TOO_MUCH[what]
    with running.connect() as client:
        client.send(request)
        assert client.read().status == status
        assert client.is_closed()


def test_chunks_beyond_the_limit_are_refused_while_they_come():
    with Running({"limits": {"body": 4096, "member": 4096}}) as running, running.connect() as client:
        client.send(post(b"", "Transfer-Encoding: chunked", length=False))
        chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
        client.send(chunk * 5)
        assert client.read().status == 413
        assert client.is_closed()
        assert running.ask(post(b'{"a":"' + b"x" * 4000 + b'"}')).status == 200


def test_requests_before_the_bad_one_are_answered_first(running):
    with running.connect() as client:
        client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 2 + BAD["two lengths"])
        assert [client.read().status for _ in range(3)] == [200, 200, 400]
        assert client.is_closed()


def test_nothing_of_a_strangers_request_is_answered_or_logged(running, caplog):
    for request in (
        BAD["nonsense"],
        b"GET /\x1b]0;evil\x07 HTTP/1.1\r\n\r\n",
        post(b"<script>", path="/<script>"),
    ):
        reply = running.ask(request)
        assert b"script" not in reply.body
        assert b"evil" not in reply.body
    assert caplog.text == ""
