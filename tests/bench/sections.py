"""What is measured: each section runs its candidates in turn and prints one table."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.alone import http_clients
from tests.bench.collecting import collect
from tests.bench.engines import engines
from tests.bench.from_kafka import kafka, kafka_job
from tests.bench.latency import Latency, measure, nobody
from tests.bench.measure import Candidate, heading, left_out, show, take_turns
from tests.bench.programs.watched import onlookers, watched
from tests.bench.rates import crowd, idle, latencies, show_latencies, steady, tails
from tests.bench.starting import starts
from tests.bench.streams.candidates import USERS, job, make_config, make_stream, program, pythons
from tests.bench.streams.kafka_topics import CRC32, MURMUR2, NoBroker, broker
from tests.bench.streams.servers import syslog_ng
from tests.kit.streams.samples import ROOT


@dataclass
class Bench:
    """One run of the suite: where it works, and how much is measured.

    The numbers are such that the start of a job, half a second of CPU which is counted, is a few percent at
    most of what is measured. Slower candidates get shorter streams: their start is shorter too.
    """

    folder: Path
    origin: str
    """Of the receiver."""
    rounds: int = 5
    warm_up: bool = True
    deliveries: int = 400_000
    events: int = 2_000_000
    posts: int = 200_000
    latency_secs: float = 6.0
    warm_up_secs: float = 5.0
    webhook_counts: tuple[int, ...] = (1, 20, 1_000)
    shares: tuple[float, ...] = (0.05, 0.0)
    rates: tuple[int, ...] = (1_000, 5_000)
    users: int = 10_000_000
    checked: int = 2_000
    """Webhooks of the larger config that is checked."""
    spread_users: int = 1_000_000
    """In the store of which users change while events come."""
    stack: ExitStack = field(default_factory=ExitStack)
    _brokers: str | None = None
    _number: int = 0

    def place(self) -> Path:
        """Return a new folder."""
        self._number += 1
        folder = self.folder / str(self._number)
        folder.mkdir()
        return folder

    def stream(self, firing: float, records: int) -> Path:
        """Return a stream; the same one is made once."""
        return make_stream(self.folder, firing, records, USERS)

    def brokers(self) -> str:
        """Return the address of a Kafka broker, started at the first call. Raises NoBroker."""
        if self._brokers is None:
            self._brokers = self.stack.enter_context(broker())
        return self._brokers

    def compare(self, title: str, candidates: list[Candidate], unit: str, against: str = "") -> None:
        """Run the candidates in turn and print the table."""
        take_turns(candidates, self.rounds, warm_up=self.warm_up)
        show(title, candidates, unit, against)


def peer(
    name: str, script: str, stream: Path, url: str, units: int, python: str = sys.executable
) -> Candidate:
    """Return a script of peers/ as a candidate."""
    return Candidate(name, [*program(f"peers.{script}", python), str(stream), url], units)


def loop_and_job(
    bench: Bench, stream: Path, number: int, short: Path | None = None, few: int = 0
) -> list[Candidate]:
    """Return the loop, over a shorter stream where one is given, and the job: on each interpreter."""
    url, found = f"{bench.origin}/hooks/w0", []
    for python, version in pythons():
        name = f"hand-written loop{version}"
        found += [
            peer(name, "loop", short or stream, url, few or number, python),
            job(
                f"hookline, everything on{version}", make_config(bench.place(), bench.origin, stream), number,
                python=python,
            ),
        ]  # fmt: skip
    return found


def syslog(stream: Path, url: str, requests: int, units: int) -> list[Candidate]:
    """Return syslog-ng as a candidate, nothing where it is not installed."""
    if syslog_ng() is None:
        left_out("syslog-ng is not installed (Debian: syslog-ng-core syslog-ng-mod-http)")
        return []
    script = [*program("peers.syslog_ng"), str(stream), url, str(requests)]
    return [Candidate("syslog-ng, no join, no guarantee", script, units)]


def firing(bench: Bench) -> None:
    """Every event fires: cost of one delivery."""
    many, few = bench.deliveries, bench.deliveries // 4
    stream, short = bench.stream(1.0, many), bench.stream(1.0, few)
    url = f"{bench.origin}/hooks/w0"
    candidates = [
        *loop_and_job(bench, stream, many, short, few),
        peer("per-item Bytewax", "per_item", short, url, few),
        *syslog(short, url, few, few),
    ]
    title = f"100 % of {many:,} events fire (the others: {few:,})"
    bench.compare(title, candidates, "POST", candidates[0].name)


def sparse(bench: Bench) -> None:
    """One event in twenty fires, and none: cost of one event."""
    url = f"{bench.origin}/hooks/w0"
    for share in bench.shares:
        number = bench.events
        stream = bench.stream(share, number)
        candidates = loop_and_job(bench, stream, number)
        if share:
            few = number // 4
            candidates += syslog(bench.stream(share, few), url, round(few * share), few)
        bench.compare(f"{share:.0%} of {number:,} events fire", candidates, "event", candidates[0].name)


def webhooks(bench: Bench) -> None:
    """1, 20 and 1,000 webhooks, of which one fires for one event in twenty."""
    number = bench.events // 2
    stream = bench.stream(0.05, number)
    candidates = [
        job(f"{count:,} webhooks", make_config(bench.place(), bench.origin, stream, webhooks=count), number)
        for count in bench.webhook_counts
    ]
    bench.compare(f"webhooks: 5 % of {number:,} events fire one of them", candidates, "event", "1 webhooks")


def bodies(bench: Bench) -> None:
    """Bodies of 3 and of 30 fields."""
    number = bench.deliveries // 2
    stream = bench.stream(1.0, number)
    candidates = [
        job(f"{fields} fields", make_config(bench.place(), bench.origin, stream, fields=fields), number)
        for fields in (3, 30)
    ]
    bench.compare(f"bodies: 100 % of {number:,} events fire", candidates, "POST", "3 fields")


def processes(bench: Bench) -> None:
    """Two processes on two cores beside one: from a recording, and from two partitions of a topic."""
    if (os.cpu_count() or 1) < 2:
        left_out("processes: there is one core")
        return
    number, two = bench.deliveries // 2, ("--processes", "2")
    stream = bench.stream(1.0, number)
    one_by_one = [
        job(name, make_config(bench.place(), bench.origin, stream), number, *flags)
        for name, flags in (("1 process", ()), ("2 processes", two))
    ]
    title = f"processes: a recording (one partition), 100 % of {number:,} events fire"
    bench.compare(title, one_by_one, "POST", "1 process")
    try:
        brokers = bench.brokers()
    except NoBroker as reason:
        left_out(f"processes from Kafka: {reason}")
        return
    number = bench.events // 2
    stream = bench.stream(0.05, number)
    for hashed, partitioner in (("CRC-32", CRC32), ("murmur2", MURMUR2)):
        one_by_one = [
            kafka_job(bench, name, brokers, stream, number, *flags, partitions=2, partitioner=partitioner)
            for name, flags in (("1 process", ()), ("2 processes", two))
        ]
        title = f"processes: Kafka, two partitions by {hashed}, 5 % of {number:,} events fire, broker beside"
        bench.compare(title, one_by_one, "event", "1 process")


def http_client(bench: Bench) -> None:
    """The HTTP client alone, with its slots and signature, beside other clients; 64 connections each."""
    bench.compare(
        f"client: {bench.posts:,} POSTs over 64 connections",
        http_clients.candidates(bench.origin, bench.posts, bench.place()),
        "POST",
        http_clients.OURS,
    )


def flaky(bench: Bench) -> None:
    """A receiver that fails a part of its requests, beside one that is well."""
    heading(
        f"failing: good answers per second of a receiver that fails at random, {bench.latency_secs:g} s each"
    )
    run_script("flaky", "--secs", str(bench.latency_secs))


def users(bench: Bench) -> None:
    """100,000 users and ten million: joins, memory, restart."""
    heading("users: joins with 100,000 and with ten million users")
    run_script("users", "--users", str(bench.users))


def run_script(name: str, *flags: str) -> None:
    """Run another program of this folder."""
    subprocess.run([*program(name), *flags], check=True, cwd=ROOT)


def looked_at(bench: Bench) -> None:
    """The console with its page Live at 100 rows a second beside: firing, sparse, latency."""
    for share, number in ((1.0, bench.deliveries), (bench.shares[0], bench.events)):
        stream = bench.stream(share, number)
        alone, config = (make_config(bench.place(), bench.origin, stream) for _ in range(2))
        seen = watched("looked at", job("", config, number), config)
        candidates = [job("nobody looks", alone, number), seen]
        unit = "POST" if share == 1.0 else "event"
        bench.compare(f"looked at: {share:.0%} of {number:,} events fire", candidates, unit, "nobody looks")
    rate = bench.rates[0]
    found: dict[str, list[Latency]] = {"nobody looks": [], "looked at": []}
    for number in range(bench.rounds):
        for name, runs in found.items():
            beside = onlookers if name == "looked at" else nobody
            runs.append(measure(rate, bench.latency_secs, bench.warm_up_secs, beside=beside))
            print(f"  round {number + 1}: {name} p50 {runs[-1].p50_ms:.1f}", file=sys.stderr)
    heading(f"looked at: event to POST, {rate:,}/s from a file, {bench.latency_secs:g} s each")
    show_latencies(found)


SECTIONS: dict[str, Callable[[Bench], None]] = {
    "firing": firing,
    "sparse": sparse,
    "webhooks": webhooks,
    "bodies": bodies,
    "client": http_client,
    "steady": steady,
    "idle": idle,
    "tails": tails,
    "crowd": crowd,
    "start": starts,
    "latency": latencies,
    "collect": collect,
    "kafka": kafka,
    "engines": engines,
    "processes": processes,
    "flaky": flaky,
    "watched": looked_at,
    "users": users,
}
USUAL = tuple(name for name in SECTIONS if name not in ("flaky", "watched", "users"))
"""What is measured when nothing is asked for: ten million users take some twenty minutes by themselves."""
