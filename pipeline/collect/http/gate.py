"""Limits the total bytes of requests in progress. What exceeds the limit queues, first come first served.

A request that is being read or kept is inside. A waiting one is not read: its remaining bytes stay in the
client's socket; and as much may wait as may be inside. So memory stays constant, however many clients send.
Large requests leave some room, and small ones do not wait behind them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Protocol

_HALF_LIFE_SECS: Final = 5.0
_LARGE: Final = 1 / 1024
"""Of the limit: a body of more bytes on the wire is large."""
_FOR_SMALL: Final = 1 / 8
"""Of the limit, where no large request enters; what may become half of that when unpacked is large, too."""
_SOON_SECS: Final = 5
"""When to retry where it came so suddenly that nothing has left so far."""
_READ_BYTES: Final = 256 << 10
"""Read from a connection before it can be paused."""


class Guest(Protocol):
    """A request at the gate."""

    size: int
    """Bytes received so far."""

    @property
    def wire(self) -> int:
        """Bytes that it has, or may have, as sent."""
        ...

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
        self.room_of_large = limit - int(limit * _FOR_SMALL)
        self._small: dict[Guest, tuple[float, int]] = {}
        """Since when they wait, and up to how many bytes may be read of each meanwhile."""
        self._large: dict[Guest, tuple[float, int]] = {}
        self._promised = 0
        """All that may be read of those that wait."""
        self.clock = clock
        self._left = 0
        """Bytes of requests answered since ``_since``."""
        self._rate = 0.0
        self._since = clock()
        self._entering = False

    @property
    def waiting(self) -> int:
        """Return how many requests wait."""
        return len(self._small) + len(self._large)

    def is_short_of(self, room: int) -> bool:
        """Return whether so much room would help one that waits: a small one's does not help large ones."""
        return bool(self._small) or (bool(self._large) and room > self.limit * _LARGE)

    def is_shut_to(self, guest: Guest, *, begins: bool) -> bool:
        """Return whether a request must wait whose bytes so far are counted as inside.

        begins: it also lets those go first that wait already.
        """
        queue = self._queue_of(guest)
        if begins and queue:
            return True
        return (
            self.inside > self.limit if queue is self._small else self.inside + self.held > self.room_of_large
        )

    @property
    def full(self) -> bool:
        """Return whether a new small request must wait: that large ones do has no balancer look elsewhere."""
        return self.inside >= self.limit or bool(self._small)

    def retry_secs(self, stuck: int = 60) -> int:
        """Return in how many seconds to retry: bytes inside divided by the rate at which they
        leave, 1 to 60. stuck: where none have left.
        """
        self._measure()
        if self._rate <= 0.0:
            return stuck if self.full or self.waiting else 1
        return max(1, min(60, math.ceil((self.inside + self.held) / self._rate)))

    def wait(self, guest: Guest, inside: int) -> None:
        """Queue it: it was inside with this many bytes. Where too many wait, it is turned away."""
        self.inside -= inside
        reads = min(guest.wire, _READ_BYTES)
        if self._promised and self._promised + reads > self.limit:
            guest.turned_away(self.retry_secs(stuck=_SOON_SECS))
            return
        self.held += guest.size
        self._promised += reads
        self._queue_of(guest)[guest] = self.clock(), reads
        if not self.inside:
            self.settle()

    def give_up(self, guest: Guest) -> None:
        """Stop waiting."""
        for queue in (self._small, self._large):
            if guest in queue:
                self._take_out(queue, guest)

    def turn_away(self, secs: float) -> None:
        """Let nobody wait longer than this."""
        before = self.clock() - secs
        late: list[Guest] = []
        for queue in (self._small, self._large):
            for guest, (since, _) in queue.items():
                if since > before:
                    break
                late.append(guest)
        if late:
            retry_secs = self.retry_secs()
            for guest in late:
                if guest in self._small or guest in self._large:
                    guest.turned_away(retry_secs)

    def leave(self, brought: int) -> None:
        """This many bytes are kept, or dropped."""
        self.inside -= brought
        self._left += brought
        self.settle()

    def settle(self) -> None:
        """Admit those that now have room, in order of arrival."""
        if self._entering or not self.waiting:
            return
        self._entering = True
        try:
            for queue, room in ((self._small, self.limit), (self._large, self.room_of_large)):
                while queue:
                    first = next(iter(queue))
                    need = first.need
                    # What small ones have for themselves keeps no large one out, however large it is.
                    if self.inside > self.limit - room and self.inside + need > room:
                        break
                    self._take_out(queue, first)
                    self.inside += need
                    first.enter(need)
        finally:
            self._entering = False

    def _take_out(self, queue: dict[Guest, tuple[float, int]], guest: Guest) -> None:
        self._promised -= queue.pop(guest)[1]
        self.held -= guest.size

    def _queue_of(self, guest: Guest) -> dict[Guest, tuple[float, int]]:
        is_small = guest.wire <= self.limit * _LARGE and guest.need <= self.limit * _FOR_SMALL / 2
        return self._small if is_small else self._large

    def _measure(self) -> None:
        now = self.clock()
        passed = now - self._since
        if passed < 0.1:
            return
        part = 1.0 if self._rate == 0.0 else 1.0 - 0.5 ** (passed / _HALF_LIFE_SECS)
        self._rate += part * (self._left / passed - self._rate)
        self._left, self._since = 0, now
