"""What a lane learns from failures of one turn, and how what waits is hurried at an outage's end."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.lanes.disk.disk_rows import DiskRows
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.limits import outages
from pipeline.deliver.lanes.limits.outages import failing, hurry
from pipeline.deliver.lanes.limits.throttle import LEAST_FAILURES, SAVED
from pipeline.deliver.requests.spec import LaneSpec
from tests.kit.delivery.rig import Disk, Rig, delivery

NOW, WALL = 1000.0, 1_700_000_000.0


@pytest.fixture
def lane() -> Lane:
    return Rig(LaneSpec("w")).core.lane("w")


def failed(count: int = 1, *, status: int = 500, started: float = NOW, **fields: Any) -> list[Attempt]:
    made = []
    for _ in range(count):
        attempt = Attempt(NOWHERE, b"", b"")
        attempt.status, attempt.started = status, started
        for name, value in fields.items():
            setattr(attempt, name, value)
        made.append(attempt)
    return made


def test_enough_failures_in_a_row_are_an_outage(lane: Lane) -> None:
    failing(lane, failed(LEAST_FAILURES - 1), 0, NOW, WALL)
    assert not lane.throttle.down
    failing(lane, failed(), 0, NOW, WALL)
    assert lane.throttle.down


def test_failures_beside_good_answers_are_none_and_what_was_sent_before_those_says_nothing(
    lane: Lane,
) -> None:
    failing(lane, failed(100), 1, NOW, WALL)
    assert not lane.throttle.down
    lane.throttle.good_at = NOW
    failing(lane, failed(100, started=NOW - 0.001), 0, NOW, WALL)
    assert not lane.throttle.down
    assert lane.throttle.share < 0.2, "but they count among the answers"
    failing(lane, failed(200, started=NOW), 0, NOW, WALL)
    assert lane.throttle.down


@pytest.mark.parametrize("good", [0, 1])
@pytest.mark.parametrize("fields", [{"status": 429}, {"status": 503, "retry_after": "5"}])
def test_who_asks_for_patience_gets_it(lane: Lane, good: int, fields: Any) -> None:
    lane.throttle.good_at = NOW + 1  # what was sent before: no row
    failing(lane, failed(int(SAVED), **fields), good, NOW, WALL)
    assert lane.throttle.until > NOW


@pytest.mark.parametrize("good", [0, 1])
def test_a_failure_without_a_word_asks_for_none(lane: Lane, good: int) -> None:
    lane.throttle.good_at = NOW + 1
    failing(lane, failed(int(SAVED)), good, NOW, WALL)
    assert lane.throttle.until <= NOW


def test_the_latest_time_that_was_asked_for_is_remembered(lane: Lane) -> None:
    for header, until in [("30", 30.0), ("10", 30.0), (None, 30.0), ("40", 40.0)]:
        failing(lane, [*failed(retry_after=header), *failed(retry_after="1")], 0, NOW, WALL)
        assert lane.asked_until == NOW + until


def test_what_waits_is_due_soon_and_spread_but_not_before_it_was_asked_for(lane: Lane) -> None:
    asked = delivery("asked")
    asked.asked_until = NOW + 50
    for n in range(98):
        lane.wait((delivery(n),), NOW + 3600)
    lane.wait((delivery("batch"), asked), NOW + 3600)
    lane.wait((delivery("due"),), NOW + 0.05, lucky=True)
    draws = cycle([0.0, 0.5, 0.999])
    hurry(lane, NOW, lambda: next(draws))
    dues = sorted(due for due, *_ in lane.waiting)
    assert len(dues) == 100
    assert (dues[0], dues[-1]) == (NOW, NOW + 50)
    assert all(NOW <= due < NOW + 0.2 for due in dues[:-1]), "0.002 s for each"
    assert next(due for due, _, _, lucky in lane.waiting if lucky) <= NOW + 0.05


def test_however_many_wait_they_are_due_within_two_seconds(lane: Lane) -> None:
    for n in range(3000):
        lane.wait((delivery(n),), NOW + 3600)
    hurry(lane, NOW, lambda: 0.999)
    assert max(due for due, *_ in lane.waiting) == NOW + 2.0 * 0.999


@pytest.mark.parametrize(("rows", "asked", "early"), [(1, NOW, True), (0, NOW, False), (1, NOW + 1, False)])
def test_rows_on_disk_are_hurried_where_nobody_asked_for_their_delay(
    lane: Lane, rows: int, asked: float, early: bool
) -> None:
    port = Disk().port
    disk = lane.disk[port] = DiskRows(port, rows=rows)
    lane.asked_until = asked
    hurry(lane, NOW, lambda: 0.5)
    assert disk.early is early


def test_an_outage_is_told_when_it_begins_and_when_it_ends(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        failing(lane, failed(LEAST_FAILURES), 0, NOW, WALL)
    outages.healed(lane, NOW, lambda: 0.5)
    assert caplog.text.count("receiver fails") == 1
    assert lane.limit.limit == 1.0, "it begins gently"
