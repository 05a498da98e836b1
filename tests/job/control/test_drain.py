"""When a source may end, and until when what is owed may still be sent: no job, no engine, a manual clock."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field
from typing import Any

from pipeline.job.control.drain import Drain


@dataclass
class Engine:
    drained: bool = False
    begun: list[float] = field(default_factory=list)
    """Deadlines, in seconds from when they were given."""
    calls: list[str] = field(default_factory=list)
    drained_for: float | None = None

    def begin_drain(self, deadline_secs: float) -> None:
        self.begun.append(deadline_secs)

    def is_drained(self) -> bool:
        return self.drained

    def drain(self, deadline_secs: float) -> bool:
        self.calls.append("drain")
        self.drained_for = deadline_secs
        return True

    def stop(self) -> None:
        self.calls.append("stop")


@dataclass
class Shard:
    waits_for_commit: bool = False


class Others:
    def __init__(self, drained: int = 0) -> None:
        self.drained = drained

    def are_drained(self, own: int, shards: int) -> bool:
        return own + self.drained >= shards


class Rig:
    """A process with some of the job's shards, reading these partitions."""

    def __init__(self, here: int = 2, shards: int = 2, others: Any = None) -> None:
        self.now = 1_000.0
        self.engine = Engine()
        self.drain = Drain(
            self.engine, shards, ["p0", "p1"], secs=30.0, stop_secs=5.0, others=others, clock=lambda: self.now
        )
        self.shards = [Shard() for _ in range(here)]
        for shard in self.shards:
            self.drain.opened(shard)

    def end(self, *partitions: str) -> None:
        for partition in partitions:
            for number in range(len(self.shards)):
                self.drain.ended(number, partition)


def test_a_source_waits_until_every_partition_has_ended_at_every_shard() -> None:
    rig = Rig()
    rig.engine.drained = True
    rig.end("p0")
    rig.drain.ended(0, "p1")
    assert not rig.drain.is_drained()
    assert rig.engine.begun == []  # and no deadline runs yet
    rig.drain.ended(1, "p1")
    assert rig.drain.is_drained()


def test_a_source_waits_for_the_engine_and_for_rows_that_only_a_commit_brings_back() -> None:
    rig = Rig()
    rig.end("p0", "p1")
    assert not rig.drain.is_drained()
    rig.engine.drained = True
    rig.shards[1].waits_for_commit = True
    assert not rig.drain.is_drained()
    rig.shards[1].waits_for_commit = False
    assert rig.drain.is_drained()


def test_the_deadline_runs_from_the_first_question_and_ends_the_waiting() -> None:
    rig = Rig()
    rig.end("p0", "p1")
    assert rig.drain.left_secs == math.inf
    assert not rig.drain.is_drained()
    rig.now += 29.5
    assert not rig.drain.is_drained()
    assert rig.drain.left_secs == 0.5
    rig.now += 0.5
    assert rig.drain.is_drained()
    assert rig.engine.begun == [30.0]


def test_a_signal_ends_the_source_before_its_end_and_shortens_the_deadline() -> None:
    rig = Rig()
    rig.end("p0", "p1")
    assert not rig.drain.is_drained()
    rig.drain.stopping = True
    assert not rig.drain.is_drained()
    assert rig.engine.begun == [30.0, 5.0]
    rig.now += 5.0
    assert rig.drain.is_drained()


def test_a_signal_late_in_a_drain_does_not_lengthen_it() -> None:
    rig = Rig()
    rig.end("p0", "p1")
    rig.drain.is_drained()
    rig.now += 28.0
    rig.drain.stopping = True
    rig.drain.is_drained()
    assert rig.engine.begun == [30.0]
    rig.now += 2.0
    assert rig.drain.is_drained()


def test_a_signal_in_the_middle_of_the_input_leaves_no_shard_drained_before_the_deadline() -> None:
    rig = Rig()
    rig.engine.drained = True
    rig.drain.stopping = True
    assert not rig.drain.is_drained()
    rig.now += 5.0
    assert rig.drain.is_drained()


def test_one_process_of_several_waits_for_the_others() -> None:
    others = Others()
    rig = Rig(here=2, shards=3, others=others)
    rig.engine.drained = True
    rig.end("p0", "p1")
    assert not rig.drain.is_drained()
    others.drained = 1
    assert rig.drain.is_drained()


def test_without_a_shard_here_nothing_is_drained() -> None:
    rig = Rig(here=0)
    rig.engine.drained = True
    assert rig.drain.drained_shards() == 0


def test_the_engine_ends_once_however_many_shards_a_worker_has() -> None:
    rig = Rig()
    rig.end("p0", "p1")
    rig.drain.is_drained()
    rig.now += 10.0
    rig.drain.finish()
    rig.drain.finish()
    assert rig.engine.calls == ["drain", "stop"]
    assert rig.engine.drained_for == 20.0  # what is left of the deadline
    assert rig.drain.finished


def test_what_is_owed_is_not_drained_beyond_the_deadline() -> None:
    rig = Rig()
    rig.end("p0", "p1")
    rig.drain.is_drained()
    rig.now += 99.0
    rig.drain.finish()
    assert rig.engine.drained_for == 0.0


def test_of_several_workers_the_last_one_at_its_end_ends_the_engine() -> None:
    rig = Rig(here=1)
    opened = threading.Event()

    def work() -> None:
        rig.drain.opened(Shard())
        opened.set()
        rig.drain.finish()

    other = threading.Thread(target=work)
    other.start()
    opened.wait()
    rig.drain.finish()  # the first of the two returns when the engine has ended
    assert rig.engine.calls == ["drain", "stop"]
    other.join()
