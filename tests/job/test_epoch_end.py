"""The end of an epoch: which snapshots Bytewax asks for, and what the shards make of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSink, cluster_main

from pipeline.job.control.failure import Failure
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import Rest
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.shard_step import ShardStep
from pipeline.model.errors import Fatal
from pipeline.model.process.threads import stay_known
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.counters import Counters
from pipeline.outbox.dead_letters import DeadLetters
from pipeline.outbox.handover import Request
from pipeline.store.rows import Table
from pipeline.store.store import Store, commit_thread
from tests.kit.delivery.copying import HandCopier
from tests.kit.delivery.engine import RecordingEngine

KEYS = 8
EPOCHS = 12


class Numbers(FixedPartitionedSource[list[int], int]):
    """Gives some keys something to do, each poll others; many epochs end meanwhile."""

    def list_parts(self) -> list[str]:
        return ["one"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> StatefulSourcePartition:
        return Part()


class Part(StatefulSourcePartition[list[int], int]):
    def __init__(self) -> None:
        self.polls = self.epochs = 0

    def next_batch(self) -> list[list[int]]:
        self.polls += 1
        if self.epochs >= EPOCHS:
            raise StopIteration
        return [[key for key in range(KEYS) if (self.polls // (key + 1)) % 3 == 0]]

    def snapshot(self) -> int:
        self.epochs += 1
        return self.polls


@pytest.mark.parametrize("workers", [1, 2])
def test_bytewax_asks_all_keys_that_it_called_and_no_others_with_nothing_in_between(tmp_path, workers):
    """What `EpochEnd` goes by."""
    calls: list[tuple[str, int, int]] = []

    class Noting(StatefulBatchLogic[int, int, int]):
        key = -1

        def note(self, what: str) -> None:
            calls.append((what, self.key, threading.get_ident()))

        def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
            self.key = values[0]
            self.note("called")
            return list(values), self.RETAIN

        def on_notify(self) -> tuple[list[int], bool]:
            self.note("called")
            return [], self.RETAIN

        def notify_at(self) -> datetime | None:
            return datetime.now(UTC) + timedelta(milliseconds=self.key + 1)

        def on_eof(self) -> tuple[list[int], bool]:
            self.note("called")
            return [], self.RETAIN

        def snapshot(self) -> int:
            self.note("asked")
            return 0

    flow = Dataflow("ends")
    numbers = op.flat_map("flat", op.input("in", flow, Numbers()), lambda keys: [(str(k), k) for k in keys])
    op.output("out", op.stateful_batch("note", numbers, lambda _: Noting()), TestingSink([]))
    init_db_dir(tmp_path, 1)
    recovery = RecoveryConfig(str(tmp_path))
    cluster_main(
        flow, [], 0, worker_count_per_proc=workers, epoch_interval=timedelta(milliseconds=5),
        recovery_config=recovery,
    )  # fmt: skip
    for thread in {thread for _, _, thread in calls}:
        ours = [(what, key) for what, key, by in calls if by == thread]
        runs = [(what, [key for _, key in run]) for what, run in groupby(ours, key=lambda call: call[0])]
        assert [what for what, _ in runs] == ["called", "asked"] * (len(runs) // 2)
        assert len(runs) > 6
        for (_, called), (_, asked) in zip(runs[::2], runs[1::2], strict=True):
            assert sorted(asked) == sorted(set(called))


def test_the_shards_of_each_worker_commit_together_also_on_threads_that_bytewax_begins(tmp_path):
    """Python forgets what such a thread keeps for itself, unless it stays known."""
    done: dict[int, list[str]] = {}

    class Known(Numbers):
        def list_parts(self) -> list[str]:
            stay_known()
            return super().list_parts()

    class Committing(StatefulBatchLogic[int, int, int]):
        shard: Shard | None = None

        def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
            if self.shard is None:
                self.shard = Shard(values[0], done.setdefault(threading.get_ident(), []))
            epoch_end.calls(self.shard)
            return [], self.RETAIN

        def snapshot(self) -> int:
            assert self.shard is not None
            self.shard.done.append(f"asked {self.shard.number}")
            epoch_end.snapshot(self.shard)
            return 0

    epoch_end = alone()
    flow = Dataflow("ends")
    numbers = op.flat_map("flat", op.input("in", flow, Known()), lambda keys: [(str(k), k) for k in keys])
    op.output("out", op.stateful_batch("commit", numbers, lambda _: Committing()), TestingSink([]))
    init_db_dir(tmp_path, 1)
    cluster_main(
        flow, [], 0, worker_count_per_proc=2, epoch_interval=timedelta(milliseconds=5),
        recovery_config=RecoveryConfig(str(tmp_path)),
    )  # fmt: skip
    assert len(done) == 2
    for of_worker in done.values():
        runs = [list(run) for _, run in groupby(of_worker, key=lambda what: what.startswith("begin"))]
        assert max(len(run) for run in runs[1::2]) > 1, "several begin before any of them ends"


class Walking:
    """Chunks on their way to the only worker's shards; `release` notes that what follows is a commit."""

    def __init__(self) -> None:
        self.items: list[int] = []
        self.begun = 0
        self.committing = False

    @property
    def all_arrived(self) -> bool:
        return not self.items

    def release(self) -> None:
        self.begun += 1
        self.committing = True


