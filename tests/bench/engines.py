"""From Kafka to signed POSTs beside the engines that do the same join with durable state, cold and warm."""

from __future__ import annotations

import os
import shutil
import time
import urllib.request
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.from_kafka import kafka_job
from tests.bench.measure import Candidate, Process, Run, left_out, session_cpu_secs, show, take_turns
from tests.bench.streams.java_peers import NoPeer, command
from tests.bench.streams.kafka_topics import NoBroker, filled
from tests.bench.streams.servers import COUNTED
from tests.kit.programs.run import has_ended

if TYPE_CHECKING:
    from tests.bench.sections import Bench

QUIX = "HOOKLINE_BENCH_QUIX"
"""An interpreter that has quixstreams, aiohttp, orjson and uvloop."""
LOOK_SECS = 0.25
WARM = 0.5
"""The share of the requests that is warm-up: Java compiles what is called often."""


@dataclass(slots=True)
class Counted:
    """How many requests the receiver has had and what the candidate has taken, a few times a second."""

    origin: str
    requests: int
    warm: list[Run] = field(default_factory=list)
    """What each run was after its warm-up."""
    _looks: list[tuple[float, int, float]] = field(default_factory=list)
    """Seconds, requests, seconds of CPU."""
    _asked: int = 0

    def watch(self, process: Process) -> float | None:
        """Return the requests per second from the first to the last, None where the candidate ends before."""
        self._looks, before, received = [], self._received(), 0
        while received < self.requests:
            ended = has_ended(process.pid)
            received = self._received() - before
            self._looks.append((time.perf_counter(), received, session_cpu_secs(process.pid)))
            if ended and received < self.requests:
                return None
            time.sleep(LOOK_SECS)
        (begun, none, _), (done, all_of_them, _) = self._since(0), self._looks[-1]
        return (all_of_them - none) / (done - begun)

    def read(self, output: str, run: Run) -> Run:
        """Note what the run was after its warm-up, and return it as it is."""
        first, last = self._since(WARM * self.requests), self._looks[-1]
        secs, requests, cpu_secs = (after - before for before, after in zip(first, last, strict=True))
        self.warm.append(replace(run, wall_secs=secs, units=int(requests), cpu_secs=cpu_secs))
        return run

    def _since(self, requests: float) -> tuple[float, int, float]:
        """Return the last look at which there were no more."""
        return max(look for look in self._looks if look[1] <= requests)

    def _received(self) -> int:
        """Return how many requests the receiver has had but for those that ask it."""
        self._asked += 1
        with urllib.request.urlopen(f"{self.origin}{COUNTED}") as answer:
            return int(answer.read().split()[9]) - self._asked


def engines(bench: Bench) -> None:
    """The same join with durable state from the same topics, signed, every event firing."""
    if not counts(bench.origin):
        left_out("engines: the receiver is not nginx, whose count of requests tells how far each is")
        return
    try:
        brokers = bench.brokers()
    except NoBroker as reason:
        left_out(f"engines: {reason}")
        return
    many, few = bench.deliveries, bench.deliveries // 4
    title = f"engines: Kafka, 100 % of {many:,} events fire"
    stream = bench.stream(1.0, many)
    candidates = [kafka_job(bench, "hookline", brokers, stream, many)]
    topics = filled(brokers, stream, 1)
    for name, called in (("flink", "Flink"), ("streams", "Kafka Streams")):
        try:
            script = command(name)
        except NoPeer as reason:
            left_out(f"{called}: {reason}")
            continue
        state = bench.place() / "state"
        script += [str(state), brokers, *topics, f"{bench.origin}/hooks/w0"]
        candidates.append(Candidate(called, script, many, before=partial(emptied, state)))
    python = os.environ.get(QUIX)
    if python is None:
        left_out(f"Quix Streams: no interpreter that has it is named in {QUIX} (tests/bench/peers/README.md)")
    else:
        script = [python, "tests/bench/peers/quix.py", brokers, *filled(brokers, bench.stream(1.0, few), 1)]
        script += [f"{bench.origin}/hooks/w0", str(few)]
        candidates.append(Candidate("Quix Streams", script, few))
        title += f" (Quix: {few:,})"
    warm = []
    for one in candidates:
        counted = Counted(bench.origin, one.units)
        one.watch, one.read = counted.watch, counted.read
        warm.append(Candidate(one.name, (), one.units, runs=counted.warm))
    take_turns(candidates, bench.rounds, warm_up=False)
    show(f"{title}; CPU of the whole life, rate from first to last", candidates, "POST", "hookline")
    show(f"{title}; the second half of them", warm, "POST", "hookline")


def counts(origin: str) -> bool:
    """Return whether the receiver tells how many requests it has had."""
    with urllib.request.urlopen(f"{origin}{COUNTED}") as answer:
        return bool(answer.read().startswith(b"Active connections"))


def emptied(state: Path) -> None:
    """Make a state directory anew."""
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir()
