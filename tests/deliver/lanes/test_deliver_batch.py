"""Several deliveries in one request: how they are collected, and what becomes of each."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.lanes.settling import DIVISIONS, DIVISIONS_PER_SLOT
from pipeline.deliver.requests.answers import Unreadable, failed_items
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.deliver.stats import engine_stats
from pipeline.outbox.handover import Delivery, Outcome
from tests.deliver.lanes.settings import spec
from tests.kit.delivery.rig import START_MS, Rig, delivery

D, R, X, P = Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD, Outcome.PARKED


def rig_with(*, luck: float = 0.5, wrap: Any = None, **settings: Any) -> Rig:
    batch = BatchSettings(
        **{
            name: settings.pop(name)
            for name in ("max_events", "max_bytes", "max_wait_secs", "as_")
            if name in settings
        }
    )
    return Rig(LaneSpec("w", delivery=DeliverySettings(batch=batch, **settings), wrap=wrap), luck=luck)


def bodies(attempt: Attempt) -> list[Any]:
    return orjson.loads(attempt.body)


def refusing(numbers: Collection[int]) -> Callable[[Attempt], int]:
    """Return a receiver that refuses each request with one of these in it."""
    refused = {f"msg_{n}" for n in numbers}
    return lambda attempt: 400 if any(each.request.message_id in refused for each in attempt.items) else 200


def items(*numbers: int, **fields: Any) -> list[Any]:
    return [delivery(n, body=b'{"n":%d}' % n, **fields) for n in numbers]


def test_the_wait_for_a_batch_is_no_latency_of_a_job_that_also_sends_at_once() -> None:
    rig = rig_with(max_events=3, max_wait_secs=2.0)
    batching = rig.core.lane("w").spec
    assert batching is not None
    rig.core.configure({"w": batching, "single": spec("single"), "quiet": spec("quiet")})
    rig.give(*items(1, created_ms=START_MS), delivery(1, "single", created_ms=START_MS))
    rig.run(3)
    lanes = [rig.core.lane(name) for name in ("w", "quiet", "single")]
    assert engine_stats(lanes, 0, None).p99_ms < 1_000 <= engine_stats(lanes[:2], 0, None).p99_ms


def test_a_full_batch_goes_at_once_and_the_rest_after_its_wait() -> None:
    rig = rig_with(max_events=3, max_wait_secs=2.0)
    rig.give(*items(*range(7)))
    rig.run(1)
    assert [bodies(sent) for sent in rig.client.sent] == [
        [{"n": 0}, {"n": 1}, {"n": 2}],
        [{"n": 3}, {"n": 4}, {"n": 5}],
    ]
    rig.run(1.5)
    assert bodies(rig.client.sent[2]) == [{"n": 6}]
    assert Counter(outcome for _, outcome, _ in rig.outcomes()) == {D: 7}


def test_no_batch_is_larger_than_max_bytes() -> None:
    rig = rig_with(max_bytes=50)
    rig.give(
        *(delivery(n, body=b'"%s"' % (b"x" * size)) for n, size in enumerate([21, 22, 22, 22, 30, 100, 1, 1]))
    )
    rig.run(2)
    assert [len(sent.body) for sent in rig.client.sent] == [50, 26, 26, 34, 104, 9]  # one alone may be larger


def test_requests_to_other_urls_or_with_other_headers_are_other_batches() -> None:
    rig = rig_with()
    rig.give(
        *items(1, 2, url="http://127.0.0.1:1/a"),
        *items(3, url="http://127.0.0.1:1/b"),
        *items(4, url="http://127.0.0.1:1/a", headers=(("x-team", "a"),)),
        *items(5, url="http://127.0.0.1:1/a"),
    )
    rig.run(2)
    assert sorted([each["n"] for each in bodies(sent)] for sent in rig.client.sent) == [[1, 2, 5], [3], [4]]


def test_ndjson_and_wrapped_bodies() -> None:
    rig = rig_with(as_="ndjson", max_events=2)
    rig.give(*items(1, 2))
    rig.run()
    assert rig.client.sent[0].body == b'{"n":1}\n{"n":2}\n'
    assert ("Content-Type", "application/x-ndjson") in rig.client.sent[0].target.headers
    wrapped = rig_with(max_events=2, wrap=lambda parts: b'{"data":[' + b",".join(parts) + b"]}")
    wrapped.give(*items(1, 2))
    wrapped.run()
    assert wrapped.client.sent[0].body == b'{"data":[{"n":1},{"n":2}]}'
    assert ("Content-Type", "application/json") in wrapped.client.sent[0].target.headers


def test_a_failed_batch_is_repeated_with_the_same_id_and_body() -> None:
    rig = rig_with(max_events=3)
    rig.client.script["w"] = [503, "timeout", 200]
    rig.give(*items(1, 2, 3))
    rig.run(60)
    assert len({(sent.body, sent.extra.split(b"\r\n")[0]) for sent in rig.client.sent}) == 1
    assert Counter(outcome for _, outcome, _ in rig.outcomes()) == {R: 6, D: 3}


@pytest.mark.parametrize("halt", ["", "paused"])
def test_a_member_that_gets_too_old_takes_no_younger_one_with_it(halt: Any) -> None:
    rig = rig_with(max_events=2, luck=0.99, retry=RetrySettings(max_age_secs=60, min_delay_secs=50))
    lane = rig.core.lane("w")
    rig.client.script["w"] = [200] if halt else [503, 200]
    lane.halt = halt
    rig.give(*items(1, created_ms=START_MS - 40_000), *items(2))
    rig.run(30)
    lane.halt = ""
    rig.core.nudge(lane)
    rig.run(300)
    ends = [(name, outcome, reason) for name, outcome, reason in rig.outcomes() if outcome is not R]
    assert ends == [("msg_1", X, "max-age"), ("msg_2", D, "")]


def test_a_batch_whose_members_were_dropped_is_sent_without_them_or_not_at_all() -> None:
    rig = rig_with(max_events=2)
    rig.core.lane("w").halt = "paused"
    given = items(1, 2, 3, 4)
    rig.give(*given)
    rig.run()
    rig.core.drop(rig.disk.port, [given[n].row for n in (0, 1, 2)], deque())
    rig.core.lane("w").halt = ""
    rig.core.nudge(rig.core.lane("w"))
    rig.run()
    assert [bodies(sent) for sent in rig.client.sent] == [[{"n": 4}]]


def test_the_id_of_a_batch_depends_on_its_members_alone() -> None:
    def id_of(*numbers: int) -> bytes:
        rig = rig_with(max_events=len(numbers))
        rig.give(*items(*numbers))
        rig.run()
        return rig.client.sent[0].extra.split(b"\r\n")[0]

    assert id_of(1, 2, 3) == id_of(1, 2, 3)
    assert len({id_of(1, 2, 3), id_of(3, 2, 1), id_of(1, 2), id_of(1, 2, 3, 4)}) == 4


def test_only_what_the_answer_names_is_retried() -> None:
    rig = rig_with(max_events=4)
    answer = b'{"failed": [1, {"index": 3, "error": "quota", "retry": false}]}'
    rig.client.script["w"] = [(207, {"answer": answer}), 200]
    rig.give(*items(0, 1, 2, 3))
    rig.run(60)
    assert [[each["n"] for each in bodies(sent)] for sent in rig.client.sent] == [[0, 1, 2, 3], [1]]
    ends = {each.delivery.request.message_id: each for each in rig.results() if each.outcome is not R}
    assert {name: each.outcome for name, each in ends.items()} == {
        "msg_0": D, "msg_1": D, "msg_2": D, "msg_3": X,
    }  # fmt: skip
    assert (ends["msg_3"].reason, ends["msg_3"].delivery.progress.excerpt) == ("batch-item", "quota")
    assert ends["msg_1"].delivery.progress.attempt == 2


def test_too_large_a_batch_is_halved_until_it_fits() -> None:
    rig = rig_with(max_events=8)
    rig.client.script["w"] = [lambda attempt: 413 if len(attempt.items) > 2 else 200]
    rig.give(*items(*range(8)))
    rig.run(5)
    assert [len(sent.items) for sent in rig.client.sent] == [8, 4, 4, 2, 2, 2, 2]
    assert Counter(each.outcome for each in rig.results()) == {D: 8}


def test_one_item_that_is_too_large_is_dead() -> None:
    rig = rig_with(max_events=2)
    rig.client.script["w"] = [lambda attempt: 413 if attempt.items[-1].request.message_id == "msg_1" else 200]
    rig.give(*items(0, 1))
    rig.run(5)
    assert sorted(rig.outcomes()) == [("msg_0", D, ""), ("msg_1", X, "status-413")]


@pytest.mark.parametrize("status", [400, 422])
def test_one_member_that_is_refused_costs_no_other(status: int) -> None:
    def answer(attempt: Attempt) -> int:
        return status if "msg_5" in {each.request.message_id for each in attempt.items} else 200

    rig = rig_with(max_events=8)
    rig.client.script["w"] = [answer]
    rig.give(*items(*range(8)))
    rig.run(5)
    assert sorted(rig.outcomes()) == sorted(
        [(f"msg_{n}", D, "") for n in range(8) if n != 5] + [("msg_5", X, f"status-{status}")]
    )
    assert len(rig.client.sent) == 7


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_is_refused_as_a_whole_is_dead_as_a_whole(status: int) -> None:
    rig = rig_with(max_events=8)
    rig.client.script["w"] = [status]
    rig.give(*items(*range(800)))
    rig.run()
    assert Counter(rig.outcomes()) == {(f"msg_{n}", X, f"status-{status}"): 1 for n in range(800)}
    most = DIVISIONS + DIVISIONS_PER_SLOT * DeliverySettings().concurrency
    assert 100 <= len(rig.client.sent) <= 100 + 2 * most


@pytest.mark.parametrize("at", [0, 7])
@pytest.mark.parametrize("concurrency", [1, 10, 40])
def test_a_member_that_is_refused_in_each_batch_costs_no_other(concurrency: int, at: int) -> None:
    """As many may be refused at once as are in flight, and so may their halves."""

    rig = rig_with(max_events=8, concurrency=concurrency)
    rig.client.script["w"] = [refusing(range(at, 480, 8))]
    rig.give(*items(*range(480)))
    rig.run()
    assert Counter(outcome for _, outcome, _ in rig.outcomes()) == {D: 420, X: 60}


def test_a_corrected_webhook_is_not_judged_by_what_was_refused_before() -> None:
    rig = rig_with(max_events=8)
    rig.client.script["w"] = [refusing((*range(800), 803))]
    rig.give(*items(*range(800)))
    rig.run()
    before = rig.core.lane("w").spec
    assert before is not None
    rig.core.configure({"w": replace(before, definition="corrected")})
    rig.give(*items(*range(800, 808)))
    rig.run()
    assert [name for name, outcome, _ in rig.outcomes()[800:] if outcome is X] == ["msg_803"]


def test_a_batch_that_is_refused_while_its_receiver_is_down_is_divided() -> None:
    rig = rig_with(max_events=8)
    rig.client.script["w"] = [503] * 30 + [refusing(range(5, 80, 8))]
    rig.give(*items(*range(80)))
    rig.run(600)
    ended = Counter(outcome for _, outcome, _ in rig.outcomes() if outcome is not R)
    assert ended == {D: 70, X: 10}


def test_a_batch_whose_refusal_is_to_be_retried_stays_whole() -> None:
    rig = rig_with(max_events=2, retry=RetrySettings(statuses=[400], max_attempts=2))
    rig.client.script["w"] = [400]
    rig.give(*items(0, 1))
    rig.run(60)
    assert [len(sent.items) for sent in rig.client.sent] == [2, 2]


def test_members_that_are_too_old_leave_a_batch_that_is_retried() -> None:
    rig = rig_with(max_events=2, retry=RetrySettings(max_age_secs=30, min_delay_secs=8))
    rig.client.script["w"] = [500]
    rig.give(*items(0))
    rig.run(0.5)
    rig.clock.at += 20
    rig.give(delivery(1, body=b'{"n":1}', created_ms=int(rig.clock.wall() * 1000)))
    rig.run(300)
    last = {each.delivery.request.message_id: each for each in rig.results()}
    assert {name: (each.outcome, each.reason) for name, each in last.items()} == {
        "msg_0": (X, "max-age"),
        "msg_1": (X, "max-age"),
    }


def test_ordered_batches_hold_one_delivery_per_user() -> None:
    rig = rig_with(max_events=10, max_wait_secs=0.5, ordering="per_user")
    given: list[Delivery] = []
    for n in range(3):
        for user in "ab":
            given.append(
                delivery(
                    f"{user}{n}",
                    body=b'"%s%d"' % (user.encode(), n),
                    user=user,
                    row=f"w\0{user}\0{n}".encode(),
                )
            )
    rig.give(*given)
    rig.run(10)
    assert [bodies(sent) for sent in rig.client.sent] == [["a0", "b0"], ["a1", "b1"], ["a2", "b2"]]


def test_draining_sends_what_is_collected() -> None:
    rig = rig_with(max_events=100, max_wait_secs=3600.0)
    rig.give(*items(1, 2))
    rig.core.dispatcher.flushing = True
    rig.run()
    assert len(rig.client.sent) == 1


def test_a_dropped_member_leaves_its_batch() -> None:
    rig = rig_with(max_events=3, max_wait_secs=1.0)
    given = items(1, 2)
    rig.give(*given)
    rig.run(0.1)
    rig.core.drop(rig.disk.port, [given[0].row], deque())
    rig.run(2)
    assert bodies(rig.client.sent[0]) == [{"n": 2}]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        ({"failed": [0, 2]}, {0: ("", True), 2: ("", True)}),
        ({"failed": [{"index": 1, "error": "no"}]}, {1: ("no", True)}),
        ({"failed": [{"index": 1, "retry": False}]}, {1: ("", False)}),
        ({"failed": [{"index": 1, "error": {"code": 7}}]}, {1: ("{'code': 7}", True)}),
        (
            {"failed": ["0", 1.0, {"index": "2", "error": "no"}]},
            {0: ("", True), 1: ("", True), 2: ("no", True)},
        ),
        ({"failed": {}}, {}),
        ({"failed": None}, {}),
        ({"failed": False}, {}),
        ({"failed": 0}, {}),
        ({}, {}),
        ([], {}),
        (None, {}),
        ("failed", {}),
    ],
)
def test_the_form_of_an_answer_that_names_failures(answer: Any, found: Any) -> None:
    assert failed_items(answer, 3) == found


@pytest.mark.parametrize(
    "failed",
    [
        *([3], [-1], [True], ["x"], [None], [1.5], [{"index": True}], [{}], [0, 99], [[0]], ["9" * 30]),
        *("all", True, 2, {"0": "no"}, 1e300, [float("inf")]),
    ],
)
def test_failures_that_name_no_members_are_no_success(failed: Any) -> None:
    with pytest.raises(Unreadable, match="failed"):
        failed_items({"failed": failed}, 3)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists)
    | st.dictionaries(st.text(), st.lists(st.integers()))
)
def test_no_answer_breaks_the_reading_of_failures(answer: Any) -> None:
    for said in ({"failed": answer}, answer):
        with suppress(Unreadable):
            assert all(0 <= place < 3 for place in failed_items(said, 3))


def test_a_batch_of_one_may_fail_by_name_too() -> None:
    rig = rig_with(max_wait_secs=0.1)
    rig.client.script["w"] = [(200, {"answer": b'{"failed": [0]}'}), 200]
    rig.give(*items(0))
    rig.run(30)
    assert [outcome for _, outcome, _ in rig.outcomes()] == [R, D]
