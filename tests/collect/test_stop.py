"""A stop: not ready at once, what comes is answered for a moment more, what was handed over is kept."""

from __future__ import annotations

import pytest

from tests.collect.rig import Running, post, wait_for

READY = b"GET /readyz HTTP/1.1\r\n\r\n"


def test_it_is_not_ready_at_once_and_answers_for_a_moment_more():
    with Running(drain_secs=2.0) as running, running.connect() as idle, running.connect() as client:
        client.send(READY)
        assert client.read().status == 200
        running.stop()
        wait_for(lambda: running.ask(READY).status == 503)
        assert running.ask(READY).body == b"stopping\n"
        client.send(post())
        reply = client.read()
        assert reply.status == 200
        assert reply.headers["connection"] == "close"
        assert client.is_closed()
        assert idle.is_closed()
        running.join()
        assert running.sink.closed
        with pytest.raises(OSError, match="refused"):
            running.connect()


def test_what_waits_for_its_commit_is_answered_before_the_end():
    with Running() as running, running.connect() as client:
        running.sink.held = True
        client.send(post())
        wait_for(lambda: running.sink.batches)
        running.stop()
        wait_for(lambda: not running.listens())
        assert not running.sink.closed
        running.do(running.sink.release)
        assert client.read().status == 200
        running.join()
        assert running.sink.closed


def test_what_waits_for_room_is_refused_at_the_end():
    limits = {"body": "1MiB", "member": "1MiB", "in_flight": "1MiB"}
    large = b'{"a":"' + b"x" * 600_000 + b'"}'
    with Running({"limits": limits}) as running, running.connect() as first, running.connect() as second:
        running.sink.held = True
        first.send(post(large))
        wait_for(lambda: running.sink.batches)
        second.send(post(large))
        running.stop()
        reply = second.read()
        assert reply.status == 503
        assert "stopping" in reply.body.decode()
        running.do(running.sink.release)
        assert first.read().status == 200


def test_what_follows_the_last_answer_of_a_connection_is_neither_answered_nor_kept():
    """One that leaves lets in another one of the same connection, whose turn it is not."""
    limits = {"body": "1MiB", "member": "1MiB", "in_flight": "1MiB"}
    filling = b'{"a":"' + b"x" * 1_047_000 + b'"}'
    # The room that the filling leaves is for the third where both the others have left, not one of them.
    first, second, third = (b'{"a":"' + b"x" * size + b'"}' for size in (600, 600, 1_000))
    with (
        Running({"limits": limits}, drain_secs=10.0) as running,
        running.connect() as other,
        running.connect() as client,
    ):
        sink, server = running.sink, running.service.server
        sink.held = True
        for number, (each, value) in enumerate([(other, filling), (client, first)]):
            each.send(post(value))
            wait_for(lambda number=number: len(sink.batches) > number)
        client.send(post(second) + post(third))
        wait_for(lambda: server.gate.waiting)
        running.stop()
        wait_for(lambda: server.closing)
        running.do(lambda: sink._waiting.pop().set_result(0))
        reply = client.read()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert client.is_closed()
        assert client._buffer == b""
        running.do(sink.release)
        assert other.read().status == 200
        assert sink.values == [filling, first]
        assert (server.gate.inside, server.gate.held, server.gate.waiting) == (0, 0, 0)


def test_it_does_not_wait_for_a_body_that_does_not_come():
    with Running(crowded_secs=0.2) as running, running.connect() as client:
        client.send(post()[:-1])
        wait_for(lambda: running.service.server.gate.inside)
        running.stop()
        reply = client.read()
        assert (reply.status, "retry-after" in reply.headers) == (503, True)
    assert running.sink.batches == []


def test_an_idle_collector_ends_at_once():
    with Running(drain_secs=60.0) as running:
        running.stop()
        running.join()
