"""Receivers that fail a part of their requests, on a manual clock: what they can take, they get."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.deliver.lanes.limits.throttle import PROBED_AGAIN
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import Rig, delivery

TRIP_SECS = 0.1
SECS = 8.0
ORDERS = ("none", "per_user")


@dataclass(slots=True)
class Seen:
    """What came of some seconds at a receiver that never runs out of deliveries."""

    good: int
    sent: int
    rig: Rig

    @property
    def per_sec(self) -> float:
        return self.good / SECS


def play(
    failing: float, answer: Any = 503, *, seed: int = 1, ordering: Any = "none", **settings: Any
) -> Seen:
    """Keep a lane full while its receiver fails this part of its requests, at random, with an answer."""
    luck = Random(seed)
    rig = Rig(LaneSpec("w", delivery=DeliverySettings(ordering=ordering, **settings)), luck=-1)
    rig.client.latency["w"] = TRIP_SECS
    seen = Seen(0, 0, rig)

    def answers(attempt: Any) -> Any:
        if luck.random() < failing:
            return answer
        seen.good += len(attempt.items)
        return 200

    rig.client.script["w"] = [answers]
    fill(rig, SECS, luck)
    seen.sent = len(rig.client.sent)
    return seen


def fill(rig: Rig, secs: float, luck: Random) -> None:
    end, lane, n = rig.clock.at + secs, rig.core.lane("w"), len(rig.client.sent)
    while rig.clock.at < end:
        room = range(n, n + max(0, 900 - len(lane.held)))
        now_ms = int(rig.clock.wall() * 1000)
        rig.give(
            *(
                delivery(f"{rig.clock.at}-{i}", user=f"u{luck.randrange(300)}", created_ms=now_ms)
                for i in room
            )
        )
        n += len(room)
        rig.run(0.25)
        rig.results()


@cache
def healthy(ordering: str) -> float:
    return play(0.0, ordering=ordering).per_sec


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("ordering", ORDERS)
@pytest.mark.parametrize(("failing", "least"), [(0.3, 0.5), (0.5, 0.35), (0.7, 0.15), (0.9, 0.005)])
def test_a_receiver_that_fails_a_part_of_its_requests_gets_the_others(
    failing: float, least: float, ordering: str, seed: int
) -> None:
    seen = play(failing, ordering=ordering, seed=seed)
    assert seen.per_sec >= least * healthy(ordering)


@pytest.mark.parametrize("ordering", ORDERS)
def test_half_of_the_connections_reset_is_half_of_the_rate(ordering: str) -> None:
    assert play(0.5, "reset", ordering=ordering).per_sec >= 0.35 * healthy(ordering)


def test_requests_that_hang_take_slots_but_not_all_of_them() -> None:
    """Half of them end after a second only: no lane of the same slots could do better than a twentieth."""
    seen = play(0.5, "hang", timeout_secs=1.0)
    assert seen.per_sec >= 0.7 * healthy("none") * TRIP_SECS / (1.0 + TRIP_SECS)


def test_half_of_the_batches_get_through() -> None:
    batch = BatchSettings(max_events=10, max_wait_secs=0.01)
    few: dict[str, Any] = {"batch": batch, "concurrency": 8}
    assert play(0.5, **few).per_sec >= 0.35 * play(0.0, **few).per_sec


def test_one_slot_is_enough_for_half_of_the_rate() -> None:
    assert play(0.5, concurrency=1).per_sec >= 0.35 * play(0.0, concurrency=1).per_sec


def test_who_asks_for_patience_in_half_of_the_answers_is_given_it_delivery_by_delivery() -> None:
    seen = play(0.5, (429, {"retry_after": "1"}))
    assert seen.per_sec >= 0.25 * healthy("none")
    sent: dict[str, float] = {}
    for attempt in seen.rig.client.sent:
        message = attempt.items[0].request.message_id
        assert attempt.started - sent.get(message, -10.0) >= 1.0
        sent[message] = attempt.started


def test_a_dead_receiver_sees_probes_alone_and_a_recovered_one_is_back_within_seconds() -> None:
    seen = play(0.0, ordering="none")
    rig, before = seen.rig, seen.sent
    luck = Random(5)
    rig.client.script["w"] = [500]
    fill(rig, 5.0, luck)
    burst = len(rig.client.sent)
    assert burst - before < 100
    fill(rig, 15.0, luck)
    assert len(rig.client.sent) - burst <= 15
    rig.client.script["w"] = [200]
    fill(rig, 10.0, luck)
    back = len(rig.client.sent)
    fill(rig, 5.0, luck)
    assert (len(rig.client.sent) - back) / 5.0 >= 0.9 * healthy("none")


@pytest.mark.parametrize("fails", [1, 2, 4])
@pytest.mark.parametrize("ordering", ORDERS)
def test_a_receiver_that_fails_each_delivery_a_few_times_is_found_well_by_its_first_probes(
    ordering: Any, fails: int
) -> None:
    """Were each probe another delivery's first try, none would be good for a minute."""
    rig = Rig(LaneSpec("w", delivery=DeliverySettings(ordering=ordering, concurrency=16)), luck=-1)
    rig.client.latency["w"] = 0.01
    tries, good = Counter[bytes](), 0

    def answers(attempt: Any) -> int:
        nonlocal good
        tries[attempt.items[0].row] += 1
        taken = tries[attempt.items[0].row] > fails
        good += taken
        return 200 if taken else 500

    rig.client.script["w"] = [answers]
    luck = Random(3)
    fill(rig, 0.2 + 0.1 * fails, luck)
    assert good > 0
    fill(rig, 15.0, luck)
    assert good > 500


