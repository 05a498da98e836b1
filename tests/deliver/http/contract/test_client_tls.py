"""TLS as both HTTP clients speak it: whom they believe, what they show, what they say of faults."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import threading
from contextlib import suppress
from typing import Any

import pytest

from pipeline.config.models.webhooks.receiver import MtlsSettings, ReceiverSettings
from pipeline.deliver.http.attempt import AddrInfo
from pipeline.deliver.http.by_aiohttp.client import AiohttpClient
from pipeline.receiver.server import Receiver
from tests.kit.delivery.sending import Sending, with_a_client
from tests.kit.receivers.certificates import Certificates, server_tls
from tests.kit.receivers.listening import listening


def test_a_receiver_with_its_own_authority_is_reached(client: Any, certificates: Certificates) -> None:
    with Receiver(tls=server_tls(*certificates.issue("good"))) as receiver:

        async def act(sending: Sending) -> None:
            tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            for _ in range(3):
                attempt = await sending.send(receiver.url(), tls=tls)
                assert (attempt.status, attempt.fault) == (200, None), attempt.detail
            assert receiver.accepted == 1

        client(act)


def test_the_receivers_own_certificate_may_stand_for_its_authority(
    client: Any, certificates: Certificates
) -> None:
    cert, key = certificates.issue("pinned")
    with Receiver(tls=server_tls(cert, key)) as receiver:

        async def act(sending: Sending) -> None:
            attempt = await sending.send(
                receiver.url(), tls=sending.contexts.name(ReceiverSettings(ca=str(cert)), str)
            )
            assert (attempt.status, attempt.fault) == (200, None), attempt.detail

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
    def answer_plainly(connection: socket.socket) -> None:
        with connection:
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    with listening(answer_plainly) as port:

        async def act(sending: Sending) -> None:
            attempt = await sending.send(f"https://127.0.0.1:{port}/")
            assert (attempt.fault, attempt.detail) == (
                "tls",
                "what answers there speaks no TLS: is it a port for `http://`?",
            )

        client(act)


@pytest.mark.parametrize(
    ("alert", "told"),
    [
        (40, "the receiver refuses the handshake: no cipher in common, or it wants a client"),
        (42, "the receiver does not accept the client certificate"),
        (45, "the client certificate (`auth.mtls`) has expired"),
        (112, "the receiver does not know the host of the URL"),
        (120, "the receiver does not speak HTTP/1.1 (ALPN)"),  # Python has no name for it
        (109, "tlsv13 alert missing extension"),
    ],
)
def test_a_refusal_in_the_handshake_says_what_is_refused(client: Any, alert: int, told: str) -> None:
    def refuse(connection: socket.socket) -> None:
        with connection:
            connection.recv(2000)
            connection.sendall(bytes((21, 3, 3, 0, 2, 2, alert)))

    with listening(refuse) as port:

        async def act(sending: Sending) -> None:
            attempt = await sending.send(f"https://127.0.0.1:{port}/")
            assert attempt.fault == "tls"
            assert attempt.detail.startswith(told)

        client(act)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"\x15\x03\x01\0\x02\x02\x46", "speaks TLS: is it a port for `https://`?"),
        (b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x80", "speaks HTTP/2 alone"),
    ],
)
def test_what_speaks_there_in_the_place_of_http_1_is_named(client: Any, said: bytes, told: str) -> None:
    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(2000)
            connection.sendall(said)

    with listening(answer) as port:

        async def act(sending: Sending) -> None:
            attempt = await sending.send(f"http://127.0.0.1:{port}/")
            assert attempt.fault == "protocol"
            assert told in attempt.detail

        client(act)


@pytest.mark.parametrize("by_reset", [False, True], ids=["end", "reset"])
def test_one_that_hangs_up_in_the_handshake_is_a_tls_fault(client: Any, by_reset: bool) -> None:
    def hang_up(connection: socket.socket) -> None:
        with connection:
            connection.recv(2000)
            if by_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with listening(hang_up) as port:

        async def act(sending: Sending) -> None:
            attempt = await sending.send(f"https://127.0.0.1:{port}/")
            assert (attempt.fault, attempt.detail) == ("tls", "the connection was closed in the handshake")

        client(act)


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


@pytest.mark.parametrize("said", ["too long", "garbage"])
def test_what_is_not_wanted_is_not_read_on(client: Any, certificates: Certificates, said: str) -> None:
    context = server_tls(*certificates.issue("endless"), certificates.ca)
    context.verify_mode = ssl.CERT_NONE
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n" if said == "too long" else b"x"
    closed = threading.Event()

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as speaking:
            speaking.recv(65536)
            speaking.sendall(head)
            while True:
                speaking.sendall(bytes(65536))
        closed.set()

    with listening(talk) as port:

        async def act(sending: Sending) -> None:
            tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            attempt = await sending.send(f"https://127.0.0.1:{port}/", tls=tls)
            assert (attempt.status, attempt.fault) == ((200, None) if said == "too long" else (0, "protocol"))
            assert await asyncio.to_thread(closed.wait, 10.0)

        client(act)


def test_a_token_endpoint_is_shown_the_client_certificate_and_told_in_the_same_words(
    certificates: Certificates,
) -> None:
    context = server_tls(*certificates.issue("mutual"), certificates.ca)
    with Receiver(tls=context) as receiver:
        cert, key = certificates.issue("us", ("hookline",))

        async def act(sending: Sending) -> None:
            assert isinstance(sending.client, AiohttpClient)
            url, ca = receiver.url("/token"), str(certificates.ca)
            with_cert = ReceiverSettings(ca=ca, mtls=MtlsSettings(str(cert), str(key)))
            tls = sending.contexts.name_for_tokens(with_cert, str)
            assert (await sending.client.post(url, b"", {}, tls=tls)).status == 200
            with pytest.raises(OSError, match=r"^tls: the token endpoint's certificate is not valid: "):
                await sending.client.post(url, b"", {})

        with_a_client(act, "aiohttp")


def test_one_that_wants_a_client_certificate_is_told_as_that(client: Any, certificates: Certificates) -> None:
    """With TLS 1.3 it says so after the handshake, when the request is on its way."""
    context = server_tls(*certificates.issue("strict"), certificates.ca)

    def refuse(connection: socket.socket) -> None:
        shaking = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        asked.append(shaking)  # it stays open: a reset might overtake the alert
        with suppress(OSError):
            shaking.do_handshake()

    asked: list[ssl.SSLSocket] = []
    with listening(refuse) as port:

        async def act(sending: Sending) -> None:
            tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
            attempt = await sending.send(f"https://127.0.0.1:{port}/", tls=tls)
            assert (attempt.fault, attempt.detail) == (
                "tls",
                "the receiver wants a client certificate (`auth.mtls`)",
            )

        client(act)
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
