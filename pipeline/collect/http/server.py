"""Listens, ends what takes too long, and stops in three steps: not ready, still answering, closed."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Final

from pipeline.collect.http.answering import Answering, Service
from pipeline.collect.http.connection import Connection
from pipeline.collect.http.gate import Gate
from pipeline.collect.http.heads import Heads
from pipeline.collect.http.limits import Limits

_TICK_SECS: Final = 0.25
_LOOKED_AT: Final = 256
"""Connections examined to find one that may be closed."""
_OTHER_FILES: Final = 128
"""Descriptors that are not connections."""
_LEAVING: Final = 256
"""Surplus connections that get an answer; beyond that they are only closed."""
_QUIET_SECS: Final = 1.0
"""After this long without a request, senders have noticed that it is not ready."""
_LAST_SECS: Final = 30.0
"""How long a last commit may take."""


def room_for_connections(wanted: int) -> int:
    """Return how many of the wanted connections may be open; descriptors limit them.

    Raises the soft limit to what is wanted, or to the hard one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _OTHER_FILES
    if soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(hard, needed)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(wanted, soft - _OTHER_FILES))


class Server:
    """The host of all connections; see `answering.Host`. Used by one event loop."""

    def __init__(self, service: Service, limits: Limits) -> None:
        self._loop = asyncio.get_running_loop()
        self.service = service
        self.limits = limits
        self.gate = Gate(limits.in_flight, self._loop.time)
        self.heads = Heads()
        self.unpacker = ThreadPoolExecutor(1, "unpack")
        self.closing = False
        self.requests = 0
        self.now = self._loop.time()
        self._room = room_for_connections(limits.connections)
        self._open: dict[Answering, None] = {}
        """Oldest first."""
        self._leaving: set[Answering] = set()
        self._listener: asyncio.Server | None = None
        self._tick: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """Return how many are open."""
        return len(self._open)

    @property
    def room(self) -> int:
        """Return the maximum number of connections."""
        return self._room

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Listen, and return where. Raises OSError."""
        self._listener = await self._loop.create_server(
            lambda: Connection(self, self._loop), host, port, backlog=4096
        )
        self._sweep()
        found = self._listener.sockets[0].getsockname()
        return found[0], found[1]

    async def stop(self, refuse_rest: Callable[[], None]) -> None:
        """Keep answering for a moment, the last request of each connection; then close all.

        refuse_rest: called when incomplete requests will not be accepted any more.
        """
        self.closing = True
        begun = quiet = self._loop.time()
        seen = self.requests
        while self._open and (now := self._loop.time()) - begun < self.limits.drain_secs:
            if self.requests != seen:
                seen, quiet = self.requests, now
            elif now - quiet >= _QUIET_SECS:
                break
            await asyncio.sleep(0.02)
        if self._listener is not None:
            self._listener.close()
        refuse_rest()
        self.gate.turn_away(0.0)
        for connection in list(self._open):
            if connection.asks_nothing:
                connection.close()
        begun = self._loop.time()
        while any(not one.is_leaving for one in self._open) and self._loop.time() - begun < _LAST_SECS:
            self.gate.turn_away(0.0)
            self._give_up_slow(lambda room: True)
            await asyncio.sleep(0.01)
        if self._tick is not None:
            self._tick.cancel()
        for connection in [*self._open, *self._leaving]:
            connection.close()
        await asyncio.sleep(0)  # lets them report their end
        self.unpacker.shutdown(wait=False, cancel_futures=True)

    # --- what connections call

    def opened(self, connection: Answering) -> bool:
        """Return whether there is room for one more; an idle one is closed to make room."""
        if len(self._open) >= self._room and not self._make_room():
            if len(self._leaving) < _LEAVING:
                self._leaving.add(connection)
            else:
                connection.abort()
            return False
        self._open[connection] = None
        return True

    def closed(self, connection: Answering) -> None:
        """Forget it."""
        self._open.pop(connection, None)
        self._leaving.discard(connection)

    # --- inside

    def _make_room(self) -> bool:
        """Close the oldest that never sent a request, else the oldest idle one, else the oldest slow one."""
        idle = [one for one in islice(self._open, _LOOKED_AT) if one.may_go]
        if not idle:
            return False
        gone = min(idle, key=lambda one: (one.is_slow, one.served))
        self._open.pop(gone, None)
        gone.abort()
        return True

    def _sweep(self) -> None:
        self._tick = self._loop.call_later(_TICK_SECS, self._sweep)
        self.now = now = self._loop.time()
        for connections in (self._open, self._leaving):
            for connection in [one for one in connections if one.deadline < now]:
                connection.overdue()
        if self.gate.waiting:
            self.gate.turn_away(self.limits.hold_secs)
            self._give_up_slow(self.gate.is_short_of)

    def _give_up_slow(self, is_needed: Callable[[int], bool]) -> None:
        """Refuse slow bodies, the largest first, as long as their room is needed."""
        slow = [one for one in self._open if one.is_slow]
        for connection in sorted(slow, key=lambda one: one.inside, reverse=True):
            if not is_needed(connection.inside):
                return
            connection.give_up_slow()
