"""A worker of several processes that nothing comes to: it may be woken late, but not while anything comes."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from pipeline.job.control.doze import DOZES_AFTER_SECS, LATE_SECS, Doze
from pipeline.model.process.threads import USUAL_SECS


@dataclass
class Worker:
    """A worker with a clock of its own; `allowed` is how late it said that it may be woken."""

    now: float = 100.0
    allowed: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.doze = Doze(clock=lambda: self.now, allow=self.allowed.append)


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_what_it_inherited_ends_with_the_first_chunk(worker: Worker) -> None:
    worker.doze.came()
    worker.doze.came()
    assert worker.allowed == [USUAL_SECS]


def test_it_dozes_where_nothing_has_come_for_a_while_and_no_sooner(worker: Worker) -> None:
    worker.doze.came()
    worker.now += DOZES_AFTER_SECS / 2
    worker.doze.nothing()
    assert not worker.doze.dozing
    worker.now += DOZES_AFTER_SECS / 2
    worker.doze.nothing()
    worker.doze.nothing()
    assert worker.doze.dozing
    assert worker.allowed == [USUAL_SECS, LATE_SECS]


def test_what_comes_ends_it_at_once(worker: Worker) -> None:
    worker.doze.came()
    worker.now += DOZES_AFTER_SECS
    worker.doze.nothing()
    worker.doze.came()
    assert not worker.doze.dozing
    assert worker.allowed[-1] == USUAL_SECS
    worker.now += DOZES_AFTER_SECS / 2
    worker.doze.nothing()
    assert not worker.doze.dozing
