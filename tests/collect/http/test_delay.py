"""A slow upload, or a wait for room, is no fault of the client's clock."""

from __future__ import annotations

import time

import msgspec
import orjson
import pytest

from pipeline.collect.http.gate import Gate
from pipeline.collect.http.incoming import Incoming
from pipeline.model.times import format_iso
from tests.collect.http.test_gate import Clock
from tests.collect.protocols.asking import NOW, asked, cut, headers_of
from tests.collect.rig import Running, post

CALL = {"type": "track", "event": "A", "userId": "u"}


@pytest.mark.parametrize(
    ("delay_ms", "shift"), [(0, "10000"), (4_000, "6000"), (9_000, None), (10_000, None)]
)
def test_a_clock_is_put_right_by_what_the_delay_does_not_explain(delay_ms: int, shift: str | None) -> None:
    sent = format_iso(NOW - 10_000)
    body = {"batch": [{**CALL, "timestamp": sent}], "sentAt": sent}
    request = msgspec.structs.replace(asked("POST", "/v1/batch", body), delay_ms=delay_ms)
    (member,) = cut(request).batch("web", request).members
    assert headers_of(member).get("hk-shift") == shift


class Owner:
    def entered(self) -> None: ...

    def refuse(self, request: Incoming, retry_secs: int) -> None: ...


def test_a_wait_for_room_is_a_delay() -> None:
    clock = Clock()
    gate = Gate(100, clock)
    first, second = (Incoming(gate, Owner(), 100) for _ in range(2))
    for one in (first, second):
        one.method, one.target = "POST", b"/"
        one.add(bytes(90))
        one.completes()
    assert (first.parked, second.parked) == (False, True)
    assert first.whole(b"", b"").delay_ms == 0
    clock.now += 4
    first.leave()
    assert not second.parked
    assert second.whole(b"", b"").delay_ms == 4_000


def test_a_slow_body_is_a_delay() -> None:
    sent = format_iso(int((time.time() - 7) * 1000))
    body = orjson.dumps({"batch": [{**CALL, "timestamp": sent}], "sentAt": sent})
    with Running() as running, running.connect() as client:
        head, _, _ = post(body, "Expect: 100-continue", path="/v1/batch").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n")
        assert client.read().status == 100
        gate = running.service.server.gate
        now = gate.clock
        running.do(lambda: setattr(gate, "clock", lambda: now() + 7))
        client.send(body)
        assert client.read().status == 200
        (member,) = running.sink.batches[0].members
    assert "hk-shift" not in headers_of(member)
