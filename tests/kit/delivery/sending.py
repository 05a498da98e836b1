"""A client of the delivery engine in a running loop, one attempt at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

import uvloop

from pipeline.deliver.http.attempt import Attempt, Client
from pipeline.deliver.http.by_aiohttp.client import AiohttpClient
from pipeline.deliver.http.guard import parse_allow
from pipeline.deliver.http.native_client import NativeClient
from pipeline.deliver.http.resolve import Lookup, Resolver, system_lookup
from pipeline.deliver.http.target import build_target
from pipeline.deliver.http.tls import Contexts
from tests.kit.delivery.rig import LOOPBACK

T = TypeVar("T")


class Sending:
    """A client in a running loop, with a way to wait for one attempt."""

    def __init__(
        self,
        name: str,
        allow: tuple[str, ...] = LOOPBACK,
        lookup: Lookup = system_lookup,
        idle_secs: float = 30.0,
        clock: Callable[[], float] | None = None,
        max_connections: int = 4096,
    ) -> None:
        self.contexts = Contexts()
        self._done: dict[Attempt, asyncio.Future[Attempt]] = {}
        resolver = Resolver(parse_allow(allow), lookup)
        self.client: Client = (
            NativeClient(
                self._finished,
                resolver,
                self.contexts,
                max_connections=max_connections,
                most_open=max_connections,
                idle_secs=idle_secs,
                clock=clock,
            )
            if name == "native"
            else AiohttpClient(
                self._finished,
                resolver,
                self.contexts,
                max_connections=max_connections,
                most_open=max_connections,
                clock=clock,
            )
        )

    def _finished(self, attempt: Attempt) -> None:
        self._done[attempt].set_result(attempt)

    async def send(
        self,
        url: str,
        *,
        method: str = "POST",
        body: bytes = b"{}",
        headers: tuple[tuple[str, str], ...] = (),
        timeout_secs: float = 5.0,
        tls: str = "",
        proxy: str | None = None,
        extra: bytes = b"webhook-id: msg_1\r\n",
        whole: bool = False,
        webhook: str = "",
    ) -> Attempt:
        """Send one request and return its attempt when it has ended. whole: headers and body matter."""
        target = build_target(method, url, headers, "application/json" if body else None, tls, webhook)
        attempt = Attempt(target, extra, body)
        attempt.proxy, attempt.proxy_tls = proxy, tls
        attempt.headers_matter = attempt.whole = whole
        loop = asyncio.get_running_loop()
        self._done[attempt] = loop.create_future()
        timer = loop.call_later(timeout_secs, self.client.abort, attempt, "timeout", "too slow")
        self.client.send(attempt)
        try:
            return await self._done[attempt]
        finally:
            timer.cancel()


def in_a_loop(main: Coroutine[Any, Any, T]) -> T:
    """Run to its end what a test does, in a loop as the delivery engine has one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


Act: TypeAlias = Callable[[Sending], Coroutine[Any, Any, None]]
"""What a test does with a client."""


def with_a_client(act: Act, *given: Any, **named: Any) -> None:
    """Run what a test does with a client made of what is given, which is closed at the end."""

    async def main() -> None:
        sending = Sending(*given, **named)
        try:
            await act(sending)
        finally:
            await sending.client.close()

    in_a_loop(main())