@pytest.mark.parametrize("partitions", [1, 3])
def test_bytewax_neither_polls_nor_calls_once_all_has_arrived_that_came_before_the_sources_snapshots(
    tmp_path: Path, partitions: int
) -> None:
    """What shards go by that begin to commit before they are asked for their snapshots; timers may run."""
    walking = Walking()
    names = [f"p{number}" for number in range(partitions)]
    epoch_end = EpochEnd(walking, names)
    done: list[str] = []

    class Closing(Part):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name
            self.polls = -int(name[1:])  # each gives others something to do
            self.is_new = False

        def next_batch(self) -> list[list[int]]:
            assert not walking.committing
            if self.is_new:
                self.is_new = False
                epoch_end.opens()
            batch = super().next_batch()
            walking.items.extend(batch[0])
            return batch

        def snapshot(self) -> int:
            if self.epochs < EPOCHS - 1 and epoch_end.closes(self.name):
                epoch_end.arrived()
            self.is_new = True
            return super().snapshot()

    class Source(Numbers):
        def list_parts(self) -> list[str]:
            stay_known()
            return names

        def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Closing:
            return Closing(for_part)

    class Committing(StatefulBatchLogic[int, int, int]):
        shard: Shard | None = None

        def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
            if self.shard is None:
                self.shard = Shard(values[0], done)
            epoch_end.calls(self.shard)  # fails where they have begun
            for value in values:
                walking.items.remove(value)
            epoch_end.arrived()
            return [], self.RETAIN

        def on_notify(self) -> tuple[list[int], bool]:
            assert self.shard is not None
            epoch_end.wakes(self.shard)
            return [], self.RETAIN

        def notify_at(self) -> datetime | None:
            assert self.shard is not None
            return datetime.now(UTC) + timedelta(milliseconds=self.shard.number % 3)

        def snapshot(self) -> int:
            assert self.shard is not None
            epoch_end.snapshot(self.shard)
            walking.committing = False
            return 0

    flow = Dataflow("ends")
    numbers = op.flat_map("flat", op.input("in", flow, Source()), lambda keys: [(str(k), k) for k in keys])
    op.output("out", op.stateful_batch("commit", numbers, lambda _: Committing()), TestingSink([]))
    init_db_dir(tmp_path, 1)
    cluster_main(
        flow, [], 0, epoch_interval=timedelta(milliseconds=5), recovery_config=RecoveryConfig(str(tmp_path))
    )
    assert walking.begun >= EPOCHS - 1


class Shard:
    """Notes what is done with it, with all others in one list."""

    def __init__(self, number: int, done: list[str]) -> None:
        self.number = number
        self.done = done

    def collect(self) -> None:
        self.done.append(f"collect {self.number}")

    def begin_commit(self) -> None:
        self.done.append(f"begin {self.number}")

    def end_commit(self) -> None:
        self.done.append(f"end {self.number}")


def alone() -> EpochEnd:
    """Return that of a worker that has all shards and the only partition."""
    return EpochEnd(Rest(lambda: True, RecordingEngine()), ["p"])


