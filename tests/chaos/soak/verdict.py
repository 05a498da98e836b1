"""What has grown in a soak, by a line through its second half; and where it is written that it ends.

Of times only medians are judged, and beside a piece of work that is always the same: a machine that is slower
at the end than at the beginning is no fault of ours.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tests.chaos.soak.sample import Sample

KEPT = "docs/operations.md, What is kept"
MACHINE = "machine ms"
"""How long a piece of work took that is always the same."""
JUDGED_TIMES = ("p50 ms", "epoch p50 ms")
BOUNDS: tuple[tuple[str, str], ...] = (
    (r"owed", f"delivery.max_pending, and it was delivered at the end: {KEPT}"),
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
    "job RSS MiB": {"users": 1.2 / 1024, "webhooks": 0.02},
    "job Python blocks": {"users": 15, "webhooks": 200},
    "console RSS MiB": {"webhooks": 0.05},
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
    if trend.name.endswith(" ms"):
        return replace(trend, known=_slower(trend, found.get(MACHINE)))
    parts = {name: share for name, share in MEMORY.get(trend.name, {}).items() if name in found}
    allowed = sum(share * max(0.0, found[name].last - found[name].first) for name, share in parts.items())
    if trend.last - trend.first > allowed + trend.noise:
        return trend
    return replace(trend, known=f"{' and '.join(parts)}: {KEPT}" if parts else "")


def _slower(trend: Trend, machine: Trend | None) -> str:
    """Return why a time may have grown; "" where nothing says so."""
    if trend.name not in JUDGED_TIMES:
        return "not judged: the machine's bad moments"
    if machine is None:
        return ""
    slower = max(1.0, machine.last / max(machine.first, 0.1))
    # What waits in queues grows faster than the work does.
    if trend.last > trend.first * slower**2 + trend.noise:
        return ""
    return f"the machine: the same work took {machine.first:.1f}, then {machine.last:.1f} ms"


def _trend(name: str, points: Sequence[tuple[float, float]]) -> Trend:
    at, values = zip(*points, strict=True)
    slope, start = statistics.linear_regression(at, values)
    still = len(set(values)) == 1
    fit = 0.0 if still else statistics.correlation(at, values) ** 2
    return Trend(name, start + slope * at[0], start + slope * at[-1], slope * 3600, fit)


def unbounded(found: Sequence[Trend]) -> list[str]:
    """Return the names of what grows though nothing says where that ends."""
    return [trend.name for trend in found if trend.grows and not trend.bound]


@dataclass(slots=True, frozen=True)
class Verdict:
    """What a soak came to."""

    windows: int
    found: list[Trend]
    growing: list[str]
    """What grows though nothing says where that ends."""

    @property
    def is_good(self) -> bool:
        """Whether nothing grows that nobody expects to."""
        return not self.growing

    def rows(self) -> list[str]:
        """Return a table, and the verdict as its last line."""
        if not self.found:
            least = 2 * LEAST
            return [f"VERDICT: nothing lost; {self.windows} windows say nothing of growth, {least} would"]
        said = (
            f"GROWS without a bound: {', '.join(self.growing)}" if self.growing else "what grows is bounded"
        )
        return [HEAD, *(trend.row() for trend in self.found), "", f"VERDICT: nothing lost; {said}"]


def judged(samples: Sequence[Sample]) -> Verdict:
    """Return what the second half shows."""
    found = trends(samples)
    return Verdict(len(samples), found, unbounded(found))
