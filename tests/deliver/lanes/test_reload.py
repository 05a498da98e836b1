"""What a reload changes while deliveries are queued and in flight, on a manual clock."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import Rig, delivery


def spec(**settings: Any) -> LaneSpec:
    return LaneSpec("w", delivery=DeliverySettings(**settings))


def test_a_shorter_timeout_holds_for_what_is_in_flight() -> None:
    rig = Rig(spec(timeout_secs=60.0))
    rig.client.script["w"] = ["hang"]
    rig.give(delivery(1))
    rig.run(5)
    rig.core.configure({"w": spec(timeout_secs=1.0)})
    rig.give(delivery(2))
    rig.run(1)
    rig.core.turn()
    assert sorted(rig.outcomes()) == [("msg_1", Outcome.RETRY, ""), ("msg_2", Outcome.RETRY, "")]


ORDERS = [("per_user", "none"), ("none", "per_user")]


@pytest.mark.parametrize(("before", "after"), ORDERS)
@pytest.mark.parametrize("new_first", [False, True])
def test_the_order_may_change_while_deliveries_of_a_user_are_in_flight(
    before: str, after: str, new_first: bool
) -> None:
    rig = Rig(spec(ordering=before))
    rig.client.script["w"] = ["hold"]
    rig.give(*(delivery(n, user="u") for n in range(3)))
    rig.run()
    rig.core.configure({"w": spec(ordering=after)})
    rig.give(*(delivery(n, user="u") for n in range(3, 6)))
    rig.run()
    if new_first:
        rig.client.held.reverse()
    rig.client.script["w"] = [200]
    rig.client.release()
    rig.run()
    assert Counter(rig.sent()) == Counter(f"msg_{n}" for n in range(6))
    assert rig.core.is_empty()


@pytest.mark.parametrize(("before", "after"), ORDERS)
def test_the_order_may_change_before_a_delivery_is_put_on_disk(before: str, after: str) -> None:
    """It alone goes where the others of its user are no longer, or not yet, in a queue with it."""
    rig = Rig(spec(ordering=before))
    lane = rig.core.lane("w")
    rig.client.script["w"] = ["hold"]
    old = [delivery(n, user="u") for n in range(2)]
    rig.give(*old)
    rig.run()
    rig.core.configure({"w": spec(ordering=after)})
    rig.give(delivery(2, user="u"))
    assert lane.park(old[0]) == [old[0]]
    assert set(lane.held) == {old[1].row, delivery(2).row}


def test_what_waits_behind_another_one_of_its_user_goes_once_no_order_is_asked_for() -> None:
    rig = Rig(spec(ordering="per_user"))
    rig.client.script["w"] = ["hang"]
    rig.give(*(delivery(n, user="u") for n in range(3)))
    rig.run()
    assert rig.sent() == ["msg_0"]
    rig.core.configure({"w": spec()})
    rig.run()
    assert rig.sent() == ["msg_0", "msg_1", "msg_2"]


def test_what_is_on_its_way_to_disk_holds_up_nothing_once_no_order_is_asked_for() -> None:
    rig = Rig(spec(ordering="per_user"))
    lane = rig.core.lane("w")
    lane.note_parked(delivery(0, user="u"))
    assert not lane.is_at_rest()
    rig.core.configure({"w": spec()})
    assert lane.is_at_rest()


def bodies(rig: Rig) -> list[bytes]:
    return [attempt.body for attempt in rig.client.sent]


def batching(*numbers: int, **settings: Any) -> Rig:
    """Return a webhook that sends in threes, given deliveries with a number each as body."""
    rig = Rig(spec(batch=BatchSettings(max_events=3, max_wait_secs=60.0), **settings))
    rig.give(*(delivery(n, body=b"%d" % n) for n in numbers))
    return rig


def test_what_was_collected_goes_one_by_one_once_batches_are_over() -> None:
    rig = batching(0, 1)
    rig.run()
    rig.core.configure({"w": spec()})
    rig.run()
    assert bodies(rig) == [b"0", b"1"]
    assert sorted(rig.outcomes()) == [(f"msg_{n}", Outcome.DELIVERED, "") for n in range(2)]


def test_a_batch_that_fails_after_batches_are_over_is_tried_again_one_by_one() -> None:
    rig = batching(0, 1, 2)
    rig.client.script["w"] = ["hold"]
    rig.run()
    rig.core.configure({"w": spec()})
    rig.client.release(503)
    rig.run()
    rig.client.script["w"] = [200]
    rig.run(10)
    assert bodies(rig) == [b"[0,1,2]", b"0", b"1", b"2"]
    assert rig.core.is_empty()


def test_the_answer_to_a_batch_counts_member_by_member_though_batches_are_over() -> None:
    rig = batching(0, 1, 2)
    rig.client.script["w"] = ["hold"]
    rig.run()
    rig.core.configure({"w": spec()})
    for attempt in rig.client.held:
        attempt.answer = b'{"failed": [1]}'
    rig.client.release()
    rig.run()
    rig.client.script["w"] = [200]
    rig.run(10)
    assert bodies(rig) == [b"[0,1,2]", b"1"]


@pytest.mark.parametrize("down", [False, True], ids=["new place well", "new place down at first"])
@pytest.mark.parametrize(
    ("old", "new"),
    [("http://old.example", "http://new.example"), ("http://x.example/wrong", "http://x.example/right")],
)
def test_what_goes_to_the_place_of_before_an_edit_holds_up_nothing_of_the_present_one(
    old: str, new: str, down: bool
) -> None:
    def answer(attempt: Any) -> Any:
        healthy = attempt.items[0].request.url.startswith(new)
        return 500 if not healthy or rig.clock.at < well_from else 200

    rig = Rig(LaneSpec("w", "old", place=old))
    well_from = rig.clock.at + (600.0 if down else 0.0)
    rig.client.script["w"] = [answer]
    rig.give(*(delivery(f"old{n}", url=f"{old}?x") for n in range(300)))
    rig.run(60)
    assert rig.core.lane("w").throttle.down
    rig.core.configure({"w": LaneSpec("w", "new", place=new)})
    rig.give(*(delivery(f"new{n}", url=f"{new}?x") for n in range(20)))
    rig.run(700 if down else 5)
    delivered = {name for name, outcome, _ in rig.outcomes() if outcome is Outcome.DELIVERED}
    assert delivered == {f"msg_new{n}" for n in range(20)}
    assert not rig.core.lane("w").throttle.down


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_retry_does_not_wait_behind_what_hangs_at_the_place_of_before_an_edit(concurrency: int) -> None:
    new = "http://x.example/right"
    tried: dict[str, int] = {}

    def answer(attempt: Any) -> Any:
        one = attempt.items[0].request
        tried[one.message_id] = tried.get(one.message_id, 0) + 1
        return (500 if tried[one.message_id] == 1 else 200) if one.url == new else "hang"

    settings = DeliverySettings(concurrency=concurrency)
    rig = Rig(LaneSpec("w", "old", place="http://x.example/wrong", delivery=settings))
    rig.client.script["w"] = [answer]
    rig.give(*(delivery(f"old{n}", url="http://x.example/wrong") for n in range(300)))
    rig.run(1)
    rig.core.configure({"w": LaneSpec("w", "new", place=new, delivery=settings)})
    rig.give(*(delivery(f"new{n}", url=new) for n in range(20)))
    rig.run(40)
    delivered = {name for name, outcome, _ in rig.outcomes() if outcome is Outcome.DELIVERED}
    assert delivered == {f"msg_new{n}" for n in range(20)}


@pytest.mark.parametrize("tries", [0, 1], ids=["first tries", "retries"])
def test_what_is_in_flight_to_the_place_of_before_an_edit_takes_no_slot(tries: int) -> None:
    old, new = "http://x.example/wrong", "http://x.example/right"
    settings = DeliverySettings(concurrency=4, timeout_secs=60.0)
    rig = Rig(LaneSpec("w", "old", place=old, delivery=settings))
    rig.client.script["w"] = [lambda attempt: "hang" if attempt.items[0].request.url == old else "hold"]
    rig.give(*(delivery(f"old{n}", url=old, attempt=tries) for n in range(2 if tries else 4)))
    rig.run(1)
    lane, hanging = rig.core.lane("w"), len(rig.client.sent)
    rig.core.configure({"w": LaneSpec("w", "new", place=new, delivery=settings)})
    rig.give(*(delivery(f"new{n}", url=new, attempt=tries) for n in range(8)))
    rig.run(1)
    assert len(rig.client.held) == hanging == len(lane.flying) / 2
    assert lane.slots() == 4 + hanging
    rig.run(60)
    assert lane.slots() <= 4


def test_what_waits_for_the_place_of_before_an_edit_is_looked_at_once() -> None:
    class Url(str):
        looks = 0

        def startswith(self, *given: Any) -> bool:
            Url.looks += 1
            return str.startswith(self, *given)

    rig = Rig(LaneSpec("w", place="http://x.example/right"))
    rig.client.script["w"] = [lambda attempt: "hang" if type(attempt.items[0].request.url) is Url else 200]
    rig.give(*(delivery(f"old{n}", url=Url("http://x.example/wrong"), attempt=1) for n in range(300)))
    for n in range(300):
        rig.give(delivery(f"new{n}", url="http://x.example/right"))
        rig.run()
    assert len([name for name, outcome, _ in rig.outcomes() if outcome is Outcome.DELIVERED]) == 300
    assert Url.looks < 1_000
