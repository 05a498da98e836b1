"""Whose answer an answer is: pools, signs of an origin out of step, and what follows from one."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.http import native_client
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.connection import Connection
from pipeline.deliver.http.target import Target, build_target
from pipeline.deliver.http.trust import DISTRUST_SECS, LISTEN_SECS, MOST, Sign, Trust
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.receiver.server import Receiver
from pipeline.telemetry import metrics
from tests.deliver.http.test_deliver_protocol import OK, Wire
from tests.kit.delivery.rig import LOOPBACK, Disk, delivery, submit
from tests.kit.delivery.sending import Sending, with_a_client
from tests.kit.programs.run import until
from tests.kit.receivers.unruly import Unruly

CLIENTS = pytest.mark.parametrize("name", ["native", "aiohttp"])
EXTRA = b"HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n"
EARLY_ERROR = b"HTTP/1.1 413 x\r\ncontent-length: 0\r\n\r\n"


# --- the memory of origins


def to(host: str, webhook: str = "w") -> Target:
    return build_target("POST", f"http://{host}/", (), None, "", webhook)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_origin_is_distrusted_for_an_hour_after_its_last_sign_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics.reset()
    clock = Clock()
    trust = Trust(clock)
    target = to("a.example")
    assert trust.trusts(target)
    trust.doubt(target, "surplus")
    clock.now += DISTRUST_SECS - 1
    trust.doubt(to("a.example", "other"), "unasked")
    assert len(caplog.records) == 1
    assert "http://a.example" in repr(vars(caplog.records[0]))
    assert "proxy" in repr(vars(caplog.records[0]))
    clock.now += DISTRUST_SECS - 1
    assert not trust.trusts(target)
    assert trust.trusts(to("b.example"))
    assert trust.distrusted() == 1
    assert trust.until("w") == trust.until("other") == clock.now + 1
    clock.now += 1
    assert trust.until("w") == 0.0
    assert trust.trusts(target)
    assert not trust.doubted
    trust.doubt(target, "surplus")
    assert len(caplog.records) == 2
    assert 'out_of_step_total{webhook="w",sign="surplus"} 2' in metrics.render_prometheus()


def test_only_so_many_origins_are_remembered() -> None:
    clock = Clock()
    trust = Trust(clock)
    for n in range(MOST + 10):
        trust.doubt(to(f"h{n}.example", f"w{n}"), "garbled")
    assert len(trust.doubted) == MOST
    assert trust.trusts(to("h0.example"))
    assert trust.until("w0") == 0.0
    assert not trust.trusts(to(f"h{MOST + 9}.example"))


# --- one connection


class Line:
    """A connection that has served so many requests before, and what it reported."""

    def __init__(self, used: int) -> None:
        self.wire = Wire()
        self.signs: list[Sign] = []
        self.connection = Connection(lambda *_: None, self.signs.append)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]  # what it uses of one
        for _ in range(used):
            self.ask()
            self.connection.data_received(OK)

    def ask(self) -> Attempt:
        attempt = Attempt(build_target("POST", "http://example.com/", (), None), b"", b"")
        self.connection.send(attempt, b"request")
        return attempt


@pytest.mark.parametrize(
    ("said", "sign", "fresh", "used"),
    [
        (OK + EXTRA, "surplus", 200, "protocol"),
        (OK + OK[:20], "surplus", 200, "protocol"),
        (OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1) + EXTRA, "surplus", 200, "protocol"),
        (b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n" + OK, "surplus", 200, "protocol"),
        (b"HTTP/1.1 422 x\r\ncontent-length: 1\r\n\r\nab", "surplus", 422, "protocol"),
        (OK + b"\r\n\r\n", None, 200, 200),
        (b"HTTP/1.1 204 x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", None, 204, 204),
        (OK + b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n", None, 200, 200),
        (b"HTTP/1.1 100 x\r\n\r\n" + OK, None, 200, 200),
        (b"ok" + OK, "garbled", "protocol", "protocol"),
        (b"HTTP/1.1 200 x\r\ncontent-le" + OK, "garbled", "protocol", "protocol"),
    ],
)
def test_an_answer_with_more_than_itself_counts_only_where_it_can_be_no_others(
    said: bytes, sign: Sign | None, fresh: int | str, used: int | str
) -> None:
    for before, end in ((0, fresh), (1, used)):
        line = Line(before)
        attempt = line.ask()
        line.connection.data_received(said)
        assert (attempt.fault or attempt.status) == end
        assert attempt.begun in (0, 200)
        # On a new connection something that is no answer says nothing of others.
        assert line.signs == ([sign] if sign and (sign != "garbled" or before) else [])


@pytest.mark.parametrize("piece", [len(OK), 10])
def test_a_success_before_the_request_is_sent_counts_only_on_a_new_connection(piece: int) -> None:
    for before, end, signs in ((0, 200, []), (1, "protocol", ["early"])):
        line = Line(before)
        attempt = line.ask()
        line.wire.unsent = 100_000
        line.connection.data_received(OK[:piece])
        line.wire.unsent = 0  # the rest may well come after it
        if piece < len(OK):
            line.connection.data_received(OK[piece:])
        assert (attempt.fault or attempt.status) == end
        assert line.signs == signs


def test_an_error_may_come_before_the_request_is_sent() -> None:
    line = Line(1)
    attempt = line.ask()
    line.wire.unsent = 100_000
    line.connection.data_received(EARLY_ERROR)
    assert attempt.status == 413
    assert not line.signs
    assert line.connection.closed


@pytest.mark.parametrize(
    ("said", "signs"),
    [
        (OK, ["unasked"]),
        (b"?", ["unasked"]),
        (b"\r\n", []),
        (b"0\r\n\r\n", []),
        (b"0\r\n\r\nHTTP/1.1 200", ["unasked"]),
        (b"HTTP/1.1 408 Request Time-out\r\nconnection: close\r\n\r\n", []),
    ],
)
def test_what_an_idle_connection_says_ends_it_and_is_a_sign_but_for_a_farewell(
    said: bytes, signs: list[Sign]
) -> None:
    line = Line(1)
    line.connection.data_received(said)
    assert line.connection.closed
    assert line.signs == signs


# --- both clients


def with_unruly(name: str, act: Callable[[Sending, Unruly], Any]) -> None:
    with Unruly(lambda: 0.0) as unruly:

        async def run(sending: Sending) -> None:
            await act(sending, unruly)

        with_a_client(run, name)


def trust_of(sending: Sending) -> Trust:
    trust = sending.client.trust  # type: ignore[attr-defined]  # both clients have one
    assert isinstance(trust, Trust)
    return trust


@CLIENTS
def test_connections_are_shared_by_webhook_and_origin_alone(name: str, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        for _ in range(3):
            for webhook in ("a", "b"):
                assert (await sending.send(receiver.url(f"/{webhook}"), webhook=webhook)).status == 200
        assert receiver.accepted == 2
        by_connection = {(request.connection, request.path) for request in receiver.requests}
        assert len(by_connection) == 2

    with_a_client(act, name)


@CLIENTS
def test_the_hour_after_a_sign_has_a_connection_per_request(name: str, receiver: Receiver) -> None:
    receiver.answer({"/twice": ["extra"], "*": [200]})

    async def act(sending: Sending) -> None:
        for _ in range(3):  # connections that are kept from before go, too
            await asyncio.gather(*(sending.send(receiver.url(), webhook="b") for _ in range(2)))
        assert receiver.accepted == 2
        assert (await sending.send(receiver.url("/twice"), webhook="a")).status == 200
        for _ in range(5):
            assert (await sending.send(receiver.url(), webhook="b")).status == 200
        assert receiver.accepted == 8
        assert trust_of(sending).until("a")
        assert trust_of(sending).until("b")

    with_a_client(act, name)


@CLIENTS
def test_what_came_before_the_request_was_made_is_never_its_answer(name: str) -> None:
    async def act(sending: Sending, unruly: Unruly) -> None:
        url = unruly.origin("twice after 0.001 s")
        for n in range(3):
            attempt = await sending.send(url, extra=b"webhook-id: m%d\r\n" % n)
            assert attempt.answer == b"m%d" % n
            if not n:
                # The loop has no chance to read it: it stands there when the next request is made.
                until(lambda: b"alien-1" in unruly.said)
        assert trust_of(sending).doubted

    with_unruly(name, act)


@CLIENTS
def test_a_receiver_that_speaks_first_is_not_believed(name: str) -> None:
    async def act(sending: Sending, unruly: Unruly) -> None:
        url = unruly.origin("speaks first")
        faults = 0
        for n in range(200):
            if n >= 12 and faults:
                break  # on a busy machine its words may be late a few times
            known, begin = bool(trust_of(sending).doubted), time.monotonic()
            attempt = await sending.send(url, extra=b"webhook-id: m%d\r\n" % n)
            faults += attempt.fault == "protocol"
            # At first it may be taken in: it was asked when it spoke. A distrusted one is listened to before.
            if known and attempt.fault is None and attempt.answer != b"m%d" % n:
                assert until(partial(unruly.said.get, attempt.answer)) > begin + LISTEN_SECS, attempt
        assert faults
        assert trust_of(sending).doubted

    with_unruly(name, act)


@CLIENTS
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize(("fault", "most"), [("close", 1), ("short-head", 1), ("reset", 1), ("stale", 2)])
def test_only_a_stale_connection_is_worth_a_repeat_at_once(
    name: str, method: str, fault: str, most: int, receiver: Receiver
) -> None:
    receiver.answer({"/first": [200], "/broken": [fault], "/stale": ["stale"]})

    async def act(sending: Sending) -> None:
        body = b"" if method == "DELETE" else b"{}"
        if fault == "stale":
            assert (await sending.send(receiver.url("/stale"), method=method, body=body)).status == 200
            assert (await sending.send(receiver.url("/stale"), method=method, body=body)).status == 200
            # Asked on the old connection, which closes, and on a new one.
            assert len(receiver.requests) == 1 + most
            return
        assert (await sending.send(receiver.url("/broken"), method=method, body=body)).fault
        assert len(receiver.requests) == most
        if fault == "short-head":  # bytes of an answer have come: the receiver has the request
            await sending.send(receiver.url("/first"), method=method, body=body)
            assert (await sending.send(receiver.url("/broken"), method=method, body=body)).fault
            assert len(receiver.requests) == 3

    with_a_client(act, name)


@CLIENTS
@pytest.mark.parametrize("status", [400, 408])
def test_an_error_that_ends_a_kept_connection_may_be_none_and_is_asked_for_once_more(
    name: str, status: int, receiver: Receiver
) -> None:
    """An embedded server says 400 to a connection that was idle for long, just as it is used again."""
    ends = {"status": status, "headers": {"Connection": "close"}}
    stays = {"status": status, "headers": {"Connection": "keep-alive"}}
    receiver.answer({"/kept": [200, ends, 201], "/new": [ends], "/stays": [200, stays]})

    async def act(sending: Sending) -> None:
        for path, wanted in (("kept", [200, 201]), ("new", [status]), ("stays", [200, status])):
            for each in wanted:
                assert (await sending.send(receiver.url(f"/{path}"), webhook=path)).status == each
        assert Counter(each.path for each in receiver.requests) == {"/kept": 3, "/new": 1, "/stays": 2}

    with_a_client(act, name)


def test_a_request_given_up_while_its_connection_is_listened_to_leaves_none_open(
    monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setattr(native_client, "LISTEN_SECS", 0.3)

    async def act(sending: Sending) -> None:
        client = sending.client
        assert isinstance(client, native_client.NativeClient)
        client.trust.doubt(build_target("POST", receiver.url(), (), None), "surplus")
        sent = asyncio.ensure_future(sending.send(receiver.url(), timeout_secs=0.2))
        while not client.open_connections and not sent.done():
            await asyncio.sleep(0.001)
        assert (await sent).fault == "timeout"
        await asyncio.gather(*client._tasks, return_exceptions=True)
        assert client.open_connections == 0
        assert not receiver.requests

    with_a_client(act, "native")


def test_tokens_come_over_connections_of_their_own(receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        for _ in range(2):
            assert (await sending.client.post(receiver.url("/token"), b"a=b", {})).status == 200  # type: ignore[attr-defined]  # the aiohttp client
            assert (await sending.send(receiver.url())).status == 200
        assert receiver.accepted == 3

    with_a_client(act, "aiohttp")


def test_aiohttp_still_makes_connections_where_ours_are_put_in() -> None:
    """`Connector` overrides one private name. Where an upgrade fails here, find how `Wire` gets in now."""
    source = inspect.getsource(aiohttp.TCPConnector) + inspect.getsource(aiohttp.connector.BaseConnector)
    assert "self._factory = functools.partial(ResponseHandler, loop=loop)" in source
    assert source.count("self._factory") >= 4
    assert "if conn.protocol" not in source


def test_pools_that_nobody_uses_are_closed(receiver: Receiver) -> None:
    clock = Clock()

    async def act(sending: Sending) -> None:
        for n in range(3):
            assert (await sending.send(receiver.url(), webhook=f"w{n}")).status == 200
        clock.now += 100
        assert (await sending.send(receiver.url(), webhook="new")).status == 200
        assert len(sending.client._pools) == 1  # type: ignore[attr-defined]  # what is to be bounded

    with_a_client(act, "aiohttp", LOOPBACK, clock=clock)


@CLIENTS
def test_idle_connections_make_room_for_new_ones(name: Any, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        for n in range(40):
            assert (await sending.send(receiver.url(), webhook=f"w{n}")).status == 200
            await asyncio.sleep(0)
            assert sending.client.open_connections <= 9  # type: ignore[attr-defined]  # of both clients
        accepted = receiver.accepted
        assert (await sending.send(receiver.url(), webhook="w39")).status == 200
        assert receiver.accepted == accepted  # what was used last is kept

    with_a_client(act, name, LOOPBACK, max_connections=8)


# --- the engine


@CLIENTS
def test_a_webhooks_numbers_say_that_its_receiver_is_out_of_step(name: Any, receiver: Receiver) -> None:
    receiver.answer({"*": ["extra"]})
    engine, disk = DeliveryEngine(allow=LOOPBACK), Disk()
    engine.start()
    try:
        engine.orders.configure({"w": LaneSpec("w", delivery=DeliverySettings(client=name))})
        now_ms = int(time.time() * 1000)
        given = [delivery(n, url=receiver.url(), created_ms=now_ms) for n in range(3)]
        submit(engine, disk.port, given)
        until(lambda: "w" in (lanes := engine.stats().lanes) and lanes["w"].delivered == 3)
        assert engine.stats().lanes["w"].single_until.endswith("Z")
    finally:
        engine.stop()
