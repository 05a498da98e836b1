"""Lanes of webhooks that are in no config any more go once they are at rest, and come again where wanted."""

from __future__ import annotations

from pipeline.deliver.lanes.onlookers import Attempts
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.deliver.stats import publish
from pipeline.outbox.handover import Outcome
from pipeline.telemetry.metrics import render_prometheus
from tests.kit.delivery.rig import Rig, delivery


def test_a_lane_goes_once_nothing_is_in_it() -> None:
    rig = Rig(LaneSpec("w"), LaneSpec("stays"))
    rig.client.script["w"] = [503, "hold"]
    rig.give(delivery(1))
    rig.run()
    rig.core.forget(["w"])
    assert set(rig.core.lanes) == {"w", "stays"}  # a retry waits in it
    rig.run(3)
    rig.run()
    assert set(rig.core.lanes) == {"w", "stays"}  # it awaits an answer
    rig.client.release()
    rig.run()
    rig.run()
    assert [outcome for _, outcome, _ in rig.outcomes()] == [Outcome.RETRY, Outcome.DELIVERED]
    assert set(rig.core.lanes) == {"stays"}


def test_a_lane_with_rows_on_disk_or_a_halt_stays() -> None:
    rig = Rig(LaneSpec("w"), LaneSpec("halted"))
    rig.core.lane("halted").halt = "paused"
    rig.core.lane("w").halt = "paused"
    row = delivery(1)
    row.port = rig.disk.port
    rig.disk.add(row)
    rig.core.on_disk(rig.disk.port, "w", 1)
    rig.core.forget(["w", "halted"])
    rig.run(5)
    assert set(rig.core.lanes) == {"w", "halted"}
    rig.core.lane("w").halt = ""
    rig.core.nudge(rig.core.lane("w"))
    rig.run(60)
    rig.run()
    assert (rig.sent(), set(rig.core.lanes)) == (["msg_1"], {"halted"})


def test_what_comes_for_a_webhook_that_went_is_sent_as_soon_as_it_is_known_again() -> None:
    rig = Rig(LaneSpec("w"))
    rig.core.forget(["w"])
    assert not rig.core.lanes
    rig.give(delivery(1))
    rig.run(5)
    assert not rig.sent()
    rig.core.configure({"w": LaneSpec("w")})
    rig.run()
    assert rig.sent() == ["msg_1"]
    rig.run(5)
    assert "w" in rig.core.lanes  # no older order takes it away


def test_its_metrics_and_its_attempts_go_with_a_lane() -> None:
    rig = Rig(LaneSpec("w"), LaneSpec("stays"))
    attempts = Attempts()
    rig.core.results.onlookers.keep(attempts)
    for name in ("w", "stays"):
        rig.client.script[name] = [422]
        rig.give(delivery(1, name))
    rig.run()
    for lane in rig.core.lanes.values():
        publish(lane)
    rig.core.forget(["w"])
    assert 'webhook="w"' not in render_prometheus()
    assert 'hookline_attempts_total{webhook="stays",outcome="422"} 1' in render_prometheus()
    assert [kept.request.webhook_id for kept in attempts.of()] == ["stays"]
