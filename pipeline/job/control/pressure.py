"""Why the source waits: one reason at a time, which is also the metric."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from pipeline.job.control.full import FullWebhooks
from pipeline.job.control.pace import Pace
from pipeline.job.control.peers import Peers
from pipeline.model.files.disk import free_bytes
from pipeline.telemetry import log

Reason: TypeAlias = Literal["disk", "commit", "webhook", "engine", "peers"]
REASONS: Final[tuple[Reason, ...]] = get_args(Reason)

DISK_CHECK_SECS = 1.0
EPOCH_BYTES = 64 << 20
"""Reading pauses until the next commit once it has this much to write: until then it is in memory."""

_log = log.get("source")


class Pressure:
    """Whether the sources of this process may continue.

    is_busy: whether requests come faster than they can be sent. reserve: bytes of the disk that stay free.
    """

    def __init__(
        self,
        is_busy: Callable[[], bool],
        state: Path,
        reserve: int,
        *,
        others: Peers | None = None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
        free: Callable[[Path], int] = free_bytes,
    ) -> None:
        self.full = FullWebhooks(clock)
        """Webhooks at `max_pending` that say `on_full: pause`."""
        self.to_commit: dict[int, int] = {}
        """Bytes that each shard will write in the present epoch."""
        self._is_busy = is_busy
        self._state = state
        self._reserve = reserve
        self._others = others
        self._pace = pace
        self._clock = clock
        self._free = free
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._low_on_disk = False

    def paused(self) -> Reason | None:
        """Return why sources must pause; None while they may read."""
        now = self._clock()
        if now >= self._next_look:
            self._look_at_disk(now)
        if self._low_on_disk:
            return "disk"
        if self._pace is not None and self._pace.is_slow():
            return "commit"
        if self.to_commit and sum(tuple(self.to_commit.values())) > EPOCH_BYTES:
            return "commit"
        if self.full:
            return "webhook"
        if self._is_busy():
            return "engine"
        if self._others is not None and self._others.paused():
            return "peers"
        return None

    def is_behind(self) -> bool:
        """True while this process is behind, which it reports to the others."""
        return bool(self.full) or self._is_busy()

    def _look_at_disk(self, now: float) -> None:
        """Check once a second whether the disk has less room than the reserve."""
        with self._lock:
            self._next_look = now + DISK_CHECK_SECS
            free = self._free(self._state)
            low = free < self._reserve
            if low != self._low_on_disk:
                self._low_on_disk = low
                if low:
                    _log.error(
                        "disk is nearly full: reading pauses",
                        state=str(self._state),
                        free_mib=free >> 20,
                        disk_reserve_mib=self._reserve >> 20,
                    )
                else:
                    _log.warning("disk has room again: reading goes on", state=str(self._state))
