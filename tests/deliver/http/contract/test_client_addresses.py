"""Which addresses both HTTP clients dial, and what they say where there is none."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from pipeline.config.models.webhooks.receiver import ReceiverSettings
from pipeline.deliver.http.attempt import AddrInfo
from pipeline.receiver.server import Receiver
from tests.kit.delivery.sending import Sending
from tests.kit.receivers.certificates import Certificates, server_tls
from tests.kit.receivers.listening import listening


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


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("is_silent", [False, True], ids=["hangs up", "says nothing"])
def test_where_an_address_takes_connections_only_the_next_is_tried(
    client: Any, certificates: Certificates, scheme: str, is_silent: bool
) -> None:
    tls = server_tls(*certificates.issue("two", ("two.example",))) if scheme == "https" else None
    met: list[socket.socket] = []
    meet = met.append if is_silent else socket.socket.close
    with Receiver(tls=tls) as receiver, listening(meet, "127.0.0.9", receiver.port):

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
    for connection in met:
        connection.close()
