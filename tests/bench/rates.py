"""Where every deployment lives: steady rates, idleness, and neighbours in trouble.

CPU is that of a program and all that it has started, after its warm-up; waits are from the moment an event is
written until the receiver has its request, commits included.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.from_kafka import bare
from tests.bench.latency import (
    SPAWN,
    TOPICS,
    Latency,
    event,
    measure,
    prepare,
    receiving,
    result,
    write_file,
)
from tests.bench.measure import SHOWN, heading, left_out, reap, session_cpu_secs
from tests.bench.programs.watched import HOOKLINE, onlookers
from tests.bench.streams.candidates import pythons
from tests.bench.streams.kafka_topics import NoBroker
from tests.bench.streams.servers import SYSLOG_NG, syslog_ng
from tests.bench.users import fill, under_updates
from tests.kit.programs.run import until
from tests.kit.streams.samples import ROOT

if TYPE_CHECKING:
    from tests.bench.sections import Bench

SILENCE_SECS = 1.6
"""Between two first events after idleness."""
FIRSTS = 8
SPREAD = 500
"""Updates per second, of random users."""
TROUBLED = ("sick", "late", "down")


def steady(bench: Bench) -> None:
    """CPU per event and waits at even rates: from a file, from Kafka, and of syslog-ng.

    Of Kafka the producer (linger 0, all replicas) and the broker are in the waits: what they take is that of
    the consumer alone.
    """
    cases: dict[str, list[Latency]] = {}
    peers = [0] if syslog_ng() is not None else []
    if not peers:
        left_out("syslog-ng is not installed (Debian: syslog-ng-core syslog-ng-mod-http)")
    brokers = _brokers(bench, "steady rates")
    secs, warm_up = bench.latency_secs, bench.warm_up_secs
    for number in range(bench.rounds):
        for rate in bench.rates:
            for python, version in pythons():
                one = measure(rate, secs, warm_up, python=python)
                cases.setdefault(f"file, {rate:,}/s{version}", []).append(one)
            for topics, called in TOPICS.items() if brokers is not None else ():
                one = measure(rate, secs, warm_up, kafka=brokers, topics=topics)
                cases.setdefault(f"Kafka, {rate:,}/s, {called}", []).append(one)
            if brokers is not None:
                one = bare(brokers, rate, secs, warm_up)
                cases.setdefault(f"a consumer alone, {rate:,}/s", []).append(one)
            for _ in peers:
                cases.setdefault(f"syslog-ng, {rate:,}/s", []).append(of_syslog_ng(rate, secs, warm_up))
            print(f"  round {number + 1}: {rate:,}/s", file=sys.stderr)
    heading(f"steady: {bench.latency_secs:g} s each, the start not counted")
    show_latencies(cases, "steady")


def of_syslog_ng(rate: int, secs: float, warm_up_secs: float) -> Latency:
    """Return what syslog-ng takes for the same events: it follows the file, and neither joins nor keeps."""
    with receiving() as (url, end), tempfile.TemporaryDirectory(prefix="hookline-steady-") as name:
        folder = Path(name)
        _, _, (stream, _) = prepare(folder, url, None)
        text = SYSLOG_NG.format(stream=stream, url=f"{url}/fine", body='{"sent":${.e.properties.sent}}')
        (folder / "syslog.conf").write_text(text)
        flags = ["-R", folder / "persist", "-c", folder / "control", "-p", folder / "pid"]
        command = list(map(str, [syslog_ng(), "-F", "-f", folder / "syslog.conf", *flags]))
        process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
        try:
            until((folder / "control").exists)
            writer = SPAWN.Process(target=write_file, args=(stream, 0, rate, secs + warm_up_secs))
            writer.start()
            writer.join(warm_up_secs)
            spent, since = session_cpu_secs(process.pid), time.monotonic()
            writer.join()
            spent, lasted = session_cpu_secs(process.pid) - spent, time.monotonic() - since
            noted = end(int(rate * (secs + warm_up_secs)))
        finally:
            process.kill()
            _, rss, _ = reap(process)
    begun = min(at - age for at, age in noted)
    ages = [age * 1000 for at, age in noted if at - age > begun + warm_up_secs]
    return result(rate, ages, spent / (rate * lasted), rss)


def idle(bench: Bench) -> None:
    """What a job costs to which nothing comes, and how late the first event after that is."""
    shares, firsts = [], []
    for _ in range(bench.rounds):
        with receiving() as (url, end), tempfile.TemporaryDirectory(prefix="hookline-idle-") as name:
            folder = Path(name)
            source, _, (stream, _) = prepare(folder, url, None)
            (folder / "pipeline.yaml").write_text(
                f"source: {{{source}}}\nstate: {folder / 'state'}\nnetwork: {{allow: [127.0.0.0/8]}}\n"
            )
            command = [*HOOKLINE, "run", "-c", str(folder), "--json"]
            job = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                time.sleep(bench.warm_up_secs)
                spent, since = session_cpu_secs(job.pid), time.monotonic()
                time.sleep(bench.latency_secs)
                shares.append((session_cpu_secs(job.pid) - spent) / (time.monotonic() - since))
                with stream.open("ab", buffering=0) as out:
                    for number in range(FIRSTS):
                        out.write(event(number) + b"\n")
                        time.sleep(SILENCE_SECS)
                firsts += [age * 1000 for _, age in end(FIRSTS)]
            finally:
                job.kill()
                reap(job)
    heading(f"idle: a followed file to which nothing comes, {bench.latency_secs:g} s each")
    print(
        f"CPU {median(shares):.2%} of a core; the first event after {SILENCE_SECS:g} s of silence is at its"
    )
    print(f"receiver after {median(firsts):.1f} ms (median of {len(firsts)}), {max(firsts):.1f} ms at most")
    SHOWN["idle: a followed file"] = {"cpu_us": median(shares) * 1e6, "per_sec": 1000 / median(firsts)}


def tails(bench: Bench) -> None:
    """How long events wait for a well receiver while a neighbour is in trouble, or people look on."""
    rate, secs, warm_up = bench.rates[-1], bench.latency_secs, bench.warm_up_secs
    store = bench.place() / "spread"
    fill(store, bench.spread_users)
    kinds: dict[str, Callable[[], Latency]] = {
        "alone": partial(measure, rate, secs, warm_up),
        "one receiver hangs": partial(measure, rate, secs, warm_up, "sick"),
        "one fails half": partial(measure, rate, secs, warm_up, "half"),
        "one fails nine of ten": partial(measure, rate, secs, warm_up, "most"),
        "console and tap look on": partial(measure, rate, secs, warm_up, beside=console_and_tap),
        f"{SPREAD} updates/s of {bench.spread_users:,} users": partial(
            under_updates, store, bench.spread_users, rate, SPREAD, secs, warm_up
        ),
    }
    cases: dict[str, list[Latency]] = {}
    for number in range(bench.rounds):
        for kind, run in kinds.items():
            one = run()
            cases.setdefault(f"{rate:,}/s, {kind}", []).append(one)
            print(f"  round {number + 1}: {kind} p50 {one.p50_ms:.1f} p99 {one.p99_ms:.1f}", file=sys.stderr)
    heading(f"tails: a followed file, {secs:g} s each, commits included")
    show_latencies(cases, "tails")


def crowd(bench: Bench) -> None:
    """A thousand webhooks, without and with some among them that hang, are late and fail."""
    rate, count = bench.rates[0], bench.webhook_counts[-1]
    cases: dict[str, list[Latency]] = {}
    ratios = []
    for number in range(bench.rounds):
        for name, webhooks in (("all are well", ()), ("one hangs, one is late, one fails", TROUBLED)):
            well = count - len(webhooks)
            one = measure(rate, bench.latency_secs, bench.warm_up_secs, *webhooks, crowd=well)
            cases.setdefault(f"{count:,} webhooks, {name}", []).append(one)
        ratios.append(one.p99_ms / next(iter(cases.values()))[-1].p99_ms)
        print(f"  round {number + 1}: {ratios[-1]:.2f}", file=sys.stderr)
    heading(f"crowd: {rate:,} events/s, each for one well webhook, and for the troubled ones")
    show_latencies(cases, "crowd")
    print(f"p99 of the well ones beside those, to without: {median(ratios):.2f} (median of the rounds)")


@contextmanager
def console_and_tap(config: Path, state: Path) -> Iterator[None]:
    """Look at a job by the console's page Live and by `hookline tap`."""
    with ExitStack() as stack:
        stack.enter_context(onlookers(config, state))
        until(lambda: any(one.is_socket() for one in state.glob("*")))
        command = [*HOOKLINE, "tap", "--state", str(state), "--json"]
        tap = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            tap.send_signal(signal.SIGKILL)
            tap.wait()


