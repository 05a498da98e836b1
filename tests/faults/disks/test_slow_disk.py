"""A disk that takes its time for every sync slows the commits, not the deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

from pipeline.receiver.server import Receiver
from pipeline.runtime.state.recovery import resume_epoch
from tests.kit.machine.preload import Machine
from tests.kit.programs.jobs import Job
from tests.kit.programs.run import Bench, until

EVENTS = 6_000
CHUNK = 200


def epoch_of(bench: Bench) -> int:
    """Return how many epochs are durable."""
    return resume_epoch(list((bench.state / "recovery").glob("part-*.sqlite3"))) or 0


def told_of(bench: Bench, job: Job, numbers: Iterator[int]) -> bool:
    """Give the job one more event to commit; return whether it has said that the disk is slow."""
    if "the disk is slow" in job.said:
        return True
    bench.append({"id": f"first{next(numbers)}"})
    return False


def test_a_backlog_is_worked_off_in_few_epochs_and_the_slow_disk_is_named(tmp_path: Path, receiver: Receiver):
    machine = Machine(tmp_path / "machine")
    bench = Bench(tmp_path, "{network: {allow: [127.0.0.0/8]}, epoch: 100ms, shards: 4}")
    bench.environment |= machine.environment
    bench.webhook("w", receiver.url("/w"))
    bench.append({"id": "first"})
    numbers = count(1)
    with Job(bench, fresh=True) as job:
        until(lambda: receiver.requests)
        machine.slow_disk(0.03)
        until(lambda: told_of(bench, job, numbers))
        before = epoch_of(bench)
        bench.append(*({"id": f"e{n}", "user_id": f"u{n % 50}"} for n in range(EVENTS)))
        first = next(numbers)
        until(lambda: len(receiver.requests) == EVENTS + first)
        epochs = epoch_of(bench) - before
        machine.slow_disk(0.0)
        job.stop()
    assert epochs < EVENTS / CHUNK / 2  # one chunk per epoch before
    assert bench.counts("w")["delivered"] == EVENTS + first
