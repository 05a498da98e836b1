"""Who looks on while requests end: the last attempts that are kept, and a tap."""

from __future__ import annotations

import pytest

from pipeline.deliver.lanes import onlookers
from pipeline.deliver.lanes.onlookers import Attempts, Kept, Trip, Trips
from pipeline.deliver.lanes.settling import NOTED
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.deliver.stats import lane_stats
from pipeline.model.times import format_iso
from pipeline.outbox.handover import Outcome, Result
from tests.kit.delivery.rig import Rig, delivery
from tests.kit.machine.clock import START_MS


class Seen:
    """A tap that notes what it is shown."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, int, float | None]] = []

    def results(self, results: list[Result], trips: Trips, now_ms: int) -> None:
        for result in results:
            request, progress = result.delivery.request, result.delivery.progress
            trip = trips(result.delivery)
            self.attempts.append((request.message_id, result.outcome.name, progress.status, trip.secs))


def rig_of(*webhooks: str) -> tuple[Rig, Attempts]:
    rig = Rig(*[LaneSpec(one) for one in webhooks or ("w",)])
    attempts = Attempts()
    rig.core.results.onlookers.keep(attempts)
    return rig, attempts


def short(kept: list[Kept]) -> list[tuple[str, str, int, int, str]]:
    return [
        (one.request.message_id, one.outcome.name, one.attempt, one.status, one.reason)
        for one in reversed(kept)
    ]


def test_every_failure_is_kept_with_what_comes_of_it():
    rig, attempts = rig_of()
    rig.client.script["w"] = [503, "timeout", 400]
    rig.client.latency["w"] = 0.25
    rig.give(delivery(1))
    rig.run(60.0)
    assert short(attempts.of("w")) == [
        ("msg_1", "RETRY", 1, 503, ""),
        ("msg_1", "RETRY", 2, 0, ""),
        ("msg_1", "DEAD", 3, 400, "status-400"),
    ]
    last, timeout, first = attempts.of()
    assert first.due_ms > first.at_ms >= START_MS
    assert last.due_ms == 0
    assert timeout.excerpt.startswith("timeout")
    assert [round(one.took_secs or 0, 2) for one in (first, timeout, last)] == [0.25] * 3
    assert first.request.body == b'{"n":1}'
    assert attempts.of("other") == []


def test_of_a_receiver_that_is_down_it_is_told_when_it_is_probed():
    rig, attempts = rig_of()
    rig.client.script["w"] = [503]
    rig.give(delivery("first"))
    rig.run(0.001)
    assert [one.probe_ms for one in attempts.of()] == [0]
    rig.give(*[delivery(n) for n in range(12)])
    rig.run(0.001)
    told = {one.probe_ms for one in attempts.of()} - {0}
    stats = lane_stats(rig.core.lane("w"), None)
    sent = len(rig.client.sent)
    rig.run(1.0)
    assert told == {rig.clock.steady_ms(rig.client.sent[sent].started)}
    assert (stats.why, stats.due_at) == ("down", format_iso(told.pop()))


def test_of_many_failures_by_bad_luck_at_once_some_are_kept():
    rig, attempts = rig_of()
    rig.client.script["w"] = [200, *[503] * 50, 200]
    rig.give(delivery("first"))
    rig.run(0.01)
    rig.give(*[delivery(n) for n in range(15)])
    rig.core.turn()
    rig.client.answer_due()
    rig.core.turn()
    kept = [one for one in attempts.of() if one.outcome is Outcome.RETRY]
    assert len(kept) == NOTED
    assert rig.core.lane("w").tally.retried == 15


def test_of_what_is_delivered_one_in_a_while_is_kept():
    rig, attempts = rig_of()
    rig.give(*[delivery(n) for n in range(500)])
    rig.run(0.05)
    assert len(rig.outcomes()) == 500
    kept = attempts.of()
    assert {(one.outcome, one.status) for one in kept} == {(Outcome.DELIVERED, 200)}
    assert 1 <= len(kept) <= onlookers.GOOD_AT_ONCE + 1
    for number in (500, 501):
        rig.run(1.0)
        rig.give(delivery(number))
        rig.run(0.01)
    assert [one.request.message_id for one in attempts.of()][:2] == ["msg_501", "msg_500"]


def test_of_a_few_that_are_delivered_at_once_each_webhook_has_one():
    rig, attempts = rig_of("a", "b", "c")
    rig.give(*[delivery(f"{name}{n}", name) for name in "abc" for n in range(5)])
    rig.run(0.05)
    assert len(rig.outcomes()) == 15
    assert [len(attempts.of(name)) > 0 for name in "abc"] == [True] * 3


def test_what_is_kept_is_bounded_by_number_and_by_bytes():
    attempts = Attempts(most_bytes=1 << 20)
    for number in range(1000):
        failed = Result(delivery(number, body=b"x" * 100), Outcome.RETRY)
        attempts.note(failed, Trip(0.1), START_MS + number)
    assert len(attempts.of("w")) == onlookers.FAILURES
    assert attempts.of()[0].request.message_id == "msg_999"
    large = Result(delivery(5000, body=b"x" * (onlookers.LARGE + 1)), Outcome.DEAD, "status-400")
    attempts.note(large, Trip(None), START_MS + 5000)
    assert (attempts.of()[0].has_body, attempts.of()[0].request.body) == (False, b"")
    for number in range(200):
        attempts.note(Result(delivery(number, body=b"x" * 60_000), Outcome.RETRY), Trip(0.1), START_MS + 9000)
    assert sum(len(one.request.body) for one in attempts.of()) <= 1 << 20


def test_webhooks_share_what_attempts_may_take():
    attempts = Attempts(most_bytes=1 << 20)
    for number in range(40):
        for webhook in range(20):
            each = delivery(number, f"w{webhook}", body=b"x" * 10_000)
            attempts.note(Result(each, Outcome.RETRY), Trip(0.1), START_MS)
    held = sum(len(one.request.body) for one in attempts.of())
    assert (1 << 19) < held < (1 << 20)
    assert len({one.request.webhook_id for one in attempts.of()}) == 20


def test_a_tap_sees_each_attempt_and_how_long_it_took():
    rig, _ = rig_of()
    seen = rig.core.results.onlookers.tap = Seen()
    rig.client.script["w"] = [503, 200]
    rig.client.latency["w"] = 0.5
    rig.give(delivery(1))
    rig.run(60.0)
    assert [one[:3] for one in seen.attempts] == [("msg_1", "RETRY", 503), ("msg_1", "DELIVERED", 200)]
    assert [one[3] for one in seen.attempts] == [pytest.approx(0.5)] * 2


def test_a_tap_that_fails_is_ended_and_every_result_is_written_down():
    class Broken(Seen):
        def results(self, results: list[Result], trips: Trips, now_ms: int) -> None:
            raise ValueError("odd")

    rig, _ = rig_of()
    rig.core.results.onlookers.tap = Broken()
    rig.give(*[delivery(n) for n in range(10)])
    rig.run(1.0)
    assert [outcome for _, outcome, _ in rig.outcomes()] == [Outcome.DELIVERED] * 10
    assert rig.core.results.onlookers.tap is None