def _brokers(bench: Bench, what: str) -> str | None:
    try:
        return bench.brokers()
    except NoBroker as reason:
        left_out(f"{what} from Kafka: {reason}")
        return None


def latencies(bench: Bench) -> None:
    """Event to POST from a followed file, also with a receiver that never answers, and from Kafka."""
    cases: list[tuple[str, int, tuple[str, ...], str | None, bool]] = []
    cases += [(f"file, {rate:,}/s", rate, (), None, False) for rate in bench.rates]
    cases.append(
        (f"file, {bench.rates[-1]:,}/s, one receiver hangs", bench.rates[-1], ("sick",), None, False)
    )
    brokers = _brokers(bench, "latency")
    if brokers is not None:
        cases += [
            (f"Kafka, {rate:,}/s, two topics, users idle", rate, (), brokers, False) for rate in bench.rates
        ]
        rate = bench.rates[-1]
        cases.append((f"Kafka, {rate:,}/s, two topics, users busy", rate, (), brokers, True))
    found: dict[str, list[Latency]] = {}
    for number in range(bench.rounds):
        for name, rate, webhooks, kafka, busy in cases:
            one = measure(
                rate, bench.latency_secs, bench.warm_up_secs, *webhooks, kafka=kafka, topics="appended",
                busy=busy,
            )  # fmt: skip
            found.setdefault(name, []).append(one)
            print(f"  round {number + 1}: {name} p50 {one.p50_ms:.1f} p99 {one.p99_ms:.1f}", file=sys.stderr)
    heading(f"latency: event to POST, {bench.latency_secs:g} s each, commits included")
    show_latencies(found)


def show_latencies(found: dict[str, list[Latency]], section: str = "latency") -> None:
    """Print the medians of each case."""
    print(f"{'':<42}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'us CPU/event':>15}{'RSS MB':>10}")
    for name, runs in found.items():
        p50, p99, most, cpu, rss = (
            median([getattr(run, what) for run in runs])
            for what in ("p50_ms", "p99_ms", "max_ms", "cpu_us", "rss_bytes")
        )
        SHOWN[f"{section}: {name}"] = {"cpu_us": cpu, "per_sec": 1000 / p50}
        print(f"{name:<42}{p50:>10.1f}{p99:>10.1f}{most:>10.0f}{cpu:>15.0f}{rss / 1e6:>10.0f}", flush=True)
