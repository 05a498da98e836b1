"""Runs programs in turn and compares them: CPU and wall time per unit, memory, medians and ratios.

Hosts swing by a factor of two within minutes, so candidates take turns: A B C, A B C, ... What is quoted is
the median, and the ratio to another candidate of the same run, taken round by round.
"""

from __future__ import annotations

import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

from tests.kit.streams.samples import ROOT

Process = subprocess.Popen[bytes]
WIDTH = 100


@dataclass(slots=True, frozen=True)
class Run:
    """One finished run of a program."""

    cpu_secs: float
    """User and system time of the process and its children."""
    wall_secs: float
    rss_bytes: int
    units: int
    """How many events or deliveries that was for."""

    @property
    def cpu_us(self) -> float:
        """CPU per unit in microseconds."""
        return self.cpu_secs / self.units * 1e6

    @property
    def per_sec(self) -> float:
        """Units per second."""
        return self.units / self.wall_secs


@dataclass(slots=True)
class Candidate:
    """A program to measure, and for how many units its time is."""

    name: str
    command: Sequence[str]
    units: int
    before: Callable[[], None] = lambda: None
    """Called before each run, and not measured."""
    watch: Callable[[Process], float | None] | None = None
    """For a program that never ends: returns when its work is done, with its rate in units per second, or
    None when it cannot be told."""
    read: Callable[[str, Run], Run] = lambda output, run: run
    """Corrects a run by what the program printed about itself."""
    runs: list[Run] = field(default_factory=list)

    def median(self, what: str) -> float:
        """Return the median of a field over the runs."""
        return statistics.median(getattr(run, what) for run in self.runs)


def run_once(candidate: Candidate, timeout_secs: float = 600.0) -> Run:
    """Run a candidate to its end; raises RuntimeError where it fails, or takes longer than that."""
    candidate.before()
    begun = time.perf_counter()
    process = subprocess.Popen(
        candidate.command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    assert process.stdout is not None
    # A session of its own: a candidate that hangs goes with all that it started.
    timer = Timer(timeout_secs, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    try:
        rate = candidate.watch(process) if candidate.watch is not None else None
        if candidate.watch is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with process.stdout:
            output = process.stdout.read().decode(errors="replace")
        cpu, rss, code = reap(process)
    finally:
        timer.cancel()
        if process.returncode is None:
            # What ends this one ends what it has started.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    wall = time.perf_counter() - begun
    if code or (candidate.watch is not None and rate is None):
        raise RuntimeError(f"{candidate.name} failed ({code}):\n{output[-2000:]}")
    return candidate.read(output, Run(cpu, candidate.units / rate if rate else wall, rss, candidate.units))


def reap(process: Process) -> tuple[float, int, int]:
    """Wait for a process; return its CPU seconds and memory with those of its children, and its exit code."""
    if process.returncode is not None:
        return 0.0, 0, process.returncode
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, process.returncode


def session_cpu_secs(leader: int) -> float:
    """Return the CPU seconds so far of a process that leads a session, and of all that it has started."""
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[3]) == leader:
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def take_turns(candidates: Sequence[Candidate], rounds: int, *, warm_up: bool = True) -> None:
    """Run every candidate once per round, after one round that is not counted."""
    for number in range(0 if warm_up else 1, rounds + 1):
        for candidate in candidates:
            run = run_once(candidate)
            if number:
                candidate.runs.append(run)
            print(
                f"  round {number}: {candidate.name} {run.cpu_us:.1f} us CPU each of {run.units:,},"
                f" {run.wall_secs:.2f} s",
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


def compare(before: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]]) -> None:
    """Print how the rows stand to those of a saved run; on another machine only the ratios to a peer do."""
    print(f"\n{'against the baseline':<72}{'CPU':>9}{'rate':>9}")
    for name in now:
        if name in before:
            cpu, rate = (now[name][field] / before[name][field] for field in ("cpu_us", "per_sec"))
            print(f"{name:<72}{cpu:>9.2f}{rate:>9.2f}")


def heading(title: str) -> None:
    """Print the title of a table."""
    print(f"\n{title}\n{'-' * min(WIDTH, len(title))}")


def show(title: str, candidates: Sequence[Candidate], unit: str, against: str = "") -> None:
    """Print one table: CPU per unit, units per second, memory, and the ratios to one of the candidates."""
    heading(title)
    print(f"{'':<34}{'us CPU/' + unit:>15}{unit + '/s':>12}{'RSS MB':>9}{'CPU ratio':>12}{'rate ratio':>12}")
    base = next((one for one in candidates if one.name == against), None)
    for one in candidates:
        cpu, rate = one.median("cpu_us"), one.median("per_sec")
        SHOWN[f"{title}: {one.name}"] = {"cpu_us": cpu, "per_sec": rate}
        ratios = ("", "")
        if base is not None and base is not one:
            ratios = f"{_ratio(one, base, 'cpu_us'):.2f}", f"{_ratio(one, base, 'per_sec'):.2f}"
        print(
            f"{one.name:<34}{cpu:>15.1f}{rate:>12,.0f}{_memory(one.median('rss_bytes')):>9}"
            f"{ratios[0]:>12}{ratios[1]:>12}",
            flush=True,
        )


def left_out(what: str) -> None:
    """Say on the report that something is missing, and why."""
    print(f"  LEFT OUT: {what}", flush=True)


def _memory(rss_bytes: float) -> str:
    """Return MB. Linux starts the peak of a process with that of who started it: less cannot be told."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return f"{rss_bytes / 1e6:.0f}" if rss_bytes > own * 1.02 else f"< {own / 1e6:.0f}"


def _ratio(one: Candidate, base: Candidate, what: str) -> float:
    pairs = zip(one.runs, base.runs, strict=True)
    return statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)
