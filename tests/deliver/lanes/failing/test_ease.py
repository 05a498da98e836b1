"""Ends of attempts that nobody waits for are settled together; any other at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.deliver.core import MOST_EASED
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.lanes.limits.pressure import is_at_ease
from tests.deliver.lanes.settings import spec
from tests.kit.delivery.rig import Rig, delivery


def ended(status: int = 200, fault: Any = None, **lane: Any) -> Attempt:
    """Return an attempt that has ended in a lane that has nothing else to do."""
    calm = {
        "fresh": (), "retries": (), "former": (), "ordered": False, "disk": {},
        "throttle": SimpleNamespace(down=False),
    }  # fmt: skip
    attempt = Attempt(NOWHERE, b"", b"", owner=SimpleNamespace(**(calm | lane)))
    attempt.status, attempt.fault = status, fault
    return attempt


def test_a_success_in_a_quiet_lane_can_wait() -> None:
    assert is_at_ease(ended())
    assert is_at_ease(ended(204))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ended(503),
        lambda: ended(0, "timeout"),
        lambda: ended(200, "unreadable"),
        lambda: ended(fresh=("next",)),
        lambda: ended(retries=("next",)),
        lambda: ended(former=("next",)),
        lambda: ended(ordered=True),
        lambda: ended(disk={"port": "rows"}),
        lambda: ended(throttle=SimpleNamespace(down=True)),
    ],
)
def test_what_failed_or_is_waited_for_is_settled_at_once(make: Callable[[], Attempt]) -> None:
    assert not is_at_ease(make())


def eased(rig: Rig, until: float) -> None:
    """Let the receiver take what it was sent, while nothing waits for that."""
    attempts, rig.client.held = rig.client.held, []
    for attempt in attempts:
        attempt.ended, attempt.status = True, 200
        rig.core.ease(attempt, until)


def test_the_slot_of_a_success_that_can_wait_is_free_at_once() -> None:
    rig = Rig(spec(concurrency=1))
    rig.client.script["w"] = ["hold"]
    rig.give(delivery(1))
    rig.run()
    eased(rig, rig.clock.at + 1.0)
    rig.give(delivery(2))
    rig.run()
    assert len(rig.sent()) == 2
    assert rig.results() == []


def test_successes_that_can_wait_are_settled_together_when_their_time_has_come() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = ["hold"]
    rig.give(delivery(1), delivery(2))
    rig.run()
    eased(rig, rig.clock.at + 0.005)
    rig.core.turn()
    assert rig.results() == []
    rig.clock.at += 0.005
    rig.core.turn()
    assert len(rig.results()) == 2
    assert rig.disk.journal.writes == 1


def test_what_waits_to_be_settled_is_not_given_up_by_a_command() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = ["hold"]
    given = delivery(1)
    rig.give(given)
    rig.run()
    eased(rig, rig.clock.at + 1.0)
    rig.core.drop(rig.disk.port, [given.row], deque())
    assert rig.disk.port.take_released() == [([given.row], [])]


def test_nothing_waits_while_the_engine_drains() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = ["hold"]
    rig.give(delivery(1))
    rig.run()
    eased(rig, rig.clock.at + 1.0)
    assert not rig.core.is_drained(rig.clock.at)
    rig.core.flush(True)
    rig.core.turn()
    assert len(rig.results()) == 1
    assert rig.core.is_drained(rig.clock.at)


def test_only_so_many_wait() -> None:
    rig = Rig(spec(concurrency=2 * MOST_EASED))
    rig.client.script["w"] = ["hold"]
    for number in range(MOST_EASED):
        rig.give(delivery(number))
        rig.run()
        eased(rig, rig.clock.at + 1.0)
        rig.core.turn()
        assert len(rig.results()) == (MOST_EASED if number == MOST_EASED - 1 else 0)


def test_where_connections_are_few_those_of_what_waits_are_given_to_others() -> None:
    rig = Rig(spec("a", concurrency=8), spec("b"), max_flying=8)
    rig.client.script = {"a": ["hold"], "b": ["hang"]}
    for number in range(6):
        rig.give(delivery(number, webhook="a"))
        rig.run()
        eased(rig, rig.clock.at + 1.0)
    rig.give(*(delivery(number, webhook="b") for number in range(6, 9)))
    rig.core.turn()
    assert rig.sent()[6:] == [f"msg_{number}" for number in range(6, 9)]
