"""Whose turn it is, and when a lane is looked at again."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth, ReceiverSettings
from pipeline.deliver.lanes.lane import Quota
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import START_MS, Rig, delivery


def spec(name: str = "w", **settings: Any) -> LaneSpec:
    return LaneSpec(name, delivery=DeliverySettings(**settings))


def test_a_lane_that_is_nudged_again_has_one_turn() -> None:
    rig = Rig(spec())
    lane = rig.core.lane("w")
    rig.run()
    turns: list[str] = []
    for _ in range(3):
        rig.core.nudge(lane)
    rig.core.dispatcher.run(rig.clock.now(), rig.clock.wall(), lambda one: turns.append(one.webhook_id))
    assert turns == ["w"]


def test_at_the_end_of_draining_nothing_is_sent_and_answers_still_count() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = ["hold"]
    rig.give(delivery(1))
    rig.run()
    dispatcher = rig.core.dispatcher
    dispatcher.closed = True
    rig.give(delivery(2))
    rig.run(1)
    assert dispatcher.is_idle() is False
    assert not rig.core.is_drained(rig.clock.at)
    rig.client.release()
    rig.run()
    assert rig.outcomes() == [("msg_1", Outcome.DELIVERED, "")]
    assert rig.sent() == ["msg_1"]
    assert rig.core.is_drained(rig.clock.at)
    dispatcher.closed = False
    rig.core.nudge(rig.core.lane("w"))
    rig.run()
    assert rig.sent() == ["msg_1", "msg_2"]


def test_what_is_too_old_dies_unsent_and_the_others_go() -> None:
    rig = Rig(spec(retry=RetrySettings(max_age_secs=60)))
    rig.give(*(delivery(n, created_ms=START_MS - 61_000 * (n % 2)) for n in range(6)))
    rig.run()
    assert rig.sent() == ["msg_0", "msg_2", "msg_4"]
    assert [each for each in rig.outcomes() if each[1] is Outcome.DEAD] == [
        (f"msg_{n}", Outcome.DEAD, "max-age") for n in (1, 3, 5)
    ]


def test_a_quota_is_used_up_by_what_is_sent_and_ends_in_time() -> None:
    rig = Rig(spec())
    lane = rig.core.lane("w")
    lane.quota = Quota(3, 3, rig.clock.at + 0.3)
    rig.client.script["w"] = ["hang"]
    rig.give(*(delivery(n) for n in range(10)))
    rig.core.turn()
    assert len(rig.client.sent) == 3
    rig.clock.at += 0.3
    rig.core.turn()
    assert len(rig.client.sent) == 10


def test_an_answer_that_does_not_come_is_told_with_the_time_it_had() -> None:
    rig = Rig(spec(timeout_secs=2.5))
    rig.client.script["w"] = ["hang"]
    rig.give(delivery(1))
    rig.run(3)
    assert rig.core.lane("w").tally.error == "timeout: no complete answer within 2.5 s"


def test_a_token_that_could_not_be_had_is_asked_for_again_when_its_time_has_come() -> None:
    auth = OAuth2Auth("https://x.example/token", "id", "secret")
    rig = Rig(LaneSpec("w", receiver=ReceiverSettings(auth=auth)))
    lane = rig.core.lane("w")
    rig.give(delivery(1))
    rig.run()
    assert lane.token is not None
    lane.token.failed(rig.clock.at)
    rig.core.nudge(lane)
    rig.run(0.9)
    assert len(rig.tokens) == 1
    rig.run(0.1)
    assert len(rig.tokens) == 2


def test_a_missing_secret_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(LaneSpec("w", has_secrets=True))
    rig.give(*(delivery(n, url="http://127.0.0.1:1/\x01MISSING\x02") for n in range(3)))
    rig.run(30)
    assert caplog.text.count("requests cannot be made") == 1
