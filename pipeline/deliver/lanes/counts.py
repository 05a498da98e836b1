"""The counters of a lane, as plain numbers that other threads may read."""

from __future__ import annotations

from collections.abc import Iterable

EXACT = 64
"""Smaller steps are counted exactly."""


class Tally:
    """Counts since the start of the process."""

    __slots__ = (
        "dead",
        "delivered",
        "error",
        "latencies",
        "outcomes",
        "published",
        "retried",
        "shown",
        "status",
        "trips",
    )

    def __init__(self) -> None:
        self.delivered = 0
        self.retried = 0
        self.dead = 0
        self.outcomes: dict[int | str, int] = {}
        """Requests by status or fault."""
        self.published: dict[int | str, int] = {}
        """The outcomes that are already in the metrics."""
        self.shown = False
        """True where the gauges are not at rest."""
        self.latencies: dict[int, int] = {}
        """Match to delivery: quantised milliseconds -> deliveries."""
        self.trips: dict[int, int] = {}
        """Duration of a request: quantised tenths of a millisecond -> requests."""
        self.status = 0
        """Of the last answer that was not a success."""
        self.error = ""
        """The beginning of that answer, or what went wrong."""

    def latency(self, ms: int) -> None:
        """Count one delivery's time from match to answer."""
        step = ms if 0 <= ms < EXACT else _quantised(ms)
        self.latencies[step] = self.latencies.get(step, 0) + 1

    def trip(self, secs: float, requests: int) -> None:
        """Count requests that took this long."""
        step = _quantised(int(secs * 10_000))
        self.trips[step] = self.trips.get(step, 0) + requests


def _quantised(value: int) -> int:
    """Round down to two per cent, so that even a long life needs few different values."""
    if value < EXACT:
        return max(0, value)
    shift = value.bit_length() - 6
    return value >> shift << shift


def quantiles(histograms: Iterable[dict[int, int]], wanted: Iterable[float]) -> list[float]:
    """Return the quantiles (0..1) of several histograms combined; 0.0 without data."""
    total: dict[int, int] = {}
    for histogram in histograms:
        for step, n in histogram.copy().items():
            total[step] = total.get(step, 0) + n
    ranked = sorted(total.items())
    size = sum(total.values())
    found = []
    for q in wanted:
        rank = q * size
        for step, n in ranked:
            rank -= n
            if rank <= 0:
                found.append(float(step))
                break
        else:
            found.append(0.0)
    return found
