"""The second client, on aiohttp's ClientSession: for proxies, OAuth2 tokens and `delivery.client: aiohttp`.

A task per request makes it several times dearer than the native one. It gives the same answers: one contract
suite runs over both.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pipeline.deliver.http.aiohttp_wire import SENDING, BadAnswer, Connector, HungUp, Peer, ProxyError
from pipeline.deliver.http.attempt import (
    ALL_IN_USE,
    MAX_BODY,
    MAX_HEAD,
    MAX_HEADERS,
    MAX_WHOLE,
    NO_CONNECTION,
    NO_NAME,
    TOKEN_TIMEOUT_SECS,
    Attempt,
    Fault,
    OwnLimit,
    Posted,
    own_limit,
)
from pipeline.deliver.http.guard import GuardRefusal
from pipeline.deliver.http.reader import BROKEN_OFF
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.target import (
    Origin,
    Proxy,
    Target,
    TargetError,
    parse_origin,
    parse_proxy,
    url_of,
)
from pipeline.deliver.http.tls import Contexts, words_of
from pipeline.deliver.http.trust import Trust
from pipeline.language.hosts import for_tls
from pipeline.model.words import without_addresses

ROOM = 8
"""One of so many idle pools goes where there are too many connections: to look for them takes its time."""
POOL_SECS = 60.0
"""How long a pool is kept that nobody uses; its connections end before it."""


class AiohttpClient:
    """See `attempt.Client`. Used by one event loop. proxy: of each attempt's ``proxy``, if any.

    max_connections: open connections in all; the pools that were idle for the longest time make room for a
    new one. most_open: where so many are on their way, an attempt ends. clock: monotonic seconds, by which
    connections grow old. trust: shared with other clients.
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
        self._max, self._most = max_connections, most_open
        self.open_connections = 0
        self._resolver = resolver
        self.contexts = contexts
        self._clock = clock or asyncio.get_running_loop().time
        self.trust = trust or Trust(self._clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._pools: dict[str, _Pool] = {}
        """By the target's pool: aiohttp itself would share connections between webhooks."""
        self._swept_at = self._clock()
        self._for_tokens: aiohttp.ClientSession | None = None

    def send(self, attempt: Attempt) -> None:
        """Begin the request as a task."""
        if len(self._tasks) >= self._most:
            asyncio.get_running_loop().call_soon(self._refuse, attempt)
            return
        task = asyncio.get_running_loop().create_task(self._run(attempt))
        attempt.cancel = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, attempt: Attempt) -> None:
        """Stores and journals need the descriptors that are left."""
        if attempt.abort("machine", ALL_IN_USE):
            self._finished(attempt)

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        """End the attempt now."""
        if attempt.abort(fault, detail):
            if fault == "timeout" and not attempt.begun:
                self._resolver.rotate(*attempt.target.origin[1:3])
            self._finished(attempt)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, *self._closing, return_exceptions=True)
        for pool in self._pools.values():
            await pool.session.close()
        self._pools.clear()
        if self._for_tokens is not None:
            await self._for_tokens.close()

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, tls: str = "") -> Posted:
        """POST over a connection of its own and return the whole answer; guarded. tls: name of a context.
        Raises OSError; OwnLimit where it was this machine that could not.
        """
        if self._for_tokens is None:
            self._for_tokens = _session(Peer(self._clock), self._resolver, force_close=True)
        origin, path = parse_origin(url, tls)
        try:
            await self._resolver.resolve(origin.host, origin.port)
            async with self._for_tokens.post(
                _Url.build(url_of(origin, path)),
                data=body,
                headers={"accept-encoding": "identity"} | headers,
                allow_redirects=False,
                ssl=self._ssl(origin),
                server_hostname=_tls_name(origin),
                timeout=aiohttp.ClientTimeout(total=TOKEN_TIMEOUT_SECS),
            ) as response:
                answer, cut = await _start(response, MAX_WHOLE)
                return Posted(response.status, _headers(response), answer, cut)
        except (GuardRefusal, aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            if (lacking := own_limit(getattr(error, "os_error", error))) is not None:
                raise OwnLimit(lacking) from None
            said = str(error) or f"no complete answer within {TOKEN_TIMEOUT_SECS:g} s"
            raise OSError(f"{type(error).__name__}: {said}") from None

    # --- inside

    async def _run(self, attempt: Attempt) -> None:
        pool = self._pool(attempt.target)
        pool.users += 1
        if self.open_connections >= self._max:
            self._make_room()
        try:
            fault, detail = await self._once(attempt, pool.session)
            if attempt.stale and not attempt.ended:
                # A kept-alive connection that turned out closed: one repeat at once, over a new one, as in
                # the native client.
                attempt.renewed = True
                async with _session(pool.peer, self._resolver) as session:
                    fault, detail = await self._once(attempt, session)
        finally:
            pool.users -= 1
            pool.used_at = self._clock()
        if attempt.ended:
            return
        attempt.ended = True
        attempt.cancel = None
        if fault in ("tls", "closed", "reset", "protocol") and not attempt.begun:
            self._resolver.rotate(*attempt.target.origin[1:3])
        attempt.fault = fault
        attempt.detail = without_addresses(detail)
        self._finished(attempt)

    def _pool(self, target: Target) -> _Pool:
        """Return the pool of the target's webhook and origin, making it on first use."""
        pool = self._pools.get(target.pool)
        if pool is None:
            self._sweep()
            trust = self.trust
            peer = Peer(
                self._clock,
                doubt=lambda sign: trust.doubt(target, sign),
                trusted=lambda: not trust.doubted or trust.trusts(target),
                count=self._count,
            )
            pool = self._pools[target.pool] = _Pool(peer, _session(peer, self._resolver))
        return pool

    def _count(self, change: int) -> None:
        self.open_connections += change

    def _sweep(self) -> None:
        """Close the pools that nobody uses."""
        now = self._clock()
        if now - self._swept_at < POOL_SECS / 4:
            return
        self._swept_at = now
        for name, pool in list(self._pools.items()):
            if not pool.users and now - pool.used_at > POOL_SECS:
                self._close_pool(name)

    def _make_room(self) -> None:
        """Close a part of the pools that nobody uses, those that were idle for the longest time."""
        idle = sorted((pool.used_at, name) for name, pool in self._pools.items() if not pool.users)
        for _, name in idle[: 1 + len(idle) // ROOM]:
            self._close_pool(name)

    def _close_pool(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._pools.pop(name).session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

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
            # Literals do not pass aiohttp's resolver, so every host is judged here first. Behind a proxy it
            # is the proxy that is dialled; it resolves the receiver's name itself.
            dialled = target.origin
            if attempt.proxy is not None:
                await self._resolver.judge_behind_proxy(dialled.host, dialled.port)
                proxy = parse_proxy(attempt.proxy)
                dialled = proxy.origin
            await self._resolver.resolve(dialled.host, dialled.port)
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
            # Through a tunnel only the proxy sees what is said to open it.
            if target.origin.scheme == "https":
                tunnel = {"proxy-authorization": proxy.authorization}
            else:
                headers.append(("proxy-authorization", proxy.authorization))
        try:
            async with session.request(
                target.method,
                _Url.build(target.url),
                data=attempt.body if attempt.body or target.method in ("POST", "PUT", "PATCH") else None,
                headers=headers,
                allow_redirects=False,
                proxy=proxy.url if proxy is not None else None,
                proxy_headers=tunnel,
                ssl=self._ssl(target.origin),
                server_hostname=_tls_name(target.origin),
            ) as response:
                attempt.begun = response.status
                if response.status == 407 and proxy is not None and target.origin.scheme == "http":
                    return "proxy", proxy.refusal(407)
                attempt.answer, attempt.cut = await _start(response, attempt.most)
                attempt.status, attempt.begun = response.status, 0
                attempt.retry_after = response.headers.get("retry-after")
                attempt.date = response.headers.get("date")
                if attempt.headers_matter:
                    attempt.headers = _headers(response)
                return None, ""
        except Exception as error:  # whatever it is: the attempt must end
            if isinstance(error, HungUp):
                await error.settled()
            return _told(error, attempt, proxy)

    def _ssl(self, origin: Origin) -> Any:
        return self.contexts.get(origin.tls) if origin.scheme == "https" else True


def _told(error: Exception, attempt: Attempt, proxy: Proxy | None) -> tuple[Fault, str]:
    """Return what an attempt ends in and what is said of it; the attempt gets what the answer told before."""
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
            return "tls", words_of(error.certificate_error)
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return "tls", words_of(getattr(error, "os_error", error))
        case aiohttp.ClientConnectorError() if (lacking := own_limit(error.os_error)) is not None:
            return "machine", lacking
        case aiohttp.ClientProxyConnectionError():
            return "proxy", f"no connection to the proxy: {error.os_error or type(error.os_error).__name__}"
        case aiohttp.ClientHttpProxyError():
            asked = f"{origin.host}:{origin.port}"
            return "proxy", proxy.refusal(error.status, asked) if proxy is not None else str(error)
        case aiohttp.ClientConnectorDNSError():
            return "dns", str(error)
        case aiohttp.ClientConnectorError():
            cause = error.os_error
            # A port that nobody listens at refuses; what hangs up later has met the handshake.
            if origin.scheme == "https" and isinstance(cause, ConnectionResetError):
                return "tls", words_of(cause)
            return "connect", str(cause) or type(cause).__name__
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


def _tls_name(origin: Origin) -> str | None:
    return for_tls(origin.host) if origin.scheme == "https" else None


class _Pool:
    """The connections of one webhook to one origin."""

    def __init__(self, peer: Peer, session: aiohttp.ClientSession) -> None:
        self.peer = peer
        self.session = session
        self.users = 0
        """Attempts under way."""
        self.used_at = 0.0


def _session(peer: Peer, resolver: Resolver, *, force_close: bool = False) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=Connector(
            peer=peer,
            force_close=force_close,
            limit=0,
            resolver=_Guarded(resolver),
            use_dns_cache=False,
            happy_eyeballs_delay=0.25,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
        max_line_size=MAX_HEAD,
        max_field_size=MAX_HEAD,
        max_headers=MAX_HEADERS + 2,
    )


class _Url:
    """URLs as they are: aiohttp must not quote again what was rendered."""

    @staticmethod
    def build(url: str) -> Any:
        from yarl import URL

        return URL(url, encoded=True)


async def _start(response: aiohttp.ClientResponse, most: int) -> tuple[bytes, bool]:
    """Return at most so many bytes, and whether there are more; then the connection is closed."""
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


class _Guarded(AbstractResolver):
    """aiohttp's view of our resolver: it dials only what this returns."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return judged addresses."""
        return [
            ResolveResult(
                hostname=host,
                host=info[4][0],
                port=port,
                family=info[0],
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for info in await self._resolver.resolve(host, port)
        ]

    async def close(self) -> None:
        """Nothing to close."""
