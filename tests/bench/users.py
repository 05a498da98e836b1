"""Ten million users: how fast the join is, how much memory it takes, how long a restart takes.

    python -m tests.bench.users [--users 10000000] [--events 1000000] [--folder DIR] [--latency]

First a job reads one update per user, then others, on the same state directory, events of random users
(nobody fires, so that only the join is measured); the same again with 100,000 users. Prints records/s without
the time of a restart, how often a join waited for the disk, the process's own memory (RSS without pages of
the stores' files) and the time from start to end with one event.

--latency: also event to POST (see latency.py) while the store commits updates of random users every second.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from tests.bench import latency
from tests.bench.measure import machine, reap, session_cpu_secs
from tests.bench.programs.watch import records_read, until_it_reads

WEBHOOK = """
id: w
trigger: {events: [Purchase], where: [{user.properties.plan: never}]}
request: {url: "https://example.com/"}
"""


PIPELINE = """
source: {{jsonl: {{paths: [{stream}], follow: {follow}}}}}
state: {state}
network: {{allow: [127.0.0.0/8]}}
"""


@dataclass(slots=True, frozen=True)
class Run:
    """One run of the job."""

    secs: float
    own_bytes: int
    """The most memory of its own that it had."""
    waits: int
    """Page faults that had to read from the disk."""


def write_users(path: Path, users: int) -> None:
    """Write one update per user."""
    plans = ("free", "pro", "enterprise")
    with path.open("w") as out:
        for start in range(0, users, 10_000):
            out.write(
                "".join(
                    f'{{"type":"user","user_id":"u{n}","set":{{"name":"User Number {n}",'
                    f'"email":"u{n}@example.com",'
                    f'"plan":"{plans[n % 3]}","country":"DE"}}}}\n'
                    for n in range(start, min(start + 10_000, users))
                )
            )


def write_events(path: Path, users: int, events: int) -> None:
    """Write events of random users."""
    random_ = random.Random(1)
    with path.open("w") as out:
        for number in range(events):
            out.write(
                f'{{"type":"event","id":"e{number}","name":"Purchase","user_id":"u{random_.randrange(users)}",'
                f'"properties":{{"amount":{number % 1000}}}}}\n'
            )


def own_memory(pid: int) -> int:
    """Return the anonymous memory of a process in bytes: what the page cache cannot take back."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def configure(config: Path, webhook: str, stream: Path, *, follow: bool = False) -> None:
    """Write a config directory with one webhook; its state stays."""
    (config / "webhooks").mkdir(parents=True, exist_ok=True)
    (config / "webhooks" / "w.yaml").write_text(webhook)
    (config / "pipeline.yaml").write_text(
        PIPELINE.format(stream=stream, follow=str(follow).lower(), state=config / "state")
    )


