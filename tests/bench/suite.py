"""The whole job beside what a user would write by hand, in one run: ``make bench``.

    python -m tests.bench.suite [--quick] [--only firing,latency,...] [--full] [--rounds 5]

Prints machine, versions and stream, then one table per section (sections.py) with the medians of the rounds
and the ratios between candidates. Candidates take turns, as the speed of a host swings within minutes. What
cannot be had on a machine (nginx, syslog-ng, wrk, hey, a Kafka broker) is left out and named. Nothing here
fails for being slow. The progress goes to stderr, the report to stdout.

HOOKLINE_BENCH_PYTHONS names further interpreters, on which job and loop run too. Takes some 40 minutes on two
slow cores, with --quick five. --full adds ten million users.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from tests.bench.alone.http_clients import search_path
from tests.bench.measure import SHOWN, WIDTH, compare, machine
from tests.bench.sections import SECTIONS, USUAL, Bench
from tests.bench.streams.kafka_topics import kafka_version
from tests.bench.streams.servers import receiver, syslog_ng

LIBRARIES = ("bytewax", "orjson", "msgspec", "httptools", "uvloop", "lmdb", "aiohttp", "confluent-kafka")


def quick(bench: Bench) -> Bench:
    """Return the same bench for one round of everything over short streams."""
    return replace(
        bench,
        rounds=1,
        warm_up=False,
        deliveries=80_000,
        events=400_000,
        posts=50_000,
        latency_secs=3.0,
        warm_up_secs=4.0,
        spread_users=100_000,
    )


def programs() -> dict[str, str]:
    """Return the versions of the programs beside us, of those that are installed."""
    asked = {
        "nginx": [shutil.which("nginx") or "/usr/sbin/nginx", "-v"],
        "syslog-ng": [syslog_ng() or "syslog-ng", "--version"],
        "wrk": ["wrk", "-v"],
        "java": ["java", "-version"],
    }
    found = {}
    for name, command in asked.items():
        try:
            answer = subprocess.run(command, capture_output=True, text=True)
        except OSError:
            continue
        number = re.search(r"\d+\.[\d.]+", answer.stdout + answer.stderr)
        found[name] = number[0] if number else "?"
    if shutil.which("hey", path=search_path()):
        found["hey"] = "(says no version)"
    if "java" in found:
        found["kafka"] = kafka_version()
    return found


def wrapped(label: str, words: list[str]) -> str:
    """Return words behind a label, in lines that are not too long."""
    return textwrap.fill(", ".join(words), WIDTH, initial_indent=label, subsequent_indent=" " * len(label))


def main() -> None:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, help="default: 5, with --quick 1")
    parser.add_argument("--quick", action="store_true", help="one round of everything, over short streams")
    parser.add_argument("--full", action="store_true", help="all sections")
    parser.add_argument(
        "--rates", help="events per second of steady and latency; tails: the last (1000,5000)"
    )
    parser.add_argument("--users", type=int, help="in the store of `tails` that users change in")
    parser.add_argument("--only", help=f"sections: {', '.join(SECTIONS)}")
    parser.add_argument("--save", type=Path, help="write the medians to a file, as a baseline")
    parser.add_argument("--against", type=Path, help="print the ratios to such a baseline")
    chosen = parser.parse_args()
    sections = chosen.only.split(",") if chosen.only else list(SECTIONS) if chosen.full else list(USUAL)
    for name in sections:
        if name not in SECTIONS:
            parser.error(f"there is no section {name!r}: {', '.join(SECTIONS)}")
    # Whoever ends it ends the jobs, brokers and receivers that it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hookline-bench-")))
        origin, what = stack.enter_context(receiver(folder))
        bench = Bench(folder, origin, stack=stack)
        bench = quick(bench) if chosen.quick else bench
        bench.rounds = chosen.rounds or bench.rounds
        bench.spread_users = chosen.users or bench.spread_users
        if chosen.rates:
            bench.rates = tuple(map(int, chosen.rates.split(",")))
        print(f"machine:  {machine()}")
        print(wrapped("python:   ", [f"{name} {version(name)}" for name in LIBRARIES]))
        print(wrapped("programs: ", [f"{name} {number}" for name, number in programs().items()]))
        print("stream:   of the seeded generator (pipeline/recording/shop.py): 5,000 users, then events")
        print(f"receiver: {what}")
        print(
            f"figures:  medians of {bench.rounds} rounds, candidates in turn; ratios round by round; CPU is"
            " user + system\n          of all processes of a candidate, its start (a job: half a second)"
            " included; jobs run without flags",
            flush=True,
        )
        for name in sections:
            SECTIONS[name](bench)
    if chosen.against:
        compare(json.loads(chosen.against.read_text()), SHOWN)
    if chosen.save:
        chosen.save.parent.mkdir(parents=True, exist_ok=True)
        chosen.save.write_text(json.dumps(SHOWN, indent=1))


if __name__ == "__main__":
    main()
