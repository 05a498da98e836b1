"""Busy threads share a core only as long as they get it."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterable

import pytest

from pipeline.runtime.background.cores import (
    REST_SECS,
    SPAN_SECS,
    Cores,
    Used,
    set_cores,
    threads_on,
    threads_used,
)
from tests.kit.machine.clock import HandClock

WORKER, ENGINE, ADMIN, BEGUN = 11, 12, 13, 14


class Machine:
    """A process of three threads on two cores; each look is one span later."""

    def __init__(self, *, allowed: tuple[int, ...] = (0, 1)) -> None:
        self.clock = HandClock()
        self.refuses = False
        self.used: Used = {WORKER: (0.0, 1), ENGINE: (0.0, 0), ADMIN: (0.0, 0)}
        self.set: list[tuple[tuple[int, ...], set[int]]] = []
        self.bound: dict[int, set[int]] = {}
        self.cores = Cores(
            allowed=lambda: set(allowed),
            clock=self.clock,
            spent=lambda: sum(cpu for cpu, _ in self.used.values()),
            used=lambda: dict(self.used),
            keep=self.keep,
            on=lambda cores: [thread for thread, on in self.bound.items() if on == cores],
            chance=lambda: 0.5,
        )

    def keep(self, threads: Iterable[int], cores: set[int]) -> None:
        if self.refuses:
            raise OSError(22, "Invalid argument")
        self.set.append((tuple(threads), set(cores)))
        self.bound |= {thread: set(cores) for thread in threads}

    def pass_time(self, worker: float, engine: float, *, spans: int = 1, admin: float = 0.01) -> None:
        """Let threads take so much of a core, and look."""
        for _ in range(spans):
            self.clock.now += SPAN_SECS
            for thread, share in ((WORKER, worker), (ENGINE, engine), (ADMIN, admin)):
                cpu, core = self.used[thread]
                self.used[thread] = cpu + share * SPAN_SECS, core
            self.cores.look()


def test_two_busy_threads_are_kept_where_the_busier_one_runs():
    machine = Machine()
    machine.pass_time(0.6, 0.45, spans=3)
    assert machine.set == [((WORKER, ENGINE), {1})]


@pytest.mark.parametrize(
    ("worker", "engine"),
    [(0.4, 0.3), (0.95, 0.05), (0.9, 0.75)],
    ids=["idle", "one alone", "without the lock"],
)
def test_others_are_left_to_the_system(worker: float, engine: float):
    machine = Machine()
    machine.pass_time(worker, engine, spans=5)
    assert machine.set == []


def test_they_are_let_go_where_others_want_the_core_and_for_a_while():
    machine = Machine()
    machine.pass_time(0.6, 0.45, spans=3)
    machine.pass_time(0.3, 0.25)
    assert machine.set[1:] == [((WORKER, ENGINE), {0, 1})]
    machine.pass_time(0.6, 0.45, spans=int(REST_SECS / SPAN_SECS) - 1)
    assert len(machine.set) == 2
    machine.pass_time(0.6, 0.45, spans=3)
    assert machine.set[2:] == [((WORKER, ENGINE), {1})]


def test_a_short_busy_spell_changes_nothing():
    machine = Machine()
    for _ in range(5):
        machine.pass_time(0.6, 0.45)
        machine.pass_time(0.1, 0.1)
    assert machine.set == []


def test_on_a_single_core_there_is_nothing_to_do():
    machine = Machine(allowed=(1,))
    machine.pass_time(0.6, 0.45, spans=5)
    assert machine.set == []


def test_where_the_system_refuses_it_is_asked_once():
    machine = Machine()
    machine.refuses = True
    machine.pass_time(0.6, 0.45, spans=3)
    machine.refuses = False
    machine.pass_time(0.6, 0.45, spans=100)
    assert machine.set == []
    assert not machine.cores.kept


def test_at_the_end_they_may_run_anywhere_again():
    machine = Machine()
    machine.pass_time(0.6, 0.45, spans=3)
    machine.cores.release()
    machine.cores.release()
    assert machine.set[1:] == [((WORKER, ENGINE), {0, 1})]


def test_what_others_of_the_process_take_elsewhere_keeps_them_on_no_core_that_they_do_not_get():
    machine = Machine()
    machine.pass_time(0.35, 0.3, spans=5, admin=0.3)
    assert machine.set == []
    machine.pass_time(0.6, 0.45, spans=3)
    machine.pass_time(0.25, 0.2, admin=0.9)
    assert machine.set[1:] == [((WORKER, ENGINE), {0, 1})]


def test_a_thread_that_was_begun_by_one_of_them_is_let_go_too_and_one_that_has_ended_is_nobody():
    machine = Machine()
    machine.pass_time(0.6, 0.45, spans=3)
    machine.bound[BEGUN] = machine.bound[WORKER]
    del machine.bound[ENGINE]
    machine.pass_time(0.3, 0.25)
    assert machine.set[1:] == [((WORKER, BEGUN), {0, 1})]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux alone keeps threads on cores")
def test_the_threads_of_this_process_are_seen_and_kept_on_a_core():
    allowed = os.sched_getaffinity(0)
    seen: dict[str, set[int]] = {}
    begin, end = threading.Event(), threading.Event()

    def work() -> None:
        begin.wait()
        seen["thread"] = os.sched_getaffinity(0)
        with subprocess.Popen("cat", stdin=subprocess.PIPE) as process:
            seen["begun"] = {threading.get_native_id(), process.pid}
            seen["alone"] = set(threads_on(seen["thread"]))
        end.wait()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    used = threads_used()
    assert thread.native_id in used
    assert used[threading.get_native_id()][0] > 0
    core = used[threading.get_native_id()][1]
    set_cores([thread.native_id or 0, 2**22 + 1], {core})
    begin.set()
    end.set()
    thread.join()
    assert seen["thread"] == {core}
    assert seen["alone"] == seen["begun"] if len(allowed) > 1 else seen["alone"] > seen["begun"]
    assert os.sched_getaffinity(0) == allowed
