"""What has grown in a soak, by a line through its second half; and where it is written that it ends."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.soak.sample import Sample

BOUNDS: tuple[tuple[str, float, str], ...] = (
    (r"disk users, links MiB", 0, "some 200 bytes for each user and link: docs/operations.md, What is kept"),
    (r"disk state, all MiB", 0, "the sum of its parts"),
    (r"disk free in stores MiB", 4, "pages used again: docs/operations.md, What is kept"),
    (r"disk dead letters MiB|dead letters", 0, "dead_letters.max_bytes: docs/operations.md, What is kept"),
    (
        r"disk counters MiB|webhooks",
        0,
        "a row for each id that ever matched: docs/operations.md, What is kept",
    ),
    (r"disk audit MiB", 0, "a line for each act of a person: docs/console.md, Who may do what"),
    (r"disk logs MiB", 0, "stderr, which whoever starts the job rotates: docs/operations.md, What is kept"),
    (r"disk collected MiB", 1.5, "collect.segment: read segments go: docs/collect.md"),
    (r"owed", 500, "the sick receiver's, which goes down when it heals"),
)
"""What may grow: its name, by how much (0: as long as there is input), and where that is written."""
SLACK = {"RSS MiB": 6.0, "files": 8.0, "threads": 3.0, "Python blocks": 60_000.0, "MiB": 1.0, "ms": 25.0}
"""What a value may differ by from one minute to another without that being growth, by unit."""
LEAST = 6
"""Windows of a half: fewer say nothing."""


@dataclass(slots=True, frozen=True)
class Trend:
    """A line through the second half of a series."""

    name: str
    first: float
    last: float
    """Where the line begins and ends."""
    per_hour: float
    fit: float
    """How much of the movement the line explains, 0 to 1."""

    @property
    def grows(self) -> bool:
        """Whether it is more than noise."""
        unit = next((slack for unit, slack in SLACK.items() if self.name.endswith(unit)), 3.0)
        return self.last - self.first > max(unit, 0.04 * abs(self.first)) and self.fit > 0.4

    @property
    def bound(self) -> str:
        """Where it is written that this may grow; "" where it is not."""
        for pattern, most, where in BOUNDS:
            if re.fullmatch(pattern, self.name) and (not most or self.last - self.first <= most):
                return where
        return ""

    def row(self) -> str:
        """Return a line for a terminal."""
        said = "flat"
        if self.grows:
            said = f"grows: {self.bound}" if self.bound else "GROWS, and no bound is written"
        numbers = f"{self.first:12,.2f} {self.last:12,.2f} {self.per_hour:+14,.2f}/h  {self.fit:4.2f}"
        return f"{self.name:28} {numbers}  {said}"


HEAD = f"{'':28} {'from':>12} {'to':>12} {'slope':>16}  fit"


def trends(samples: Sequence[Sample]) -> list[Trend]:
    """Return the trend of everything that was looked at in the second half."""
    late = samples[len(samples) // 2 :]
    if len(late) < LEAST:
        return []
    series: dict[str, list[tuple[float, float]]] = {}
    for sample in late:
        for name, value in sample.series():
            series.setdefault(name, []).append((sample.at_secs, value))
    return [_trend(name, points) for name, points in series.items() if len(points) >= LEAST]


def _trend(name: str, points: Sequence[tuple[float, float]]) -> Trend:
    at, values = zip(*points, strict=True)
    slope, start = statistics.linear_regression(at, values)
    still = len(set(values)) == 1
    fit = 0.0 if still else statistics.correlation(at, values) ** 2
    return Trend(name, start + slope * at[0], start + slope * at[-1], slope * 3600, fit)


def unbounded(found: Sequence[Trend]) -> list[str]:
    """Return the names of what grows though nothing says where that ends."""
    return [trend.name for trend in found if trend.grows and not trend.bound]