def test_the_first_shard_that_is_asked_commits_all_that_were_called() -> None:
    done: list[str] = []
    one, two, three = (Shard(number, done) for number in (1, 2, 3))
    epoch_end = alone()
    for shard in (one, two, one):
        epoch_end.calls(shard)
    epoch_end.snapshot(two)
    assert done == ["collect 1", "collect 2", "begin 1", "begin 2", "end 1", "end 2"]
    epoch_end.snapshot(one)
    assert len(done) == 6
    epoch_end.calls(three)
    epoch_end.snapshot(three)
    assert done[6:] == ["collect 3", "begin 3", "end 3"]


def test_shards_begin_before_they_are_asked_and_one_that_has_woken_since_commits_with_them() -> None:
    done: list[str] = []
    one, two, three = (Shard(number, done) for number in (1, 2, 3))
    epoch_end = alone()
    for shard in (one, two):
        epoch_end.calls(shard)
    assert not epoch_end.arrived()
    assert epoch_end.closes("p")
    assert epoch_end.arrived()
    assert done == ["collect 1", "collect 2", "begin 1", "begin 2"]
    assert not epoch_end.arrived()
    assert not epoch_end.wakes(three)
    assert not epoch_end.wakes(two)
    epoch_end.snapshot(one)
    assert done[4:] == ["collect 3", "begin 3", "end 1", "end 2", "end 3"]
    for shard in (three, two):
        epoch_end.snapshot(shard)
    assert len(done) == 9
    assert epoch_end.wakes(two)
    epoch_end.snapshot(two)
    assert done[9:] == ["collect 2", "begin 2", "end 2"]


def test_shards_begin_once_the_last_partition_has_ended_the_epoch_and_all_has_arrived() -> None:
    done: list[str] = []
    rest = Rest(lambda: True, RecordingEngine())
    epoch_end = EpochEnd(rest, ["p", "q"])
    shard = Shard(1, done)
    for _ in range(2):
        epoch_end.calls(shard)
        assert not epoch_end.closes("p")
        assert not epoch_end.arrived(), "the other one may be polled yet"
        rest.walks(1)
        assert epoch_end.closes("q")
        assert not epoch_end.arrived(), "something is on its way"
        rest.walks(-1)
        assert epoch_end.arrived()
        epoch_end.snapshot(shard)
    epoch_end.closes("p")
    epoch_end.closes("q")
    epoch_end.opens()
    assert not epoch_end.arrived(), "the next epoch is read"
    assert not epoch_end.closes("q"), "it is one ahead of the other one"


def test_shards_of_a_worker_that_reads_not_all_partitions_wait_until_they_are_asked() -> None:
    epoch_end = EpochEnd(Rest(lambda: True, RecordingEngine()), ["p", "q"])
    for _ in range(2):
        assert not epoch_end.closes("p")
        assert not epoch_end.arrived()


def test_a_shard_that_is_called_while_it_commits_ends_the_job() -> None:
    done: list[str] = []
    one, two = (Shard(number, done) for number in (1, 2))
    epoch_end = alone()
    epoch_end.calls(one)
    epoch_end.begin()
    for shard in (one, two):
        with pytest.raises(Fatal, match="without a snapshot of the shards 1"):
            epoch_end.calls(shard)
    assert done == ["collect 1", "begin 1"]


def test_a_shard_that_wakes_while_others_commit_does_nothing_until_they_have() -> None:
    done: list[str] = []
    step = ShardStep.__new__(ShardStep)
    step.pulse, step.epoch_end, step.rest = Pulse(1.0), alone(), Rest(lambda: True, RecordingEngine())
    step.failure, step.eof = Failure(), False
    step.settings = cast(Any, SimpleNamespace(epoch_secs=60.0))
    other, step.shard = Shard(1, done), cast(Any, Shard(2, done))  # whatever it is told to do would fail
    step.epoch_end.calls(other)
    step.epoch_end.begin()
    assert step.on_notify() == ((), step.RETAIN)
    soon = step.notify_at()
    assert soon is not None
    assert soon < datetime.now(UTC) + timedelta(seconds=1)
    step.epoch_end.snapshot(other)
    assert done == ["collect 1", "begin 1", "collect 2", "begin 2", "end 1", "end 2"]


