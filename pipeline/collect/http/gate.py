"""Limits the total bytes of requests in progress. What exceeds the limit queues, first come first served.

A request that is being read or kept is inside. A waiting one is not read: its remaining bytes stay in the
client's socket. So memory stays constant, however many clients send.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

_HALF_LIFE_SECS: Final = 5.0


class Guest(Protocol):
    """A request at the gate."""

    size: int
    """Bytes received so far."""

    @property
    def need(self) -> int:
        """Bytes that it may need in total."""
        ...

    def enter(self, room: int) -> None:
        """Continue: it is inside now, with room for everything it needs."""
        ...

    def turned_away(self, retry_secs: int) -> None:
        """It has waited too long."""
        ...


class Gate:
    """Admits requests while there is room. The first one enters whatever its size."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.inside = 0
        """Bytes of requests that are being read or kept."""
        self.held = 0
        """Bytes received so far from waiting requests."""
        self._queue: dict[Guest, float] = {}
        """Since when they wait."""
        self._clock = clock
        self._left = 0
        """Bytes of requests answered since ``_since``."""
        self._rate = 0.0
        self._since = clock()
        self._entering = False

    @property
    def waiting(self) -> int:
        """Return how many requests wait."""
        return len(self._queue)

    @property
    def crowded(self) -> bool:
        """Return whether there is more than there is room for."""
        return self.inside + self.held > self.limit

    @property
    def full(self) -> bool:
        """Return whether a new request must wait."""
        return self.inside + self.held >= self.limit or bool(self._queue)

    def retry_secs(self) -> int:
        """Return in how many seconds to retry: bytes inside divided by the rate at which they
        leave, 1 to 60.
        """
        self._measure()
        if self._rate <= 0.0:
            return 60 if self.full else 1
        return max(1, min(60, math.ceil((self.inside + self.held) / self._rate)))

    def wait(self, guest: Guest, inside: int) -> None:
        """Queue it: it was inside with this many bytes."""
        self.inside -= inside
        self.held += guest.size
        self._queue[guest] = self._clock()
        if not self.inside:
            self.settle()

    def give_up(self, guest: Guest) -> None:
        """Stop waiting."""
        if self._queue.pop(guest, None) is not None:
            self.held -= guest.size

    def turn_away(self, secs: float) -> None:
        """Let nobody wait longer than this."""
        before = self._clock() - secs
        late = []
        for guest, since in self._queue.items():
            if since > before:
                break
            late.append(guest)
        if late:
            retry_secs = self.retry_secs()
            for guest in late:
                if guest in self._queue:
                    guest.turned_away(retry_secs)

    def leave(self, brought: int) -> None:
        """This many bytes are kept, or dropped."""
        self.inside -= brought
        self._left += brought
        self.settle()

    def settle(self) -> None:
        """Admit those that now have room, in order of arrival."""
        if self._entering or not self._queue:
            return
        self._entering = True
        try:
            while self._queue:
                first = next(iter(self._queue))
                need = first.need
                if self.inside and self.inside + need > self.limit:
                    return
                del self._queue[first]
                self.held -= first.size
                self.inside += need
                first.enter(need)
        finally:
            self._entering = False

    def _measure(self) -> None:
        now = self._clock()
        passed = now - self._since
        if passed < 0.1:
            return
        part = 1.0 if self._rate == 0.0 else 1.0 - 0.5 ** (passed / _HALF_LIFE_SECS)
        self._rate += part * (self._left / passed - self._rate)
        self._left, self._since = 0, now
