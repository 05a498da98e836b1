"""More comes than can be kept: it is held, then refused in the protocol's way; memory stays what it is."""

from __future__ import annotations

import contextlib
import gc
import gzip
import random
import resource
import socket
import time

import pytest

from pipeline.collect.batch import Refused, Why
from pipeline.collect.http.connection import Connection
from pipeline.collect.http.limits import USUAL
from pipeline.collect.http.unpack import UnpackError
from pipeline.collect.protocols.protocol import Cut, Malformed
from tests.collect.rig import Client, Running, post, wait_for

SMALL = {"limits": {"body": "1MiB", "member": "1MiB", "in_flight": "1MiB", "hold": "1s"}}
LARGE = b'{"a":"' + b"x" * 600_000 + b'"}'
FULL = b'{"a":"' + b"x" * 1_048_568 + b'"}'
SMALLER = b'{"a":"' + b"x" * 4_000 + b'"}'


@pytest.fixture
def full():
    """A collector whose sink keeps nothing, with one request under way that fills it."""
    with Running(SMALL) as running:
        running.sink.held = True
        with running.connect() as first:
            first.send(post(FULL))
            wait_for(lambda: running.sink.batches)
            yield running, first


def test_a_request_is_held_until_there_is_room(full):
    running, first = full
    with running.connect() as second:
        second.send(post(LARGE))
        wait_for(lambda: running.ask(b"GET /readyz HTTP/1.1\r\n\r\n").status == 503)
        assert len(running.sink.batches) == 1
        running.do(running.sink.release)
        assert first.read().status == 200
        assert second.read().status == 200
    assert running.ask(b"GET /readyz HTTP/1.1\r\n\r\n").status == 200


def test_a_request_that_was_held_for_long_enough_is_refused_and_told_when_to_come_again(full):
    running, first = full
    with running.connect() as second:
        begun = time.monotonic()
        second.send(post(SMALLER))
        reply = second.read()
        assert 0.9 < time.monotonic() - begun < 4
        assert reply.status == 503
        assert 1 <= int(reply.headers["retry-after"]) <= 60
        assert running.ask(b"GET /readyz HTTP/1.1\r\n\r\n").body == b"overloaded\n"
        running.do(running.sink.release)
        assert first.read().status == 200
        second.send(post(b'{"a":1}'))
        assert second.read().status == 200, "its connection goes on"
    assert running.sink.values == [FULL, b'{"a":1}']


def test_a_body_that_waits_half_read_is_refused_too(full):
    running, _first = full
    with running.connect() as second:
        second.send(post(LARGE)[:-100_000])
        reply = second.read()
        assert reply.status == 503
        assert reply.headers["connection"] == "close"
        assert second.is_closed()
    assert len(running.sink.batches) == 1


def test_a_body_that_never_ends_does_not_keep_others_out():
    patient = {"limits": {**SMALL["limits"], "hold": "2s"}}
    with (
        Running(patient, crowded_secs=0.2) as running,
        running.connect() as slow,
        running.connect() as healthy,
    ):
        slow.send(post(LARGE)[:-1000])
        wait_for(lambda: running.service.server.gate.inside)
        for body in (b'{"a":1}', LARGE):
            healthy.send(post(body))
            assert healthy.read().status == 200
        reply = slow.read()
        assert (reply.status, "retry-after" in reply.headers) == (503, True)
        running.sink.held = True
        healthy.send(post(LARGE))
        wait_for(lambda: len(running.sink.batches) == 3)
        assert running.ask(post(LARGE)).status == 503, "after some looks at who is slow"
        assert running.service.figures.refused == 2, "each of them once"


def test_a_small_packed_body_counts_what_it_becomes():
    import gzip

    with Running(SMALL) as running:
        running.sink.held = True
        packed = gzip.compress(b'{"a":"' + b"x" * 900_000 + b'"}')
        with running.connect() as first, running.connect() as second:
            first.send(post(packed))
            wait_for(lambda: running.sink.batches)
            second.send(post(packed))
            assert second.read().status == 503


def test_what_the_sink_refuses_is_refused_in_the_protocols_way():
    with Running() as running:
        for why, word in ((Why.DISK, b"disk\n"), (Why.BROKER, b"brokers\n"), (Why.BUSY, b"overloaded\n")):
            running.sink.refusal = Refused(why, 7)
            running.sink.trouble = why
            reply = running.ask(post())
            assert reply.status == 503
            assert reply.headers["retry-after"] == "7"
            ready = running.ask(b"GET /readyz HTTP/1.1\r\n\r\n")
            assert (ready.status, ready.body) == (503, word)
        running.sink.refusal = running.sink.trouble = None
        assert running.ask(post()).status == 200


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/events?key=sk-server-secret", b'{"a":1}', 503),
        ("/v1/batch", b'{"batch":[{"type":"track","event":"E","userId":"u"}]}', 429),
        ("/v1/t", b'{"event":"E","userId":"u"}', 429),
        ("/batch/", b'{"api_key":"sk-server-secret","batch":[{"event":"E","distinct_id":"u"}]}', 503),
    ],
)
def test_each_sdk_is_refused_in_the_way_in_which_it_keeps_its_data(full, path, body, status):
    running, _ = full
    with running.connect() as held, running.connect() as refused:
        request = post(body, "Authorization: Basic c2stc2VydmVyLXNlY3JldDo=", path=path, key=None)
        held.send(request)
        reply = held.read()
        assert (reply.status, int(reply.headers["retry-after"]) >= 1) == (status, True)
        running.do(running.sink.release)
        running.sink.refusal = Refused(Why.DISK, 9)
        refused.send(request)
        reply = refused.read()
        assert (reply.status, reply.headers["retry-after"]) == (status, "9")


