"""A receiver that fails or cannot be reached is probed, and what waits goes on when it is well."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.config.models.webhooks.delivery import RetrySettings
from pipeline.outbox.handover import Outcome
from tests.deliver.lanes.settings import D, spec
from tests.kit.delivery.rig import Rig, delivery


def test_the_breaker_stops_a_failing_lane_and_probes_it() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [500]
    rig.give(*(delivery(n) for n in range(500)))
    rig.run()
    burst = len(rig.client.sent)
    assert burst <= 16
    assert rig.core.lane("w").throttle.down
    rig.run(300)
    probes = len(rig.client.sent) - burst
    assert 5 <= probes <= 40
    rig.client.script["w"] = [200]
    rig.run(120)
    assert Counter(each.outcome for each in rig.results())[D] == 500


@pytest.mark.parametrize("fault", ["connect", "dns", "timeout", "reset", "tls"])
def test_a_receiver_that_cannot_be_reached_is_probed_only(fault: str) -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [fault]
    rig.give(*(delivery(n) for n in range(500)))
    rig.run()
    assert rig.core.lane("w").throttle.down
    assert len(rig.client.sent) <= 16


def test_a_refusal_ends_an_outage_as_it_is_an_answer() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [500] * 12 + [422]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(0.01)
    assert rig.core.lane("w").throttle.down
    rig.run(1)
    assert not rig.core.lane("w").throttle.down


@pytest.mark.parametrize("fault", ["guard-refused", "request"])
def test_what_never_reached_the_receiver_ends_no_outage(fault: str) -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [500] * 12 + [fault]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(1)
    assert Counter(each.outcome for each in rig.results())[Outcome.DEAD] > 0, "not sent, for good"
    assert rig.core.lane("w").throttle.down


def test_when_the_breaker_closes_what_waits_becomes_due_soon() -> None:
    rig = Rig(spec(retry=RetrySettings(min_delay_secs=1800)), luck=0.9)
    rig.client.script["w"] = [500] * 12 + [200]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(1)
    rig.give(delivery("probe-1"), delivery("probe-2"))
    rig.run(30)
    assert Counter(each.outcome for each in rig.results())[D] == 14


def test_one_good_probe_is_enough_where_nothing_is_there_for_another() -> None:
    rig = Rig(spec(retry=RetrySettings(min_delay_secs=1800)), luck=0.9)
    rig.client.script["w"] = [500] * 12 + [200]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(1)
    rig.give(delivery("probe"))
    rig.run(30)
    assert Counter(each.outcome for each in rig.results())[D] == 13


@pytest.mark.parametrize(("said", "down"), [("0", False), ("soon", False), ("60", True)])
def test_a_403_fails_a_receiver_only_where_it_says_how_long_to_wait(said: str, down: bool) -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [(403, {"retry_after": said})]
    rig.give(*(delivery(n) for n in range(50)))
    rig.run(1)
    assert rig.core.lane("w").throttle.down is down
    assert len([each for each in rig.results() if each.reason == "status-403"]) == (0 if down else 50)
