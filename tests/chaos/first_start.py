"""A first start that is killed at any instant: the next start takes what it finds, and everything arrives."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from pipeline.receiver.server import Receiver
from tests.kit.programs.jobs import Cluster, Job, accounted, ids
from tests.kit.programs.run import Bench, until

EVENTS = 40
SETTINGS = "{network: {allow: [127.0.0.0/8]}, epoch: 100ms, shards: 3}"

Instant: TypeAlias = float | int
"""When to kill: so many seconds after the start (a float), or when so many files have appeared (an int)."""


@dataclass(slots=True)
class Figures:
    """What was killed when, and what the next start found."""

    processes: int
    kills: int = 0
    stages: Counter[str] = field(default_factory=Counter)
    """How often which of the files was the last that had been made."""
    repeated: int = 0
    """Requests that came twice."""

    def line(self) -> str:
        stages = ", ".join(f"{name} {number}" for name, number in sorted(self.stages.items()))
        return (
            f"{self.processes} processes, {self.kills} kills ({stages}): each next start was whole, "
            f"{self.repeated} requests came twice"
        )


def first_start(folder: Path, *, instants: Sequence[Instant], processes: int = 1) -> Figures:
    """Kill a first start at each of these instants and run the job to its end; check all that it did."""
    figures = Figures(processes)
    with Receiver({"*": [200]}) as receiver:
        for number, instant in enumerate(instants):
            place = folder / f"{processes}-{number}"
            place.mkdir()
            bench = Bench(place, SETTINGS)
            bench.webhook("w", receiver.url("/w"))
            bench.append(*({"id": f"e{n}", "user_id": f"u{n}"} for n in range(EVENTS)))
            receiver.requests.clear()
            with job_of(bench, processes) as job:
                wait(bench.state, instant)
                job.kill()
            figures.kills += 1
            figures.stages[stage(bench.state)] += 1
            whole(bench, processes, instant)
            found = ids(receiver.requests)
            assert len(found) == EVENTS, (instant, len(found))
            figures.repeated += sum(found.values()) - EVENTS
            shutil.rmtree(place)
    return figures


@contextmanager
def job_of(bench: Bench, processes: int) -> Iterator[Job | Cluster]:
    with Job(bench) if processes == 1 else Cluster(bench, processes, follow=True) as job:
        yield job


def whole(bench: Bench, processes: int, instant: Instant) -> None:
    """Run the job to the end of its input, which must be one run like any other."""
    with Job(bench, follow=False) if processes == 1 else Cluster(bench, processes, follow=False) as job:
        try:
            job.ended()
        except AssertionError as failed:
            raise AssertionError(f"after a kill at {instant!r}: {failed}") from None
    counts = accounted(bench)["w"]
    assert counts["matched"] == counts["delivered"] == EVENTS, (instant, counts)
    assert bench.status()["records"]["read"] == EVENTS
    bench.hookline("state", "check")


def wait(state: Path, instant: Instant) -> None:
    """Return at the instant; for a file that never comes, once there are no new ones."""
    if isinstance(instant, float):
        time.sleep(instant)  # the kill's time is the input, nothing is waited for
        return
    deadline = time.monotonic() + 5
    while count(state) < instant and time.monotonic() < deadline:
        pass  # a pause would miss the instant


def count(folder: Path) -> int:
    """Return how many files and folders there are, at any depth."""
    found = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found += 1
                if entry.is_dir(follow_symlinks=False):
                    found += count(Path(entry.path))
    except FileNotFoundError:
        pass  # it is not there yet, or not any more
    return found


def stage(state: Path) -> str:
    """Return how far a first start came: the last of these that is there."""
    stages = {
        "nothing": lambda: True,
        "folder": state.is_dir,
        "described": (state / "hookline.json").exists,
        "recovery begun": (state / "recovery.new").exists,
        "recovery": (state / "recovery").exists,
        "versions": lambda: any(state.glob("versions/*.config")),
        "history": lambda: any(state.glob("source/*/switches")),
        "stores": lambda: any(state.glob("shards/*/data.mdb")),
        "journals": lambda: any(state.glob("shards/*/journal/*.journal")),
    }  # fmt: skip
    found: dict[str, Callable[[], bool]] = stages
    return [name for name, there in found.items() if there()][-1]


def instants(number: int, secs: float, files: int, seed: int) -> list[Instant]:
    """Return instants: so many at random within a time, and one at each new file."""
    dice = random.Random(seed)
    return [*(dice.uniform(0, secs) for _ in range(number)), *range(1, files + 1)]


def files_of_a_start(folder: Path) -> int:
    """Return how many files and folders a first start makes."""
    with Receiver({"*": [200]}) as receiver:
        bench = Bench(folder, SETTINGS)
        bench.webhook("w", receiver.url("/w"))
        bench.append({"id": "e"})
        with Job(bench) as job:
            until(lambda: len(receiver.requests) == 1)
            job.kill()
        return count(bench.state)
