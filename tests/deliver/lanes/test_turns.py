"""Whose turn it is, and when a lane is looked at again."""

from __future__ import annotations

from typing import Any

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import Rig, delivery


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
