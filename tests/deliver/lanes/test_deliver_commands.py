"""What a person does to a lane: off, on, gone, dropped, retried now; and what it waits for."""

from __future__ import annotations

from collections import Counter, deque

import pytest

from pipeline.config.models.webhooks.delivery import RetrySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth, ReceiverSettings
from pipeline.deliver.requests.spec import LaneSpec
from tests.deliver.lanes.settings import D, R, X, spec
from tests.kit.delivery.rig import Rig, delivery


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


def test_a_missing_secret_holds_the_lane_and_says_so() -> None:
    rig = Rig(LaneSpec("w"), LaneSpec("other"))
    rig.give(delivery(1, url="http://127.0.0.1:1/\x01MISSING\x02"), delivery(2, "other"))
    rig.run(30)
    assert rig.outcomes() == [("msg_2", D, "")]
    assert "${MISSING}" in rig.core.lane("w").tally.error


def test_a_secret_that_only_older_requests_ask_for_holds_up_none_of_the_others() -> None:
    """It was renamed: what was rendered before asks for it by its old name."""
    rig = Rig(LaneSpec("w"))
    old = [delivery(f"old-{n}", url="http://127.0.0.1:1/\x01RENAMED\x02") for n in range(3)]
    rig.give(*old, *(delivery(n, url="http://127.0.0.1:1/\x01KEY\x02") for n in range(20)))
    rig.run(30)
    assert rig.outcomes() == [(f"msg_{n}", D, "") for n in range(20)]
    assert "${RENAMED}" in rig.core.lane("w").tally.error
    rig.run(4 * 24 * 3600)
    assert rig.outcomes() == [(f"msg_old-{n}", X, "max-age") for n in range(3)]


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
    assert all(b"Authorization: Bearer t0ken\r\n" in sent.extra for sent in rig.client.sent)
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


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_renewed_once_and_then_believed(status: int) -> None:
    auth = OAuth2Auth("https://x.example/token", "id", "secret", renew_on=[403])
    rig = Rig(LaneSpec("w", receiver=ReceiverSettings(auth=auth)))
    rig.client.script["w"] = [status]
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
    assert (result.outcome, result.reason, result.delivery.progress.attempt) == (X, f"status-{status}", 1)
    assert b"Bearer t0" in rig.client.sent[0].extra
    assert b"Bearer t1" in rig.client.sent[1].extra


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


def test_a_receiver_that_refuses_each_token_is_given_fewer_and_fewer() -> None:
    auth = OAuth2Auth("https://x.example/token", "id", "secret")
    rig = Rig(LaneSpec("w", receiver=ReceiverSettings(auth=auth)))
    lane = rig.core.lane("w")

    def pass_seconds(secs: int, status: int) -> int:
        rig.client.script["w"] = [status]
        before = len(rig.tokens)
        for _ in range(secs):
            n = len(rig.client.sent)
            rig.give(delivery(f"{status}-{rig.clock.at}"))
            for _ in range(4):
                rig.run(0.25)
                if lane.token is not None and lane.token.asking:
                    lane.token.arrived(f"t{n}", 3600, rig.clock.at)
                    rig.core.nudge(lane)
        return len(rig.tokens) - before

    assert 5 <= pass_seconds(240, 401) <= 12
    assert pass_seconds(120, 200) == 0
    assert 1 <= pass_seconds(2, 401) <= 2
