"""How many bytes of requests are under way in all. What comes beyond waits its turn, in the order of coming.

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

    def enter(self) -> None:
        """Go on: it is inside now."""
        ...

    def turned_away(self, retry_secs: int) -> None:
        """It has waited for long enough."""
        ...


class Gate:
    """Lets in while there is room. With nobody inside, the first one enters whatever its size."""

    def __init__(self, limit: int, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.inside = 0
        """Bytes."""
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
    def full(self) -> bool:
        """Return whether who comes now waits."""
        return self.inside >= self.limit or bool(self._queue)

    def retry_secs(self) -> int:
        """Return in how many seconds it is worth coming again: what is inside by what leaves, 1 to 60."""
        self._measure()
        if self._rate <= 0.0:
            return 60 if self.full else 1
        return max(1, min(60, math.ceil((self.inside + sum(one.size for one in self._queue)) / self._rate)))

    def wait(self, guest: Guest, brought: int) -> None:
        """Take out who has brought so much, and let it wait."""
        self.inside -= brought
        self._queue[guest] = self._clock()
        if not self.inside:
            self._let_in()

    def give_up(self, guest: Guest) -> None:
        """Do not wait any more."""
        self._queue.pop(guest, None)

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
        if self._queue:
            self._let_in()

    def _let_in(self) -> None:
        if self._entering:
            return
        self._entering = True
        try:
            while self._queue:
                first = next(iter(self._queue))
                if self.inside and self.inside + first.size > self.limit:
                    return
                del self._queue[first]
                self.inside += first.size
                first.enter()
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
