"""The native client: pooled HTTP/1.1 connections on our own protocol, no task or future per request."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from heapq import nsmallest
from random import random

from aiohappyeyeballs import start_connection

from pipeline.deliver.http.attempt import (
    ALL_IN_USE,
    LIFE_SECS,
    NO_CONNECTION,
    NO_HANDSHAKE,
    NO_NAME,
    AddrInfo,
    Attempt,
    Fault,
    own_limit,
    unreached,
)
from pipeline.deliver.http.connection import Connection
from pipeline.deliver.http.guard import GuardRefusal
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.target import WITH_BODY, Target
from pipeline.deliver.http.tls import Contexts, words_of
from pipeline.deliver.http.trust import DOUBTFUL, LISTEN_SECS, Ear, Trust
from pipeline.language.hosts import for_tls

IDLE_SECS = 30.0
"""How long an unused connection is kept. Most servers keep theirs longer."""
ROOM = 32
"""One in this many idle connections is closed where there are too many: searching takes time."""


class NativeClient:
    """See `attempt.Client`. Used by one event loop.

    max_connections: open connections in total; those idle longest make room for a new one. most_open: with
    this many open and none idle, an attempt fails. clock: monotonic seconds, for idle time and age. trust:
    shared with other clients.
    """

    def __init__(
        self,
        finished: Callable[[Attempt], None],
        resolver: Resolver,
        contexts: Contexts,
        *,
        max_connections: int = 4096,
        most_open: int = 4096,
        idle_secs: float = IDLE_SECS,
        clock: Callable[[], float] | None = None,
        trust: Trust | None = None,
    ) -> None:
        self._finished = finished
        self._resolver = resolver
        self._contexts = contexts
        self._max, self._most = max_connections, most_open
        self._idle_secs = idle_secs
        self._idle: dict[str, deque[Connection]] = {}
        """By the target's pool."""
        self._open: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._now = clock or self._loop.time
        self.trust = trust or Trust(self._now)
        self._sweeper: asyncio.TimerHandle | None = None
        self.opened = 0
        """Connections opened so far."""

    @property
    def open_connections(self) -> int:
        """Return the number of open connections."""
        return len(self._open)

    def send(self, attempt: Attempt) -> None:
        """Write the request to an idle connection or open a new one."""
        idle = self._idle.get(attempt.target.pool)
        if idle:
            if self.trust.doubted and not self.trust.trusts(attempt.target):
                while idle:
                    self._discard(idle.pop())
            # Data that has already arrived cannot be the answer. Reading it closes the connection.
            for _ in range(len(idle)):
                connection = idle.pop()
                if connection.closed:
                    continue
                ear = connection.ear
                if ear is not None and ear.hears():
                    idle.appendleft(connection)
                    continue
                attempt.cancel = connection.close
                connection.send(attempt, _wire(attempt))
                return
        self._connect(attempt)

    def abort(self, attempt: Attempt, fault: Fault | None, detail: str = "") -> None:
        """End the attempt now."""
        if attempt.abort(fault, detail):
            self._resolver.learn(attempt)
            self._finished(attempt)

    async def close(self) -> None:
        """Close every connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for task in self._tasks:
            task.cancel()
        for connection in list(self._open):
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._idle.clear()

    # --- inside

    def _connect(self, attempt: Attempt) -> None:
        if len(self._open) + len(self._tasks) >= self._max:
            self._make_room()
            if len(self._open) + len(self._tasks) >= self._most:
                # Stores and journals need the rest. Reported later, as `send` has not returned yet.
                self._loop.call_soon(self._fail, attempt, "machine", ALL_IN_USE)
                return
        task = self._loop.create_task(self._dial(attempt))
        attempt.cancel = task.cancel
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, attempt: Attempt) -> None:
        target, trust = attempt.target, self.trust
        origin = target.origin
        step: Fault = "dns"
        addresses: Sequence[AddrInfo] = ()
        attempt.detail = NO_NAME
        try:
            addresses = await self._resolver.resolve(origin.host, origin.port)
            step, attempt.detail = "connect", NO_CONNECTION
            sock = await start_connection(addresses, happy_eyeballs_delay=0.25, loop=self._loop)
            try:
                context = self._contexts.get(origin.tls) if origin.scheme == "https" else None
                if context is not None:
                    step, attempt.detail = "tls", NO_HANDSHAKE
                _, connection = await self._loop.create_connection(
                    lambda: Connection(self._done, lambda sign: trust.doubt(target, sign)),
                    sock=sock,
                    ssl=context,
                    server_hostname=for_tls(origin.host) if context is not None else None,
                )
            except BaseException:
                sock.close()
                raise
        except Exception as error:  # whatever it is: the attempt must end
            self._fail(attempt, *_told(error, step, addresses))
            return
        self.opened += 1
        self._open.add(connection)
        connection.born = self._now() - random() * LIFE_SECS / 4
        attempt.cancel = connection.close  # this task goes on, and lets go of it
        if trust.doubted and not trust.trusts(target):
            await asyncio.sleep(LISTEN_SECS)
        if not connection.closed:
            connection.ear = Ear(sock.fileno())
        self._begin(attempt, connection)

    def _begin(self, attempt: Attempt, connection: Connection) -> None:
        """Send the request over a new connection, unless the other side has spoken first."""
        if attempt.ended:
            self._discard(connection)
        elif connection.closed or connection.ear is None:
            self._fail(attempt, "protocol", "the receiver spoke or hung up before it was asked")
        # Over TLS unread bytes may mean nothing: session tickets.
        elif attempt.target.origin.scheme == "http" and connection.ear.hears_words():
            self.trust.doubt(attempt.target, "unasked")
            self._discard(connection)
            self._fail(attempt, "protocol", DOUBTFUL["unasked"])
        else:
            attempt.cancel = connection.close
            attempt.detail = ""
            connection.send(attempt, _wire(attempt))

    def _fail(self, attempt: Attempt, fault: Fault, detail: str) -> None:
        if not attempt.ended:
            attempt.ended = True
            attempt.cancel = None
            attempt.fault = fault
            attempt.detail = detail
            self._resolver.learn(attempt)
            self._finished(attempt)

    def _done(self, connection: Connection, attempt: Attempt | None, stale: bool) -> None:
        if connection.closed:
            self._open.discard(connection)
        if attempt is None:
            return
        if stale and not attempt.renewed:
            # The receiver closed the kept-alive connection while the request was on its way. Others in
            # the pool are as old, so the one retry uses a new connection.
            attempt.renewed = True
            self._connect(attempt)
            return
        if stale:
            attempt.fault = "closed"
            attempt.detail = "the connection was closed before an answer"
        if not connection.closed:
            self._keep(connection, attempt.target)
        elif attempt.fault is not None:
            self._resolver.learn(attempt)
        attempt.ended = True
        attempt.cancel = None
        self._finished(attempt)

    def _keep(self, connection: Connection, target: Target) -> None:
        """Keep an open connection for the next request, unless it is too old for one, or distrusted."""
        now = self._now()
        if now - connection.born > LIFE_SECS or (self.trust.doubted and not self.trust.trusts(target)):
            self._discard(connection)
            return
        idle = self._idle.get(target.pool)
        if idle is None:
            idle = self._idle[target.pool] = deque()
        connection.idle_since = now
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(self._idle_secs / 4, self._sweep)

    def _make_room(self) -> None:
        """Close some of the idle connections, those idle longest."""
        idle = [
            (each.idle_since, n, pool) for pool, all_ in self._idle.items() for n, each in enumerate(all_)
        ]
        for _, _, pool in nsmallest(1 + len(idle) // ROOM, idle):
            self._discard(self._idle[pool].popleft())

    def _discard(self, connection: Connection) -> None:
        self._open.discard(connection)
        connection.close()

    def _sweep(self) -> None:
        """Close connections that are idle for too long or too old."""
        self._sweeper = None
        now = self._now()
        for pool, idle in list(self._idle.items()):
            kept: deque[Connection] = deque()
            for connection in idle:
                idle_secs, age_secs = now - connection.idle_since, now - connection.born
                if connection.closed or idle_secs > self._idle_secs or age_secs > LIFE_SECS:
                    self._discard(connection)
                else:
                    kept.append(connection)
            if kept:
                self._idle[pool] = kept
            else:
                del self._idle[pool]
        if self._idle:
            self._sweeper = self._loop.call_later(self._idle_secs / 4, self._sweep)


def _told(error: Exception, step: Fault, addresses: Sequence[AddrInfo]) -> tuple[Fault, str]:
    """Return the fault and detail of an attempt that failed in this step."""
    if isinstance(error, GuardRefusal):
        return "guard-refused", str(error)
    if isinstance(error, ssl.SSLError):
        return "tls", words_of(error)
    if (lacking := own_limit(error, addresses)) is not None:
        return "machine", lacking
    return step, words_of(error) if step == "tls" else unreached(error)


def _wire(attempt: Attempt) -> bytes:
    """Return the whole request, for a single write."""
    target, body = attempt.target, attempt.body
    if body or target.method in WITH_BODY:
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return b"".join((target.prefix, attempt.extra, length, body))
    return b"".join((target.prefix, attempt.extra, b"\r\n"))
