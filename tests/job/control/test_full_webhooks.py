"""A webhook with `on_full: pause` stops the source for as long as that helps, and not for good."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.job.control.full import SILENT_SECS, FullWebhooks
from pipeline.outbox.counters import Ended

PATIENCE = 5.0


class Rig:
    def __init__(self) -> None:
        self.now = 100.0
        self.full = FullWebhooks(lambda: self.now)
        self.with_room: set[str] = set()

    def epoch(self, *, shard: int = 0, delivered: str = "", failed: str = "", secs: float = 1.0) -> None:
        self.now += secs
        ended = Ended(Counter(delivered), Counter(failed))
        self.full.look(shard, ended, lambda webhook: webhook in self.with_room, lambda webhook: PATIENCE)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    assert rig.full.pauses(0, "w")
    return rig


def test_the_source_waits_until_there_is_room_in_every_shard(rig: Rig) -> None:
    assert rig.full.pauses(1, "w")
    rig.with_room.add("w")
    rig.epoch(shard=0)
    assert rig.full
    rig.epoch(shard=1)
    assert not rig.full


def test_it_waits_for_a_receiver_that_takes_something_however_slowly(rig: Rig) -> None:
    for _ in range(100):
        rig.epoch(failed="w", secs=4.0)
        rig.epoch(delivered="w", shard=1, secs=0.5)
        assert rig.full


def test_it_waits_no_longer_than_max_pause_for_one_that_fails(rig: Rig) -> None:
    rig.epoch(failed="w", secs=PATIENCE - 1)
    assert rig.full
    rig.epoch(secs=2)
    assert not rig.full
    assert not rig.full.pauses(0, "w"), "and what it would owe is dead, also in"
    assert not rig.full.pauses(3, "w"), "every other shard"


def test_it_waits_a_minute_where_nothing_was_tried(rig: Rig) -> None:
    rig.epoch(secs=SILENT_SECS - 1)
    assert rig.full
    rig.epoch(secs=2)
    assert not rig.full


def test_it_waits_again_once_the_receiver_took_something(rig: Rig) -> None:
    rig.epoch(failed="w", secs=PATIENCE + 1)
    assert not rig.full.pauses(0, "w")
    rig.epoch(failed="w")
    assert not rig.full.pauses(0, "w")
    rig.epoch(delivered="w")
    assert rig.full.pauses(0, "w")
    rig.epoch(secs=PATIENCE + 1)
    assert rig.full, "nothing has failed since"


def test_one_that_was_given_up_ends_no_other_pause(rig: Rig) -> None:
    rig.epoch(failed="w", secs=PATIENCE - 1)
    assert rig.full.pauses(0, "v")
    rig.epoch(failed="v", secs=2)
    assert rig.full
    assert not rig.full.pauses(0, "w")
    rig.epoch(secs=PATIENCE)
    assert not rig.full
