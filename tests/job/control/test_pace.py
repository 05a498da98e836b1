"""What a source takes at once where commits are slow."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.job.control.failure import Failure
from pipeline.job.control.pace import ENDING_SECS, MAX_CHUNKS, OVERDUE_SECS, SPELL, START_CHUNKS, Pace
from pipeline.job.control.pressure import Pressure
from pipeline.job.control.pulse import Pulse
from pipeline.job.steps.shard_step import ShardStep
from tests.kit.delivery.engine import RecordingEngine
from tests.kit.machine.clock import HandClock


class Epochs:
    """Epochs of a job whose source always has more."""

    def __init__(self, epoch_secs: float = 1.0) -> None:
        self.clock = HandClock()
        self.pace = Pace(epoch_secs, self.clock)

    def one(self, commit_secs: float, work_secs: float = 0.001, more: bool = True) -> int:
        """Read, work and commit once; return how many chunks were read."""
        allowed = self.pace.chunks()
        self.pace.read(allowed, all_allowed=more)
        self.clock.now += work_secs * allowed
        for _ in range(3):  # shards
            self.pace.committing()
            self.clock.now += commit_secs / 3
        self.pace.committed()
        self.pace.committed()  # another partition
        return allowed


def test_where_commits_are_fast_chunks_are_read_one_by_one():
    epochs = Epochs()
    assert [epochs.one(0.4) for _ in range(10)] == [1] * 10


def test_after_a_slow_commit_more_is_read_at_once_until_that_is_enough():
    epochs = Epochs()
    assert [epochs.one(1.5, more=more) for more in (True, True, True, False, False)] == [1, 6, 12, 24, 24]
    assert epochs.one(0.1) == 24
    assert [epochs.one(0.1), epochs.pace.chunks()] == [1, 1]


def test_an_engine_that_does_not_keep_up_halves_it():
    epochs = Epochs()
    for _ in range(4):
        epochs.one(1.5)
    allowed = epochs.pace.chunks()
    epochs.pace.engine_was_busy()
    assert epochs.pace.chunks() == allowed // 2
    for _ in range(10):
        epochs.pace.engine_was_busy()
    assert epochs.pace.chunks() == 1


def test_no_more_is_read_than_is_worked_through_while_a_commit_takes_as_long_again():
    epochs = Epochs()
    for _ in range(12):
        epochs.one(2.0, work_secs=0.1)
    assert epochs.one(2.0, work_secs=0.1) == 20
    for _ in range(12):
        epochs.one(60.0, work_secs=0.0)
    assert epochs.pace.chunks() == MAX_CHUNKS


def test_a_spell_of_slow_commits_is_told_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    epochs = Epochs()
    for _ in range(SPELL - 1):
        epochs.one(0.6)
    epochs.one(0.1)
    assert not caplog.records
    for _ in range(10):
        epochs.one(0.6)
    for _ in range(10 * SPELL + 1):
        epochs.one(0.1)
    said = [record.getMessage() for record in caplog.records]
    assert [text.split(":")[0] for text in said] == [
        "commits take more than half of each epoch",
        "commits are fast again",
    ]


def test_short_epochs_blame_no_disk_for_a_blink():
    epochs = Epochs(epoch_secs=0.05)
    assert [epochs.one(0.09) for _ in range(5)] == [1] * 5


def test_a_slow_commit_under_way_is_the_reason_why_the_source_waits():
    epochs = Epochs()
    pressure = Pressure(RecordingEngine().busy, Path("/"), 0, pace=epochs.pace, clock=epochs.clock)
    epochs.pace.committing()
    assert pressure.paused() is None
    epochs.clock.now += 0.6
    assert pressure.paused() == "commit"
    epochs.pace.committed()
    assert pressure.paused() is None
    assert epochs.pace.commit_secs == pytest.approx(0.6)
    assert epochs.pace.chunks() == START_CHUNKS


def test_an_epoch_is_about_to_end_shortly_before_its_time_is_over() -> None:
    epochs = Epochs()
    assert not epochs.pace.is_ending()
    epochs.one(0.3)
    epochs.clock.now += 0.7 - ENDING_SECS - 0.001
    assert not epochs.pace.is_ending()
    epochs.clock.now += 0.002
    assert epochs.pace.is_ending()
    epochs.clock.now += OVERDUE_SECS
    assert not epochs.pace.is_ending()
    epochs.one(0.3)
    assert not epochs.pace.is_ending()


def test_a_process_that_polls_no_source_does_not_wait_for_its_last_commit_for_ever():
    clock, pulse = HandClock(), Pulse(1.0)
    pace, nothing = Pace(1.0, clock), SimpleNamespace()
    nothing.release = lambda: None
    nothing.snapshot = lambda shard: None
    here: Any = nothing
    shard: Any = SimpleNamespace(number=0, store=SimpleNamespace(seq=1, run_of=lambda seq: ""))
    step = ShardStep(
        None, here, here, here, here, here, Failure(), pulse, pace, here, here, here, shard=shard
    )  # fmt: skip
    step.snapshot()
    clock.now += 5
    assert not pace.is_slow()
    pulse.polled("p")  # here its source says when it is over
    step.snapshot()
    clock.now += 5
    assert pace.is_slow()
