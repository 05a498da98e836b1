"""SIGKILL at random instants, and clean stops, over many epochs: nothing lost, little sent twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.programs.inprocess import run_flow
from tests.kit.programs.run import HOOKLINE, children, until
from tests.kit.receivers.receiver import Arrivals
from tests.recovery.failing import KILLED
from tests.recovery.killing import CONCURRENCY, Trial, make_stream, trial

pytestmark = pytest.mark.usefixtures("unsynced")

WEBHOOKS = ("plain", "joined", "flaky", "ordered")
DRAIN_SECS = 5.0


@pytest.fixture
def long_trial(receiver: Arrivals) -> Iterator[Trial]:
    with trial(receiver, epoch="1s", memory=1000) as found:
        yield found


def wait_for_arrivals(one: Trial, number: int) -> None:
    """Wait until so many more requests have come, or the job has ended."""
    wanted = len(one.receiver.arrivals) + number
    until(lambda: len(one.receiver.arrivals) >= wanted or one.process.poll() is not None, secs=60)


def check_all(one: Trial) -> None:
    """What came is what the same flow hands over in this process, where nothing ever dies."""
    sent, summary = run_flow(one.folder, shards=one.shards, state="undisturbed")
    outcome = one.outcome()
    assert outcome.requests.keys() == {id for id, _, _ in sent}, "lost"
    assert outcome.requests == {id: (url.removeprefix(one.receiver.url("")), body) for id, url, body in sent}
    assert summary is not None
    for webhook in WEBHOOKS:
        matched = summary["webhooks"][webhook]["matched"]
        assert outcome.counters[f"{webhook}/matched"] == outcome.counters[f"{webhook}/delivered"] == matched
    for name, number in summary["records"].items():
        assert outcome.counters[f"records/{name}"] == number
    one.check_order()


def kill_at_random(one: Trial, kills: int, seed: int, steps: tuple[int, int]) -> None:
    """Kill the job again and again after some more requests have come, then run it to the end."""
    dice = random.Random(seed)
    for _ in range(kills):
        since = one.receiver.accepted
        one.start()
        wait_for_arrivals(one, dice.randint(*steps))
        one.process.kill()
        if one.wait(since) != KILLED:
            break
    assert one.run() == 0, one.said()


@pytest.mark.parametrize(
    ("events", "kills", "steps"),
    [
        pytest.param(25_000, 5, (1, 8_500), id="short"),
        pytest.param(
            1_000_000, 120, (1, 15_000), id="long", marks=[pytest.mark.slow, pytest.mark.timeout(3600)]
        ),
    ],
)
def test_kills_at_random_instants_lose_nothing_and_repeat_only_what_was_unsettled(
    long_trial: Trial, tmp_path: Path, events: int, kills: int, steps: tuple[int, int]
) -> None:
    make_stream(tmp_path / "stream.jsonl", events, seed=events)
    long_trial.prepare(tmp_path / "stream.jsonl", WEBHOOKS)
    kill_at_random(long_trial, kills, random.randrange(2**32), steps)
    assert long_trial.kills >= kills * 0.7, "the stream was too short for so many kills"
    check_all(long_trial)
    duplicates = long_trial.duplicates()
    assert not set(duplicates) - long_trial.unsettled
    assert len(duplicates) <= long_trial.kills * len(WEBHOOKS) * CONCURRENCY
    print(f"{events} events, {long_trial.kills} kills, {len(duplicates)} duplicates, 0 lost")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_kills_of_one_member_or_of_all_of_a_job_of_two_processes_lose_nothing(
    long_trial: Trial, tmp_path: Path
) -> None:
    make_stream(tmp_path / "stream.jsonl", 30_000)
    long_trial.prepare(tmp_path / "stream.jsonl", WEBHOOKS)
    command = [str(HOOKLINE), *long_trial.words(), "--processes", "2"]
    dice = random.Random()
    for _ in range(12):
        since = long_trial.receiver.accepted
        with (tmp_path / "said").open("w") as said:
            group = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
        wanted = len(long_trial.receiver.arrivals) + dice.randint(1, 3_000)

        def is_time(group: subprocess.Popen[bytes] = group, wanted: int = wanted) -> bool:
            return len(long_trial.receiver.arrivals) >= wanted or group.poll() is not None

        until(is_time, secs=60)
        if group.poll() == 0:
            break  # how far it comes between two looks is luck
        if dice.random() < 0.5:
            os.killpg(group.pid, signal.SIGKILL)
        else:
            os.kill(dice.choice(children(group.pid)), signal.SIGKILL)
        assert group.wait(30) != 0
        long_trial.note_kill(since)
    assert long_trial.kills > 2, "the stream was too short"
    assert long_trial.run() == 0, "one process goes on where two were"
    check_all(long_trial)
    assert not set(long_trial.duplicates()) - long_trial.unsettled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_job_cleanly_and_the_next_run_goes_on_without_a_duplicate(
    long_trial: Trial, tmp_path: Path, number: signal.Signals
) -> None:
    make_stream(tmp_path / "stream.jsonl", 8_000)
    long_trial.prepare(tmp_path / "stream.jsonl", WEBHOOKS)
    for after in (200, 2_000):
        since = long_trial.receiver.accepted
        job = long_trial.start()
        wait_for_arrivals(long_trial, after)
        assert job.poll() is None, "the stream was too short"
        begun = time.monotonic()
        job.send_signal(number)
        assert long_trial.wait(since) == 0, long_trial.said()
        assert time.monotonic() - begun < DRAIN_SECS + 5
    assert long_trial.run() == 0, long_trial.said()
    assert long_trial.duplicates() == []
    check_all(long_trial)
