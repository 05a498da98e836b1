"""Whose turn it is, when a lane is looked at again, and what must never stop the source."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth, ReceiverSettings
from pipeline.deliver.lanes.lane import MAX_ENTRIES, PART_SECS, PARTS, QUOTA_SECS, Quota
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.deliver.lanes.settings import D, Fixed, Patient, R, spec
from tests.kit.delivery.rig import START_MS, Rig, delivery


def test_no_more_than_the_concurrency_is_in_flight() -> None:
    rig = Rig(spec(concurrency=5))
    rig.client.script["w"] = ["hold"]
    rig.give(*(delivery(n) for n in range(50)))
    rig.run()
    assert len(rig.client.held) == 5
    rig.client.release()
    rig.run()
    assert len(rig.client.sent) == 10


def test_a_reload_with_less_concurrency_holds_at_once() -> None:
    rig = Rig(spec(concurrency=8))
    rig.client.script["w"] = ["hold"]
    rig.core.configure({"w": spec(concurrency=2)})
    rig.give(*(delivery(n) for n in range(8)))
    rig.run()
    assert len(rig.client.held) == 2


def test_each_of_n_processes_takes_its_part() -> None:
    rig = Rig(spec(concurrency=8, rate_per_sec=40.0), share=0.25)
    rig.client.script["w"] = ["hold"]
    rig.give(*(delivery(n) for n in range(50)))
    rig.run()
    assert len(rig.client.held) == 1  # the bucket holds a tenth of a second of 10 per second
    rig.run(9)
    assert len(rig.client.held) == 2


def test_retries_take_at_most_their_share_of_the_slots() -> None:
    rig = Rig(spec(concurrency=8, timeout_secs=1000.0))
    rig.client.script["w"] = [400]
    for n in range(100):
        rig.client.by_message[f"msg_{n}"] = [429, "hang"]
    lane = rig.core.lane("w")
    lane.throttle, lane.limit = Patient(), Fixed(8)
    rig.give(*(delivery(n) for n in range(100)))
    rig.run(100)
    assert len(lane.flying) == 4
    rig.give(*(delivery(f"fresh-{n}") for n in range(50)))
    rig.run(1)
    assert sum(1 for each in rig.sent() if each.startswith("msg_fresh")) == 50


def test_a_hanging_lane_does_not_take_all_connections() -> None:
    specs = [spec(f"sick-{n}", timeout_secs=1000.0) for n in range(10)] + [spec("well")]
    rig = Rig(*specs, max_flying=100)
    for n in range(10):
        rig.client.script[f"sick-{n}"] = ["hang"]
        rig.give(*(delivery(i, f"sick-{n}") for i in range(100)))
    rig.run(1)
    assert rig.core.dispatcher.flying <= 100
    rig.give(*(delivery(i, "well") for i in range(1000)))
    rig.run(1)
    assert Counter(sent.owner.webhook_id for sent in rig.client.sent)["well"] == 1000


def test_lanes_take_turns() -> None:
    rig = Rig(spec("a"), spec("b"), spec("c"), max_flying=30)
    rig.client.script.update({name: ["hold"] for name in "abc"})
    for name in "abc":
        rig.give(*(delivery(n, name) for n in range(200)))
    rig.run()
    for _ in range(10):
        rig.client.release()
        rig.run()
    counts = Counter(sent.owner.webhook_id for sent in rig.client.sent)
    assert min(counts.values()) * 3 > max(counts.values())


def test_a_healthy_lane_does_not_feel_sick_ones() -> None:
    """Thousand webhooks, of which one hangs, one takes 10 s, one answers 500, one resets."""

    seconds = 6

    def healthy_p99(sick: bool) -> tuple[float, Rig]:
        rig = Rig(*(spec(f"w{n}") for n in range(1000)))
        if sick:
            rig.client.script.update({"w0": ["hang"], "w1": [200], "w2": [500], "w3": ["reset"]})
            rig.client.latency["w1"] = 9.9
        for n in range(4, 1000):
            rig.client.latency[f"w{n}"] = 0.02
        for second in range(seconds):
            now_ms = int(rig.clock.wall() * 1000)
            for n in range(0, 1000):
                rig.give(delivery(f"{second}", f"w{n}", created_ms=now_ms))
            for n in range(4):
                rig.give(*(delivery(f"{second}-{i}", f"w{n}", created_ms=now_ms) for i in range(40)))
            rig.run(1.0)
        waits: list[int] = []
        for n in range(4, 1000):
            for ms, count in rig.core.lane(f"w{n}").tally.latencies.items():
                waits += [ms] * count
        assert len(waits) == 996 * seconds
        return sorted(waits)[int(len(waits) * 0.99)], rig

    alone, _ = healthy_p99(sick=False)
    with_sick, rig = healthy_p99(sick=True)
    assert with_sick <= 2 * alone
    assert not rig.core.pressed
    rig.client.script.update({"w0": [200], "w2": [200], "w3": [200]})
    rig.client.latency.clear()
    rig.run(3600)
    assert rig.core.is_empty()
    assert {each.outcome for each in rig.results()} == {D, R}


def test_a_fast_lane_presses_the_source_and_a_slow_one_never() -> None:
    rig = Rig(spec("fast"), spec("slow"), spec("hangs"), spec("fails"))
    rig.client.script.update({"hangs": ["hang"], "fails": [500]})
    rig.client.latency.update({"fast": 0.002, "slow": 1.0})
    for _ in range(40):
        for name in ("slow", "hangs", "fails"):
            rig.give(*(delivery(f"{rig.clock.at}-{n}", name) for n in range(20)))
        rig.give(*(delivery(f"{rig.clock.at}-{n}", "fast") for n in range(300)))
        rig.run(0.05)
    rig.give(*(delivery(f"last-{n}", "fast") for n in range(MAX_ENTRIES)))
    rig.core.turn()
    assert {lane.webhook_id for lane in rig.core.pressed} == {"fast"}
    rig.run(1.0)
    assert not rig.core.pressed


def test_a_fast_lane_that_begins_to_hang_lets_go_of_the_source() -> None:
    rig = Rig(spec("w"))
    rig.client.latency["w"] = 0.002
    rig.give(*(delivery(n) for n in range(900)))
    rig.run(0.01)
    rig.client.script["w"] = ["hang"]
    rig.give(*(delivery(f"more-{n}") for n in range(900)))
    rig.core.turn()
    assert rig.core.pressed
    rig.run(0.3)
    assert not rig.core.pressed


@pytest.mark.parametrize("halt", ["paused", "disabled", "gone"])
def test_a_halted_lane_that_is_full_does_not_hold_the_source(halt: Any) -> None:
    rig = Rig(spec())
    rig.core.lane("w").halt = halt
    rig.give(*(delivery(n) for n in range(MAX_ENTRIES)))
    rig.run(0.3)
    assert not rig.core.pressed


def test_a_single_user_in_order_does_not_hold_the_source() -> None:
    rig = Rig(spec(ordering="per_user", concurrency=64))
    rig.client.latency["w"] = 0.02
    rig.give(*(delivery(n, user="u", row=b"w\0u\0%06d" % n) for n in range(MAX_ENTRIES)))
    rig.run(0.5)
    assert not rig.core.pressed
    assert len(rig.client.sent) < 40


def test_batches_in_the_making_do_not_hold_the_source_and_may_be_large() -> None:
    batch = BatchSettings(max_events=5000, max_wait_secs=10.0)
    rig = Rig(LaneSpec("w", delivery=DeliverySettings(batch=batch)))
    rig.give(*(delivery(n, body=b"1") for n in range(4000)))
    rig.run(1)
    assert rig.client.sent == []
    assert not rig.core.pressed
    assert len(rig.core.lane("w").held) < rig.core.lane("w").max_entries
    rig.give(*(delivery(n, body=b"1") for n in range(4000, 5000)))
    rig.run()
    assert [len(sent.items) for sent in rig.client.sent] == [5000]


def test_a_410_that_cannot_be_noted_disables_all_the_same() -> None:
    rig = Rig(spec())

    def full(webhook: str, definition: str) -> None:
        raise OSError(28, "No space left on device")

    rig.core.settler.on_gone = full
    rig.client.script["w"] = [410]
    rig.give(delivery(1))
    rig.run(10)
    assert rig.core.lane("w").halt == "gone"


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


def test_at_the_end_of_draining_every_request_that_hangs_is_ended_in_its_time() -> None:
    """Its result is in the journal then: the next start waits for the next attempt in place of sending it."""
    rig = Rig(spec(timeout_secs=3.0))
    rig.client.script["w"] = ["hang"]
    for n in range(4):
        rig.give(delivery(n))
        rig.run(0.5)
    rig.core.dispatcher.closed = True
    rig.give(delivery(4))
    rig.run(2.2)  # 4.2 s after the first one, 2.7 s after the last one was sent
    assert [outcome for _, outcome, _ in rig.outcomes()] == [Outcome.RETRY] * 3
    assert len(rig.sent()) == 4
    rig.run(1)
    assert len(rig.outcomes()) == 1
    assert rig.core.next_due() == inf or rig.core.next_due() > rig.clock.at


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
    lane.quota = Quota(12, rig.clock.at)
    rig.client.script["w"] = ["hang"]
    rig.give(*(delivery(n) for n in range(16)))
    begun, sent = rig.clock.at, []
    for part in range(PARTS):
        rig.clock.at = begun + PART_SECS * part
        rig.core.turn()
        sent.append(len(rig.client.sent))
        due = begun + (PART_SECS * (part + 1) if part < PARTS - 1 else QUOTA_SECS)
        assert rig.core.dispatcher.next_due() == pytest.approx(due)
    assert sent == [3, 5, 8, 10, 12], "a part at a time: all at once would hold up others"
    rig.clock.at = begun + QUOTA_SECS
    rig.core.turn()
    assert len(rig.client.sent) == 16


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
    rig = Rig(LaneSpec("w"))
    rig.give(*(delivery(n, url="http://127.0.0.1:1/\x01MISSING\x02") for n in range(3)))
    rig.run(30)
    assert caplog.text.count("requests cannot be made") == 1
