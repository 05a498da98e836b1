"""Lanes on a manual clock with a scripted client: what becomes of an attempt, and when the next one is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.deliver.requests.spec import LaneSpec
from tests.deliver.lanes.settings import D, R, X, spec
from tests.kit.delivery.rig import START_MS, Rig, delivery


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207, 299])
def test_every_2xx_is_a_delivery(status: int) -> None:
    rig = Rig(spec())
    rig.client.script["w"] = [status]
    rig.give(delivery(1))
    rig.run()
    (result,) = rig.results()
    progress = result.delivery.progress
    assert (result.outcome, progress.attempt, progress.status) == (D, 1, status)
    assert rig.core.is_empty()


@pytest.mark.parametrize("size", [1, 2])
def test_what_a_webhook_counts_as_a_success_is_one(size: int) -> None:
    batch = BatchSettings(max_events=2, max_wait_secs=0.1) if size > 1 else None
    rig = Rig(spec(succeed_on=[302, 410], batch=batch))
    rig.client.script["w"] = [302, ("reset", {"begun": 302}), 410, 404]
    for n in range(4):
        rig.give(*(delivery(f"{n}-{member}") for member in range(size)))
        rig.run(1)
    ends = Counter((each.outcome, each.delivery.progress.status) for each in rig.results())
    assert ends == {(D, 302): 2 * size, (D, 410): size, (X, 404): size}
    assert (rig.core.lane("w").halt, len(rig.client.sent)) == ("", 4)


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


def test_results_are_journalled_before_the_slot_is_used_again() -> None:
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


def test_a_request_that_cannot_be_sent_is_dead() -> None:
    rig = Rig(spec())
    rig.give(delivery(1, url="ftp://x/"), delivery(2, headers=(("bad name", "x"),)), delivery(3))
    rig.run()
    assert sorted(rig.outcomes()) == [
        ("msg_1", X, "request-invalid"),
        ("msg_2", X, "request-invalid"),
        ("msg_3", D, ""),
    ]


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


@pytest.mark.parametrize("step", [3600.0, -3600.0, 56 * 365 * 86400.0, -56 * 365 * 86400.0])
@pytest.mark.parametrize("waits", [False, True], ids=["tried", "halted"])
def test_what_is_older_than_max_age_dies_whatever_the_clock_did(step: float, waits: bool) -> None:
    rig = Rig(spec(retry=RetrySettings(max_age_secs=120)), luck=0.9)
    rig.client.script["w"] = [500]
    rig.give(delivery("before"))
    rig.run(0.1)
    rig.clock.step = step
    rig.give(delivery("after", created_ms=int(rig.clock.wall() * 1000)))
    if waits:
        rig.core.lane("w").trouble_until = rig.clock.at + 1000
    rig.run(115)
    assert X not in {outcome for _, outcome, _ in rig.outcomes()}
    rig.run(15)
    dead = [result.reason for result in rig.results() if result.outcome is X]
    assert dead == ["max-age"] * 2


@pytest.mark.parametrize("ahead_secs", [120.0, 56 * 365 * 86400.0])
def test_what_was_matched_under_a_clock_that_ran_ahead_dies_too(ahead_secs: float) -> None:
    """Rows of another start: no clock of this one will come to their time soon."""
    rig = Rig(spec(retry=RetrySettings(max_age_secs=120)), luck=0.9)
    rig.client.script["w"] = [500]
    rig.clock.at += 1000
    rig.clock.step = 3600.0
    rig.run(1)
    rig.clock.step = 0.0
    rig.run(0)
    rig.give(delivery("ahead", created_ms=int((rig.clock.wall() + ahead_secs) * 1000)))
    rig.run(110)
    assert X not in {outcome for _, outcome, _ in rig.outcomes()}
    rig.run(min(ahead_secs, 120.0) + 15)
    assert [result.reason for result in rig.results() if result.outcome is X] == ["max-age"]


def test_what_is_ahead_by_a_moment_is_new() -> None:
    rig = Rig(spec(retry=RetrySettings(max_age_secs=120)), luck=0.9)
    rig.clock.at += 1000
    rig.give(delivery("ahead", created_ms=int((rig.clock.wall() + 0.5) * 1000)))
    rig.run(1)
    assert {outcome for _, outcome, _ in rig.outcomes()} == {D}


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
