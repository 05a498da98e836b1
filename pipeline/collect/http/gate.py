"""Limits the total bytes of requests in progress. What exceeds the limit queues, first come first served.

A request that is being read or kept is inside. One that waits is not read on: what it would send stays in
the client's socket. So memory stays what it is, however many send.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

_HALF_LIFE_SECS: Final = 5.0


class Guest(Protocol):
    """One who asks to be let in."""

    size: int
    """Bytes that it has brought."""

    @property
    def need(self) -> int:
        """Bytes that it may come to."""
        ...

    def enter(self, room: int) -> None:
        """Go on: it is inside now, with room for all that it needs."""
        ...

    def turned_away(self, retry_secs: int) -> None:
        """It has waited for long enough."""
        ...


class Gate:
    """Lets in while there is room. With nobody inside, the first one enters whatever its size."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.inside = 0
        """Bytes of requests that are being read or kept."""
        self.held = 0
        """Bytes that those who wait have brought so far."""
        self._queue: dict[Guest, float] = {}
        """Since when they wait."""
        self._clock = clock
        self._left = 0
        """Bytes of requests that were answered since ``_since``."""
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
        """Return whether who comes now waits."""
        return self.inside + self.held >= self.limit or bool(self._queue)

    def retry_secs(self) -> int:
        """Return in how many seconds it is worth coming again: what is inside by what leaves, 1 to 60."""
        self._measure()
        if self._rate <= 0.0:
            return 60 if self.full else 1
        return max(1, min(60, math.ceil((self.inside + self.held) / self._rate)))

    def wait(self, guest: Guest, inside: int) -> None:
        """Let it wait: it was inside with so many bytes."""
        self.inside -= inside
        self.held += guest.size
        self._queue[guest] = self._clock()
        if not self.inside:
            self.settle()

    def give_up(self, guest: Guest) -> None:
        """Do not wait any more."""
        if self._queue.pop(guest, None) is not None:
            self.held -= guest.size

    def turn_away(self, secs: float) -> None:
        """Let nobody wait for longer than that."""
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
        """Say that so many bytes are kept, or given up."""
        self.inside -= brought
        self._left += brought
        self.settle()

    def settle(self) -> None:
        """Let in who has room now, in the order of coming."""
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
