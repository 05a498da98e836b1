"""HTTP as clients speak it: whatever way a request takes, it is read whole and answered once, in order."""

from __future__ import annotations

import contextlib
import gzip
from random import Random

import pytest

from tests.collect.rig import EVENT, Running, post, wait_for

CHUNKED = "Transfer-Encoding: chunked"


def kept(running: Running) -> list[bytes | None]:
    values = running.sink.values
    running.sink.batches.clear()
    return values


@pytest.fixture(autouse=True)
def _empty(running):
    running.sink.batches.clear()


def test_many_requests_share_a_connection(running):
    with running.connect() as client:
        for n in range(3):
            client.send(post(b'{"n":%d}' % n))
            reply = client.read()
            assert reply.status == 200
            assert "connection" not in reply.headers
    assert kept(running) == [b'{"n":0}', b'{"n":1}', b'{"n":2}']


def test_pipelined_requests_are_answered_in_their_order(running):
    requests = [
        post(b'{"n":0}'),
        b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
        post(b"nothing"),
        post(b'{"n":1}'),
    ]
    with running.connect() as client:
        client.send(b"".join(requests))
        assert [client.read().status for _ in requests] == [200, 404, 400, 200]
    assert kept(running) == [b'{"n":0}', b'{"n":1}']


@pytest.mark.parametrize("seed", range(4))
def test_how_the_bytes_are_cut_changes_nothing(running, seed):
    random = Random(seed)
    requests, statuses, bodies = [], [], []
    for n in range(40):
        kind = random.randrange(4)
        body = b'{"n":%d,"x":"%s"}' % (n, b"x" * random.choice((0, 10, 3000)))
        if kind == 0:
            requests.append(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        elif kind == 1:
            chunks = b"".join(b"%x\r\n%b\r\n" % (1, bytes([byte])) for byte in body[:50])
            rest = body[50:]
            chunks += b"%x\r\n%b\r\n" % (len(rest), rest) if rest else b""
            requests.append(post(b"", CHUNKED, length=False) + chunks + b"0\r\n\r\n")
        else:
            requests.append(post(gzip.compress(body) if kind == 2 else body))
        statuses.append(200)
        bodies += [body] if kind else []
    wire = b"".join(requests)
    with running.connect() as client:
        while wire:
            size = random.choice((1, 7, 100, 5000))
            client.send(wire[:size])
            wire = wire[size:]
        assert [client.read().status for _ in requests] == statuses
    assert kept(running) == bodies


def test_a_pipelined_request_waits_until_the_one_before_it_is_kept(running):
    running.sink.held = True
    try:
        with running.connect() as client:
            client.send(post(b'{"n":0}') + post(b'{"n":1}'))
            while not running.sink.batches:
                pass
            assert running.sink.values == [b'{"n":0}']
            running.do(running.sink.release)
            assert [client.read().status for _ in range(2)] == [200, 200]
    finally:
        running.sink.held = False


def test_a_request_may_come_byte_by_byte(running):
    with running.connect() as client:
        for byte in post():
            client.send(bytes([byte]))
        assert client.read().status == 200
    assert kept(running) == [EVENT]


@pytest.mark.parametrize("sizes", [[1], [7, 3], [1000]])
def test_chunks_are_put_together(running, sizes):
    rest, wire, at = EVENT, b"", 0
    while rest:
        size = sizes[at % len(sizes)]
        piece, rest = rest[:size], rest[size:]
        wire += b"%x;why=not\r\n%b\r\n" % (len(piece), piece)
        at += 1
    reply = running.ask(post(b"", CHUNKED, length=False) + wire + b"0\r\nX-Trailer: ignored\r\n\r\n")
    assert reply.status == 200
    assert kept(running) == [EVENT]


def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(running):
    with running.connect() as client:
        head, _, body = post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.read().status == 100
        client.send(body)
        assert client.read().status == 200


def test_a_client_is_asked_for_a_body_once_the_request_before_it_is_answered(running):
    head, _, body = post(b'{"n":1}', "Expect: 100-continue").partition(b"\r\n\r\n")
    running.sink.held = True
    try:
        with running.connect() as client:
            client.send(post(b'{"n":0}') + head + b"\r\n\r\n")
            while not running.sink.batches:
                pass
            running.do(running.sink.release)
            assert [client.read().status for _ in range(2)] == [200, 100]
            client.send(body)
            assert client.read().status == 200
    finally:
        running.sink.held = False


def test_a_client_that_waits_to_be_asked_hears_first_that_its_body_is_too_large(running):
    with running.connect() as client:
        client.send(
            b"POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"
        )
        reply = client.read()
        assert reply.status == 413
        assert reply.json["code"] == "too_large"
        assert reply.json["message"]
        assert client.is_closed()


def test_who_sends_its_body_unasked_has_the_next_one_not_asked_for(running):
    """It may be an HTTP/1.0 client's, behind the same proxy: that one knows no 100."""
    head, _, body = post(b'{"n":3}', version="1.0").partition(b"\r\n\r\n")
    running.sink.held = True
    with running.connect() as client:
        client.send(post(b'{"n":1}') + post(b'{"n":2}', "Expect: 100-continue") + head + b"\r\n\r\n")
        wait_for(lambda: running.sink.batches)
        running.do(running.sink.release)
        assert [client.read().status for _ in range(2)] == [200, 200]
        client.send(body)
        assert client.read().status == 200
    assert kept(running) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']


@pytest.mark.parametrize(("headers", "stays"), [((), False), (("Connection: keep-alive",), True)])
def test_http_1_0_is_answered_and_closed_unless_it_asks(running, headers, stays):
    with running.connect() as client:
        client.send(post(EVENT, *headers, version="1.0"))
        reply = client.read()
        assert reply.status == 200
        assert reply.headers["connection"] == ("keep-alive" if stays else "close")
        if stays:
            client.send(post(EVENT, version="1.0"))
            assert client.read().status == 200
        assert client.is_closed()


def test_connection_close_is_heeded(running):
    with running.connect() as client:
        client.send(post(EVENT, "Connection: close"))
        assert client.read().headers["connection"] == "close"
        assert client.is_closed()


@pytest.mark.parametrize(
    "path",
    [
        "/v1/events",
        "/v1/events/",
        "/v1/events//",
        "/ingest/v1/events",
        "/v1%2Fevents",
        "http://h/v1/events",
        "/v1/events?a=b&a=%ff#c",
    ],
)
def test_a_path_may_be_written_in_several_ways(running, path):
    assert running.ask(post(path=path)).status == 200


def test_head_is_answered_without_a_body(running):
    with running.connect() as client:
        for _ in range(2):
            client.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            reply = client.read(without_body=True)
            assert (reply.status, reply.headers["content-length"]) == (200, "3")


def test_a_client_that_would_rather_speak_h2c_keeps_its_body(running):
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
    with running.connect() as client:
        client.send(post(EVENT, *upgrade))
        assert client.read().status == 200
        head, _, body = post(EVENT, *upgrade).partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        client.send(body)
        assert client.read().status == 200
        client.send(post(EVENT))
        assert client.read().status == 200
    assert kept(running) == [EVENT] * 3


def test_so_does_one_that_says_it_a_thousand_times_at_once(running):
    with running.connect() as client:
        client.send(b"GET /healthz HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" * 1_000)
        assert [client.read().status for _ in range(1_000)] == [200] * 1_000


def test_a_client_that_has_sent_all_and_closes_its_side_is_answered(running):
    import socket

    with running.connect() as client:
        client.send(post())
        client.socket.shutdown(socket.SHUT_WR)
        assert client.read().status == 200
        assert client.is_closed()


def test_half_a_request_is_none(running):
    import socket

    with running.connect() as client:
        client.send(post()[:-3])
        client.socket.shutdown(socket.SHUT_WR)
        assert client.is_closed()
    assert kept(running) == []


@pytest.mark.parametrize("headers", [(), ("Content-Encoding: gzip",), ("Content-Type: text/plain",)])
def test_what_begins_like_gzip_is_unpacked_whatever_is_said(running, headers):
    assert running.ask(post(gzip.compress(EVENT), *headers)).status == 200
    assert kept(running) == [EVENT]


def test_a_large_packed_body_is_unpacked_too(running):
    noise = Random(1).randbytes(40_000).hex().encode()
    body = b'{"type":"event","noise":"' + noise + b'"}'
    packed = gzip.compress(body)
    assert len(packed) > 16 << 10
    with running.connect() as client:
        client.send(post(packed, "Content-Encoding: gzip") + post(EVENT))
        assert [client.read().status for _ in range(2)] == [200, 200]
    assert kept(running) == [body, EVENT]


def test_a_packing_that_is_not_known_is_named(running):
    reply = running.ask(post(EVENT, "Content-Encoding: br"))
    assert reply.status == 415
    assert "gzip, deflate, zstd" in reply.json["message"]
    assert kept(running) == []


@pytest.mark.parametrize("said", ["UTF-8", "none", "identity, utf-8"])
def test_a_charset_in_place_of_a_packing_is_no_packing(running, said):
    assert running.ask(post(EVENT, f"Content-Encoding: {said}")).status == 200
    assert running.sink.values[-1] == EVENT


def test_a_body_in_another_charset_is_kept_in_utf_8(running):
    text = '{"type":"event","name":"Köln","user_id":"u1"}'
    reply = running.ask(post(text.encode("latin-1"), "Content-Type: application/json; charset=ISO-8859-1"))
    assert (reply.status, running.sink.values[-1]) == (200, text.encode())
    reply = running.ask(post(b'{"name":"\xa0\xff"}', "Content-Type: application/json; charset=shift_jis"))
    assert reply.status == 415
    assert "shift-jis" in reply.json["message"]


def test_an_event_with_its_attributes_in_headers_too_is_kept_in_utf_8(running):
    text = '{"specversion":"1.0","id":"1","source":"/s","type":"Köln"}'
    headers = "Content-Type: application/cloudevents+json; charset=ISO-8859-1", "ce-specversion: 1.0"
    reply = running.ask(post(text.encode("latin-1"), *headers, path="/cloudevents"))
    assert (reply.status, running.sink.values[-1]) == (200, text.encode())


def test_escapes_of_a_query_that_are_no_utf_8_keep_their_bytes(running):
    data = '{"event":"A","distinct_id":"u%F6","api_key":"sk-server-secret"}'
    assert running.ask(f"GET /e?data={data} HTTP/1.1\r\nHost: c\r\n\r\n".encode()).status == 200
    assert kept(running) == [b'{"event":"A","distinct_id":"u\xf6","api_key":""}']


def test_no_cache_answers_for_the_collector(running):
    event = '{"event":"A","distinct_id":"u","api_key":"sk-server-secret"}'
    for target in (f"/e?data={event}", "/e", "/v1/projects/k/settings"):
        reply = running.ask(f"GET {target} HTTP/1.1\r\nHost: c\r\n\r\n".encode())
        assert reply.headers["cache-control"] == "no-store"
    assert "cache-control" not in running.ask(post()).headers


def test_an_empty_batch_needs_a_key_and_nothing_is_kept_of_it(running):
    assert running.ask(post(b"[]", path="/cloudevents")).json == {"accepted": 0, "repeats": 0}
    assert running.ask(post(b"[]", path="/cloudevents", key="another")).status == 401
    assert running.sink.batches == []


def test_header_values_in_utf_8_and_in_latin_1_are_both_read(running):
    for value in ("x-note: b\u00fcrste".encode(), "x-note: b\u00fcrste".encode("latin-1")):
        request = post().replace(b"Host: collect.example", value)
        assert running.ask(request).status == 200


def test_a_body_in_crumbs_is_put_together_and_what_costs_more_than_it_holds_is_refused(running):
    value = b'{"type":"event","name":"' + b"n" * 300_000 + b'","user_id":"u1"}'
    crumbs = b"".join(b"14\r\n%b\r\n" % value[at : at + 20] for at in range(0, len(value) // 20 * 20, 20))
    rest = value[len(value) // 20 * 20 :]
    last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(rest), rest)
    head = post(b"", CHUNKED, length=False)
    with running.connect() as client:
        # Another request comes in the same pieces: what waits for its turn keeps its order.
        client.send(head + crumbs + last + post())
        assert [client.read().status, client.read().status] == [200, 200]
    assert running.sink.values[-2:] == [value, EVENT]
    with running.connect() as client:
        with contextlib.suppress(OSError):
            client.send(head + b"1\r\n[\r\n" + b"1\r\n \r\n" * 50_000)
        reply = client.read()
    assert (reply.status, reply.json["code"]) == (400, "small_chunks")


def test_a_head_that_came_before_says_what_it_said_however_its_body_comes(running):
    known = post(b'{"n":0}', "X-Trace: 1")
    with running.connect() as client:
        for _ in range(3):
            client.send(known)
            assert client.read().status == 200
        client.send(known + known + known[:-3])  # several at once, the last one not whole
        assert [client.read().status for _ in range(2)] == [200, 200]
        client.send(known[-3:])
        assert client.read().status == 200
        head, body = known[:-7], known[-7:]
        client.send(head)
        client.send(body + head + b'{"n":1}' + b"\r\n" + head + b'{"n":2}')
        assert [client.read().status for _ in range(3)] == [200, 200, 200]
    assert kept(running) == [b'{"n":0}'] * 7 + [b'{"n":1}', b'{"n":2}']


def test_a_head_that_came_before_is_another_ones_with_one_byte_changed(running):
    with running.connect() as client:
        for _ in range(2):
            client.send(post(b'{"n":0}'))
            assert client.read().status == 200
        client.send(post(b'{"n":0}', key="sk-server-secreT"))
        assert client.read().status == 401
        client.send(post(b'{"n":0}', "Transfer-Encoding: chunked"))
        assert client.read().status == 400
    with running.connect() as client:
        client.send(post(b'{"n":0}', "Connection: close"))
        assert client.read().headers["connection"] == "close"
        assert client.is_closed()
    with running.connect() as client:
        client.send(post(b'{"n":0}', "Connection: close"))
        assert client.read().status == 200
        assert client.is_closed()
