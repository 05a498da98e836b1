"""A timer on the engine's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf


class Alarm:
    """Rings once, at the earliest of the times given since it last rang."""

    __slots__ = ("_at", "_loop", "_ring", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = inf

    def by(self, due: float, now: float) -> None:
        """Ring by this time of the engine's clock; infinity: no sooner than already set."""
        if due >= self._at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at = due
        self._timer = self._loop.call_later(max(0.0, due - now), self._rings)

    def anew(self, due: float, now: float) -> None:
        """Ring at this time, whatever was set before."""
        self._at = inf
        self.by(due, now)

    def _rings(self) -> None:
        self._timer = None
        self._at = inf
        self._ring()
