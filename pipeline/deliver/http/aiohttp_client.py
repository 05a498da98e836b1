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

from pipeline.deliver.http.attempt import MAX_BODY, MAX_HEAD, Attempt, Fault
from pipeline.deliver.http.guard import GuardRefusal
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.target import Origin, parse_origin
from pipeline.deliver.http.tls import Contexts

TOKEN_TIMEOUT_SECS = 10.0


class AiohttpClient:
    """See `attempt.Client`. Used by one event loop. proxy: of each attempt's ``proxy``, if any."""

    def __init__(self, finished: Callable[[Attempt], None], resolver: Resolver, contexts: Contexts) -> None:
        self._finished = finished
        self._resolver = resolver
        self.contexts = contexts
        self._tasks: set[asyncio.Task[None]] = set()
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0, resolver=_Guarded(resolver), use_dns_cache=False, happy_eyeballs_delay=0.25
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
            skip_auto_headers=("accept", "accept-encoding", "user-agent", "content-type"),
            max_line_size=MAX_HEAD,
            max_field_size=MAX_HEAD,
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

    async def post(
        self, url: str, body: bytes, headers: dict[str, str], *, tls: str = ""
    ) -> tuple[int, bytes]:
        """POST and return status and the start of the answer; guarded. tls: name of a context.

        Raises OSError.
        """
        origin, _ = parse_origin(url, tls)
        try:
            await self._resolver.resolve(origin.host, origin.port)
            async with self._session.post(
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                ssl=self._ssl(origin),
                timeout=aiohttp.ClientTimeout(total=TOKEN_TIMEOUT_SECS),
            ) as response:
                return response.status, await _start(response)
        except (GuardRefusal, aiohttp.ClientError, TimeoutError) as error:
            raise OSError(f"{type(error).__name__}: {error}") from None

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
        attempt.detail = detail
        self._finished(attempt)

    async def _once(self, attempt: Attempt) -> tuple[Fault | None, str]:
        target = attempt.target
        headers = list(target.headers)
        for line in attempt.extra.decode("latin-1").splitlines():
            name, _, value = line.partition(": ")
            headers.append((name, value))
        try:
            # Literals do not pass aiohttp's resolver, so every host is judged here first. Behind a proxy it
            # is the proxy that is dialled; it resolves the receiver's name itself.
            self._resolver.check_literal(target.origin.host)
            dialled = target.origin if attempt.proxy is None else parse_origin(attempt.proxy)[0]
            await self._resolver.resolve(dialled.host, dialled.port)
        except GuardRefusal as error:
            return "guard-refused", str(error)
        except OSError as error:
            return "dns", str(error)
        except ValueError as error:
            return "proxy", str(error)
        try:
            async with self._session.request(
                target.method,
                _Url.build(target.url),
                data=attempt.body if attempt.body or target.method in ("POST", "PUT", "PATCH") else None,
                headers=headers,
                allow_redirects=False,
                proxy=attempt.proxy,
                ssl=self._ssl(target.origin),
                trace_request_ctx=attempt,
            ) as response:
                attempt.stale = False
                attempt.answer = await _start(response)
                attempt.status = response.status
                attempt.retry_after = response.headers.get("retry-after")
                return None, ""
        except GuardRefusal as error:
            return "guard-refused", str(error)
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientSSLError, ssl.SSLError) as error:
            return "tls", str(error)
        except aiohttp.ClientProxyConnectionError as error:
            return "proxy", str(error)
        except aiohttp.ClientHttpProxyError as error:
            return "proxy", f"the proxy answered {error.status}"
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


async def _start(response: aiohttp.ClientResponse) -> bytes:
    """Return at most `MAX_BODY` bytes; what is longer closes the connection."""
    read = b""
    while len(read) <= MAX_BODY:
        chunk = await response.content.read(MAX_BODY + 1 - len(read))
        if not chunk:
            return read
        read += chunk
    response.close()
    return read[:MAX_BODY]


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
