"""Processes of a job end their epochs at the same time, whenever each of them began."""

from __future__ import annotations

import pytest

from pipeline.job.control.pace import Pace
from pipeline.job.control.skew import EPOCHS, LEAST_SECS, MOST_SECS, SPARED, WINDOW_SECS, Skew

STEP_SECS = 0.001


class Process:
    """One process of several: it ends an epoch at its first poll that begins a second after the last end."""

    def __init__(self, started_at: float) -> None:
        self.now = self.epoch_began = started_at
        self.slept = 0.0
        self.skew = Skew(1.0, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, secs: float) -> None:
        self.now += secs
        self.slept += secs

    def end_epoch(self) -> float:
        """Poll until the epoch ends; return when that is."""
        while True:
            polled_at = self.now
            self.skew.polled()
            if polled_at - self.epoch_began >= 1.0:
                self.epoch_began = polled_at
                self.skew.ended()
                return self.now
            self.now += STEP_SECS


def waits(processes: list[Process], epochs: int) -> list[list[float]]:
    """Let epochs end; return how long each of the processes waited for the others, epoch by epoch."""
    found = []
    for _ in range(epochs):
        ends = [process.end_epoch() for process in processes]
        for process in processes:
            process.now = max(ends)
            process.skew.all_ended()
        found.append([max(ends) - end for end in ends])
    return found


def test_who_ends_its_epochs_first_ends_them_with_the_others_soon() -> None:
    processes = [Process(10.0), Process(10.15), Process(10.03)]
    found = waits(processes, 6 * EPOCHS)
    assert max(found[0]) > 0.14
    assert all(max(of) < LEAST_SECS for of in found[-2 * EPOCHS :])
    assert processes[1].slept == 0.0, "the last one lets nobody wait longer"


def test_processes_that_end_together_never_sleep() -> None:
    processes = [Process(10.0), Process(10.0 + LEAST_SECS / 2)]
    waits(processes, 20)
    assert [process.slept for process in processes] == [0.0, 0.0]


def test_one_epoch_in_which_another_one_is_late_changes_nothing() -> None:
    one, other = processes = [Process(10.0), Process(10.0)]
    for _ in range(5):
        waits(processes, EPOCHS - 1)
        ends = [process.end_epoch() for process in processes]
        for process in processes:
            process.now = max(ends) + 0.2  # it was busy, and ended then what it had begun in time
            process.skew.all_ended()
    assert one.slept <= WINDOW_SECS
    assert other.slept <= WINDOW_SECS


def test_it_sleeps_just_before_an_epochs_end_and_no_longer_than_it_may() -> None:
    now, slept = 0.0, list[float]()
    skew = Skew(1.0, clock=lambda: now, sleep=slept.append)

    def wait(secs: float, epochs: int) -> None:
        nonlocal now
        for _ in range(epochs):
            skew.ended()
            now += secs
            skew.all_ended()
            skew.all_ended()  # of a second step: the others were there before
            now += 1.0 - secs
        skew.ended()

    def poll(before_the_end: float) -> list[float]:
        nonlocal now
        now += 1.0 - before_the_end
        skew.polled()
        now += before_the_end
        found, slept[:] = slept.copy(), []
        return found

    late, left = 0.1, WINDOW_SECS / 4
    wait(late, EPOCHS)
    for too_early in (0.5, WINDOW_SECS * 1.01, 0.0, -0.001):
        assert poll(too_early) == []
        skew.ended()
    assert poll(left) == pytest.approx([left + late - LEAST_SECS / 2])
    skew.ended()
    assert poll(left) == [], "one step, then it measures anew"
    wait(0.9, EPOCHS - 1)
    assert poll(left) == [], "of so few epochs nothing is known"
    wait(0.9, 1)
    assert poll(left) == pytest.approx([left + MOST_SECS])


def test_what_is_asked_behind_the_source_tells_of_the_others_once_an_epoch() -> None:
    now = 5.0
    skew = Skew(1.0, clock=lambda: now, sleep=lambda secs: None)
    pace = Pace(1.0, clock=lambda: now, skew=skew)
    skew.ended()
    now = 5.1
    pace.committing()
    now = 5.2
    pace.committing()
    assert list(skew._waits) == pytest.approx([0.1])


def test_the_last_poll_of_an_epoch_tells_how_long_its_end_will_take_at_least() -> None:
    now = 5.0
    skew = Skew(1.0, clock=lambda: now, sleep=lambda secs: None)
    skew.durable()
    assert skew.pause_secs(5.0) == 0.0, "the first poll of all"

    def end(secs: float) -> None:
        nonlocal now
        for _ in "ab":
            skew.ended()
        now += secs
        for _ in "ab":
            skew.durable()
            now += 1.0

    end(0.04)
    assert skew.pause_secs(0.999) == 0.0
    assert skew.pause_secs(1.0) == pytest.approx(0.04 * SPARED)
    end(0.08)
    assert skew.pause_secs(1.0) == pytest.approx(0.04 * SPARED), "the shortest of some"
    end(0.02)
    assert skew.pause_secs(1.0) == pytest.approx(0.02 * SPARED)
    for _ in range(EPOCHS):
        end(0.9)
    assert skew.pause_secs(1.0) == MOST_SECS
