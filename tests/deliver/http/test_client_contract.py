"""What both HTTP clients must do, against a receiver that breaks answers in every way it knows."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.models.webhooks.receiver import MtlsSettings, ReceiverSettings
from pipeline.deliver.http.attempt import MAX_BODY, Attempt
from pipeline.deliver.http.resolve import AddrInfo, system_lookup
from pipeline.deliver.http.target import build_target
from pipeline.receiver.faults import FAULTS
from pipeline.receiver.server import Receiver
from tests.kit.delivery.rig import LOOPBACK
from tests.kit.delivery.sending import Sending, with_a_client
from tests.kit.receivers.certificates import Certificates

TIMEOUT_SECS = 0.4


Act = Callable[[Sending], Coroutine[Any, Any, None]]


@pytest.fixture(params=["native", "aiohttp"])
def client(request: pytest.FixtureRequest) -> Any:
    """Return what runs a test's coroutine with a client of this kind."""

    def run(
        act: Act, allow: tuple[str, ...] = LOOPBACK, lookup: Any = system_lookup, idle_secs: float = 30.0
    ) -> None:
        with_a_client(act, request.param, allow, lookup, idle_secs)

    run.name = request.param  # type: ignore[attr-defined]  # read by the tests that differ
    return run


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
        assert got.headers["accept-encoding"] == "identity"
        assert "cookie" not in got.headers

    client(act)


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


def test_a_refused_connection_is_a_connect_fault(client: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    async def act(sending: Sending) -> None:
        assert (await sending.send(f"http://127.0.0.1:{port}/")).fault == "connect"

    client(act)


def test_a_name_without_an_address_is_a_dns_fault(client: Any) -> None:
    def lookup(host: str, port: int) -> list[AddrInfo]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def act(sending: Sending) -> None:
        assert (await sending.send("http://receiver.example/")).fault == "dns"

    client(act, lookup=lookup)


@pytest.mark.parametrize(
    ("url", "answers"),
    [
        ("http://127.0.0.1:1/", None),
        ("http://[::ffff:127.0.0.1]:1/", None),
        ("http://2130706433:1/", None),
        ("http://0x7f.1:1/", None),
        ("http://localhost:1/", None),
        ("http://receiver.example:1/", ["127.0.0.1"]),
        ("http://receiver.example:1/", ["169.254.169.254", "10.0.0.1"]),
        ("http://receiver.example:1/", ["::ffff:10.0.0.1"]),
        ("https://receiver.example:1/", ["fd00::1"]),
    ],
)
def test_a_guarded_address_is_never_dialled(client: Any, url: str, answers: list[str] | None) -> None:
    def lookup(host: str, port: int) -> list[AddrInfo]:
        assert answers is not None, "a literal must not be looked up"
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in answers]

    async def act(sending: Sending) -> None:
        attempt = await sending.send(url)
        assert attempt.fault == "guard-refused"
        assert "network.allow" in attempt.detail or "spelling" in attempt.detail

    client(act, allow=(), lookup=lookup)


def test_a_name_that_changes_its_address_is_judged_at_each_dial(client: Any, receiver: Receiver) -> None:
    answers = iter(["127.0.0.1", "10.0.0.1"])

    def lookup(host: str, port: int) -> list[AddrInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (next(answers), port))]

    async def act(sending: Sending) -> None:
        url = f"http://receiver.example:{receiver.port}/"
        receiver.answer({"*": ["connection-close"]})
        assert (await sending.send(url)).status == 200
        sending.client._resolver.forget("receiver.example", receiver.port)  # type: ignore[attr-defined]  # both clients have one
        assert (await sending.send(url)).fault == "guard-refused"
        assert len(receiver.requests) == 1

    client(act, lookup=lookup)


def test_of_several_addresses_the_allowed_ones_are_dialled(client: Any, receiver: Receiver) -> None:
    def lookup(host: str, port: int) -> list[AddrInfo]:
        found = ["10.0.0.1", "192.168.1.1", "127.0.0.1"]
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in found]

    async def act(sending: Sending) -> None:
        url = f"http://receiver.example:{receiver.port}/"
        assert (await sending.send(url)).status == 200

    client(act, lookup=lookup)


# --- TLS


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates.make(tmp_path_factory.mktemp("tls"))


