"""One tap: a bounded buffer that its thread empties; what does not fit is counted."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from pipeline.job.tap.seen import Names, Seen
from pipeline.job.tap.wanted import Wanted

WINDOW_SECS = 0.1
LOOKS = 100
"""Minimum number of raw lines examined per window where a filter lets few through."""
MOST_BYTES = 8 << 20
"""Memory of a tap; beyond it, lines are dropped."""
SAMPLED = frozenset({"matched", "sent", "dead"})
NAMES = 10_000
"""Requests whose event's name is remembered, in each of two generations."""


class Gate:
    """A rate limit per tenth of a second, with a second's burst after a rest. Used by one thread."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most = max(1, most)
        self._at_once = round(self._most / WINDOW_SECS)
        self._clock = clock
        self._left = self._at_once
        self._at = clock()
        self.turned_away = 0

    def is_shut(self) -> bool:
        """Return whether nothing is let in now."""
        return self._left <= 0 and self._clock() < self._at + WINDOW_SECS

    def lets_in(self) -> bool:
        """Return whether one more is let in; otherwise count it."""
        if self._left <= 0:
            now = self._clock()
            windows = int((now - self._at) / WINDOW_SECS)
            if not windows:
                self.turned_away += 1
                return False
            self._left, self._at = min(self._at_once, windows * self._most), now
        self._left -= 1
        return True


class Listener:
    """A tap as the job's threads see it; they never wait for it."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        most = -(-wanted.rate // 10)
        self.samples = not wanted.asks_each and wanted.stages <= SAMPLED
        """True: of matches only a sample is shown, and its requests are followed. With filters on events and
        answers, and for other stages, each one is examined."""
        self.worker = Gate(most, time.monotonic)
        self.deaths = Gate(most, time.monotonic)
        self.engine = Gate(most, time.monotonic)
        self.strangers = Gate(most // 10, time.monotonic)
        """For deliveries of requests outside the sample."""
        sorts = "skipped" in wanted.stages or wanted.asks_event
        self.lines = Gate(max(LOOKS, most) if sorts else most, time.monotonic)
        """For raw lines: most may be filtered out later."""
        self.failed = ""
        """Why the tap was ended; "" where it was not."""
        self._waiting: deque[Seen] = deque()
        self._bytes = 0
        self._lock = threading.Lock()
        self._overflown = 0
        self._young: dict[str, Names] = {}
        self._old: dict[str, Names] = {}

    def put(self, seen: Seen) -> None:
        """Keep what a gate has let in, as far as there is memory."""
        size = seen.size
        with self._lock:
            if self._bytes + size > MOST_BYTES:
                self._overflown += 1
                return
            self._bytes += size
            self._waiting.append(seen)

    def take(self) -> list[Seen]:
        """Return what was kept since the last call."""
        with self._lock:
            taken, self._waiting = self._waiting, deque()
            self._bytes = 0
        return list(taken)

    @property
    def left_out(self) -> int:
        """How many passed the filters but were dropped, since the beginning."""
        gates = (self.worker, self.deaths, self.engine, self.strangers)
        return sum(gate.turned_away for gate in gates) + self._overflown

    @property
    def not_looked_at(self) -> int:
        """How many raw lines were not examined, since the beginning."""
        return self.lines.turned_away

    # --- names of events, for what happens to their requests

    def learn(self, message_id: str, names: Names) -> None:
        """Remember the event of a request that passed."""
        if len(self._young) >= NAMES:
            self._old, self._young = self._young, {}
        self._young[message_id] = names

    def names_of(self, message_id: str) -> Names | None:
        """Return the event of a request; None where it was matched before the tap started, or
        filtered out.
        """
        return self._young.get(message_id) or self._old.get(message_id)
