"""What keeps a worker from turning is seen from beside it."""

from __future__ import annotations

import threading
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import pytest

from pipeline.admin.view_routes import view_routes
from pipeline.job.assembly import Job
from pipeline.job.control.failure import Failure
from pipeline.job.control.pulse import Pulse
from pipeline.model.errors import ClockSetBack, Refused, StateError, TopicGrew
from pipeline.runtime.background.watchdog import LOOKS, Steps, Watchdog
from tests.kit.machine.clock import HandClock
from tests.kit.programs.inprocess import run_flow
from tests.kit.programs.run import Bench, until


class TestSteps:
    def test_a_step_back_is_seen_and_the_small_and_the_forward_ones_are_not(self):
        wall, steady = HandClock(5000.0), HandClock()
        steps = Steps(wall, steady)
        for step, seen in ((0.0, 0.0), (-0.9, 0.0), (0.0, 0.0), (600.0, 0.0), (-600.0, 600.0)):
            wall.now += 0.25 + step
            steady.now += 0.25
            assert steps.back_secs() == pytest.approx(seen)
            for _ in range(LOOKS):
                steps.back_secs()

    def test_small_steps_add_up(self):
        wall, steady = HandClock(5000.0), HandClock()
        steps = Steps(wall, steady)
        backs = []
        for _ in range(3):
            wall.now -= 0.5
            backs.append(steps.back_secs())
        assert backs == [0.0, 0.0, 1.5]

    def test_a_clock_that_is_slewed_is_none_that_was_set(self):
        wall, steady = HandClock(5000.0), HandClock()
        steps = Steps(wall, steady)
        for _ in range(10_000):
            wall.now += 0.25 * 0.9
            steady.now += 0.25
            assert steps.back_secs() == 0.0


class TestPulse:
    def test_a_worker_that_does_not_turn_stands_still_and_later_it_is_stuck(self):
        clock = HandClock()
        pulse = Pulse(1.0, clock)
        clock.now += 100
        assert not pulse.is_still(), "it has not begun"
        pulse.turned()
        for secs, still, stuck in ((9.9, False, False), (0.2, True, False), (50.0, True, True)):
            clock.now += secs
            assert (pulse.is_still(), pulse.is_stuck()) == (still, stuck)
        pulse.turned()
        assert not pulse.is_still()

    def test_long_epochs_are_given_time(self):
        clock = HandClock()
        pulse = Pulse(60.0, clock)
        pulse.turned()
        clock.now += 179
        assert not pulse.is_still()
        clock.now += 2
        assert (pulse.is_still(), pulse.is_stuck()) == (True, True)

    def test_a_source_that_is_not_polled_stands_still_while_the_worker_turns(self):
        clock = HandClock()
        pulse = Pulse(1.0, clock)
        for partition in ("a", "b"):
            pulse.polled(partition)
        clock.now += 11
        pulse.polled("a")
        pulse.turned()
        assert (pulse.still_secs(), pulse.is_still()) == (11.0, True)
        pulse.read_out("b")
        assert not pulse.is_still()
        pulse.read_out("a")
        clock.now += 11
        assert pulse.is_still(), "without a source it is the worker that counts"

    def test_it_says_where_the_worker_is(self):
        pulse = Pulse(1.0)
        over = threading.Event()

        def work() -> None:
            pulse.turned()
            over.wait()

        worker = threading.Thread(target=work)
        worker.start()
        until(pulse.place)
        assert " wait" in pulse.place()
        over.set()
        worker.join()


def job_with(pulse: Pulse) -> Any:
    drain = SimpleNamespace(stopping=False)
    return SimpleNamespace(failure=Failure(), shards=[0], pulse=pulse, waits=lambda: None, drain=drain)


def test_readiness_and_later_health_say_that_the_worker_stands_still():
    clock = HandClock()
    pulse = Pulse(1.0, clock)
    routes = {route.name: route.handler for route in view_routes(job_with(pulse), 0)}
    pulse.turned()
    assert routes["readyz"]() == routes["healthz"]() == "ok\n"
    clock.now += 11
    assert routes["healthz"]() == "ok\n"
    with pytest.raises(Refused, match="stuck for 11 s"):
        routes["readyz"]()
    clock.now += 50
    with pytest.raises(Refused, match="stuck for 61 s"):
        routes["healthz"]()


def test_the_block_ends_with_the_step():
    back = iter([0.0, 3600.0])
    failure = Failure()
    drain: Any = SimpleNamespace(stopping=False, secs=5.0)
    dog = Watchdog(Pulse(1.0), drain, failure, look_secs=0.01, back_secs=lambda: next(back, 0.0))
    with pytest.raises(ClockSetBack, match=r"set back by 3,600.0 s"), dog.watching():
        threading.Event().wait(10)
    assert isinstance(failure.first, ClockSetBack)


