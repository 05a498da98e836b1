"""Limits failed log-ins."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 10
WITHIN_SECS: Final = 60.0
MOST: Final = 4_096
"""Addresses that are remembered; the oldest are dropped."""


class Throttle:
    """Failures per address: ten a minute, after which nothing is compared any more."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failed: dict[str, list[float]] = {}

    def wait_secs(self, address: str) -> float:
        """Return how long this address must wait before the next try; 0.0: not at all."""
        times = self._recent(_network(address))
        return 0.0 if len(times) < FAILURES else WITHIN_SECS - (self._clock() - times[-FAILURES])

    def failed(self, address: str) -> None:
        """Record a failure."""
        network = _network(address)
        times = [*self._recent(network), self._clock()][-FAILURES:]
        self._failed.pop(network, None)
        while len(self._failed) >= MOST:
            del self._failed[next(iter(self._failed))]
        self._failed[network] = times

    def _recent(self, network: str) -> list[float]:
        now = self._clock()
        return [at for at in self._failed.get(network, ()) if now - at < WITHIN_SECS]


def _network(address: str) -> str:
    """Return the unit of throttling: an IPv4 address, or an IPv6 network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found) if found.version == 4 else str(ipaddress.ip_network((int(found), 64), strict=False))
