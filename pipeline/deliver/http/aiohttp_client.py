"""The second client, on aiohttp's ClientSession: for proxies, OAuth2 tokens and `delivery.client: aiohttp`.

A task per request makes it several times dearer than the native one. It gives the same answers: one contract
suite runs over both.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pipeline.deliver.http.aiohttp_wire import BadAnswer, Connector, ProxyError
from pipeline.deliver.http.attempt import MAX_BODY, MAX_HEAD, MAX_HEADERS, MAX_WHOLE, Attempt, Fault, Posted
from pipeline.deliver.http.guard import GuardRefusal
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.target import Origin, Proxy, parse_origin, parse_proxy, url_of
from pipeline.deliver.http.tls import Contexts
from pipeline.language.hosts import for_tls
from pipeline.model.words import without_addresses

TOKEN_TIMEOUT_SECS = 10.0


class AiohttpClient:
    """See `attempt.Client`. Used by one event loop. proxy: of each attempt's ``proxy``, if any.

    clock: monotonic seconds, by which connections grow old.
    """

    def __init__(
        self,
        finished: Callable[[Attempt], None],
        resolver: Resolver,
        contexts: Contexts,
        *,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._finished = finished
        self._resolver = resolver
        self.contexts = contexts
        self._tasks: set[asyncio.Task[None]] = set()
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=Connector(
                clock=clock or asyncio.get_running_loop().time,
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
            trace_configs=[trace],
        )

    def send(self, attempt: Attempt) -> None:
        """Begin the request as a task."""
        task = asyncio.get_running_loop().create_task(self._run(attempt))
        attempt.cancel = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        """End the attempt now."""
        if attempt.abort(fault, detail):
            self._finished(attempt)

    async def close(self) -> None:
        """Close every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()

    async def post(self, url: str, body: bytes, headers: dict[str, str], *, tls: str = "") -> Posted:
        """POST and return the whole answer; guarded. tls: name of a context. Raises OSError."""
        origin, path = parse_origin(url, tls)
        try:
            await self._resolver.resolve(origin.host, origin.port)
            async with self._session.post(
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
        except (GuardRefusal, aiohttp.ClientError, TimeoutError) as error:
            said = str(error) or f"no complete answer within {TOKEN_TIMEOUT_SECS:g} s"
            raise OSError(f"{type(error).__name__}: {said}") from None

    # --- inside

    async def _run(self, attempt: Attempt) -> None:
        fault, detail = await self._once(attempt)
        if attempt.stale and fault in ("closed", "reset") and not attempt.ended:
            # A kept-alive connection that turned out closed: one repeat at once, as in the native client.
            attempt.renewed = True
            fault, detail = await self._once(attempt)
        if attempt.ended:
            return
        attempt.ended = True
        attempt.cancel = None
        attempt.fault = fault
        attempt.detail = without_addresses(detail)
        self._finished(attempt)

    async def _once(self, attempt: Attempt) -> tuple[Fault | None, str]:
        target = attempt.target
        headers = list(target.headers)
        for line in attempt.extra.decode("latin-1").split("\r\n")[:-1]:
            name, _, value = line.partition(": ")
            headers.append((name, value))
        proxy: Proxy | None = None
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
            return "guard-refused", str(error)
        except OSError as error:
            return ("dns", str(error)) if proxy is None else ("proxy", f"its name: {error}")
        except ValueError as error:
            return "proxy", str(error)
        tunnel = None
        if proxy is not None and proxy.authorization is not None:
            # Through a tunnel only the proxy sees what is said to open it.
            if target.origin.scheme == "https":
                tunnel = {"proxy-authorization": proxy.authorization}
            else:
                headers.append(("proxy-authorization", proxy.authorization))
        try:
            async with self._session.request(
                target.method,
                _Url.build(target.url),
                data=attempt.body if attempt.body or target.method in ("POST", "PUT", "PATCH") else None,
                headers=headers,
                allow_redirects=False,
                proxy=proxy.url if proxy is not None else None,
                proxy_headers=tunnel,
                ssl=self._ssl(target.origin),
                server_hostname=_tls_name(target.origin),
                trace_request_ctx=attempt,
            ) as response:
                attempt.stale = False
                attempt.begun = response.status
                if response.status == 407 and proxy is not None and target.origin.scheme == "http":
                    return "proxy", proxy.refusal(407)
                attempt.answer, attempt.cut = await _start(response, attempt.most)
                attempt.status, attempt.begun = response.status, 0
                attempt.retry_after = response.headers.get("retry-after")
                if attempt.headers_matter:
                    attempt.headers = _headers(response)
                return None, ""
        except GuardRefusal as error:
            return "guard-refused", str(error)
        except BadAnswer as error:
            attempt.begun = error.begun
            return error.fault, str(error)
        except ProxyError as error:
            return "proxy", str(error)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as error:
            return "tls", str(error)
        except aiohttp.ClientProxyConnectionError as error:
            return "proxy", str(error)
        except aiohttp.ClientHttpProxyError as error:
            asked = f"{target.origin.host}:{target.origin.port}"
            return "proxy", proxy.refusal(error.status, asked) if proxy is not None else str(error)
        except aiohttp.ClientConnectorDNSError as error:
            return "dns", str(error)
        except aiohttp.ClientConnectorError as error:
            return "connect", str(error)
        except aiohttp.ServerDisconnectedError as error:
            return "closed", str(error)
        except aiohttp.ClientPayloadError as error:
            return "closed", str(error)
        except aiohttp.ClientResponseError as error:
            return "protocol", error.message
        except (aiohttp.ClientOSError, ConnectionError) as error:
            return "reset", str(error)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return "connect", f"{type(error).__name__}: {error}"

    def _ssl(self, origin: Origin) -> Any:
        return self.contexts.get(origin.tls) if origin.scheme == "https" else True


def _tls_name(origin: Origin) -> str | None:
    return for_tls(origin.host) if origin.scheme == "https" else None


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: aiohttp.TraceConnectionReuseconnParams
) -> None:
    attempt = context.trace_request_ctx
    if attempt is not None:  # None for a token request
        attempt.stale = True


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
