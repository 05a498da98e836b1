"""An epoch in which nothing happens lasts longer: its source polls itself until Bytewax has to turn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.job.control.lull import EMPTY_EPOCHS, MOST_SECS, Lull
from pipeline.job.control.rest import IDLE_AFTER_SECS, Rest
from pipeline.job.steps.source import SourcePartition
from pipeline.sources.chunk import NOWHERE, Position, RawChunk
from pipeline.sources.reader import BaseReader
from tests.kit.delivery.engine import RecordingEngine
from tests.kit.streams.source import open_partition


class Clock:
    """Seconds that pass as somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def begun(clock: Clock, *, epochs: int = EMPTY_EPOCHS, quiet: bool = True) -> Lull:
    """Return a lull in whose job nothing has come for so many epochs."""
    lull = Lull(lambda: quiet, clock)
    for _ in range(1 + epochs):
        lull.begins("here")
    return lull


def test_an_epoch_lasts_after_some_in_which_nothing_came_but_not_for_ever() -> None:
    clock = Clock()
    assert not begun(clock, epochs=EMPTY_EPOCHS - 1).lasts(wanted=False)
    lull = begun(clock)
    assert lull.lasts(wanted=False)
    clock.now += MOST_SECS - 0.1
    assert lull.lasts(wanted=False)
    clock.now += 0.2
    assert not lull.lasts(wanted=False)
    lull.begins("here")
    assert lull.lasts(wanted=False)


def test_none_lasts_while_something_is_owed() -> None:
    assert not begun(Clock(), quiet=False).lasts(wanted=False)


def test_what_has_come_begins_the_count_anew() -> None:
    lull = begun(Clock())
    for _ in range(EMPTY_EPOCHS):
        lull.begins("further")
        assert not lull.lasts(wanted=False)
    lull.begins("further")
    assert lull.lasts(wanted=False)


def test_an_epoch_that_was_interrupted_ends_as_usual() -> None:
    lull = begun(Clock())
    assert not lull.lasts(wanted=True)
    assert not lull.lasts(wanted=False)


class Silent(BaseReader):
    """A reader. After so many polls `then` is called, and if it ``brings`` one, a line comes."""

    name: str = "a"
    done: bool = False

    def __init__(self, *, brings: bool) -> None:
        self.position: Position = NOWHERE
        self.brings = brings
        self.polls = 0
        self.then: Callable[[], None] = lambda: None

    def read(self, limit: int) -> RawChunk | None:
        if self.polls:
            self.polls -= 1
            if not self.polls:
                self.then()
                if self.brings:
                    self.position = ("p", 1, ())
                    return RawChunk("a", "a", [0], [b"x"], self.position)
        return None


def idle(reader: Silent, place: Path, clock: Clock) -> SourcePartition:
    """Return the partition of a job in which nothing has happened for long, right after an epoch's end."""

    def sleep(secs: float) -> None:
        clock.now += secs

    partition = open_partition("a", reader, place)
    partition.rest = Rest(lambda: True, RecordingEngine(), clock=clock, sleep=sleep)
    while not partition.rest.idles:
        partition.rest.walks(-len(list(partition.next_batch())))
        clock.now += IDLE_AFTER_SECS / 4
    partition.rest.walks(1)
    assert not partition.rest.idles  # a poll would not wait while a chunk is in flight
    partition.rest.walks(-1)
    partition.lull = Lull(lambda: True, clock)
    for _ in range(EMPTY_EPOCHS):
        partition.snapshot()
        partition.next_batch()
    partition.snapshot()
    return partition


def test_a_partition_polls_itself_until_something_comes(tmp_path: Path) -> None:
    reader, clock = Silent(brings=True), Clock()
    partition = idle(reader, tmp_path, clock)
    before = clock.now
    assert partition.next_batch() == []
    assert clock.now - before == pytest.approx(MOST_SECS, abs=0.1)
    before = clock.now
    assert partition.next_batch() == []  # that epoch is over: Bytewax turns, and ends it
    assert clock.now - before < 0.1
    partition.snapshot()
    reader.polls, before = 50, clock.now
    ((_, chunk),) = partition.next_batch()
    assert chunk.raw is not None  # type: ignore[attr-defined]  # the kit's selection leaves chunks as they are
    assert 0.1 < clock.now - before < MOST_SECS / 2
    assert not partition.lull.lasts(wanted=False)
    partition.close()


@pytest.mark.parametrize("what", ["stop", "command", "version"])
def test_a_partition_that_polls_itself_hears_what_waits_for_bytewax(what: str, tmp_path: Path) -> None:
    reader, clock = Silent(brings=False), Clock()
    partition = idle(reader, tmp_path, clock)
    asked: list[bool] = []
    partition.are_asked = lambda: bool(asked)
    latest = partition.versions.latest

    def wants() -> None:
        if what == "stop":
            partition.drain.stopping = True
        elif what == "command":
            asked.append(True)
        else:
            latest.hash = "w"  # type: ignore[misc]  # the test's own

    reader.polls, reader.then, before = 20, wants, clock.now
    assert partition.next_batch() == []
    assert reader.polls == 0
    assert clock.now - before < MOST_SECS / 2
    partition.close()
