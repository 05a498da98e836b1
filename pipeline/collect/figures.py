"""What a collector counts: plain sums per request, copied to the metrics once a second and when asked."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass

from pipeline.telemetry.metric import SECONDS
from pipeline.telemetry.metrics import count, gauge, observe, observe_buckets


@dataclass(slots=True)
class Figures:
    """Totals since the start."""

    requests: int = 0
    members: int = 0
    repeats: int = 0
    refused: int = 0


class Counts:
    """Counts since the metrics were last updated."""

    def __init__(self) -> None:
        self.figures = Figures()
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._members: Counter[tuple[str, str]] = Counter()
        self._repeats: Counter[tuple[str, str]] = Counter()
        self._refused: Counter[str] = Counter()
        self._seconds = [0] * (len(SECONDS) + 1)
        self._all_seconds = 0.0

    def answered(self, protocol: str, key: str, status: int) -> None:
        """Count a request for events that was answered."""
        self.figures.requests += 1
        self._requests[protocol, key, status] += 1

    def kept(self, protocol: str, key: str, status: int, members: int, repeats: int, secs: float) -> None:
        """Count a request that was kept and answered, and how long it waited for that."""
        figures = self.figures
        figures.requests += 1
        figures.members += members
        self._requests[protocol, key, status] += 1
        self._members[protocol, key] += members
        if repeats:
            figures.repeats += repeats
            self._repeats[protocol, key] += repeats
        self._seconds[bisect_left(SECONDS, secs)] += 1
        self._all_seconds += secs

    def shifted(self, shift_ms: int) -> None:
        """Count a request of a client whose clock is off."""
        observe("collect_shift_seconds", abs(shift_ms) / 1000)

    def refused(self, reason: str) -> None:
        """Count a refused request."""
        self.figures.refused += 1
        self._refused[reason] += 1

    def publish(self, *, held: int, in_flight_bytes: int, connections: int) -> None:
        """Update the metrics."""
        gauge("collect_held", held)
        gauge("collect_in_flight_bytes", in_flight_bytes)
        gauge("collect_connections_open", connections)
        for (protocol, key, status), n in self._requests.items():
            count("collect_requests_total", n, protocol=protocol, key=key, status=str(status))
        for (protocol, key), n in self._members.items():
            count("collect_members_total", n, protocol=protocol, key=key)
        for (protocol, key), n in self._repeats.items():
            count("collect_repeats_total", n, protocol=protocol, key=key)
        for reason, n in self._refused.items():
            count("collect_refused_total", n, reason=reason)
        if self._all_seconds:
            observe_buckets("collect_answer_seconds", self._seconds, self._all_seconds)
            self._seconds, self._all_seconds = [0] * len(self._seconds), 0.0
        for counter in (self._requests, self._members, self._repeats, self._refused):
            counter.clear()
