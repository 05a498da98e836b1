"""Members that are forked from their supervisor are what new processes would be: tied to it, with signals,
outputs and exit codes of their own.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from pipeline.receiver.server import Receiver
from pipeline.runtime.processes.forked import can_fork
from tests.kit.programs.run import Bench, children, ended, finished, has_ended, started, until

PROGRAM = """
import os, signal, sys, time
from pipeline.model.process.lifeline import Lifeline
from pipeline.model.process.stop import requested
from pipeline.runtime.processes.forked import fork

def stopped() -> int:
    while not requested():
        time.sleep(0.01)
    print("heard", os.getsid(0) == os.getpid(), sys.stdin.read() == "")
    return 7

def failing() -> int:
    raise ValueError("of the member")

line, members = Lifeline(), []
for work in (stopped, stopped, failing):
    members.append(fork(work, line, members, reads=False))
"""
ENDS = """
members[0].send_signal(signal.SIGTERM)
members[1].send_signal(signal.SIGKILL)
print([(member.wait(), member.stdout.read()) for member in members])
members[0].send_signal(signal.SIGKILL)
"""
STAYS = """
print(members[0].pid, members[1].pid, flush=True)
time.sleep(60)
"""


def test_a_fork_hears_its_first_signal_and_exits_with_its_code():
    out, err = finished(sys.executable, "-c", PROGRAM + ENDS)
    assert out == f"[(7, b'heard True True\\n'), ({-signal.SIGKILL}, b''), (1, b'')]\n"
    assert err.endswith("ValueError: of the member\n")


def test_forks_end_with_the_process_that_forked_them():
    with started(sys.executable, "-c", PROGRAM + STAYS) as starter:
        assert starter.stdout is not None
        pids = [*map(int, starter.stdout.readline().split())]
        assert not any(map(has_ended, pids))
        starter.kill()
        until(lambda: all(map(has_ended, pids)))


def test_beside_a_thread_nothing_is_forked():
    over = threading.Event()
    beside = threading.Thread(target=over.wait)
    beside.start()
    try:
        assert not can_fork()
    finally:
        over.set()
        beside.join()


@pytest.mark.parametrize("flags", [(), ("--restart",)], ids=["once", "with restarts"])
def test_the_first_launch_of_a_job_forks_its_members_and_a_later_one_starts_them(
    tmp_path: Path, receiver: Receiver, flags: tuple[str, ...]
):
    bench = Bench(tmp_path, environment={"PYTHONFAULTHANDLER": "1"})  # no forge: as a user starts it
    bench.webhook("w", receiver.url("/w"))
    bench.append({"id": "e0"})

    def words(pid: int) -> bytes:
        return Path(f"/proc/{pid}/cmdline").read_bytes()

    with bench.started("--follow", "--processes", "2", *flags) as job:
        until(lambda: receiver.requests)
        forked = children(job.pid)
        assert [words(pid) for pid in forked] == [words(job.pid)] * 2
        if flags:
            os.kill(forked[0], signal.SIGKILL)
            bench.append({"id": "e1"})
            until(lambda: any(b"e1" in request.body for request in receiver.requests))
            assert all(b"--member" in words(pid) for pid in children(job.pid))
        job.send_signal(signal.SIGTERM)
        ended(job)
    assert bench.counts("w")["delivered"] == 1 + bool(flags)