def test_memory_stays_what_it_is_under_ten_times_the_load():
    """200 MB are offered to a collector that may hold 4 and keeps nothing."""
    limits = {"body": "1MiB", "in_flight": "4MiB", "hold": "1s"}
    with Running({"limits": limits}) as running:
        running.sink.held = True
        request = post(b'{"a":"' + b"x" * 1_000_000 + b'"}')
        before = most = _resident()
        clients = [running.connect() for _ in range(200)]
        for client in clients:
            client.socket.setblocking(False)
            _offer(client.socket, request)
        while running.service.figures.refused < 150:
            most = max(most, _resident())
            time.sleep(0.005)
        for client in clients:
            client.socket.close()
    assert most - before < 80 << 20, "what may be in flight, its copies, and what 200 sockets read at once"


def test_refused_requests_and_closed_connections_leave_nothing_to_the_garbage_collector():
    """It may come after ten thousands of them: of each a body was left, and two kilobytes."""

    def alive() -> list[int]:
        found = [type(one) for one in gc.get_objects()]
        return [found.count(kind) for kind in (Connection, Cut, Malformed, UnpackError)]

    gc.collect()
    before = alive()
    gc.disable()
    try:
        with Running() as running:
            running.sink.refusal = Refused(Why.DISK, 7)
            assert [running.ask(post(SMALLER)).status for _ in range(5)] == [503] * 5
            cut_off = gzip.compress(random.randbytes(1 << 20))[:-9] + b"\xff" * 99
            assert running.ask(post(b"{}\n" * 1_000_000, path="/v1/batch")).status == 400
            assert running.ask(post(cut_off, "Content-Encoding: gzip")).status == 400
            wait_for(lambda: not running.service.server.connections)
        assert alive() == before
    finally:
        gc.enable()


def _resident() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _offer(to: socket.socket, request: bytes) -> None:
    try:
        while sent := to.send(request):
            request = request[sent:]
    except BlockingIOError:
        pass


def test_five_thousand_slow_heads_do_not_slow_a_healthy_client():
    """They are a fifth of it here: a test's process may open no more on every machine."""
    with Running(head_secs=1.0) as running:
        slow: list[Client] = [running.connect() for _ in range(400)]
        for client in slow:
            client.send(b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-A: ")
        with running.connect() as healthy:
            waits = []
            for _ in range(200):
                begun = time.monotonic()
                healthy.send(post())
                assert healthy.read().status == 200
                waits.append(time.monotonic() - begun)
            assert sorted(waits)[100] < 0.02
        for client in slow:
            with client:
                assert client.read().status == 408
                assert client.is_closed()


def test_one_connection_too_many_is_told_so_or_the_oldest_idle_one_goes():
    with Running({"limits": {"connections": 2}}) as running:
        running.sink.held = True
        with running.connect() as first, running.connect() as second:
            first.send(post())
            second.send(post())
            wait_for(lambda: len(running.sink.batches) == 2)
            reply = running.ask(post())
            assert reply.status == 503
            assert reply.json["code"] == "too_many_connections"
            assert reply.headers["retry-after"] == "1"
            running.do(running.sink.release)
            assert first.read().status == second.read().status == 200
            assert running.ask(post()).status == 200, "an idle one made room"
            assert first.is_closed()


def test_slow_bodies_do_not_keep_all_places():
    with Running({"limits": {"connections": 2}}, body_secs=0.4) as running:
        slow = [running.connect() for _ in range(2)]
        for client in slow:
            client.send(post(SMALLER)[:-1000])
        statuses = []
        for _ in range(100):
            for client in slow:
                with contextlib.suppress(OSError):
                    client.send(b"x")  # never idle for so long
            with contextlib.suppress(OSError, EOFError):
                statuses.append(running.ask(post()).status)
            if statuses[-1:] == [200]:
                break
            time.sleep(0.05)
        assert statuses[-1] == 200
        for client in slow:
            client.socket.close()


def test_a_slow_body_makes_room_for_a_connection_only_where_no_other_is_idle():
    with (
        Running({"limits": {"connections": 2}}, crowded_secs=0.0) as running,
        running.connect() as slow,
        running.connect() as idle,
    ):
        slow.send(post(SMALLER)[:-1000])
        idle.send(post())
        assert idle.read().status == 200
        wait_for(lambda: any(one.is_slow for one in running.service.server._open))
        assert running.ask(post()).status == 200
        assert idle.is_closed()
        slow.send(post(SMALLER)[-1000:])
        assert slow.read().status == 200


def test_proxies_close_idle_connections_before_the_collector_does():
    """Else a request of theirs meets the close, and is a 502: Google's load balancers keep theirs longest."""
    assert USUAL.idle_secs > 600


def test_times_of_a_connection_are_bounded():
    with Running(head_secs=0.3, body_secs=0.3, idle_secs=0.3) as running:
        silent, head, body, idle = (running.connect() for _ in range(4))
        head.send(b"POST /v1")
        body.send(post()[:-5])
        idle.send(post())
        assert idle.read().status == 200
        assert head.read().status == 408
        assert body.read().status == 408
        for client in (silent, head, body, idle):
            with client:
                assert client.is_closed()
        assert len(running.sink.batches) == 1
