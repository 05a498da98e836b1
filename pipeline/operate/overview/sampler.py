"""The last hour of a job in five-second steps: the outcome of each webhook's matches. In memory only."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Final

STEP_SECS: Final = 5.0
STEPS: Final = 720
"""An hour."""
POINTS: Final = 60
"""A sparkline has one a minute."""
RATE_STEPS: Final = 12
"""Rates are those of the last minute."""
COUNTS: Final = ("matched", "delivered", "dead")
MOST: Final = 5_000
"""Webhooks; each takes 9 KB."""
READ: Final = ""
"""Under this name: records that were read."""


class Sampler:
    """Takes counts as they stand, and tells how they grew. Used by one thread."""

    def __init__(self) -> None:
        self._steps = 0
        self._before: dict[tuple[str, str], int] = {}
        self._grown: dict[tuple[str, str], array[int]] = {}

    def take(self, webhooks: Mapping[str, Mapping[str, int]], read: int) -> None:
        """Take the counts of a step that has ended."""
        at = self._steps % STEPS
        self._steps += 1
        for grown in self._grown.values():
            grown[at] = 0
        if not at:  # once an hour: webhooks may be gone, or have nothing to do
            self._grown = {key: grown for key, grown in self._grown.items() if any(grown)}
        self._grow(READ, "read", read, at)
        for webhook, counts in webhooks.items():
            for name in COUNTS:
                self._grow(webhook, name, counts.get(name, 0), at)

    def _grow(self, webhook: str, name: str, number: int, at: int) -> None:
        key = webhook, name
        before = self._before.get(key)
        if before is None and len(self._before) >= MOST * len(COUNTS):
            return
        self._before[key] = number
        # Before the first step nothing is known; a webhook that comes later began with nothing.
        gained = number - (before if before is not None else 0 if self._steps > 1 else number)
        if gained > 0:  # a replay takes back what was dead
            grown = self._grown.get(key)
            if grown is None:
                grown = self._grown[key] = array("Q", bytes(8 * STEPS))
            grown[at] = gained

    @property
    def known_secs(self) -> float:
        """How much of the last hour is known."""
        return min(max(0, self._steps - 1), STEPS) * STEP_SECS

    def rate(self, webhook: str, name: str) -> float | None:
        """Return how many a second there were in the last minute; None: nothing is known of it yet."""
        steps = min(RATE_STEPS, self._steps - 1)
        if steps <= 0:
            return None
        grown = self._grown.get((webhook, name))
        if grown is None:
            return 0.0
        gained = sum(grown[(self._steps - 1 - back) % STEPS] for back in range(steps))
        return gained / (steps * STEP_SECS)

    def lately(self, webhook: str, name: str) -> list[int]:
        """Return how many there were in what is known of the last hour, in at most `POINTS` equal parts.

        The last one last; a whole hour is told by the minute.
        """
        steps = min(max(0, self._steps - 1), STEPS)
        grown = self._grown.get((webhook, name))
        if steps < 2 or grown is None:
            return [0, 0]
        each = -(-steps // POINTS)
        line = [grown[(self._steps - back) % STEPS] for back in range(steps, 0, -1)]
        line = line[steps % each :]
        return [sum(line[at : at + each]) for at in range(0, len(line), each)]


def spark(points: Sequence[int], width: int = 60, height: int = 20) -> str:
    """Return the path of an SVG that shows these numbers as a line; what is zero lies at the bottom."""
    most = max(points, default=0) or 1
    step = width / max(1, len(points) - 1)
    return "M" + "L".join(
        f"{at * step:.4g},{height - 1 - (height - 2) * number / most:.4g}" for at, number in enumerate(points)
    )
