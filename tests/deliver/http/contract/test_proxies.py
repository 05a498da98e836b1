"""Requests through a proxy: what it is told, what the receiver is not told, and whose fault a fault is."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pipeline.config.models.webhooks.receiver import ReceiverSettings
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.by_aiohttp.client import AiohttpClient
from pipeline.receiver.server import Receiver
from tests.kit.delivery.sending import Sending, with_a_client
from tests.kit.receivers.certificates import Certificates, server_tls

PAIR = base64.b64encode(b"me:p@ss").decode()
REFUSES = b"HTTP/1.1 %d No\r\ncontent-length: 0\r\n\r\n"


class Proxy:
    """A proxy that passes on what it is asked, or refuses with these bytes."""

    def __init__(self, refusal: bytes | None) -> None:
        self.refusal = refusal
        self.heads: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if self.refusal is not None:
            writer.write(self.refusal)
            writer.close()
            return
        method, target, _ = head.split(b"\r\n")[0].decode().split(" ")
        port = int(target.rpartition(":")[2].partition("/")[0])
        there, up = await asyncio.open_connection("127.0.0.1", port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\n\n")
        else:
            lines = head.split(b"\r\n")
            up.write(b"\r\n".join(line for line in lines if not line.lower().startswith(b"proxy-")))
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(pump(reader, up))
            pumps.create_task(pump(there, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except ConnectionError:
        pass
    writer.close()


@asynccontextmanager
async def proxy(refusal: bytes | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    made = Proxy(refusal)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.url = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def sent(act: Callable[[Sending], Coroutine[Any, Any, None]]) -> None:
    with_a_client(act, "aiohttp")


def test_a_password_is_told_to_the_proxy_alone(receiver: Receiver, certificates: Certificates) -> None:
    context = server_tls(*certificates.issue("behind"))

    async def act(sending: Sending) -> None:
        tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
        with Receiver(tls=context) as secure:
            for behind, name in ((receiver, ""), (secure, tls)):
                async with proxy() as one:
                    attempt = await sending.send(behind.url(), tls=name, proxy=f"http://me:p%40ss@{one.url}")
                    assert (attempt.status, attempt.fault) == (200, None), attempt
                    assert f"proxy-authorization: basic {PAIR.lower()}" in one.heads[0].lower()
                    (got,) = behind.requests
                    assert "proxy-authorization" not in got.headers
                    if name:
                        assert one.heads[0].startswith(f"CONNECT 127.0.0.1:{behind.port} ")
                        assert "webhook-id" not in one.heads[0]

    sent(act)


def test_a_proxy_over_tls_is_trusted_by_the_webhooks_ca_also_for_a_receiver_without(
    receiver: Receiver, certificates: Certificates
) -> None:
    context = server_tls(*certificates.issue("before"))

    async def act(sending: Sending) -> None:
        tls = sending.contexts.name(ReceiverSettings(ca=str(certificates.ca)), str)
        async with proxy(tls=context) as one:
            attempt = await sending.send(receiver.url(), tls=tls, proxy=f"https://{one.url}")
            assert (attempt.status, attempt.fault) == (200, None), attempt
            for url in (receiver.url(), "https://x.example/"):
                attempt = await sending.send(url, proxy=f"https://{one.url}")
                assert_told(attempt, "the proxy's certificate is not valid", "`request.ca`")

    sent(act)


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("user", ["", "me:wr0ng@"])
def test_407_is_a_fault_of_the_proxy_and_says_what_it_wants(scheme: str, user: str) -> None:
    async def act(sending: Sending) -> None:
        async with proxy(REFUSES % 407) as one:
            attempt = await sending.send(f"{scheme}://x.example/", proxy=f"http://{user}{one.url}")
            assert_told(attempt, "answered 407", "does not take the user" if user else "wants a user")

    sent(act)


@pytest.mark.parametrize("status", [403, 502])
def test_a_tunnel_that_is_refused_is_not_the_receivers_answer(status: int) -> None:
    async def act(sending: Sending) -> None:
        async with proxy(REFUSES % status) as one:
            attempt = await sending.send("https://x.example/", proxy=f"http://{one.url}")
            assert_told(attempt, f"answered {status}", "CONNECT x.example:443")

    sent(act)


@pytest.mark.parametrize(("scheme", "status"), [("http", 407), ("https", 407), ("https", 403)])
def test_a_token_that_the_proxy_refuses_is_not_refused_by_its_endpoint(scheme: str, status: int) -> None:
    async def act(sending: Sending) -> None:
        assert isinstance(sending.client, AiohttpClient)
        async with proxy(REFUSES % status) as one:
            with pytest.raises(OSError, match=f"^proxy: the proxy {one.url} answered {status}"):
                await sending.client.post(f"{scheme}://t.example/", b"", {}, proxy=f"http://{one.url}")

    sent(act)


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://x.example/"])
def test_whose_address_is_refused_is_told(url: str) -> None:
    async def act(sending: Sending) -> None:
        attempt = await sending.send(url, proxy="http://192.168.0.1:1")
        assert attempt.fault == "guard-refused"
        assert attempt.detail.startswith("10.0.0.1 is" if "10." in url else "the proxy: 192.168.0.1 is")

    sent(act)


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-le"]
)
def test_what_goes_wrong_before_the_tunnel_is_the_proxys(answer: bytes) -> None:
    async def act(sending: Sending) -> None:
        async with proxy(answer) as one:
            attempt = await sending.send("https://x.example/", proxy=f"http://{one.url}")
            assert_told(attempt, "proxy")
            assert attempt.begun == 0

    sent(act)


def assert_told(attempt: Attempt, *words: str) -> None:
    assert (attempt.status, attempt.fault) == (0, "proxy"), attempt
    assert all(word in attempt.detail for word in words), attempt.detail
    assert "wr0ng" not in attempt.detail
