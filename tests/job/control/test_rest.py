"""A worker that has little to do: it gathers, sleeps, wakes the engine once, and never rests under load."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.job.control.pace import Pace
from pipeline.job.control.rest import (
    ANSWER_SECS,
    IDLE_AFTER_SECS,
    IDLE_SECS,
    LEAST_SHARE,
    MUCH,
    MUCH_BYTES,
    PAUSE,
    WALK_SECS,
    Rest,
)
from pipeline.sources.chunk import NOWHERE, Position, RawChunk
from pipeline.sources.reader import GATHER_SECS, BaseReader


@dataclass
class Source(BaseReader):
    """A reader that nobody reads: it says what it is told to, and notes how long it was listened to."""

    name: str = "a"
    done: bool = False
    position: Position = NOWHERE
    can_hear: bool = False
    still: list[bool] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)

    def is_still(self) -> bool:
        return self.still.pop(0) if self.still else False

    @property
    def hears(self) -> bool:
        return self.can_hear

    def hear(self, secs: float) -> None:
        self.heard.append(secs)

    def read(self, limit: int) -> RawChunk | None:
        return None


@dataclass
class Worker:
    """A worker with a clock of its own; `slept` is what it slept, `calls` what the engine was told."""

    alone: bool = True
    now: float = 100.0
    slept: list[float] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    reader: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        self.rest = Rest(lambda: self.alone, self, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, secs: float) -> None:
        self.slept.append(secs)
        self.now += secs

    def hold(self, *, few: bool) -> None:
        self.calls.append("hold" if few else "hold much")

    def release(self) -> None:
        self.calls.append("release")

    def look(self, lines: int = 0, *, size: int = 10, hurry: bool = False, of: str = "a") -> bool:
        """Poll a partition that has so many lines; they walk at once."""
        self.rest.polled()
        if not self.rest.may_look(of, self.reader):
            return False
        chunk = RawChunk(of, of, list(range(lines)), [b"x" * size] * lines, NOWHERE) if lines else None
        self.rest.took(chunk, hurry=hurry)
        if lines:
            self.rest.walks(1)
            self.rest.walks(-1)
        return True

    def looks(self, times: int, lines: int = 0, **more: Any) -> None:
        for _ in range(times):
            assert self.look(lines, **more)
        self.rest.polled()
        self.slept.clear()


def test_what_comes_singly_is_gathered() -> None:
    worker = Worker()
    worker.looks(3, 1)
    worker.now += 0.0005
    worker.look(1)
    assert worker.slept == [pytest.approx(GATHER_SECS - 0.0005)]


@pytest.mark.parametrize(("lines", "size"), [(MUCH, 10), (2, MUCH_BYTES)])
def test_under_load_it_never_sleeps_nor_for_the_last_lines_of_a_block(lines: int, size: int) -> None:
    worker = Worker()
    for each in (lines, lines, 1, lines, 3, lines):
        assert worker.look(each, size=size if each == lines else 10)
    assert worker.slept == []
    assert worker.calls == []


def test_load_that_comes_all_at_once_is_read_on_without_a_pause() -> None:
    worker = Worker()
    worker.looks(5, 1)
    worker.look(MUCH)
    worker.slept.clear()
    worker.looks(3, MUCH)
    assert worker.look(MUCH)
    assert worker.slept == []


def test_after_a_while_without_anything_it_sleeps_longer_and_the_first_record_ends_that() -> None:
    worker = Worker()
    worker.looks(3, 1)
    worker.looks(2)
    worker.now += 1.01 * IDLE_AFTER_SECS
    worker.looks(1)
    worker.look()
    assert worker.slept == [pytest.approx(IDLE_SECS)]
    worker.look(1)
    worker.slept.clear()
    worker.look()
    assert worker.slept == [pytest.approx(GATHER_SECS)]


def test_between_two_looks_of_an_idle_worker_others_only_ask_whether_there_is_anything() -> None:
    worker = Worker()
    worker.looks(3)
    worker.now += 1.01 * IDLE_AFTER_SECS
    worker.looks(1)
    worker.reader.still = [True, True, False, True]
    assert worker.rest.may_look("a", worker.reader)
    assert worker.slept == [pytest.approx(IDLE_SECS)] * 3
    assert worker.reader.still == [True], "asked until it is not certain"
    worker.rest.may_look("b", worker.reader)
    worker.slept.clear()
    worker.rest.may_look("a", worker.reader)
    assert len(worker.slept) == 1, "of two partitions each must be asked"


def test_after_nothing_and_after_a_record_that_came_alone_the_worker_listens_at_once() -> None:
    worker = Worker(reader=Source(can_hear=True))
    worker.looks(3, 2)
    worker.looks(1)
    worker.reader.heard.clear()
    for lines in (0, 1):
        worker.now += PAUSE * GATHER_SECS
        worker.look(lines)
    worker.look()
    assert worker.slept == []
    assert worker.reader.heard == [2 * GATHER_SECS] * 3
    worker.now += 1.01 * IDLE_AFTER_SECS
    worker.look()
    worker.look()
    assert worker.slept == [], "what comes after long is read at once"
    assert worker.reader.heard[-2:] == [IDLE_SECS] * 2


@pytest.mark.parametrize(("lines", "apart"), [(2, PAUSE), (1, 0.9)])
def test_nobody_listens_while_more_comes_than_one_record_in_the_time_of_gathering(
    lines: int, apart: float
) -> None:
    worker = Worker(reader=Source(can_hear=True))
    worker.looks(3, 2)
    worker.reader.heard.clear()
    for _ in range(3):
        worker.now += apart * GATHER_SECS
        worker.look(lines)
    assert worker.reader.heard == []


@pytest.mark.parametrize(("of", "lines", "hurry"), [("a", MUCH, False), ("ab", 0, False), ("a", 0, True)])
def test_nobody_listens_under_load_nor_to_one_of_several_nor_where_an_answer_is_due(
    of: str, lines: int, hurry: bool
) -> None:
    worker = Worker(reader=Source(can_hear=True))
    for _ in range(4):
        for partition in of:
            worker.looks(1, lines, hurry=hurry, of=partition)
    assert worker.reader.heard == []


def test_one_of_several_that_is_looked_at_twice_in_a_row_is_not_listened_to_while_others_wait() -> None:
    worker = Worker(reader=Source(can_hear=True))
    worker.looks(2)
    for partition in "abaa":
        worker.reader.heard.clear()
        worker.looks(1, of=partition)
    assert worker.reader.heard == []
    worker.looks(2)
    assert worker.reader.heard, "the other has ended"


def test_where_walks_take_long_less_is_gathered_so_that_nothing_waits_longer_for_both() -> None:
    worker = Worker()
    for walk, gathered in ((0.0002, 1.0), (0.0005, 0.7), (0.01, LEAST_SHARE)):
        for _ in range(80):
            worker.rest.may_look("a", worker.reader)
            worker.rest.took(RawChunk("a", "a", [0], [b"x"], NOWHERE), hurry=False)
            worker.rest.walks(1)
            worker.now += walk
            worker.rest.walks(-1)
            worker.rest.polled()
        worker.slept.clear()
        worker.rest.may_look("a", worker.reader)
        assert sum(worker.slept) + walk == pytest.approx(max(walk, GATHER_SECS * gathered), rel=0.02)


def test_what_never_arrives_holds_the_engine_up_no_longer_than_a_walk_takes() -> None:
    worker = Worker()
    worker.looks(3, 1)
    worker.calls.clear()
    worker.rest.may_look("a", worker.reader)
    worker.rest.took(RawChunk("a", "a", [0], [b"x"], NOWHERE), hurry=False)
    worker.rest.walks(2)
    worker.rest.walks(-1)
    assert not worker.rest.may_look("a", worker.reader)
    assert worker.calls == ["hold"]
    worker.now += 1.01 * WALK_SECS
    assert worker.rest.may_look("a", worker.reader)
    assert worker.calls == ["hold", "release"]


def test_an_answer_that_is_due_shortens_the_sleep() -> None:
    worker = Worker()
    worker.looks(3, hurry=True)
    worker.look()
    assert worker.slept == [pytest.approx(ANSWER_SECS)]


def test_several_partitions_are_one_round_with_one_sleep() -> None:
    worker = Worker()
    for _ in range(3):
        worker.looks(1, 1, of="a")
        worker.looks(1, 1, of="b")
    worker.look(1, of="a")
    worker.look(1, of="b")
    assert len(worker.slept) == 1


def test_while_several_partitions_are_idle_most_looks_only_ask_each_whether_it_is_still() -> None:
    worker = Worker()
    others = {"a": Source(), "b": Source()}

    def round_of_all() -> None:
        for of, worker.reader in others.items():
            worker.look(of=of)

    for _ in range(3):
        round_of_all()
    worker.now += IDLE_AFTER_SECS
    round_of_all()
    worker.slept.clear()
    others["a"].still, others["b"].still = [True] * 3, [True, True, False]
    round_of_all()
    assert worker.slept == [pytest.approx(IDLE_SECS)] * 3, "until one of them is not"
    assert others["a"].still == others["b"].still == []


def test_nothing_is_read_while_a_chunk_walks_and_the_engine_is_woken_once_by_the_poll_after_it() -> None:
    worker = Worker()
    worker.looks(3, 1)
    worker.calls.clear()
    assert worker.rest.may_look("a", worker.reader)
    worker.rest.took(RawChunk("a", "a", [1], [b"x"], NOWHERE), hurry=False)
    worker.rest.walks(1)
    assert not worker.rest.may_look("a", worker.reader)
    worker.rest.walks(2)  # select made one of it, identity three
    worker.rest.walks(-1)
    worker.rest.walks(-1)
    worker.rest.polled()
    assert not worker.rest.may_look("a", worker.reader)
    worker.rest.walks(-1)
    assert worker.calls == ["hold"]
    worker.rest.polled()
    assert worker.calls == ["hold", "release"]
    assert worker.rest.may_look("a", worker.reader)


def test_much_that_comes_after_a_pause_of_the_source_is_no_sign_that_the_worker_keeps_up() -> None:
    worker = Worker()
    worker.looks(3)
    worker.look(MUCH)
    assert worker.calls == ["hold much"]


def test_what_waits_for_the_next_poll_does_not_wait_for_a_commit_or_for_a_source_that_has_ended() -> None:
    for ends in (Rest.release, Rest.leave):
        worker = Worker()
        worker.looks(3)
        worker.look(1)
        assert worker.calls == ["hold"]
        ends(worker.rest)
        assert worker.calls == ["hold", "release"]


def test_what_arrives_after_the_end_of_a_source_is_not_held_up() -> None:
    worker = Worker()
    worker.looks(3)
    assert worker.rest.may_look("a", worker.reader)
    worker.rest.took(RawChunk("a", "a", [1], [b"x"], NOWHERE), hurry=False)
    worker.rest.walks(1)
    worker.rest.leave()
    assert worker.calls == ["hold", "release"]
    worker.rest.walks(-1)
    assert not worker.rest.resting


def test_a_chunk_that_is_held_up_by_a_commit_holds_up_no_source_for_long() -> None:
    worker = Worker()
    worker.looks(3, 1)
    worker.rest.walks(1)
    assert not worker.rest.may_look("a", worker.reader)
    worker.now += 1.01 * WALK_SECS
    assert worker.rest.may_look("a", worker.reader)


def test_a_worker_that_others_wait_for_never_rests() -> None:
    worker = Worker(alone=False)
    for _ in range(5):
        assert worker.look(1)
    assert worker.slept == []
    assert not worker.rest.resting


def test_a_source_of_a_resting_worker_is_polled_at_once_but_not_where_it_must_wait(tmp_path: Path) -> None:
    from pipeline.job.steps.source import AT_ONCE, SourcePartition

    worker = Worker()
    worker.looks(3)
    partition = SourcePartition.__new__(SourcePartition)
    partition.rest, partition.gave, partition.idle_since = worker.rest, False, None
    partition.reader = type("Reader", (), {"expects_answer": False})()
    partition.looked, partition.pace = True, Pace(1.0)
    assert partition.next_awake() is AT_ONCE
    assert datetime.now(UTC) > AT_ONCE
    partition.looked = False  # the engine is busy, the disk full
    assert partition.next_awake() is None


def test_all_has_arrived_only_where_nothing_walks_and_nobody_else_has_shards() -> None:
    worker = Worker()
    assert worker.rest.all_arrived
    worker.rest.walks(2)
    worker.rest.walks(-1)
    assert not worker.rest.all_arrived
    worker.rest.walks(-1)
    assert worker.rest.all_arrived
    worker.alone = False
    assert not worker.rest.all_arrived