class Dying:
    """A shard with a store: each chunk of it is a dead letter, and each epoch's end another one."""

    is_prepared, unprepared, number = True, 0, 1

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder, thread=commit_thread())
        self.counters = Counters(self.store)
        self.copier = HandCopier(is_done=True)
        self.dead_letters = DeadLetters(self.store, self.counters, copier=self.copier)
        self.outbox = self
        self.letters = 0

    def work(self, chunk: object) -> None:
        self.letters += 1
        request = Request(key=b"w\0%d" % self.letters, created_ms=0)
        self.dead_letters.add(DeadLetter(kind="record", reason="why", dead_ms=0, request=request))

    def hand_over(self) -> None:
        pass

    def collect(self) -> None:
        self.work(None)
        self.counters.flush()
        self.store.complete()

    def begin_commit(self) -> None:
        self.store.begin_commit()

    def end_commit(self) -> None:
        self.store.end_commit()


def test_what_dies_in_a_chunk_after_which_its_shard_commits_is_copied_once(tmp_path: Path) -> None:
    dying = Dying(tmp_path)
    step = ShardStep.__new__(ShardStep)
    step.rest, step.failure = Rest(lambda: True, RecordingEngine()), Failure()
    step.epoch_end = EpochEnd(step.rest, ["p"])
    step.shard = cast(Any, dying)
    for _ in range(2):
        step.rest.walks(1)
        step.epoch_end.closes("p")
        step.on_batch([cast(Any, SimpleNamespace(is_last=False))])
        step.epoch_end.snapshot(cast(Any, dying))
    assert dying.store.seq == 2, "both have begun with the chunk"
    # The fourth died at the second epoch's end.
    assert dying.copier.keys == [b"w\0001", b"w\0002", b"w\0003"]
    # That the second and third are copied is written in the next one.
    assert [key for key, _ in dying.store.items(Table.COPIES)] == [b"w\0002", b"w\0003", b"w\0004"]
    dying.store.close()


class Key:
    """Does the same for a key of identity."""

    def __init__(self, done: list[str]) -> None:
        self.done = done

    def begin_commit(self) -> int:
        self.done.append("begin key")
        return 7

    def end_commit(self) -> None:
        self.done.append("end key")


def test_a_key_of_identity_commits_while_the_shards_do_and_is_awaited_with_them() -> None:
    done: list[str] = []
    one, two = (Shard(number, done) for number in (1, 2))
    key = Key(done)
    epoch_end = alone()
    for _ in range(2):
        done.clear()
        epoch_end.calls(one)
        assert epoch_end.ahead(key) == 7
        assert done == ["begin key"]
        epoch_end.calls(two)  # a chunk was on its way
        epoch_end.snapshot(one)
        assert done == [
            "begin key",
            "collect 1",
            "collect 2",
            "begin 1",
            "begin 2",
            "end key",
            "end 1",
            "end 2",
        ]
        epoch_end.snapshot(two)


def test_a_key_of_identity_is_awaited_with_shards_that_have_begun_before_it() -> None:
    done: list[str] = []
    one, key, epoch_end = Shard(1, done), Key(done), alone()
    epoch_end.calls(one)
    epoch_end.begin()
    epoch_end.ahead(key)
    epoch_end.snapshot(one)
    assert done == ["collect 1", "begin 1", "begin key", "end key", "end 1"]


def test_a_key_of_identity_commits_by_itself_where_no_shard_may_be_asked_after_it() -> None:
    done: list[str] = []
    assert alone().ahead(Key(done)) == 7
    assert done == ["begin key", "end key"]


def test_a_key_of_identity_finds_that_all_shards_were_left_out() -> None:
    done: list[str] = []
    key, epoch_end = Key(done), alone()
    epoch_end.calls(Shard(1, done))
    epoch_end.ahead(key)
    with pytest.raises(Fatal, match="without a snapshot of the shards 1"):
        epoch_end.ahead(key)
    assert done == ["begin key"]


def test_a_snapshot_that_is_left_out_ends_the_job_before_anything_more_is_committed() -> None:
    done: list[str] = []
    one, two, three = (Shard(number, done) for number in (1, 2, 3))
    epoch_end = alone()
    for shard in (one, two):
        epoch_end.calls(shard)
    epoch_end.snapshot(one)
    with pytest.raises(Fatal, match="without a snapshot of the shards 2"):
        epoch_end.calls(one)
    with pytest.raises(Fatal, match="without a snapshot of the shards 2"):
        epoch_end.snapshot(three)
    assert len(done) == 6
