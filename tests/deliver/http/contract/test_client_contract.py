"""What both HTTP clients must do, against a receiver that breaks answers in every way it knows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from pipeline.deliver.http.attempt import MAX_BODY, Attempt
from pipeline.deliver.http.target import build_target
from pipeline.receiver.faults import FAULTS
from pipeline.receiver.server import Receiver
from tests.kit.delivery.sending import Sending
from tests.kit.receivers.listening import listening

TIMEOUT_SECS = 0.4


Act = Callable[[Sending], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "GET", "DELETE"])
def test_a_request_arrives_as_it_was_made(client: Any, receiver: Receiver, method: str) -> None:
    async def act(sending: Sending) -> None:
        body = b"" if method in ("GET", "DELETE") else '{"name":"Zoë"}'.encode()
        url = receiver.url("/a%20b/%C3%A9?q=1%262&r=a+b")
        attempt = await sending.send(url, method=method, body=body, headers=(("X-Team", "growth"),))
        assert (attempt.status, attempt.fault) == (200, None)
        (got,) = receiver.requests
        assert (got.method, got.path, got.query) == (method, "/a%20b/%C3%A9", "q=1%262&r=a+b")
        assert got.body == body
        assert got.headers["x-team"] == "growth"
        assert got.headers["webhook-id"] == "msg_1"
        assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert got.headers["user-agent"].startswith("hookline/")
        assert got.headers.get("content-type") == ("application/json" if body else None)
        assert got.headers.get("content-length", "0") == str(len(body))
        assert (got.headers["accept"], got.headers["accept-encoding"]) == ("*/*", "identity")
        assert "cookie" not in got.headers

    client(act)


def test_the_usual_names_have_capitals(client: Any) -> None:
    """Some servers look for `Content-Length` as it is, and take a body without it for none."""
    heads: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        with connection:
            heads.append(connection.recv(4096).partition(b"\r\n\r\n")[0])
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with listening(answer) as port:

        async def act(sending: Sending) -> None:
            assert (await sending.send(f"http://127.0.0.1:{port}/", body=b"{}")).status == 200

        client(act)
    names = {line.partition(b":")[0] for line in heads[0].split(b"\r\n")[1:]}
    assert names >= {
        b"Host",
        b"Content-Type",
        b"Content-Length",
        b"User-Agent",
        b"Accept",
        b"Accept-Encoding",
    }


def test_a_body_without_content_still_has_a_length(client: Any, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        assert (await sending.send(receiver.url(), body=b"")).status == 200
        assert receiver.requests[0].headers["content-length"] == "0"

    client(act)


def test_a_connection_is_used_again(client: Any, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        for _ in range(20):
            assert (await sending.send(receiver.url())).status == 200
        assert receiver.accepted == 1

    client(act)


@pytest.mark.parametrize("status", [200, 201, 204, 299, 300, 302, 304, 400, 404, 410, 429, 500, 503, 599])
def test_every_status_is_reported_and_the_connection_kept(
    client: Any, receiver: Receiver, status: int
) -> None:
    receiver.answer({"*": [status]})

    async def act(sending: Sending) -> None:
        for _ in range(3):
            attempt = await sending.send(receiver.url())
            assert (attempt.status, attempt.fault) == (status, None)
        assert receiver.accepted == 1

    client(act)


# Statuses that a broken answer may give, or the faults; by client where they differ.
ANSWERS: dict[str, set[Any]] = {
    "chunked": {200},
    "connection-close": {200},
    "close-after": {200},
    "http10": {200},
    "eof-body": {200},
    "204-with-length": {204},
    "continue": {200},
    "early-hints": {200},
    "stale": {200},
    "extra": {200},
    "extra-start": {200},
    "drip-head": {"timeout", 200},
    "gzip-bomb": {200},
    "endless": {200},
    "endless-chunks": {200, "timeout"},
    "endless-trailers": {200, "timeout", "protocol", "closed", "head-limit"},
    "redirect": {302},
    "hang": {"timeout"},
    "drip-body": {"timeout"},
    "reset": {"reset", "closed"},
    "reset-mid-body": {"reset", "closed"},
    "close": {"closed"},
    "half-close": {"closed"},
    "short-body": {"closed"},
    "short-head": {"closed", "protocol"},
    "chunked-cut": {"closed"},
    "chunked-bad": {"protocol", "closed"},
    "length-twice": {"protocol"},
    "length-and-chunked": {"protocol", 200},
    "switch": {"protocol", 101},
    "garbage": {"protocol"},
    "header-flood": {"head-limit", "protocol"},
    "long-header": {"head-limit", "protocol"},
    "103-flood": {"head-limit", "protocol", "timeout"},
}


def test_every_fault_of_the_receiver_is_in_the_table() -> None:
    assert ANSWERS.keys() == FAULTS.keys() - {"speak-first"}


@pytest.mark.parametrize("fault", sorted(ANSWERS))
def test_a_broken_answer_ends_in_time_and_the_next_request_is_well(
    client: Any, receiver: Receiver, fault: str
) -> None:
    receiver.answer({"/broken": [fault], "*": [200]})

    async def act(sending: Sending) -> None:
        secs = TIMEOUT_SECS if "timeout" in ANSWERS[fault] else 10.0
        attempt = await sending.send(receiver.url("/broken"), timeout_secs=secs)
        assert (attempt.fault or attempt.status) in ANSWERS[fault], attempt
        assert len(attempt.answer) <= MAX_BODY
        if attempt.fault is not None:
            assert attempt.detail
            assert attempt.status == 0
        for _ in range(3):
            after = await sending.send(receiver.url("/well"))
            assert (after.status, after.fault) == (200, None)
            assert after.retry_after is None

    client(act)


def test_the_start_of_the_body_and_retry_after_are_read(client: Any, receiver: Receiver) -> None:
    date = "Sat, 28 Nov 2026 12:00:00 GMT"
    answer = {"status": 503, "body": "try later", "headers": {"Retry-After": "120", "Date": date}}
    receiver.answer({"*": [answer, {"status": 200, "body": "x" * 100_000}]})

    async def act(sending: Sending) -> None:
        attempt = await sending.send(receiver.url())
        assert (attempt.answer, attempt.retry_after, attempt.date) == (b"try later", "120", date)
        long = await sending.send(receiver.url())
        assert (long.status, long.answer) == (200, b"x" * MAX_BODY)
        assert long.retry_after is None

    client(act)


def test_where_an_answer_redirects_to_is_read(client: Any, receiver: Receiver) -> None:
    place = {"Location": "https://api.example/in"}
    receiver.answer({"*": [{"status": 308, "headers": place}, {"status": 201, "headers": place}]})

    async def act(sending: Sending) -> None:
        assert (await sending.send(receiver.url())).location == b"https://api.example/in"
        assert (await sending.send(receiver.url())).location == b""

    client(act)


def test_the_retry_after_of_an_informational_answer_is_not_that_of_the_answer(
    client: Any, receiver: Receiver
) -> None:
    receiver.answer({"*": ["early-hints"]})

    async def act(sending: Sending) -> None:
        assert (await sending.send(receiver.url())).retry_after is None

    client(act)


def test_a_bomb_stays_packed(client: Any, receiver: Receiver) -> None:
    receiver.answer({"*": ["gzip-bomb"]})

    async def act(sending: Sending) -> None:
        attempt = await sending.send(receiver.url())
        assert attempt.answer[:2] == b"\x1f\x8b"

    client(act)


def test_a_kept_alive_connection_that_was_closed_is_replaced_at_once(client: Any, receiver: Receiver) -> None:
    receiver.answer({"*": ["stale"]})

    async def act(sending: Sending) -> None:
        for _ in range(6):
            assert (await sending.send(receiver.url())).status == 200
        assert receiver.accepted == 6

    client(act)


def test_a_receiver_that_restarts_costs_no_failure(client: Any, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        await asyncio.gather(*(sending.send(receiver.url()) for _ in range(10)))
        receiver.hang_up()
        for attempt in await asyncio.gather(*(sending.send(receiver.url()) for _ in range(10))):
            assert attempt.status == 200

    client(act)


def test_one_that_always_hangs_up_is_asked_at_most_twice(client: Any, receiver: Receiver) -> None:
    receiver.answer({"*": ["close"]})

    async def act(sending: Sending) -> None:
        assert (await sending.send(receiver.url())).fault in ("closed", "reset")
        assert len(receiver.requests) <= 2

    client(act)


def test_what_nobody_asked_for_ends_a_connection(client: Any, receiver: Receiver) -> None:
    receiver.answer({"/extra": ["extra"], "*": [201]})

    async def act(sending: Sending) -> None:
        assert (await sending.send(receiver.url("/extra"))).status == 200
        assert (await sending.send(receiver.url("/next"))).status == 201

    client(act)


def test_an_aborted_attempt_is_reported_once_or_not_at_all(client: Any, receiver: Receiver) -> None:
    receiver.answer({"*": ["hang"]})

    async def act(sending: Sending) -> None:
        first = asyncio.ensure_future(sending.send(receiver.url(), timeout_secs=0.05))
        assert (await first).fault == "timeout"
        target = build_target("POST", receiver.url(), (), None)
        silent = Attempt(target, b"", b"")
        sending.client.send(silent)
        sending.client.abort(silent, None)
        sending.client.abort(silent, "timeout")
        assert silent.fault is None
        receiver.answer({"*": [200]})
        assert (await sending.send(receiver.url())).status == 200

    client(act)