def server_tls(cert: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(client_ca)
    return context


@asynccontextmanager
async def trust(sending: Sending, settings: ReceiverSettings) -> AsyncIterator[str]:
    yield sending.contexts.name(settings, lambda text: text)


def test_a_receiver_with_its_own_authority_is_reached(client: Any, certificates: Certificates) -> None:
    with Receiver(tls=server_tls(*certificates.issue("good"))) as receiver:

        async def act(sending: Sending) -> None:
            tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            for _ in range(3):
                attempt = await sending.send(receiver.url(), tls=tls)
                assert (attempt.status, attempt.fault) == (200, None), attempt.detail
            assert receiver.accepted == 1

        client(act)


@pytest.mark.parametrize(
    ("name", "hosts", "days", "trusted", "told"),
    [
        (
            "unknown",
            ("127.0.0.1",),
            30,
            False,
            "unable to get local issuer certificate (`request.ca` names an issuer of your own)",
        ),
        (
            "other-host",
            ("receiver.example",),
            30,
            True,
            "IP address mismatch, certificate is not valid for '127.0.0.1'",
        ),
        ("expired", ("127.0.0.1",), -1, True, "certificate has expired"),
    ],
)
def test_a_certificate_that_does_not_prove_the_host_is_a_tls_fault(
    client: Any,
    certificates: Certificates,
    name: str,
    hosts: tuple[str, ...],
    days: int,
    trusted: bool,
    told: str,
) -> None:
    with Receiver(tls=server_tls(*certificates.issue(name, hosts, days))) as receiver:

        async def act(sending: Sending) -> None:
            settings = ReceiverSettings(ca=str(certificates.ca)) if trusted else ReceiverSettings()
            attempt = await sending.send(receiver.url(), tls=sending.contexts.name(settings, str))
            assert attempt.fault == "tls", attempt
            assert attempt.detail == f"the receiver's certificate is not valid: {told}"
            assert not receiver.requests

        client(act)


def test_a_plain_receiver_behind_https_is_a_fault(client: Any, receiver: Receiver) -> None:
    async def act(sending: Sending) -> None:
        attempt = await sending.send(receiver.url().replace("http:", "https:"), timeout_secs=0.3)
        assert attempt.fault in ("tls", "connect", "reset", "closed", "timeout")

    client(act)


def test_a_fault_of_tls_is_told_in_words_that_no_library_has(client: Any, certificates: Certificates) -> None:
    def answer_plainly(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        threading.Thread(target=answer_plainly, args=(listener,), daemon=True).start()

        async def act(sending: Sending) -> None:
            attempt = await sending.send(f"https://127.0.0.1:{port}/")
            assert (attempt.fault, attempt.detail) == (
                "tls",
                "what answers there speaks no TLS: is it a port for `http://`?",
            )

        client(act)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("by_reset", [False, True], ids=["end", "reset"])
def test_one_that_hangs_up_in_the_handshake_is_a_tls_fault(client: Any, by_reset: bool) -> None:
    def hang_up(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(2000)
                if by_reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()

        async def act(sending: Sending) -> None:
            attempt = await sending.send(f"https://127.0.0.1:{listener.getsockname()[1]}/")
            assert (attempt.fault, attempt.detail) == ("tls", "the connection was closed in the handshake")

        client(act)
        listener.shutdown(socket.SHUT_RDWR)


def test_a_client_certificate_is_shown(client: Any, certificates: Certificates) -> None:
    context = server_tls(*certificates.issue("mutual"), certificates.ca)
    with Receiver(tls=context) as receiver:
        cert, key = certificates.issue("us", ("hookline",))

        async def act(sending: Sending) -> None:
            ca = str(certificates.ca)
            with_cert = ReceiverSettings(ca=ca, mtls=MtlsSettings(str(cert), str(key)))
            attempt = await sending.send(receiver.url(), tls=sending.contexts.name(with_cert, str))
            assert (attempt.status, attempt.fault) == (200, None), attempt.detail
            without = sending.contexts.name(ReceiverSettings(ca=ca), str)
            refused = await sending.send(receiver.url(), tls=without)
            assert refused.fault in ("tls", "reset", "closed")
            assert len(receiver.requests) == 1

        client(act)


def test_one_that_wants_a_client_certificate_is_told_as_that(client: Any, certificates: Certificates) -> None:
    """With TLS 1.3 it says so after the handshake, when the request is on its way."""
    context = server_tls(*certificates.issue("strict"), certificates.ca)

    def refuse(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            shaking = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
            asked.append(shaking)  # it stays open: a reset might overtake the alert
            with suppress(OSError):
                shaking.do_handshake()

    asked: list[ssl.SSLSocket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=refuse, args=(listener,), daemon=True).start()

        async def act(sending: Sending) -> None:
            tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            attempt = await sending.send(f"https://127.0.0.1:{listener.getsockname()[1]}/", tls=tls)
            assert (attempt.fault, attempt.detail) == (
                "tls",
                "the receiver wants a client certificate (`auth.mtls`)",
            )

        client(act)
        listener.shutdown(socket.SHUT_RDWR)
    for connection in asked:
        connection.close()


def test_the_name_in_the_url_is_what_the_certificate_must_prove(
    client: Any, certificates: Certificates
) -> None:
    def lookup(host: str, port: int) -> list[AddrInfo]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]

    with Receiver(tls=server_tls(*certificates.issue("named", ("receiver.example",)))) as receiver:

        async def act(sending: Sending) -> None:
            tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            attempt = await sending.send(f"https://receiver.example:{receiver.port}/", tls=tls)
            assert (attempt.status, attempt.fault) == (200, None), attempt.detail
            other = await sending.send(f"https://other.example:{receiver.port}/", tls=tls)
            assert other.fault == "tls"

        client(act, lookup=lookup)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_silent", [False, True], ids=["hangs up", "says nothing"])
def test_where_an_address_takes_connections_only_the_next_is_tried(
    client: Any, certificates: Certificates, scheme: str, is_silent: bool
) -> None:
    tls = server_tls(*certificates.issue("two", ("two.example",))) if scheme == "https" else None
    with Receiver(tls=tls) as receiver, socket.create_server(("127.0.0.9", receiver.port)) as ill:

        def hang_up() -> None:
            while True:
                try:
                    ill.accept()[0].close()
                except OSError:
                    return

        if not is_silent:
            threading.Thread(target=hang_up, daemon=True).start()

        def lookup(host: str, port: int) -> list[AddrInfo]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port))
                for address in ("127.0.0.9", "127.0.0.1")
            ]

        async def act(sending: Sending) -> None:
            name = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            url = f"{scheme}://two.example:{receiver.port}/"
            await sending.send(url, tls=name, timeout_secs=0.3)  # aiohttp may have found it by now
            assert (await sending.send(url, tls=name)).status == 200

        client(act, lookup=lookup)
        ill.shutdown(socket.SHUT_RDWR)
