"""Names behind a proxy: a private one is refused here, before the proxy is told of it."""

from __future__ import annotations

import socket

import pytest

from pipeline.deliver.http.attempt import AddrInfo
from tests.deliver.http.contract.test_proxies import proxy
from tests.kit.delivery.sending import Sending, with_a_client

ADDRESSES = {
    "metadata.google.internal": ["169.254.169.254"],
    "all-private.example": ["10.0.0.1", "fd00::1", "127.0.0.2"],
    "mixed.example": ["8.8.8.8", "10.0.0.1"],
    "public.example": ["8.8.8.8"],
}


def lookup(host: str, port: int) -> list[AddrInfo]:
    if host not in ADDRESSES:
        raise socket.gaierror("no such name")
    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)) for address in ADDRESSES[host]]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("metadata.google.internal", False),
        ("all-private.example", False),
        ("10.0.0.1", False),
        ("mixed.example", True),
        ("public.example", True),
        ("known-to-the-proxy-alone.example", True),
    ],
)
def test_a_name_is_judged_before_the_proxy_is_asked(scheme: str, host: str, asked: bool) -> None:
    async def act(sending: Sending) -> None:
        async with proxy(b"HTTP/1.1 502 No\r\ncontent-length: 0\r\n\r\n") as one:
            attempt = await sending.send(f"{scheme}://{host}/", proxy=f"http://{one.url}")
            assert (attempt.fault == "guard-refused", bool(one.heads)) == (not asked, asked), attempt

    with_a_client(act, "aiohttp", ("127.0.0.1/32",), lookup)
