"""Which lanes may pause the source: those alone that empty their queue at once."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.lanes.lane import Lane, Quota
from pipeline.deliver.lanes.limits.pressure import BACKLOG, FAST, SOME, is_fast, under_pressure
from pipeline.deliver.requests.oauth import Token
from pipeline.deliver.requests.spec import LaneSpec
from tests.kit.delivery.rig import Rig, delivery

NOW = 1000.0


def lane_with(*, share: float = 1.0, enabled: bool = True, **settings: Any) -> Lane:
    """Return a lane with ten slots whose requests take ten milliseconds: a thousand per second."""
    delivery = DeliverySettings(concurrency=10, **settings)
    lane = Rig(LaneSpec("w", enabled=enabled, delivery=delivery), share=share).core.lane("w")
    lane.limit.limit, lane.limit.round_trip = 10.0, 0.01
    return lane


def flying(lane: Lane, *started: float) -> Lane:
    for at in started:
        attempt = Attempt(NOWHERE, b"", b"")
        attempt.started = at
        lane.flying[attempt] = None
    return lane


def changed(lane: Lane, **fields: Any) -> Lane:
    for name, value in fields.items():
        of, _, field = name.rpartition("__")
        setattr(getattr(lane, of) if of else lane, field, value)
    return lane


def answered(good: int, bad: int = 0, dead: int = 0) -> Lane:
    lane = lane_with()
    lane.tally.delivered, lane.tally.retried, lane.tally.dead = good, bad, dead
    return lane


@pytest.mark.parametrize(
    "lane",
    [
        lane_with(),
        changed(lane_with(), limit__round_trip=0.0),
        changed(lane_with(), throttle__share=SOME),
        lane_with(rate_per_sec=FAST),
        flying(lane_with(), NOW - 0.01, NOW - 0.001),
        lane_with(batch=BatchSettings(max_events=10)),
        changed(lane_with(batch=BatchSettings(max_events=10)), limit__round_trip=0.1),
        answered(100),
    ],
)
def test_a_lane_that_takes_a_thousand_in_a_second_is_fast(lane: Lane) -> None:
    assert is_fast(lane, NOW)


@pytest.mark.parametrize(
    "lane",
    [
        changed(lane_with(), limit__round_trip=0.0101),
        changed(lane_with(), limit__limit=9.0),
        changed(lane_with(), throttle__part=0.9),
        changed(lane_with(), throttle__share=SOME - 0.01),
        changed(lane_with(), throttle__down=True),
        changed(lane_with(), halt="paused"),
        changed(lane_with(), quota=Quota(10, NOW)),
        changed(lane_with(), limit__round_trip=0.0, trouble_until=NOW + 1),
        changed(lane_with(), limit__round_trip=0.0, token=Token(OAuth2Auth("https://t.test/", "id", "s"))),
        changed(lane_with(), throttle__until=NOW + 0.1),
        changed(lane_with(), spec=None),
        lane_with(enabled=False),
        lane_with(rate_per_sec=FAST - 1),
        lane_with(rate_per_sec=FAST, share=0.5),
        flying(lane_with(), NOW - 0.02, NOW - 0.001),
        changed(lane_with(batch=BatchSettings(max_events=10)), limit__round_trip=0.11),
        lane_with(ordering="per_user"),
        answered(90, bad=10),
        answered(90, dead=10),
    ],
)
def test_a_lane_that_takes_less_is_not(lane: Lane) -> None:
    assert not is_fast(lane, NOW)


def test_in_an_ordered_lane_no_more_is_sent_at_once_than_there_are_users() -> None:
    lane = lane_with(ordering="per_user")
    for number in range(10):
        assert not is_fast(lane, NOW)
        lane.push(delivery(number, user=f"u{number}"), NOW)
        lane.push(delivery(f"{number}-next", user=f"u{number}"), NOW)
    assert is_fast(lane, NOW)


def test_a_lane_that_has_failed_is_fast_again_after_some_looks() -> None:
    lane = answered(0, bad=100)
    seen = []
    for _ in range(12):
        seen.append(is_fast(lane, NOW))
        assert lane.lately == 100
        lane.tally.delivered += 100
    assert (seen[0], seen[-1]) == (False, False)
    lane.limit.round_trip = 0.009
    assert is_fast(lane, NOW)
    assert is_fast(lane, NOW), "nothing has ended since: what was seen last counts"
    assert lane.lately == 0


def test_only_a_fast_lane_with_a_backlog_presses() -> None:
    lane = lane_with()
    for number in range(BACKLOG):
        lane.push(delivery(number), NOW)
    assert not under_pressure(lane)
    lane.push(delivery("one more"), NOW)
    assert under_pressure(lane)
    assert not under_pressure(changed(lane, fast=False))


def test_what_waits_for_its_time_or_for_its_batch_is_no_backlog() -> None:
    waiting = lane_with()
    batching = lane_with(batch=BatchSettings(max_events=400))
    for number in range(BACKLOG + 1):
        waiting.push(delivery(number, due_ms=waiting.clock.steady_ms(NOW + 60), attempt=1), NOW)
        batching.push(delivery(number), NOW)
    assert not under_pressure(waiting)
    assert len(batching.fresh) == 1
    assert not under_pressure(batching)
    for number in range(400):
        batching.push(delivery(f"more-{number}"), NOW)
    assert under_pressure(batching)
