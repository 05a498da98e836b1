"""What has grown in a soak, by a line through its second half; and where it is written that it ends."""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.chaos.soak.sample import Sample

KEPT = "docs/operations.md, What is kept"
BOUNDS: tuple[tuple[str, str], ...] = (
    (r"users|disk users, links MiB", f"each user is kept: {KEPT}"),
    (r"disk state, all MiB", "the sum of its parts"),
    (r"dead letters|disk dead letters MiB", f"dead_letters.max_bytes: {KEPT}"),
    (r"disk free in stores MiB", f"pages that are used again: {KEPT}"),
    (r"webhooks|disk counters MiB", f"each webhook that ever matched: {KEPT}"),
    (r"versions|disk versions MiB", f"the last 200: {KEPT}"),
    (r"disk audit MiB", f"a line for each act, for good: {KEPT}"),
    (r"disk logs MiB", f"stderr, rotated by who starts the job: {KEPT}"),
    (r"disk collected MiB", f"collect.retain, a day: {KEPT}"),
)
"""What may grow, and where that is written."""
MEMORY: dict[str, dict[str, float]] = {
    "job RSS MiB": {"users": 1.2 / 1024, "webhooks": 0.3},
    "job Python blocks": {"users": 15, "webhooks": 2000},
    "console Python blocks": {"webhooks": 3000},
}
"""What a process holds for each user and webhook that there is: it may grow by that, and by what is noise."""
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
    known: str = ""
    """What explains that it grows; "" where nothing does."""

    @property
    def grows(self) -> bool:
        """Whether it is more than noise."""
        return self.last - self.first > self.noise and self.fit > 0.4

    @property
    def noise(self) -> float:
        """By how much it may go up without that being growth."""
        unit = next((slack for unit, slack in SLACK.items() if self.name.endswith(unit)), 3.0)
        return max(unit, 0.04 * abs(self.first))

    @property
    def bound(self) -> str:
        """Where it is written that this may grow; "" where it is not."""
        return next((where for pattern, where in BOUNDS if re.fullmatch(pattern, self.name)), self.known)

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
    found = {name: _trend(name, points) for name, points in series.items() if len(points) >= LEAST}
    return [_explained(trend, found) for trend in found.values()]


def _explained(trend: Trend, found: Mapping[str, Trend]) -> Trend:
    parts = {name: share for name, share in MEMORY.get(trend.name, {}).items() if name in found}
    allowed = sum(share * max(0.0, found[name].last - found[name].first) for name, share in parts.items())
    if trend.last - trend.first > allowed + trend.noise:
        return trend
    return replace(trend, known=f"{' and '.join(parts)}: {KEPT}" if parts else "")


def _trend(name: str, points: Sequence[tuple[float, float]]) -> Trend:
    at, values = zip(*points, strict=True)
    slope, start = statistics.linear_regression(at, values)
    still = len(set(values)) == 1
    fit = 0.0 if still else statistics.correlation(at, values) ** 2
    return Trend(name, start + slope * at[0], start + slope * at[-1], slope * 3600, fit)


def unbounded(found: Sequence[Trend]) -> list[str]:
    """Return the names of what grows though nothing says where that ends."""
    return [trend.name for trend in found if trend.grows and not trend.bound]
