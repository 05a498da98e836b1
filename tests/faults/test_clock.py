"""The machine's clock is set while a job runs: nothing waits for it to catch up, and a stop is heard."""

from __future__ import annotations

import signal
from functools import partial
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from tests.kit.machine.preload import Machine
from tests.kit.programs.jobs import Job, ids
from tests.kit.programs.run import Bench, ended, more_than, until

HOUR = 3600.0


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def bench_on(machine: Machine, tmp_path: Path, receiver: Receiver) -> Bench:
    bench = Bench(tmp_path)
    bench.environment |= machine.environment
    bench.webhook("w", receiver.url("/w"))
    bench.append({"id": "e0"})
    return bench


@pytest.mark.parametrize("flags", [(), ("--processes", "2")], ids=["one process", "two processes"])
def test_a_job_goes_on_at_once_when_the_clock_is_set_back_by_an_hour(
    machine: Machine, tmp_path: Path, receiver: Receiver, flags: tuple[str, ...]
):
    receiver.answer({"/w": [200, 200, 503, 200]})
    bench = bench_on(machine, tmp_path, receiver)
    with bench.started("--follow", *flags) as job:
        until(lambda: bench.counts("w")["delivered"] == 1)
        machine.set_clock(-HOUR)
        bench.append({"id": "e1"}, {"id": "e2"})
        until(lambda: bench.counts("w")["delivered"] == 3)
        assert job.poll() is None
        job.send_signal(signal.SIGTERM)
        _, said = ended(job)
    assert said.count("clock was set back") >= 1
    assert len(ids(receiver.requests)) == 3


def test_a_stop_is_heard_while_the_clock_is_being_set_back(
    machine: Machine, tmp_path: Path, receiver: Receiver
):
    bench = bench_on(machine, tmp_path, receiver)
    with bench.started("--follow") as job:
        until(lambda: bench.counts("w")["delivered"] == 1)
        machine.set_clock(-HOUR)
        job.send_signal(signal.SIGTERM)
        ended(job)
    assert bench.counts("w")["delivered"] == 1


def test_steps_that_are_small_or_forward_end_nothing(machine: Machine, tmp_path: Path, receiver: Receiver):
    bench = bench_on(machine, tmp_path, receiver)
    with Job(bench, fresh=True) as job:
        for number, ahead in enumerate((-0.4, HOUR, 25 * HOUR, 25 * HOUR - 0.8), 1):
            machine.set_clock(ahead)
            bench.append({"id": f"e{number}"})
            until(more_than(receiver, number))
        job.stop()
        assert "set back" not in job.said


def test_what_is_matched_while_the_clock_is_off_is_sent_once_and_dies_at_its_age(
    machine: Machine, tmp_path: Path, receiver: Receiver
):
    """An event under a clock that is 56 years ahead: its rows are from the future once that is set right."""
    receiver.answer({"/down": [500], "/w": [503, 200, 503, 200, 200]})
    bench = bench_on(machine, tmp_path, receiver)
    bench.webhook("down", receiver.url("/down"), "delivery: {retry: {max_age: 3s}}\n")

    def delivered(number: int) -> bool:
        return bench.counts("w")["delivered"] == number

    with Job(bench, fresh=True) as job:
        until(lambda: bench.counts("w")["delivered"] == 1)
        for number, ahead in enumerate((56 * 365 * 24 * HOUR, 0.0), 1):
            machine.set_clock(ahead)
            bench.append({"id": f"e{number}"})
            until(partial(delivered, number + 1))
        until(lambda: bench.counts("down")["dead"] == 3, secs=60)
        job.stop()
    taken = [request for request in receiver.requests if request.path == "/w"]
    assert len(ids(taken)) == 3
    assert len(taken) <= 6  # three, two failures, and what the restart cut off


def test_a_stream_that_cannot_be_read_again_ends_with_what_happened(
    machine: Machine, tmp_path: Path, receiver: Receiver
):
    bench = bench_on(machine, tmp_path, receiver)
    with bench.started("--source", "-") as job:
        assert job.stdin is not None
        job.stdin.write(bench.stream.read_text())
        job.stdin.flush()
        until(lambda: receiver.requests)
        machine.set_clock(-HOUR)
        until(lambda: job.poll() is not None, secs=60)
        _, said = ended(job, 4)
    assert "clock was set back by 3,600.0 s" in said
