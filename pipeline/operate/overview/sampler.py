"""The last hour of a job in five-second steps: the outcome of each webhook's matches. In memory only."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Final

STEP_SECS: Final = 5.0
STEPS: Final = 720
"""An hour."""
POINTS: Final = 60
"""A sparkline has one per minute."""
RATE_STEPS: Final = 12
"""Rates are over the last minute."""
COUNTS: Final = ("matched", "delivered", "dead")
MOST: Final = 5_000
"""Webhooks; each takes 9 KB."""
READ: Final = ""
"""The name under which the records read are counted."""


class Sampler:
    """Takes cumulative counts and tells how they grew. Used by one thread."""

    def __init__(self) -> None:
        self._steps = 0
        self._before: dict[tuple[str, str], int] = {}
        self._grown: dict[tuple[str, str], array[int]] = {}

    def take(self, webhooks: Mapping[str, Mapping[str, int]], read: int) -> None:
        """Take the counts at the end of a step."""
        at = self._steps % STEPS
        self._steps += 1
        for grown in self._grown.values():
            grown[at] = 0
        if not at:  # once an hour: webhooks may be gone, or idle
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
        # Nothing is known before the first step; a webhook that appears later started from zero.
        gained = number - (before if before is not None else 0 if self._steps > 1 else number)
        if gained > 0:  # a replay lowers the count of dead letters
            grown = self._grown.get(key)
            if grown is None:
                grown = self._grown[key] = array("Q", bytes(8 * STEPS))
            grown[at] = gained

    @property
    def known_secs(self) -> float:
        """How much of the last hour is known."""
        return min(max(0, self._steps - 1), STEPS) * STEP_SECS

    def rate(self, webhook: str, name: str) -> float | None:
        """Return the rate per second over the last minute; None: unknown yet."""
        steps = min(RATE_STEPS, self._steps - 1)
        if steps <= 0:
            return None
        grown = self._grown.get((webhook, name))
        if grown is None:
            return 0.0
        gained = sum(grown[(self._steps - 1 - back) % STEPS] for back in range(steps))
        return gained / (steps * STEP_SECS)

    def lately(self, webhook: str, name: str) -> list[int]:
        """Return the counts in the known part of the last hour, in at most `POINTS` equal parts.

        The latest one last; a full hour is divided into minutes.
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
    """Return the path of an SVG sparkline; zero lies at the bottom."""
    most = max(points, default=0) or 1
    step = width / max(1, len(points) - 1)
    return "M" + "L".join(
        f"{at * step:.4g},{height - 1 - (height - 2) * number / most:.4g}" for at, number in enumerate(points)
    )
