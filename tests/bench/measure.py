"""Running whole programs side by side: CPU, wall time and memory of each run, medians and ratios.

Hosts swing by a factor of two within minutes, so candidates take turns: A B C, A B C, ... What is quoted is
the median, and the ratio to another candidate of the same run.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True, frozen=True)
class Run:
    """One finished run of a program."""

    cpu_secs: float
    """User and system time of the process and its children."""
    wall_secs: float
    rss_bytes: int


@dataclass(slots=True)
class Candidate:
    """A program to measure. ``before`` is called before each run and not measured."""

    name: str
    command: Sequence[str]
    before: Callable[[], None] = lambda: None
    env: dict[str, str] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median of a field over the runs."""
        return statistics.median(getattr(run, what) for run in self.runs)


def run_once(candidate: Candidate, timeout_secs: float = 300.0) -> Run:
    """Run a candidate to its end; raises RuntimeError where it fails."""
    candidate.before()
    begun = time.perf_counter()
    process = subprocess.Popen(
        candidate.command,
        env={**os.environ, **candidate.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if process.returncode:
        raise RuntimeError(f"{candidate.name} failed ({process.returncode}):\n{output.decode()[-2000:]}")
    if wall > timeout_secs:
        raise RuntimeError(f"{candidate.name} took {wall:.0f} s")
    return Run(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024)


def take_turns(candidates: Sequence[Candidate], rounds: int) -> None:
    """Run every candidate once per round, after one round that is not counted."""
    for number in range(rounds + 1):
        for candidate in candidates:
            run = run_once(candidate)
            if number:
                candidate.runs.append(run)
            print(
                f"  round {number}: {candidate.name} {run.cpu_secs:.2f} s CPU, {run.wall_secs:.2f} s",
                file=sys.stderr,
            )


def machine() -> str:
    """Return what the figures were taken on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line
        ]
        model = names[0] if names else model
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}"


SHOWN: dict[str, dict[str, float]] = {}
"""CPU per unit in microseconds and units per second of every row shown so far."""


def compare(before: dict[str, dict[str, float]], now: dict[str, dict[str, float]]) -> None:
    """Print how the rows stand to those of a saved run; only the ratios to a peer survive another machine."""
    print(f"\n{'against the baseline':<60}{'CPU':>8}{'rate':>8}")
    for name in before.keys() & now.keys():
        cpu, rate = (now[name][field] / before[name][field] for field in ("cpu_us", "per_sec"))
        print(f"{name:<60}{cpu:>8.2f}{rate:>8.2f}")


def show(title: str, candidates: Sequence[Candidate], units: int, unit: str, against: str = "") -> None:
    """Print one table: CPU per unit, units per second, memory, and the ratio to one of the candidates."""
    print(f"\n{title}")
    print(f"{'':<34}{'CPU us/' + unit:>16}{unit + '/s':>12}{'RSS MB':>9}{'CPU ratio':>11}{'rate ratio':>12}")
    base = next((one for one in candidates if one.name == against), None)
    for one in candidates:
        cpu, wall = one.median("cpu_secs"), one.median("wall_secs")
        SHOWN[f"{title}: {one.name}"] = {"cpu_us": cpu / units * 1e6, "per_sec": units / wall}
        ratios = ("", "")
        if base is not None and base is not one:
            ratios = (
                f"{_ratio(one, base, 'cpu_secs'):.2f}",
                f"{1 / _ratio(one, base, 'wall_secs'):.2f}",
            )
        print(
            f"{one.name:<34}{cpu / units * 1e6:>16.1f}{units / wall:>12,.0f}"
            f"{one.median('rss_bytes') / 1e6:>9.0f}{ratios[0]:>11}{ratios[1]:>12}"
        )


def _ratio(one: Candidate, base: Candidate, what: str) -> float:
    pairs = zip(one.runs, base.runs, strict=True)
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)
