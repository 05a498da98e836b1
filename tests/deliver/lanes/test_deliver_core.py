"""Lanes on a manual clock with a scripted client: no sockets, no waiting."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth, ReceiverSettings
from pipeline.deliver.lanes.lane import MAX_ENTRIES
from pipeline.deliver.lanes.limits.concurrency import Concurrency
from pipeline.deliver.lanes.limits.throttle import Throttle
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import START_MS, Rig, delivery

D, R, X, P = Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD, Outcome.PARKED


def spec(webhook: str = "w", *, retry: RetrySettings | None = None, **settings: Any) -> LaneSpec:
    fields = {name: settings.pop(name) for name in ("definition", "enabled", "fail_when") if name in settings}
    delivery_settings = DeliverySettings(retry=retry or RetrySettings(), **settings)
    return LaneSpec(webhook, delivery=delivery_settings, **fields)


class Patient(Throttle):
    """A breaker that never opens."""

    def failed(self, now: float, count: int = 1, asked_secs: float = 0.0, *, slow_down: bool = False) -> bool:
        return False

    def missed(self, now: float, count: int, *, slow_down: bool = False) -> None: ...


class Fixed(Concurrency):
    """A concurrency that never shrinks."""

    def ended(self, now: float, good: int, bad: int) -> None: ...


def test_a_good_answer_is_a_delivery() -> None:
    rig = Rig(spec())
    rig.give(delivery(1))
    rig.run()
    (result,) = rig.results()
    assert (result.outcome, result.delivery.progress.attempt, result.delivery.progress.status) == (D, 1, 200)
    assert rig.core.is_empty()


def test_a_failure_is_retried_with_the_same_id_until_it_works() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [503, "timeout", 200]
    rig.give(delivery(1))
    rig.run(60)
    assert [(outcome) for _, outcome, _ in rig.outcomes()] == [R, R, D]
    assert rig.sent() == ["msg_1"] * 3
    assert [b"webhook-attempt: %d\r\n" % n in sent.extra for n, sent in enumerate(rig.client.sent, 1)] == [
        True
    ] * 3


def test_a_retry_knows_its_due_time_on_the_wall() -> None:
    rig = Rig(spec(), luck=0.5)
    rig.client.script["w"] = [503]
    rig.give(delivery(1))
    rig.run()
    (result,) = rig.results()
    assert result.delivery.progress.due_ms == START_MS + 500
    assert (result.delivery.progress.status, result.delivery.progress.attempt) == (503, 1)


def test_a_rejection_is_dead_with_its_status_and_answer() -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [(422, {"answer": b"amount\x00 is\nmissing \xff"})]
    rig.give(delivery(1))
    rig.run()
    (result,) = rig.results()
    assert (result.outcome, result.reason, result.delivery.progress.status) == (X, "status-422", 422)
    assert result.delivery.progress.excerpt == r"amount\x00 is\nmissing \xff"


def test_results_are_journaled_before_the_slot_is_used_again() -> None:
    rig = Rig(spec(concurrency=1))
    order: list[str] = []
    rig.disk.journal.on_append = lambda: order.append(f"journal after {len(rig.client.sent)}")
    rig.give(*(delivery(n) for n in range(3)))
    rig.run()
    assert order == ["journal after 1", "journal after 2", "journal after 3"]


def test_all_results_of_a_turn_are_one_write() -> None:
    rig = Rig(spec(concurrency=16))
    rig.give(*(delivery(n) for n in range(16)))
    rig.run()
    assert rig.disk.journal.writes == 1


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


def test_the_rate_is_kept() -> None:
    rig = Rig(spec(rate_per_sec=10.0, concurrency=64))
    rig.give(*(delivery(n) for n in range(100)))
    rig.run(5)
    assert 50 <= len(rig.client.sent) <= 52
    rig.run(10)
    assert len(rig.client.sent) == 100


def test_a_timeout_ends_an_attempt_that_hangs() -> None:
    rig = Rig(spec(timeout_secs=3.0))
    rig.client.script["w"] = ["hang", 200]
    rig.give(delivery(1))
    rig.run(2.9)
    assert rig.results() == []
    rig.run(5)
    retried, delivered = rig.results()
    assert (retried.outcome, delivered.outcome) == (R, D)


def test_waiting_too_long_in_any_state_ends_in_a_dead_letter() -> None:
    for halt in ("paused", "disabled", "gone"):
        rig = Rig(spec(retry=RetrySettings(max_age_secs=60)))
        rig.core.lane("w").halt = halt
        rig.give(delivery(1), delivery(2))
        rig.run(59)
        assert rig.results() == []
        rig.run(2)
        assert [(outcome, reason) for _, outcome, reason in rig.outcomes()] == [(X, "max-age")] * 2
        assert rig.client.sent == []


def test_three_days_of_failure_end_in_a_dead_letter_and_little_work() -> None:
    rig = Rig(spec(), luck=-1)
    rig.client.script["w"] = [500]
    rig.give(*(delivery(n) for n in range(20)))
    rig.run(72 * 3600 + 60)
    last = [result for result in rig.results() if result.outcome is not R]
    assert Counter((each.outcome, each.reason) for each in last) == {(X, "max-age"): 20}
    # About 12 attempts until the delay is an hour, then one every half hour on average.
    assert 20 * 72 < len(rig.client.sent) < 20 * 250


def test_410_disables_the_webhook_and_keeps_what_is_pending() -> None:
    rig = Rig(spec(definition="a"))
    rig.client.script["w"] = [410]
    rig.give(*(delivery(n) for n in range(40)))
    rig.run(3600)
    assert {outcome for _, outcome, _ in rig.outcomes()} == {R}
    assert rig.gone == [("w", "a")]
    sent = len(rig.client.sent)
    assert sent <= 16
    assert rig.core.lane("w").halt == "gone"
    rig.client.script["w"] = [200]
    rig.core.configure({"w": spec(definition="a", timeout_secs=3.0)})
    rig.run(10)
    assert len(rig.client.sent) == sent, "a change elsewhere does not lift the ban"
    rig.core.configure({"w": spec(definition="b")})
    rig.run(10)
    assert Counter(outcome for _, outcome, _ in rig.outcomes()) == {D: 40}


def test_a_webhook_that_is_switched_off_sends_nothing_until_it_is_on() -> None:
    rig = Rig(spec(enabled=False))
    rig.give(delivery(1))
    rig.run(600)
    assert rig.client.sent == []
    rig.core.configure({"w": spec(enabled=True)})
    rig.run()
    assert rig.sent() == ["msg_1"]


def test_a_webhook_that_is_gone_from_the_config_still_sends_what_is_pending() -> None:
    rig = Rig(spec())
    rig.core.configure({"other": spec("other")})
    rig.give(delivery(1))
    rig.run()
    assert rig.sent() == ["msg_1"]


def test_deliveries_of_an_unknown_webhook_wait_for_its_config() -> None:
    rig = Rig()
    rig.give(delivery(1))
    rig.run(600)
    assert not rig.core.is_empty()
    rig.core.configure({"w": spec()})
    rig.run()
    assert rig.sent() == ["msg_1"]


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


def test_retry_after_is_kept_even_when_the_breaker_closes() -> None:
    rig = Rig(spec(retry=RetrySettings(min_delay_secs=1)), luck=0.0)
    rig.client.script["w"] = [(503, {"retry_after": "100"})] + [500] * 11 + [200]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(1)
    rig.give(delivery("probe-1"), delivery("probe-2"))
    rig.run(90)
    assert "msg_0" not in rig.sent()[12:]
    rig.run(60)
    assert "msg_0" in rig.sent()[12:]


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


def test_a_request_that_cannot_be_sent_is_dead() -> None:
    rig = Rig(spec())
    rig.give(delivery(1, url="ftp://x/"), delivery(2, headers=(("bad name", "x"),)), delivery(3))
    rig.run()
    assert sorted(rig.outcomes()) == [
        ("msg_1", X, "request-invalid"),
        ("msg_2", X, "request-invalid"),
        ("msg_3", D, ""),
    ]


def test_a_missing_secret_holds_the_lane_and_says_so() -> None:
    rig = Rig(LaneSpec("w", has_secrets=True), LaneSpec("other"))
    rig.give(delivery(1, url="http://127.0.0.1:1/\x01MISSING\x02"), delivery(2, "other"))
    rig.run(30)
    assert rig.outcomes() == [("msg_2", D, "")]
    assert "${MISSING}" in rig.core.lane("w").tally.error


def test_a_secret_that_only_older_requests_ask_for_holds_up_none_of_the_others() -> None:
    """It was renamed: what was rendered before asks for it by its old name."""
    rig = Rig(LaneSpec("w", has_secrets=True))
    old = [delivery(f"old-{n}", url="http://127.0.0.1:1/\x01RENAMED\x02") for n in range(3)]
    rig.give(*old, *(delivery(n, url="http://127.0.0.1:1/\x01KEY\x02") for n in range(20)))
    rig.run(30)
    assert rig.outcomes() == [(f"msg_{n}", D, "") for n in range(20)]
    assert "${RENAMED}" in rig.core.lane("w").tally.error
    rig.run(4 * 24 * 3600)
    assert rig.outcomes() == [(f"msg_old-{n}", X, "max-age") for n in range(3)]


def test_a_condition_on_the_answer_turns_a_200_into_a_dead_letter() -> None:
    def fail_when(event: Any, user: Any, scope: Any) -> bool:
        return scope["response"].get("ok") is False

    rig = Rig(spec(fail_when=fail_when))
    rig.client.by_message["msg_1"] = [(200, {"answer": b'{"ok": false, "error": "channel_not_found"}'})]
    rig.client.by_message["msg_2"] = [(200, {"answer": b'{"ok": true}'})]
    rig.client.by_message["msg_3"] = [(200, {"answer": b"ok"})]
    rig.give(delivery(1), delivery(2), delivery(3))
    rig.run()
    results = {each.delivery.request.message_id: each for each in rig.results()}
    assert (results["msg_1"].outcome, results["msg_1"].reason) == (X, "fail-when")
    assert "channel_not_found" in results["msg_1"].delivery.progress.excerpt
    assert results["msg_2"].outcome is D
    assert results["msg_3"].outcome is D


# --- clocks


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_steps_neither_delays_nor_hurries_nor_kills(step: float) -> None:
    rig = Rig(spec(retry=RetrySettings(max_age_secs=120)), luck=0.9)
    rig.client.script["w"] = [500, 500, 200]
    rig.give(delivery("before"))
    rig.run(0.1)
    rig.clock.step = step
    rig.give(delivery("after", created_ms=int(rig.clock.wall() * 1000)))
    rig.run(30)
    assert Counter(outcome for _, outcome, _ in rig.outcomes())[D] == 2


# --- pressure


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


# --- oauth2


def test_a_lane_waits_for_its_token_and_asks_for_one_only_once() -> None:
    auth = OAuth2Auth("https://x.example/token", "id", "secret")
    rig = Rig(LaneSpec("w", receiver=ReceiverSettings(auth=auth)))
    rig.give(delivery(1), delivery(2))
    rig.run(5)
    assert [lane.webhook_id for lane in rig.tokens] == ["w"]
    lane = rig.tokens[0]
    assert lane.token is not None
    lane.token.arrived("t0ken", 3600, rig.clock.at)
    rig.core.nudge(lane)
    rig.run()
    assert all(b"authorization: Bearer t0ken\r\n" in sent.extra for sent in rig.client.sent)
    assert len(rig.client.sent) == 2


def test_a_token_that_is_awaited_is_work_unless_nothing_is_sent_with_it() -> None:
    auth = OAuth2Auth("https://x.example/token", "id", "secret")
    rig = Rig(LaneSpec("w", receiver=ReceiverSettings(auth=auth)))
    lane = rig.core.lane("w")
    rig.give(delivery(1))
    rig.run()
    assert lane.awaits_token()
    lane.halt = "paused"
    assert not lane.awaits_token()
    lane.halt = ""
    rig.core.drop(rig.disk.port, [delivery(1).row], deque())
    assert not lane.awaits_token()


def test_a_refused_token_is_renewed_once_and_then_believed() -> None:
    auth = OAuth2Auth("https://x.example/token", "id", "secret")
    rig = Rig(LaneSpec("w", receiver=ReceiverSettings(auth=auth)))
    rig.client.script["w"] = [401]
    rig.give(delivery(1))
    for n in range(3):
        rig.run(1)
        token = rig.core.lane("w").token
        assert token is not None
        if token.asking:
            token.arrived(f"t{n}", 3600, rig.clock.at)
            rig.core.nudge(rig.core.lane("w"))
    rig.run(10)
    assert len(rig.tokens) == 2
    (result,) = rig.results()
    assert (result.outcome, result.reason, result.delivery.progress.attempt) == (X, "status-401", 1)
    assert b"Bearer t0" in rig.client.sent[0].extra
    assert b"Bearer t1" in rig.client.sent[1].extra


# --- commands


def test_dropped_deliveries_are_forgotten_unless_they_are_being_sent() -> None:
    rig = Rig(spec(concurrency=2))
    rig.client.script["w"] = ["hold"]
    given = [delivery(n) for n in range(5)]
    rig.give(*given)
    rig.run()
    rows = [each.row for each in given]
    rig.core.drop(rig.disk.port, rows[1:4], deque())
    assert rig.disk.port.take_released() == [(rows[1:4], rows[2:4])]
    for _ in range(3):
        rig.client.release()
        rig.run()
    assert sorted(rig.outcomes()) == [("msg_0", D, ""), ("msg_1", D, ""), ("msg_4", D, "")]


def test_what_was_handed_over_an_instant_before_it_is_dropped_is_not_sent() -> None:
    rig = Rig(spec())
    late = delivery(1)
    late.port = rig.disk.port
    rig.core.drop(rig.disk.port, [late.row], deque([[late]]))
    assert rig.disk.port.take_released() == [([late.row], [late.row])]
    rig.run()
    assert rig.sent() == []


def test_retry_now_makes_everything_due() -> None:
    rig = Rig(spec(retry=RetrySettings(min_delay_secs=3000)), luck=0.9)
    rig.client.script["w"] = [500, 500, 500, 200]
    rig.give(delivery(1), delivery(2), delivery(3))
    rig.run(1)
    rig.core.retry_now("w")
    rig.run()
    assert Counter(outcome for _, outcome, _ in rig.outcomes()) == {R: 3, D: 3}


# --- what must never stop the source


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


def test_finishing_writes_results_and_sends_nothing() -> None:
    rig = Rig(spec(concurrency=1))
    rig.give(delivery(1), delivery(2))
    rig.core.turn()
    rig.client.answer_due()
    rig.core.finish()
    assert rig.outcomes() == [("msg_1", D, "")]
    assert rig.sent() == ["msg_1"]


def test_batches_that_end_with_a_reload_are_settled_in_full() -> None:
    rig = Rig(LaneSpec("w", delivery=DeliverySettings(batch=BatchSettings(max_events=3))))
    rig.client.script["w"] = ["hold"]
    rig.give(*(delivery(n) for n in range(5)))
    rig.run()
    rig.core.configure({"w": spec()})
    rig.run()
    for _ in range(3):
        rig.client.release()
        rig.run(1)
    assert Counter(outcome for _, outcome, _ in rig.outcomes()) == {D: 5}
    assert rig.core.is_empty()