def start(config: Path) -> subprocess.Popen[bytes]:
    """Start the job."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.cli", "run", "-c", str(config), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def run(config: Path, stream: Path) -> Run:
    """Run the job over a stream."""
    configure(config, WEBHOOK, stream)
    begun, most = time.monotonic(), 0
    job = start(config)
    while True:
        pid, status, usage = os.wait4(job.pid, os.WNOHANG)
        if pid:
            break
        most = max(most, own_memory(job.pid))
        time.sleep(0.02)
    job.returncode = os.waitstatus_to_exitcode(status)
    if job.returncode:
        raise RuntimeError(f"the job failed with {job.returncode}")
    return Run(time.monotonic() - begun, most, usage.ru_majflt)


def fill(config: Path, users: int) -> Run:
    """Let a job of this config directory read so many users; they stay in its state."""
    stream = config.parent / f"users-{users}.jsonl"
    write_users(stream, users)
    load = run(config, stream)
    stream.unlink()
    return load


def measure(config: Path, users: int, events: int) -> None:
    """Print one row."""
    one, many = (config.parent / f"{name}-{users}.jsonl" for name in ("one", "many"))
    load = fill(config, users)
    # Other recordings on the same state: the same users, other lines.
    write_events(one, users, 1)
    restart = run(config, one)
    write_events(many, users, events)
    join = run(config, many)
    many.unlink()
    size = sum(path.stat().st_blocks * 512 for path in (config / "state").rglob("data.mdb"))
    print(
        f"{users:>12,}{users / load.secs:>12,.0f}{events / (join.secs - restart.secs):>12,.0f}"
        f"{join.waits / events:>12.3f}{max(load.own_bytes, join.own_bytes) / 1e6:>12,.0f}"
        f"{restart.secs:>12.1f}{size / 1e6:>12,.0f}",
        flush=True,
    )


def write(stream: Path, users: int, rate: int, updates: int, secs: float) -> None:
    """Append events and updates of random users at an even rate."""
    random_ = random.Random(2)

    def line(more: dict[str, Any]) -> bytes:
        return orjson.dumps({"user_id": f"u{random_.randrange(users)}", **more})

    def event(number: int) -> bytes:
        own = {"id": f"e{number}", "name": "Purchase", "properties": {"sent": time.time()}}
        return line({"type": "event", **own})

    def update(number: int) -> bytes:
        return line({"type": "user", "set": {"seen": time.time()}})

    with stream.open("ab", buffering=0) as out:

        def append(events: list[bytes], changes: list[bytes]) -> None:
            out.write(b"".join(one + b"\n" for one in (*changes, *events)))

        latency.write(
            append, rate, secs, updates_per_event=updates / rate, event=event, update=update,
        )  # fmt: skip


def under_updates(
    config: Path, users: int, rate: int, updates: int, secs: float, warm_up_secs: float = latency.WARM_UP_SECS
) -> latency.Latency:
    """Return event to POST over a store of these users, while so many of them change per second."""
    written = secs + warm_up_secs
    with latency.receiving() as (url, end):
        # Another recording each time: one that is written anew is refused.
        stream = config.parent / f"live-{users}-{time.monotonic_ns()}.jsonl"
        stream.write_bytes(orjson.dumps({"type": "user", "user_id": "u0", "set": {"n": 1}}) + b"\n")
        configure(config, latency.WEBHOOK.format(id="w", url=url, events="Purchase"), stream, follow=True)
        before = records_read(config / "state")
        job = start(config)
        try:
            until_it_reads(job, config / "state", before + 1)
            writer = latency.SPAWN.Process(target=write, args=(stream, users, rate, updates, written))
            begun = time.time()
            writer.start()
            writer.join(warm_up_secs)
            spent, since = session_cpu_secs(job.pid), time.monotonic()
            writer.join()
            spent, lasted = session_cpu_secs(job.pid) - spent, time.monotonic() - since
            came = end(int(rate * written))
            if job.poll() is not None:
                raise RuntimeError(f"the job ended with {job.returncode}")
        finally:
            job.terminate()
            _, rss, _ = reap(job)
            stream.unlink()
    ages = [age * 1000 for at, age in came if at > begun + warm_up_secs]
    return latency.result(rate, ages, spent / (rate * lasted), rss)


def measure_latency(config: Path, users: int, rate: int, updates: int, secs: float) -> None:
    """Print one row of event to POST over a store of these users."""
    one = under_updates(config, users, rate, updates, secs)
    print(
        f"{users:>12,}{rate:>12,}{updates:>12,}{one.arrived:>12,}"
        f"{one.p50_ms:>12.2f}{one.p99_ms:>12.2f}{one.max_ms:>12.2f}",
        flush=True,
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--latency", action="store_true")
    parser.add_argument("--rate", type=int, default=1000, help="events per second of --latency")
    parser.add_argument("--updates", type=int, default=500, help="updates per second of --latency")
    parser.add_argument("--secs", type=float, default=20.0, help="of --latency")
    chosen = parser.parse_args()
    sizes = sorted({100_000, chosen.users})
    print(machine())
    print(_titles("users", "updates/s", "joins/s", "disk waits", "memory MB", "restart s", "store MB"))
    with tempfile.TemporaryDirectory(prefix="hookline-users-", dir=chosen.folder) as name:
        for users in sizes:
            measure(Path(name) / str(users), users, chosen.events)
        if chosen.latency:
            print(_titles("users", "events/s", "updates/s", "arrived", "p50 ms", "p99 ms", "max ms"))
            for users in sizes:
                measure_latency(Path(name) / str(users), users, chosen.rate, chosen.updates, chosen.secs)


def _titles(*titles: str) -> str:
    return "".join(f"{title:>12}" for title in titles)


if __name__ == "__main__":
    main()