def test_the_block_ends_where_the_state_directory_is_taken_away():
    failure = Failure()
    found = iter([None, StateError("moved")])
    failure.beneath = lambda error: next(found, None)
    drain: Any = SimpleNamespace(stopping=False, secs=5.0)
    with (
        pytest.raises(StateError, match="moved"),
        Watchdog(Pulse(1.0), drain, failure, look_secs=0.01).watching(),
    ):
        threading.Event().wait(10)
    assert isinstance(failure.first, StateError)


def test_a_store_at_work_is_not_interrupted_by_what_ends_the_block():
    """A transaction that it has half begun nobody would end: closing it waited for ever."""
    drain: Any = SimpleNamespace(stopping=False, secs=5.0)
    failure, done, pause = Failure(), [], threading.Event()
    failure.beneath = lambda error: StateError("moved")

    def work() -> None:
        while failure.first is None:
            pause.wait(0.01)
        pause.wait(0.1)
        done.append(True)

    def run() -> None:
        FunctionType(work.__code__, {"__name__": "pipeline.store.any"}, closure=work.__closure__)()
        pause.wait(10)

    dog = Watchdog(Pulse(1.0), drain, failure, look_secs=0.01)
    with pytest.raises(StateError, match="moved"), dog.watching():
        run()
    assert done == [True]


def test_a_stop_that_is_not_heard_ends_the_process_and_one_that_is_does_not():
    now = HandClock()
    codes: list[int] = []
    drain: Any = SimpleNamespace(stopping=False, secs=5.0)
    pulse = Pulse(1.0, now)
    dog = Watchdog(pulse, drain, Failure(), look_secs=1.0, clock=now, end=codes.append)
    pulse.turned()
    for secs, turns, stopping in ((60, False, False), (1, True, True), (30, True, True), (10, False, True)):
        for _ in range(secs):
            now.now += 1
            drain.stopping = stopping
            if turns:
                pulse.turned()
            dog.look()
    assert codes == []
    now.now += 1
    dog.look()
    assert codes == [4]


def test_a_process_that_was_paused_is_not_stuck():
    """SIGSTOP, `docker pause`, a machine that is moved: an error in the log, a stop that ended with 4."""
    now, codes = HandClock(), list[int]()
    pulse = Pulse(1.0, now)
    drain: Any = SimpleNamespace(stopping=True, secs=5.0)
    dog = Watchdog(pulse, drain, Failure(), look_secs=1.0, clock=now, end=codes.append)
    pulse.polled("a")
    for secs in (1, 90, *[1] * 10):
        assert pulse.still_secs() <= 10
        now.now += secs
        dog.look()
    assert (codes, pulse.still_secs(), pulse.is_still()) == ([], 10.0, False)
    now.now += 1
    dog.look()
    assert (codes, pulse.is_still()) == ([4], True)


def test_a_disk_that_hangs_under_each_look_is_no_pause():
    now, codes = HandClock(), list[int]()
    drain: Any = SimpleNamespace(stopping=True, secs=5.0)
    pulse, failure = Pulse(1.0, now), Failure()
    dog = Watchdog(pulse, drain, failure, look_secs=1.0, clock=now, end=codes.append)
    dog._armed = True
    failure.beneath = lambda error: now.__setattr__("now", now.now + 8.0)
    pulse.polled("a")
    for _ in range(12):
        now.now += 1
        dog.look()
    assert codes[:1] == [4]


@pytest.mark.parametrize("stopping", [False, True])
def test_a_clock_set_back_at_the_end_of_a_stopped_flow_forgets_no_stop(tmp_path: Path, stopping: bool):
    def look(job: Job) -> None:
        job.failure.note(ClockSetBack(3600.0))
        job.drain.stopping = stopping

    bench = Bench(tmp_path)
    bench.webhook("w", "http://127.0.0.1:9/")
    bench.stream.touch()
    with pytest.raises(ClockSetBack) as found:
        run_flow(tmp_path, stream=bench.stream.name, look=look)
    assert found.value.stopping == stopping, "the run that takes its place must be told"


@pytest.mark.parametrize("stopping", [False, True])
def test_what_grows_ends_the_flow_cleanly_to_start_anew_and_forgets_no_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopping: bool
):
    monkeypatch.setattr("pipeline.runtime.process.requested", lambda: stopping)
    bench = Bench(tmp_path)
    bench.webhook("w", "http://127.0.0.1:9/")
    bench.stream.touch()
    grown = TopicGrew("events", 2)
    with pytest.raises(TopicGrew) as found:
        run_flow(tmp_path, stream=bench.stream.name, look=lambda job: job.drain.start_anew(grown))
    assert (found.value, found.value.stopping) == (grown, stopping)
