"""The number of processes changes what is sent in nothing: not at once, and not from run to run."""

from __future__ import annotations

import signal
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from pipeline.runtime.processes.group import free_ports
from tests.kit.programs.jobs import Cluster, totals
from tests.kit.programs.run import Bench, ended, until
from tests.runtime.scale.shop import Undisturbed, open_shop, sent

SLOW = {"*": {"delay_secs": 0.4}}
"""So slow that a clean stop, which sends for 5 s more, leaves something to the others."""
CONCURRENCY = 3 * 3 * 6
"""Requests in flight of three webhooks in up to three processes: what a kill may send twice."""


def check(bench: Bench, receiver: Receiver, undisturbed: Undisturbed, *, kills: int = 0) -> None:
    found = sent(receiver.requests)
    assert set(found) == undisturbed.sent
    assert sum(found.values()) - len(found) <= kills * CONCURRENCY
    assert totals(bench) == undisturbed.totals


def part(bench: Bench, receiver: Receiver, processes: int, how: signal.Signals) -> None:
    """Run the shop with so many processes until some more has arrived; end them all by the signal."""
    before = len(receiver.requests)
    with Cluster(bench, processes, follow=False) as job:
        until(lambda: len(receiver.requests) > before + 60 or not job.runs())
        for member in job.members:
            member.send_signal(how)
        for member in job.members:
            member.ended(0 if how == signal.SIGTERM else -9, secs=40)


def test_one_two_three_one_processes_with_kills_send_what_one_sends(
    folder: Path, receiver: Receiver, undisturbed: Undisturbed
):
    receiver.answer(SLOW)
    bench = open_shop(folder, receiver)
    part(bench, receiver, 1, signal.SIGKILL)
    part(bench, receiver, 2, signal.SIGTERM)
    part(bench, receiver, 3, signal.SIGKILL)
    receiver.answer({"*": [200]})
    assert bench.run()["webhooks"]
    check(bench, receiver, undisturbed, kills=2)


def test_two_processes_send_what_one_sends(folder: Path, receiver: Receiver, undisturbed: Undisturbed):
    bench = open_shop(folder, receiver)
    bench.run("--processes", 2)
    check(bench, receiver, undisturbed)


@pytest.mark.parametrize("processes", [1, 2], ids=["two workers", "two processes on one machine"])
def test_bytewax_own_flags_send_what_one_process_sends(
    folder: Path, receiver: Receiver, undisturbed: Undisturbed, processes: int
):
    bench = open_shop(folder, receiver)
    addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(2))
    flags = [["-w", "2"]] if processes == 1 else [["-i", str(n), "-a", addresses] for n in range(2)]
    with ExitStack() as stack:
        for job in [stack.enter_context(bench.bytewax(*words)) for words in flags]:
            ended(job)
    check(bench, receiver, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(6))
def test_any_row_of_processes_and_kills_sends_what_one_sends(
    folder: Path, receiver: Receiver, undisturbed: Undisturbed, seed: int
):
    import random

    dice = random.Random(seed)
    receiver.answer(SLOW)
    bench = open_shop(folder, receiver)
    ends: Counter[signal.Signals] = Counter()
    while len(set(sent(receiver.requests))) < len(undisturbed.sent) - 200:
        how = dice.choice([signal.SIGTERM, signal.SIGKILL])
        ends[how] += 1
        part(bench, receiver, dice.randrange(1, 5), how)
    receiver.answer({"*": [200]})
    bench.run()
    check(bench, receiver, undisturbed, kills=ends[signal.SIGKILL])
