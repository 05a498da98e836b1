"""How long a refused client should wait: the backlog divided by the rate at which it is kept."""

from __future__ import annotations

from math import ceil

_WEIGHT = 0.2
LONGEST_SECS = 60


class Drain:
    """How fast a sink keeps what waits, as a moving mean over its commits."""

    def __init__(self) -> None:
        self._bytes_per_sec = 0.0

    def kept(self, size: int, secs: float) -> None:
        """Take what one commit kept, and how long it took."""
        rate = size / max(secs, 1e-6)
        before = self._bytes_per_sec or rate
        self._bytes_per_sec = before + _WEIGHT * (rate - before)

    def retry_secs(self, waiting_bytes: int) -> int:
        """Return in how many seconds the backlog is gone, 1 to 60; 1 where nothing is known yet."""
        if not self._bytes_per_sec:
            return 1
        return max(1, min(LONGEST_SECS, ceil(waiting_bytes / self._bytes_per_sec)))
