"""The aiohttp client's connection pools: one per webhook and origin."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from pipeline.deliver.http.attempt import MAX_HEAD, MAX_HEADERS
from pipeline.deliver.http.by_aiohttp.wire import Connector, Peer
from pipeline.deliver.http.resolve import Resolver
from pipeline.deliver.http.target import Target
from pipeline.deliver.http.trust import Trust

ROOM = 8
"""One in this many idle pools is closed where there are too many connections: searching takes time."""
POOL_SECS = 60.0
"""How long an unused pool is kept; its connections close before that."""


class Pool:
    """The connections of one webhook to one origin."""

    def __init__(self, peer: Peer, session: aiohttp.ClientSession) -> None:
        self.peer = peer
        self.session = session
        self.users = 0
        """Attempts in flight."""
        self.used_at = 0.0


class Pools:
    """Used by one event loop. most: open connections in total, for which idle pools make room."""

    def __init__(self, resolver: Resolver, trust: Trust, clock: Callable[[], float], most: int) -> None:
        self.open_connections = 0
        self._resolver = resolver
        self._trust = trust
        self._clock = clock
        self._most = most
        self._pools: dict[str, Pool] = {}
        """By the target's pool: aiohttp itself would share connections between webhooks."""
        self._swept_at = clock()
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._pools)

    def enter(self, target: Target) -> Pool:
        """Return the pool of the target's webhook and origin; it stays until every `enter` has
        its `leave`.
        """
        pool = self._pools.get(target.pool)
        if pool is None:
            self._sweep()
            trust = self._trust
            peer = Peer(
                self._clock,
                doubt=lambda sign: trust.doubt(target, sign),
                trusted=lambda: not trust.doubted or trust.trusts(target),
                count=self._count,
            )
            pool = self._pools[target.pool] = Pool(peer, open_session(peer, self._resolver))
        pool.users += 1
        if self.open_connections >= self._most:
            self._make_room()
        return pool

    def leave(self, pool: Pool) -> None:
        """An attempt no longer needs the pool."""
        pool.users -= 1
        pool.used_at = self._clock()

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*self._closing, return_exceptions=True)
        for pool in self._pools.values():
            await pool.session.close()
        self._pools.clear()

    def _count(self, change: int) -> None:
        self.open_connections += change

    def _sweep(self) -> None:
        """Close unused pools."""
        now = self._clock()
        if now - self._swept_at < POOL_SECS / 4:
            return
        self._swept_at = now
        for name, pool in list(self._pools.items()):
            if not pool.users and now - pool.used_at > POOL_SECS:
                self._close_pool(name)

    def _make_room(self) -> None:
        """Close some unused pools, those idle longest."""
        idle = sorted((pool.used_at, name) for name, pool in self._pools.items() if not pool.users)
        for _, name in idle[: 1 + len(idle) // ROOM]:
            self._close_pool(name)

    def _close_pool(self, name: str) -> None:
        task = asyncio.get_running_loop().create_task(self._pools.pop(name).session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def open_session(peer: Peer, resolver: Resolver, *, force_close: bool = False) -> aiohttp.ClientSession:
    """Return a session that adds nothing to a request, dials what our resolver approved, and has
    no timeout.
    """
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
