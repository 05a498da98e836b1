"""A large body is cut beside the event loop: others are answered meanwhile."""

from __future__ import annotations

import gzip
import threading

import pytest

from pipeline.collect.protocols.cutting.members import which_are_good
from tests.collect.rig import EVENT, Reply, Running, post

KEY = "sk-server-secret"


@pytest.mark.parametrize(
    ("path", "body", "kept"),
    [
        ("/v1/batch", b'{"batch":[%s]}', b'{"messageId":"%d","x":"%b"}'),
        ("/e/", b'{"api_key":"sk-server-secret","batch":[%s]}', b'{"api_key":"","uuid":"%d","x":"%b"}'),
        ("/v1/events", b"[%s]", b'{"id":"%d","x":"***%b"}'),
    ],
)
def test_others_are_answered_while_a_large_body_is_cut(running, path, body, kept):
    filling = b"x" * 3_900
    wanted = [kept % (n, filling) for n in range(5_000)]
    sent = b",".join(wanted).replace(b'"api_key":""', b'"api_key":"sk-server-secret"')
    request = post(body.replace(b"%s", sent.replace(b"***", KEY.encode())), f"X-Write-Key: {KEY}", path=path)
    running.sink.batches.clear()
    replies: list[Reply] = []
    with running.connect() as large, running.connect() as other:
        other.send(post())
        assert other.read().status == 200
        large.send(request[:-1])
        waiting = threading.Thread(target=lambda: replies.append(large.read()))
        waiting.start()
        large.send(request[-1:])
        answered = 0
        while not replies:
            other.send(post())
            assert other.read().status == 200
            answered += 1
        waiting.join()
    assert replies[0].status == 200
    assert answered > 3
    (batch,) = [batch for batch in running.sink.batches if len(batch.members) > 1]
    assert [member.value for member in batch.members] == wanted
    assert batch.are_good is True or batch.are_good == which_are_good(wanted) == [True] * 5_000


def test_a_large_body_that_is_none_is_refused_and_one_of_a_page_can_be_read_by_it():
    with Running() as running:
        refused = running.ask(post(b'{"batch":[' + b"1," * 600_000, path="/v1/batch"))
        assert refused.status == 400
        origin = "https://shop.example"
        large = b'{"api_key":"wk-page-secret","batch":[{"event":"A","x":"%b"}]}' % (b"x" * 1_048_000)
        reply = running.ask(post(large, f"Origin: {origin}", path="/e/"))
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, origin)


BECOMES_LARGE = gzip.compress(b'{"type":"event","name":"A","user_id":"u","a":"%b"}' % (b"x" * 500_000))
LARGE = b'{"type":"event","name":"A","user_id":"u","a":"%b"}' % (b"x" * 100_000)


@pytest.mark.parametrize(
    ("thread_of", "body", "headers"),
    [
        (lambda service: service.server.unpacker, BECOMES_LARGE, ()),
        (lambda service: service.collector.cutter, LARGE, ()),
        (lambda service: service.collector.cutter, EVENT, ("X-Hookline-Verify: 1",)),
    ],
    ids=["2 KB that become 500", "100 KB", "verdicts"],
)
def test_what_may_take_long_waits_for_its_thread_and_others_do_not(running, thread_of, body, headers):
    may_go_on = threading.Event()
    for _ in range(2):
        thread_of(running.service).submit(may_go_on.wait, 20)
    with running.connect() as slow, running.connect() as other:
        slow.send(post(body, *headers))
        for _ in range(20):
            other.send(post())
            assert other.read().status == 200
        slow.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            slow.socket.recv(1)
        slow.socket.settimeout(10)
        may_go_on.set()
        assert slow.read().status == 200


def test_a_large_body_does_not_wait_for_the_one_before_it(running):
    may_go_on = threading.Event()
    running.service.collector.cutter.submit(may_go_on.wait, 20)
    try:
        assert running.ask(post(LARGE)).status == 200
    finally:
        may_go_on.set()


def test_a_small_body_that_becomes_larger_than_a_low_limit_is_refused():
    with Running({"limits": {"body": "8KiB", "member": "8KiB"}}) as running:
        assert running.ask(post(gzip.compress(b'{"a":"%b"}' % (b"x" * 9_000)))).status == 413