def test_a_delivery_that_no_receiver_takes_is_not_probed_for_ever() -> None:
    rig = Rig(LaneSpec("w"), luck=-1)
    rig.client.latency["w"] = 0.01
    rig.client.script["w"] = [500]
    luck = Random(3)
    fill(rig, 0.5, luck)
    down = rig.core.lane("w").throttle
    assert down.down
    poison = rig.sent()[-1]
    rig.client.by_message[poison] = [500]
    rig.client.script["w"] = [200]
    fill(rig, 5.0, luck)
    assert not down.down
    assert PROBED_AGAIN <= Counter(rig.sent())[poison] <= PROBED_AGAIN + 9


def test_a_receiver_that_fails_nine_of_ten_from_its_first_request_is_soon_found_to_answer() -> None:
    healed = 0
    for seed in range(10):
        rig, luck = Rig(LaneSpec("w"), luck=-1), Random(seed)
        rig.client.latency["w"] = 0.01
        rig.client.script["w"] = [lambda attempt, luck=luck: 503 if luck.random() < 0.9 else 200]
        fill(rig, 2.0, luck)
        lane = rig.core.lane("w")
        healed += lane.tally.delivered > 0
    assert healed >= 9


@pytest.mark.parametrize(
    ("answer", "retry", "least"),
    [
        (503, {}, 0.0),
        ((503, {"retry_after": "7"}), {}, 7.0),
        (503, {"min_delay_secs": 8.0}, 2.0),
    ],
)
def test_bad_luck_is_no_way_around_what_receiver_or_owner_asked_for(
    answer: Any, retry: dict[str, Any], least: float
) -> None:
    rig = lucky(retry=RetrySettings(**retry))
    rig.client.by_message["msg_late"] = [answer, 200]
    rig.give(delivery("late"))
    rig.run(60.0)
    first, second = (one.started for one in rig.client.sent if one.items[0].request.message_id == "msg_late")
    assert first + least <= second <= first + max(2 * least, 0.1)


@pytest.mark.parametrize(
    ("retry", "reason"), [({"max_attempts": 1}, "max-attempts"), ({"max_age_secs": 60.0}, "max-age")]
)
def test_bad_luck_is_no_further_attempt_for_what_has_had_its_last(retry: dict[str, Any], reason: str) -> None:
    rig = lucky(retry=RetrySettings(**retry))
    rig.client.latency["w"] = 0.3
    rig.client.by_message["msg_late"] = [503]
    rig.give(delivery("late", created_ms=int(rig.clock.wall() * 1000) - 59_800))
    rig.run(0.4)
    assert [one for one in rig.outcomes() if one[0] == "msg_late"] == [("msg_late", Outcome.DEAD, reason)]


def test_a_batch_that_failed_by_bad_luck_has_failed_for_each_of_its_deliveries() -> None:
    rig = lucky(batch=BatchSettings(max_events=2, max_wait_secs=0.01))
    rig.client.script["w"] = [503, 200]
    rig.results()
    rig.give(delivery("a"), delivery("b"))
    rig.run(60.0)
    failed = [name for name, outcome, _ in rig.outcomes() if outcome is Outcome.RETRY]
    assert failed == ["msg_a", "msg_b"]


def lucky(**settings: Any) -> Rig:
    """Return a rig whose receiver has just taken a delivery: the next failure may be bad luck."""
    rig = Rig(LaneSpec("w", delivery=DeliverySettings(**settings)))
    rig.give(delivery("well"))
    rig.run(0.1)
    assert rig.core.lane("w").throttle.lucky(rig.clock.at) > 0
    return rig


def test_what_always_fails_among_good_ones_is_not_hammered() -> None:
    """A poisoned body that breaks the receiver each time: a few tries soon, then the ordinary backoff."""
    rig = Rig(LaneSpec("w"), luck=-1)
    rig.client.latency["w"] = 0.01
    rig.client.by_message["msg_poison"] = [500]
    rig.give(delivery("poison"))
    luck = Random(1)
    fill(rig, 10.0, luck)
    assert 4 <= Counter(rig.sent())["msg_poison"] <= 9
