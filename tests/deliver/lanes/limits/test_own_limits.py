"""A request that was not sent for want of something on this machine is no attempt and no failure."""

from __future__ import annotations

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import Rig, delivery

LACKING = ("machine", {"detail": "this process may not open more files: raise `ulimit -n`"})


def rig_of(**settings: object) -> Rig:
    return Rig(LaneSpec("w", delivery=DeliverySettings(**settings)))  # type: ignore[arg-type]  # given by name


def test_it_is_sent_when_the_machine_can_and_uses_up_no_attempt() -> None:
    rig = rig_of(retry=RetrySettings(max_attempts=1))
    rig.client.script["w"] = [*[LACKING] * 20, 200]
    rig.give(*(delivery(n) for n in range(3)))
    rig.run(60)
    assert [(each.outcome, each.delivery.progress.attempt) for each in rig.results()] == [
        (Outcome.DELIVERED, 1)
    ] * 3


def test_the_receiver_is_not_taken_for_down() -> None:
    rig = rig_of()
    rig.client.script["w"] = [LACKING]
    rig.give(*(delivery(n) for n in range(50)))
    rig.run(60)
    lane = rig.core.lanes["w"]
    assert not lane.throttle.down
    assert lane.tally.error == "machine: this process may not open more files: raise `ulimit -n`"
    assert not rig.results()
    assert len(lane.held) == 50
    # It is tried now and then, not without end.
    assert len(rig.client.sent) < 60 * 2 * 50
    rig.client.script["w"] = [200]
    rig.run(2)
    assert len(rig.results()) == 50


def test_with_the_connections_that_it_has_a_lane_goes_on() -> None:
    rig = rig_of(concurrency=8)
    rig.client.latency["w"] = 0.01
    open_at_most = 3

    def answer(attempt: object) -> object:
        waiting = sum(1 for _, _, said in rig.client.waiting if said == 200)
        return 200 if waiting < open_at_most else LACKING

    rig.client.script["w"] = [answer]
    rig.give(*(delivery(n) for n in range(200)))
    rig.run(30)
    assert len([each for each in rig.results() if each.outcome is Outcome.DELIVERED]) == 200


def test_a_batch_stays_together_and_what_is_too_old_still_ends() -> None:
    rig = rig_of(batch=BatchSettings(max_events=2), retry=RetrySettings(max_age_secs=100.0))
    rig.client.script["w"] = [LACKING]
    rig.give(delivery(1), delivery(2))
    rig.run(50)
    assert {len(attempt.items) for attempt in rig.client.sent} == {2}
    assert not rig.results()
    rig.run(60)
    assert [(each.outcome, each.reason) for each in rig.results()] == [(Outcome.DEAD, "max-age")] * 2


def test_an_ordered_user_keeps_the_order() -> None:
    rig = rig_of(ordering="per_user")
    rig.client.script["w"] = [LACKING, LACKING, LACKING, 200]
    rig.give(*(delivery(n, user="u") for n in range(5)))
    rig.run(30)
    sent = [attempt.items[0].request.message_id for attempt in rig.client.sent if attempt.fault is None]
    assert sent == [f"msg_{n}" for n in range(5)]
