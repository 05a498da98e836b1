"""When a source wants to be polled again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pipeline.job.control.doze import DOZES_AFTER_SECS, Doze
from pipeline.job.control.pace import Pace
from pipeline.job.control.rest import IDLE_AFTER_SECS, MUCH, Rest
from pipeline.job.steps.source import AT_ONCE, SourcePartition
from pipeline.sources.chunk import NOWHERE, Position, RawChunk
from pipeline.sources.reader import GATHER_SECS, BaseReader, Reader
from tests.kit.delivery.engine import RecordingEngine
from tests.kit.streams.source import open_partition


def looked(reader: object, *, gave: bool, skew: object = None) -> SourcePartition:
    """Return a partition that was polled just now, by a worker that does not rest."""
    partition = SourcePartition.__new__(SourcePartition)
    partition.reader, partition.gave = cast(Reader, reader), gave
    partition.looked, partition.idle_since = True, None
    partition.rest = Rest(lambda: False, RecordingEngine())
    partition.pace, partition.polled_at, partition.ended_at = cast(Pace, SimpleNamespace(skew=skew)), 1.0, 0.0
    return partition


@pytest.mark.parametrize(
    ("reader", "gave", "soon"),
    [
        (BaseReader(), False, False),
        (SimpleNamespace(expects_answer=False), False, False),
        (SimpleNamespace(expects_answer=True), True, False),
        (SimpleNamespace(expects_answer=True), False, True),
    ],
)
def test_an_answer_that_is_due_is_looked_for_before_the_next_millisecond(
    reader: BaseReader | SimpleNamespace, gave: bool, soon: bool
) -> None:
    partition = looked(reader, gave=gave)
    before = datetime.now(UTC)
    at = partition.next_awake()
    assert (at is not None) is soon
    if at is not None:
        assert before < at < datetime.now(UTC) + timedelta(milliseconds=1)


def test_a_source_is_polled_less_often_when_nothing_has_come_for_long() -> None:
    partition = looked(BaseReader(), gave=False)
    assert partition.next_awake() is None
    assert partition.idle_since is not None
    partition.idle_since -= IDLE_AFTER_SECS
    at = partition.next_awake()
    assert at is not None
    assert at < datetime.now(UTC) + timedelta(seconds=0.012)
    partition.gave = True
    assert partition.next_awake() is None
    partition.gave = False
    assert partition.next_awake() is None


class Silent(BaseReader):
    """A reader of which nothing comes."""

    name: str = "a"
    done: bool = False
    position: Position = NOWHERE

    def read(self, limit: int) -> None:
        return None


def test_a_worker_that_rests_sleeps_in_the_poll_after_a_commit_too(tmp_path: Path) -> None:
    partition = open_partition("a", Silent(), tmp_path)
    partition.rest = Rest(lambda: True, RecordingEngine(), sleep=lambda secs: None)
    while not partition.rest.resting:
        partition.next_batch()
    partition.snapshot()
    assert partition.next_batch() == []
    assert partition.next_awake() == AT_ONCE
    partition.close()


def test_a_worker_that_may_not_rest_looks_less_often_while_little_comes() -> None:
    partition, reader = looked(BaseReader(), gave=True), BaseReader()
    chunk = RawChunk("a", "a", [0], [b"x"], NOWHERE)
    for lines, pauses in ((MUCH, False), (1, False), (1, True), (0, True), (MUCH, False)):
        for _ in range(2):
            assert partition.rest.may_look("a", cast(Reader, reader))
            took = RawChunk("a", "a", [*range(lines)], chunk.lines * lines, NOWHERE) if lines else None
            partition.rest.took(took, hurry=False)
        at = partition.next_awake()
        assert (at is not None) is pauses
        if at is not None:
            assert at <= datetime.now(UTC) + timedelta(seconds=GATHER_SECS)
    partition.looked = False  # the engine is busy, the disk full
    assert partition.next_awake() is None


def test_in_a_backlog_and_in_silence_the_last_poll_of_an_epoch_lets_the_processes_end_it_unasked() -> None:
    now = 10.0
    partition = looked(
        BaseReader(), gave=True, skew=SimpleNamespace(pause_secs=lambda since: 0.03 * (since >= 1))
    )
    doze = Doze(clock=lambda: now, allow=lambda secs: None)
    partition.rest = Rest(lambda: False, RecordingEngine(), doze=doze)

    def is_left_alone(lines: int) -> bool:
        nonlocal now
        for _ in range(2):
            assert partition.rest.may_look("a", partition.reader)
            took = RawChunk("a", "a", [*range(lines)], [b"x"] * lines, NOWHERE) if lines else None
            partition.rest.took(took, hurry=False)
            partition.rest.walks(1 if lines else 0)
        partition.gave = lines > 0
        partition.polled_at = partition.ended_at + 0.9
        assert not partition.next_awake() or lines < MUCH, "the epoch goes on"
        partition.polled_at += 0.1
        before = datetime.now(UTC)
        at = partition.next_awake()
        now += DOZES_AFTER_SECS
        return at is not None and at >= before + timedelta(seconds=0.03)

    assert is_left_alone(MUCH)
    assert is_left_alone(1), "the last lines of a block are few"
    assert not is_left_alone(1), "what comes now would be late"
    assert is_left_alone(0)
    assert not is_left_alone(1)
    partition.pace = Pace(1.0)
    assert not is_left_alone(MUCH), "the only process ends it itself"
