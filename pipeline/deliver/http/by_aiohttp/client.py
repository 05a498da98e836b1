"""The client on aiohttp's ClientSession.

A task per request makes it several times more expensive than the native one. Its results are the same: one
contract suite runs over both.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import aiohttp
from yarl import URL

from pipeline.deliver.http.attempt import (
    ALL_IN_USE,
    MAX_BODY,
    NO_CONNECTION,
    NO_NAME,
    TOKEN_TIMEOUT_SECS,
    AddrInfo,
    Attempt,
    Fault,
    OwnLimit,
    Posted,
    own_limit,
    unreached,
)
from pipeline.deliver.http.by_aiohttp.pools import Pools, open_session
from pipeline.deliver.http.by_aiohttp.wire import SENDING, BadAnswer, HungUp, Peer, ProxyError
from pipeline.deliver.http.guard import GuardRefusal
from pipeline.deliver.http.reader import BROKEN_OFF
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.target import (
    WITH_BODY,
    Origin,
    Proxy,
    Target,
    TargetError,
    parse_origin,
    parse_proxy,
)
from pipeline.deliver.http.tls import Contexts, words_of
from pipeline.deliver.http.trust import Trust
from pipeline.language.hosts import for_tls
from pipeline.model.words import without_addresses


class AiohttpClient:
    """See `attempt.Client`. Used by one event loop. proxy: each attempt's ``proxy``, if any.

    max_connections: open connections in total; the pools that were idle longest make room for a new one.
    most_open: with this many attempts in flight, another one fails. clock: monotonic seconds, for the age of
    connections. trust: shared with other clients.
    """

    def __init__(
        self,
        finished: Callable[[Attempt], None],
        resolver: Resolver,
        contexts: Contexts,
        *,
        max_connections: int = 2048,
        most_open: int = 2048,
        clock: Callable[[], float] | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._finished = finished
        self._most = most_open
        self._resolver = resolver
        self.contexts = contexts
        self._clock = clock or asyncio.get_running_loop().time
        self.trust = trust or Trust(self._clock)
        self._pools = Pools(resolver, self.trust, self._clock, max_connections)
        self._tasks: set[asyncio.Task[None]] = set()
        self._for_tokens: aiohttp.ClientSession | None = None

    @property
    def open_connections(self) -> int:
        """Return the number of open connections."""
        return self._pools.open_connections

    def send(self, attempt: Attempt) -> None:
        """Start the request as a task."""
        if len(self._tasks) >= self._most:
            asyncio.get_running_loop().call_soon(self._refuse, attempt)
            return
        task = asyncio.get_running_loop().create_task(self._run(attempt))
        attempt.cancel = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, attempt: Attempt) -> None:
        """Fail the attempt: stores and journals need the remaining descriptors."""
        if attempt.abort("machine", ALL_IN_USE):
            self._finished(attempt)

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        """End the attempt now."""
        if attempt.abort(fault, detail):
            self._resolver.learn(attempt)
            self._finished(attempt)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._pools.close()
        if self._for_tokens is not None:
            await self._for_tokens.close()

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, tls: str = "", proxy: str | None = None
    ) -> Posted:
        """POST over a connection of its own and return the whole answer; guarded. tls: name of a context.

        Raises OSError; OwnLimit where this machine was the cause; TargetError for what is no URL.
        """
        if self._for_tokens is None:
            self._for_tokens = open_session(Peer(self._clock), self._resolver, force_close=True)
        origin, path = parse_origin(url, tls)
        told = tuple(({"accept-encoding": "identity"} | headers).items())
        target = Target(origin, "POST", path, told, b"")
        attempt = Attempt(target, b"", body, headers_matter=True, whole=True, proxy=proxy, proxy_tls=tls)
        try:
            async with asyncio.timeout(TOKEN_TIMEOUT_SECS):
                fault, detail = await self._once(attempt, self._for_tokens)
        except TimeoutError:
            fault = "timeout"
            detail = f"no complete answer within {TOKEN_TIMEOUT_SECS:g} s"
            detail += f": {attempt.detail}" if attempt.detail else ""
        if fault == "machine":
            raise OwnLimit(detail)
        if fault is not None:
            detail = without_addresses(detail).replace("the receiver", "the token endpoint")
            raise OSError(f"{fault}: {detail}")
        return Posted(attempt.status, attempt.headers or {}, attempt.answer, attempt.cut)

    # --- inside

    async def _run(self, attempt: Attempt) -> None:
        pool = self._pools.enter(attempt.target)
        try:
            fault, detail = await self._once(attempt, pool.session)
            if attempt.stale and not attempt.ended:
                # A kept-alive connection turned out to be closed: one repeat at once, over a new one, as in
                # the native client.
                attempt.renewed = True
                async with open_session(pool.peer, self._resolver) as session:
                    fault, detail = await self._once(attempt, session)
        finally:
            self._pools.leave(pool)
        if attempt.ended:
            return
        attempt.ended = True
        attempt.cancel = None
        attempt.fault = fault
        attempt.detail = without_addresses(detail)
        self._resolver.learn(attempt)
        self._finished(attempt)

    async def _once(self, attempt: Attempt, session: aiohttp.ClientSession) -> tuple[Fault | None, str]:
        target = attempt.target
        headers = list(target.headers)
        for line in attempt.extra.decode("latin-1").split("\r\n")[:-1]:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        proxy: Proxy | None = None
        SENDING.set(attempt)
        attempt.detail = NO_NAME
        try:
            # Literals bypass aiohttp's resolver, so every host is judged here first. Behind a proxy the
            # proxy is dialled; it resolves the receiver's name itself.
            dialled = target.origin
            if attempt.proxy is not None:
                await self._resolver.judge_behind_proxy(dialled.host, dialled.port)
                proxy = parse_proxy(attempt.proxy)
                dialled = proxy.origin
            addresses = await self._resolver.resolve(dialled.host, dialled.port)
        except GuardRefusal as error:
            return "guard-refused", str(error) if proxy is None else f"the proxy: {error}"
        except OSError as error:
            if (lacking := own_limit(error)) is not None:
                return "machine", lacking
            return ("dns", str(error)) if proxy is None else ("proxy", f"its name: {error}")
        except TargetError as error:
            return "proxy", str(error)
        attempt.detail = NO_CONNECTION
        tunnel = None
        if proxy is not None and proxy.authorization is not None:
            # Through a tunnel, only the proxy sees the headers that open it.
            if target.origin.scheme == "https":
                tunnel = {"proxy-authorization": proxy.authorization}
            else:
                headers.append(("proxy-authorization", proxy.authorization))
        try:
            async with session.request(
                target.method,
                URL(target.url, encoded=True),  # aiohttp must not quote the rendered URL again
                data=attempt.body if attempt.body or target.method in WITH_BODY else None,
                headers=headers,
                allow_redirects=False,
                proxy=proxy.url if proxy is not None else None,
                proxy_headers=tunnel,
                ssl=self._ssl(attempt),
                server_hostname=_tls_name(target.origin),
            ) as response:
                attempt.begun = response.status
                if response.status == 407 and proxy is not None and target.origin.scheme == "http":
                    return "proxy", proxy.refusal(407)
                attempt.answer, attempt.cut = await _start(response, attempt.most)
                attempt.status, attempt.begun = response.status, 0
                attempt.retry_after = response.headers.get("retry-after")
                attempt.date = response.headers.get("date")
                if 300 <= response.status < 400:
                    attempt.location = _headers(response).get("location", "").encode("latin-1")
                if attempt.headers_matter:
                    attempt.headers = _headers(response)
                return None, ""
        except Exception as error:  # whatever it is: the attempt must end
            if isinstance(error, HungUp):
                await error.settled()
            return told(error, attempt, proxy, addresses)

    def _ssl(self, attempt: Attempt) -> Any:
        origin = attempt.target.origin
        if origin.scheme == "https":
            return self.contexts.get(origin.tls)
        return True if attempt.proxy is None else self.contexts.get(attempt.proxy_tls)


def _tls_name(origin: Origin) -> str | None:
    return for_tls(origin.host) if origin.scheme == "https" else None


async def _start(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """Return up to this many bytes, and whether there are more; then the connection is closed."""
    read = bytearray()
    while len(read) <= most:
        chunk = await response.content.read(min(most + 1 - len(read), MAX_BODY))
        if not chunk:
            return bytes(read), False
        read += chunk
    response.close()
    return bytes(read[:most]), True


def _headers(response: aiohttp.ClientResponse) -> dict[str, str]:
    made: dict[str, str] = {}
    for name, value in response.raw_headers:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        made[key] = f"{made[key]}, {text}" if key in made else text
    return made


def _told_of_tls(error: Exception, cause: BaseException, proxy: Proxy | None) -> tuple[Fault, str]:
    dialled = getattr(error, "host", ""), getattr(error, "port", 0)
    if proxy is not None and dialled == proxy.origin[1:3]:
        return "proxy", words_of(cause).replace("the receiver", "the proxy")
    return "tls", words_of(cause)


def told(
    error: Exception, attempt: Attempt, proxy: Proxy | None, addresses: Sequence[AddrInfo]
) -> tuple[Fault, str]:
    """Return an exception's fault and detail; the attempt gets what the answer had said before.

    addresses: those that were dialled.
    """
    origin = attempt.target.origin
    match error:
        case GuardRefusal():
            return "guard-refused", str(error)
        case BadAnswer():
            attempt.begun = error.begun
            return error.fault, str(error)
        case HungUp():
            attempt.stale = error.was_used
            return error.fault, str(error)
        case ProxyError():
            return "proxy", str(error)
        case aiohttp.ClientConnectorCertificateError():
            return _told_of_tls(error, error.certificate_error, proxy)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return _told_of_tls(error, getattr(error, "os_error", error), proxy)
        case aiohttp.ClientConnectorError() if (lacking := own_limit(error.os_error, addresses)) is not None:
            return "machine", lacking
        case aiohttp.ClientProxyConnectionError():
            return "proxy", f"no connection to the proxy: {unreached(error.os_error)}"
        case aiohttp.ClientHttpProxyError():
            asked = f"{origin.host}:{origin.port}"
            return "proxy", proxy.refusal(error.status, asked) if proxy is not None else str(error)
        case aiohttp.ClientConnectorDNSError():
            return "dns", unreached(error.os_error)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            # A port without a listener refuses; a peer that hangs up later has taken part in the handshake.
            if origin.scheme == "https" and isinstance(cause, ConnectionResetError):
                return "tls", words_of(cause)
            return "connect", unreached(cause)
        case aiohttp.ServerDisconnectedError():
            return "closed", str(error)
        case aiohttp.ClientPayloadError():
            return "closed", BROKEN_OFF
        case aiohttp.ClientResponseError():
            return "protocol", error.message
        case aiohttp.ClientOSError() | ConnectionError():
            return "reset", str(error)
        case OSError() if (lacking := own_limit(error)) is not None:
            return "machine", lacking
        case _:
            return "connect", f"{type(error).__name__}: {error}"
