"""Why the source waits: one reason at a time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.job.control.pressure import DISK_CHECK_SECS, Pressure


class Rig:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.busy = self.others_paused = False
        self.free = 1_000
        self.looked = 0
        others: Any = SimpleNamespace(paused=lambda: self.others_paused)
        self.pressure = Pressure(
            lambda: self.busy,
            Path("state"),
            reserve=500,
            others=others,
            clock=lambda: self.now,
            free=self.look,
        )

    def look(self, folder: Path) -> int:
        self.looked += 1
        return self.free


def test_a_source_reads_on_while_nothing_is_in_the_way() -> None:
    rig = Rig()
    assert rig.pressure.paused() is None
    assert not rig.pressure.is_behind()


def test_each_reason_pauses_the_source_and_the_first_of_several_is_named() -> None:
    rig = Rig()
    rig.others_paused = True
    assert rig.pressure.paused() == "peers"
    rig.busy = True
    assert rig.pressure.paused() == "engine"
    assert rig.pressure.full.pauses(0, "w")
    assert rig.pressure.paused() == "webhook"
    rig.now += DISK_CHECK_SECS
    rig.free = 499
    assert rig.pressure.paused() == "disk"


def test_a_process_tells_the_others_of_its_engine_and_its_webhooks_and_not_what_they_told_it() -> None:
    rig = Rig()
    rig.others_paused, rig.free = True, 0
    assert not rig.pressure.is_behind()
    rig.busy = True
    assert rig.pressure.is_behind()
    rig.busy = False
    assert rig.pressure.full.pauses(0, "w")
    assert rig.pressure.is_behind()


def test_the_disk_is_looked_at_once_a_second_and_both_changes_are_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rig = Rig()
    rig.free = 499
    for _ in range(100):
        assert rig.pressure.paused() == "disk"
    assert rig.looked == 1
    rig.free = 500
    assert rig.pressure.paused() == "disk"  # as it was when it was looked at
    rig.now += DISK_CHECK_SECS
    assert rig.pressure.paused() is None
    said = [record.getMessage() for record in caplog.records]
    assert said == ["disk is nearly full: reading pauses", "disk has room again: reading goes on"]
