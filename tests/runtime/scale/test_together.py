"""Processes of one job begin, pause and end together, and no other job comes between them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.job.control.peers import Peers
from pipeline.job.steps.keys import shard_of
from pipeline.model.errors import StateError
from pipeline.model.process.exits import MEMBER_STOPPED, Exit
from pipeline.model.process.stop import forget, handled_by, listen
from pipeline.receiver.server import Receiver
from pipeline.runtime.processes import group
from pipeline.runtime.processes.group import Group, Team
from pipeline.runtime.processes.supervisor import run_group
from pipeline.runtime.state.directory import StateDirectory
from tests.kit.programs.jobs import ALTER, Cluster
from tests.kit.programs.run import Bench, children, ended, until

FEW_IN_MEMORY = {"pipeline.deliver.lanes.lane:MAX_ENTRIES": 150}
"""Less than the stream has: the rest goes by way of the disk, and comes back after commits only."""


def user_of(worker: int, shards: int = 4) -> str:
    """Return a user whose shard belongs to one of two workers."""
    return next(f"u{n}" for n in range(100) if shard_of(f"u:u{n}", shards) % 2 == worker)


def bench_of(folder: Path, receiver: Receiver, delivery: str = "") -> Bench:
    bench = Bench(folder, "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 4}")
    folder.mkdir(exist_ok=True)
    bench.webhook("w", receiver.url("/w"), delivery)
    return bench


@pytest.mark.parametrize("worker", [0, 1], ids=["with the source", "without a source"])
def test_a_recording_ends_when_the_process_that_has_all_the_users_has_sent_everything(
    folder: Path, receiver: Receiver, worker: int
):
    receiver.answer({"*": {"delay_secs": 0.01}})
    bench = bench_of(folder, receiver)
    bench.append(*({"id": f"e{n}", "user_id": user_of(worker)} for n in range(2500)))
    with Cluster(bench, 2, follow=False, before={ALTER: FEW_IN_MEMORY}) as job:
        job.ended(secs=25)  # the drain deadline is 30 s
    counts = bench.counts("w")
    assert (counts["delivered"], counts["pending"]) == (2500, 0)
    assert len(receiver.requests) == 2500


def test_a_clean_stop_cuts_no_request_off_although_not_all_can_be_sent_in_time(
    folder: Path, receiver: Receiver
):
    receiver.answer({"*": {"delay_secs": 0.5}})
    bench = bench_of(folder, receiver, "delivery: {concurrency: 8}\n")
    bench.append(*({"id": f"e{n}", "user_id": f"u{n}"} for n in range(150)))
    with Cluster(bench, 2) as job:
        until(lambda: len(receiver.requests) > 8)
        job.stop()
    counts = bench.counts("w")
    assert 0 < counts["delivered"] < counts["matched"] == 150
    assert counts["delivered"] == len(receiver.requests)
    receiver.answer({"*": [200]})
    bench.run()
    assert Counter(request.message_id for request in receiver.requests).most_common(1)[0][1] == 1
    assert len(receiver.requests) == 150


def test_the_source_waits_for_a_webhook_that_is_full_in_another_process(folder: Path, receiver: Receiver):
    receiver.answer({"*": "hang"})
    bench = bench_of(folder, receiver, "delivery: {max_pending: 400, on_full: pause, timeout: 60s}\n")
    bench.append(*({"id": f"e{n}", "user_id": user_of(1)} for n in range(8_000)))
    with Cluster(bench, 2) as job:
        until(lambda: bench.counts("w")["pending"] >= 100 or not job.runs())
        until(lambda: rests(bench))
        assert bench.status()["records"]["read"] < 8_000, "reading went on"
        receiver.answer({"*": [200]})
        receiver.hang_up()
        bench.hookline("outbox", "retry-now", "--webhook", "w")
        until(lambda: bench.counts("w")["delivered"] == 8_000)
        job.stop()


def rests(bench: Bench, secs: float = 0.6) -> bool:
    """Return whether nothing is read for some epochs."""
    before, deadline = bench.status()["records"]["read"], time.monotonic() + secs
    while time.monotonic() < deadline:
        if bench.status()["records"]["read"] != before:
            return False
    return True


def test_a_second_group_is_refused_and_the_first_goes_on(folder: Path, receiver: Receiver):
    bench = bench_of(folder, receiver)
    bench.append({"id": "e0"})
    with bench.running("--processes", 2):
        until(lambda: bench.counts("w")["delivered"] == 1)
        assert "in use by another job" in bench.refused(3, "--processes", 3)
        bench.append({"id": "e1"})
        until(lambda: bench.counts("w")["delivered"] == 2)


def test_a_group_that_is_stopped_while_it_starts_ends_well(folder: Path, receiver: Receiver):
    bench = bench_of(folder, receiver)
    bench.append({"id": "e0"})
    with bench.started("--follow", "--processes", 2) as job:
        until(lambda: len(children(job.pid)) >= 2)  # one may be what tries the config
        job.send_signal(signal.SIGTERM)
        ended(job, secs=20)


def test_a_stop_between_the_starts_of_two_members_reaches_both(monkeypatch: pytest.MonkeyPatch):
    members: list[subprocess.Popen[bytes]] = []

    def start_one(_command: list[str], **given: Any) -> subprocess.Popen[bytes]:
        sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
        members.append(subprocess.Popen(sleeping, **given))
        if len(members) == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return members[-1]

    fake = SimpleNamespace(Popen=start_one, DEVNULL=subprocess.DEVNULL, PIPE=subprocess.PIPE)
    monkeypatch.setattr(group, "subprocess", fake)
    over = threading.Event()
    threading.Thread(target=over.wait, daemon=True).start()  # as the one that shows the progress
    try:
        with handled_by(lambda number, frame: None):  # puts back what was there before `listen`
            listen()
            nothing = {"latency_ms": {"p50": 0.0, "p99": 0.0}, "events_seen": []}
            begun = time.monotonic()
            assert run_group(["run"], 2, restart=False) == (0, nothing)
            assert time.monotonic() - begun < 50
            assert [member.returncode for member in members] == [-signal.SIGTERM] * 2
    finally:
        over.set()
        forget()


def test_a_stop_while_the_members_wait_for_the_state_directory_ends_well(folder: Path, receiver: Receiver):
    bench = bench_of(folder, receiver)
    bench.append({"id": "e0"})
    held = StateDirectory(bench.state, shards=4)
    try:
        with bench.started("--follow", "--processes", 2) as job:
            until(lambda: len(children(job.pid)) >= 2)
            assert job.stderr is not None
            assert "waiting for the job" in job.stderr.readline()
            job.send_signal(signal.SIGTERM)
            ended(job, secs=20)
    finally:
        held.close()


def test_those_that_wait_for_a_member_that_was_stopped_before_it_joined_are_ended():
    waits = ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]
    members = [
        subprocess.Popen(command, stdout=subprocess.PIPE)
        for command in (waits, ["sh", "-c", f"exit {MEMBER_STOPPED}"])
    ]
    try:
        assert Group(Team("job", [], 2), [*members], stopping=True).wait() == 0
        assert members[0].returncode == -signal.SIGKILL
    finally:
        members[0].kill()


def test_one_that_lost_the_member_that_was_stopped_is_no_failure():
    """Kafka is waited for when they have found one another: who is stopped there is missed by the others."""
    commands = (["sh", "-c", f"exit {Exit.FATAL}"], ["sh", "-c", f"sleep 0.4; exit {MEMBER_STOPPED}"])
    members = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    assert Group(Team("job", [], 2), [*members], stopping=True).wait() == 0


def test_only_processes_of_one_name_share_a_state_directory(tmp_path: Path):
    one = StateDirectory(tmp_path, shards=2, job="a")
    other = StateDirectory(tmp_path, shards=2, job="a")
    for job in ("b", "ab", ""):
        with pytest.raises(StateError, match="in use by another job"):
            StateDirectory(tmp_path, shards=2, job=job)
    one.close()
    with pytest.raises(StateError, match="in use by another job"):
        StateDirectory(tmp_path, shards=2, job="b")
    other.close()
    StateDirectory(tmp_path, shards=2, job="b").close()
    StateDirectory(tmp_path, shards=2).close()


class TestPeers:
    def test_one_that_is_behind_pauses_the_others_but_not_itself(self, tmp_path: Path):
        a, b = (Peers(tmp_path, number, 2, "job") for number in range(2))
        assert not a.paused()
        b.report(behind=True, drained=0)
        assert (a.paused(), b.paused()) == (True, False)
        b.report(behind=False, drained=0)
        assert not a.paused()

    def test_the_job_is_drained_when_all_shards_are(self, tmp_path: Path):
        a, b = (Peers(tmp_path, number, 2, "job") for number in range(2))
        assert not a.are_drained(own=4, shards=8)
        b.report(behind=False, drained=4)
        assert a.are_drained(own=4, shards=8)
        assert not a.are_drained(own=0, shards=8)

    def test_what_an_earlier_start_left_is_not_believed(self, tmp_path: Path):
        Peers(tmp_path, 1, 2, "yesterday").report(behind=True, drained=0)
        assert not Peers(tmp_path, 0, 2, "today").paused()

    def test_nobody_waits_for_a_process_that_is_not_seen(self, tmp_path: Path):
        assert Peers(tmp_path, 0, 2, "job").are_drained(own=4, shards=8)


def test_a_group_whose_member_fails_while_another_still_starts_exits_as_the_failed_one():
    commands = (["sh", "-c", "exit 3"], ["sleep", "60"])  # what still starts is ended by the signal itself
    members = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    assert Group(Team("job", [], 2), [*members]).wait() == 3
