"""A supervisor that is killed leaves nobody behind: ``python -m tests.chaos.orphans [--rounds N]``.

Each round starts a job of two processes, kills its supervisor at some moment (while members start, while
they connect, while they work, while they drain, sometimes with one member killed just before), starts the
next one at once and wants it to begin. At the end everything that was read is delivered and nobody is left.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from pipeline.receiver.server import Receiver
from tests.kit.programs.run import Bench, Running, children, until

START_SECS = 60.0
"""Within which the next start must work: the wait for the lock, and a start on a busy machine."""


def members_of(state: Path) -> list[int]:
    """Return the processes that have anything of the state directory in their command line."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(state) in words:
            found.append(int(process.name))
    return found


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def disturb(job: Running, rng: random.Random, how: str) -> None:
    """Kill the supervisor, as the word says."""
    if how == "start":
        time.sleep(rng.uniform(0, 0.5))
    elif how == "connect":
        until(lambda: children(job.pid))
        time.sleep(rng.uniform(0, 1.5))
    elif how == "drain":
        job.send_signal(signal.SIGTERM)
        time.sleep(rng.uniform(0, 0.3))
    elif how == "member":
        kill(rng.choice(children(job.pid)))
        time.sleep(rng.uniform(0, 0.2))
    kill(job.pid)
    job.wait()


def cycle(bench: Bench, receiver: Receiver, rng: random.Random, how: str, number: int) -> float:
    """Start, kill and start again; return how long the second start took to deliver something new."""
    bench.append(*({"id": f"a{number}-{n}", "user_id": f"u{n}"} for n in range(20)))
    with bench.started("--follow", "--processes", "2", session=True) as job:
        if how in ("work", "drain", "member"):
            before = len(receiver.requests)
            until(lambda: len(receiver.requests) > before, secs=START_SECS)
        disturb(job, rng, how)
    bench.append({"id": f"b{number}"})
    begun = time.monotonic()
    with bench.started("--follow", "--processes", "2", session=True) as job:

        def arrived() -> bool:
            if job.poll() is not None:
                raise AssertionError(f"{how}: the next start ended with {job.returncode}")
            return any(f"b{number}" in request.body.decode() for request in receiver.requests)

        until(arrived, secs=START_SECS)
        took = time.monotonic() - begun
        job.send_signal(signal.SIGTERM)
        code = job.wait(30)
        assert code == 0, f"{how}: the clean stop ended with {code}"
    return took


def main() -> int:
    """Run the rounds; 1 where something was left behind or lost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    given = parser.parse_args()
    rng = random.Random(given.seed)
    print(f"seed {given.seed}")
    with tempfile.TemporaryDirectory() as folder, Receiver() as receiver:
        bench = Bench(Path(folder))
        bench.webhook("w", receiver.url("/w"))
        for number in range(given.rounds):
            how = ("start", "connect", "work", "drain", "member")[number % 5]
            took = cycle(bench, receiver, rng, how, number)
            left = members_of(bench.state)
            print(f"{number:3d} {how:8s} next start {took:5.1f} s  left {left}", flush=True)
            if left:
                return 1
        summary = bench.run()
        counts = summary["webhooks"]["w"]
        print(counts)
        return 0 if counts["delivered"] == counts["matched"] == 21 * given.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
