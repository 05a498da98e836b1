"""The one who starts the processes of a job: none of them outlives him, and one that dies ends the others."""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.admin.socket_client import NotRunning, ask
from pipeline.model.errors import Stopped
from pipeline.model.json import Value
from pipeline.model.process.stop import forget, handled_by, listen
from pipeline.receiver.server import Receiver
from pipeline.runtime.state.patience import ASK_SECS, WAIT_SECS, Patience
from tests.chaos.orphans import cycle, kill, members_of
from tests.kit.machine.clock import HandClock
from tests.kit.programs.run import Bench, children, ended, has_ended, started, until

STARTER = """
import os, subprocess, sys, time
from pipeline.model.process.lifeline import Lifeline
line = Lifeline()
environment = dict(os.environ)
line.tie(environment)
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env=environment, pass_fds=line.descriptors)
print(child.pid, flush=True)
time.sleep(60)
"""
DEAF = """
import signal, time
from pipeline.model.process import lifeline
signal.signal(signal.SIGTERM, signal.SIG_IGN)
lifeline.END_SECS = 0.2
lifeline.hold()
time.sleep(60)
"""
WELL = """
import time
from pipeline.model.process.lifeline import hold
hold()
time.sleep(60)
"""


@pytest.mark.parametrize("program", [WELL, DEAF], ids=["one that hears", "one that hears no signal"])
def test_what_was_tied_to_a_killed_process_ends(program: str):
    with started(sys.executable, "-c", STARTER, program) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        assert not has_ended(child)
        starter.kill()
        until(lambda: has_ended(child))


@pytest.fixture
def bench(tmp_path: Path, receiver: Receiver) -> Bench:
    bench = Bench(tmp_path)
    bench.webhook("w", receiver.url("/w"))
    return bench


def test_a_killed_supervisor_leaves_nobody_and_the_next_start_goes_on(bench: Bench, receiver: Receiver):
    cycle(bench, receiver, random.Random(1), "work", 0)
    assert members_of(bench.state) == []
    assert bench.counts("w")["delivered"] == 21


def test_an_orphan_that_cannot_hear_its_stop_says_that_it_ends(bench: Bench):
    """Its sibling is gone, too, before they were connected: Bytewax goes on trying, for as long as it may."""
    bench.append({"id": "e0"})
    with bench.started("--follow", "--processes", "2") as job:
        until(lambda: len(children(job.pid)) == 2)
        orphan, sibling = children(job.pid)
        os.kill(sibling, signal.SIGSTOP)

        def stopping() -> list[bool]:
            with suppress(NotRunning):
                return [one["stopping"] for one in ask(bench.state, "status")]
            return []

        try:
            until(lambda: stopping() == [False])
            kill(sibling)
            job.kill()
            until(lambda: stopping() == [True])
        finally:
            kill(sibling)
            kill(orphan)


def test_a_member_that_dies_ends_the_group_at_once(bench: Bench, receiver: Receiver):
    bench.append({"id": "e0"})
    with bench.started("--follow", "--processes", "2") as job:
        until(lambda: receiver.requests)
        os.kill(children(job.pid)[0], signal.SIGKILL)
        begun = time.monotonic()
        ended(job, 4)
        assert time.monotonic() - begun < 3  # 0.7 s on a machine that does nothing else


class TestPatience:
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    def waits(self, found: Patience, clock: HandClock, secs: float) -> bool:
        """Return whether it still waits after so long."""
        end = clock.now + secs
        while clock.now < end:
            clock.now += 0.02
            if not found():
                return False
        return True

    @pytest.mark.parametrize(
        "answers",
        [[], [{"stopping": True, "still_secs": 0.0}], [{"stopping": False, "still_secs": 12.0}]],
        ids=["gone", "stopping", "standing still"],
    )
    def test_a_start_waits_half_a_minute_for_a_job_that_ends(
        self, tmp_path: Path, clock: HandClock, answers: list[Value]
    ):
        found = Patience(tmp_path, clock, lambda: answers)
        # Nobody answers: then nobody means to stay.
        assert self.waits(found, clock, WAIT_SECS - 1)
        assert not self.waits(found, clock, 2)

    def test_a_job_that_is_well_is_not_waited_for(self, tmp_path: Path, clock: HandClock):
        found = Patience(tmp_path, clock, lambda: [{"stopping": False, "still_secs": 0.0}])
        assert self.waits(found, clock, ASK_SECS / 2)
        assert not self.waits(found, clock, ASK_SECS)

    def test_a_job_that_never_answers_is_waited_for_no_longer(self, tmp_path: Path):
        with socket.socket(socket.AF_UNIX) as hung:
            hung.bind(str(tmp_path / "control-0.sock"))
            hung.listen()
            begun = time.monotonic()
            found = Patience(tmp_path)
            until(lambda: not found() or time.monotonic() - begun > ASK_SECS)
            assert found()
            assert time.monotonic() - begun < WAIT_SECS

    def test_a_stop_ends_the_waiting(self, tmp_path: Path, clock: HandClock):
        found = Patience(tmp_path, clock)
        with handled_by(lambda number, frame: None):
            listen()
            os.kill(os.getpid(), signal.SIGTERM)
            try:
                with pytest.raises(Stopped):
                    found()
            finally:
                forget()
