"""Concurrency, rate and throttle as arithmetic on given times."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from pipeline.deliver.lanes.limits.concurrency import START, Concurrency
from pipeline.deliver.lanes.limits.throttle import LEAST_FAILURES, Throttle, TokenBucket


def receiver_with(capacity: int, base_secs: float, limit: Concurrency, rounds: int) -> list[int]:
    """Play a receiver that serves ``capacity`` at once and queues the rest; return the limit per round."""
    now, seen = 0.0, []
    for _ in range(rounds):
        in_flight = int(limit.limit)
        trip = base_secs * max(1.0, in_flight / capacity)
        now += trip
        limit.succeeded(now, in_flight, trip, in_flight)
        seen.append(int(limit.limit))
    return seen


def test_concurrency_starts_high_and_doubles_up_to_the_most_while_latency_is_flat() -> None:
    limit = Concurrency(64)
    assert limit.limit == START
    assert receiver_with(1000, 0.05, limit, 3)[-1] == 64


def test_who_has_come_back_gets_one_request_at_first() -> None:
    limit = Concurrency(64)
    receiver_with(1000, 0.05, limit, 3)
    limit.restart()
    assert limit.limit == 1.0


def test_a_small_most_is_obeyed() -> None:
    assert Concurrency(4).limit == 4
    assert receiver_with(1000, 0.05, Concurrency(1), 10)[-1] == 1


def test_concurrency_settles_where_latency_begins_to_rise() -> None:
    limit = Concurrency(500)
    seen = receiver_with(60, 0.1, limit, 200)
    assert 40 <= sum(seen[-50:]) / 50 <= 180
    assert max(seen[50:]) < 300


def test_it_does_not_grow_while_it_is_not_used() -> None:
    limit = Concurrency(64)
    for n in range(100):
        limit.succeeded(n * 0.1, 1, 0.05, 2)
    assert limit.limit == START


def trials(limit: Concurrency, good_of: Callable[[int], int], *, rounds: int, now: float = 0.0) -> list[int]:
    """Play rounds of 0.1 s with as many requests as may be in flight, of which ``good_of`` are good."""
    seen = []
    for _ in range(rounds):
        now += 0.1
        in_flight = int(limit.limit)
        good = good_of(in_flight)
        if good:
            limit.succeeded(now, good, 0.1, in_flight)
        limit.ended(now, good, in_flight - good)
        seen.append(in_flight)
    return seen


@pytest.mark.parametrize("share", [0.5, 0.3, 0.1])
def test_a_constant_share_of_failures_does_not_shrink_it(share: float) -> None:
    luck = random.Random(3)
    limit = Concurrency(64)
    seen = trials(limit, lambda n: sum(luck.random() < share for _ in range(n)), rounds=3000)
    assert sum(seen[300:]) / len(seen[300:]) > 40


@pytest.mark.parametrize("capacity", [2, 5, 20])
def test_a_receiver_that_sheds_what_is_too_much_is_not_sent_much_more(capacity: int) -> None:
    seen = trials(Concurrency(64), lambda n: min(n, capacity), rounds=2000)[200:]
    assert capacity * 0.7 <= sum(seen) / len(seen) <= capacity * 1.5 + 3


def test_it_grows_again_after_the_receiver_has_recovered() -> None:
    limit = Concurrency(64)
    trials(limit, lambda n: min(n, 1), rounds=600)
    assert limit.limit < 4
    assert trials(limit, lambda n: n, rounds=700, now=100.0)[-1] == 64


def test_the_bucket_keeps_its_rate_over_any_stretch() -> None:
    bucket, now, sent = TokenBucket(50.0, 0.0), 0.0, []
    for _ in range(2000):
        wait = bucket.wait(now)
        if wait:
            now += wait
            assert bucket.wait(now) == 0.0
        bucket.take()
        sent.append(now)
    assert len(sent) / sent[-1] < 50.5
    assert sum(1 for at in sent if at < 1.0) <= 50 + 5
    for start in range(0, 1900, 37):
        stretch = [at for at in sent if sent[start] <= at < sent[start] + 1.0]
        assert len(stretch) <= 50 + 5


def test_a_slow_rate_sends_one_at_a_time() -> None:
    bucket = TokenBucket(0.5, 0.0)
    assert bucket.wait(0.0) == 0.0
    bucket.take()
    assert bucket.wait(0.0) == 2.0
    assert bucket.wait(100.0) == 0.0
    bucket.take()
    assert bucket.wait(100.0) == 2.0


def in_a_row(throttle: Throttle, now: float) -> int:
    """Return how many failures at this time end in an outage."""
    for n in range(1, 1000):
        if throttle.failed(now):
            return n
    raise AssertionError("it never sees an outage")


def mixed(throttle: Throttle, share: float, answers: int) -> int:
    """Let a receiver answer well in this share, evenly spread; return how many outages were seen."""
    luck, outages = random.Random(7), 0
    for n in range(answers):
        now = n * 0.01
        if luck.random() < share:
            throttle.succeeded(now)
        else:
            outages += throttle.failed(now)
    return outages


def test_failures_alone_are_an_outage_after_a_few() -> None:
    throttle = Throttle()
    assert in_a_row(throttle, 0.0) == LEAST_FAILURES
    assert throttle.down


@pytest.mark.parametrize(("share", "part"), [(0.7, 1.0), (0.5, 1.0), (0.3, 0.4), (0.15, 0.1)])
def test_failures_among_good_answers_are_no_outage_but_take_slots_where_they_are_many(
    share: float, part: float
) -> None:
    throttle = Throttle()
    throttle.succeeded(0.0, 5)
    assert mixed(throttle, share, 20_000) <= 3
    assert throttle.part >= part
    assert abs(throttle.share - share) < 0.2


def test_the_worse_a_receiver_was_the_longer_a_row_must_be() -> None:
    rows = []
    for share in (1.0, 0.5, 0.2):
        throttle = Throttle()
        mixed(throttle, share, 2000)
        throttle.succeeded(30.0)
        rows.append(in_a_row(throttle, 31.0))
    assert rows == sorted(rows)
    assert rows[0] == LEAST_FAILURES
    assert rows[2] > 40
    assert rows[1] < 40, "what the row itself does to the share makes it no longer"
    assert rows[2] < 120


def test_an_outage_lets_one_probe_through_at_a_time_ever_more_rarely() -> None:
    throttle = Throttle()
    in_a_row(throttle, 0.0)
    assert not throttle.allows(0.04)
    now, spans = 0.0, []
    while now < 600.0:
        spans.append(round(throttle.until - now, 6))
        now = throttle.until
        assert throttle.allows(now)
        throttle.probing += 1
        assert not throttle.allows(now)
        throttle.probing -= 1
        throttle.failed(now)
    assert spans[:4] == [0.05] * 4
    assert spans == sorted(spans)
    assert spans[-1] == 30.0
    assert len(spans) < 50


@pytest.mark.parametrize(("lasted", "pause"), [(0.1, 0.05), (8.0, 2.0), (1000.0, 30.0)])
def test_probes_come_after_a_quarter_of_the_time_that_an_outage_has_lasted(
    lasted: float, pause: float
) -> None:
    throttle = Throttle()
    in_a_row(throttle, 0.0)
    throttle.failed(lasted)
    assert throttle.until == lasted + pause


def test_patience_that_is_used_up_comes_back_with_good_answers() -> None:
    throttle = Throttle()
    throttle.hurried(0.0, 99)
    assert throttle.allows(0.0)
    throttle.succeeded(0.0, 10)
    throttle.hurried(0.0, 20)
    assert throttle.allows(0.0)
    throttle.hurried(0.0, 1)
    assert not throttle.allows(0.4)
    assert throttle.allows(0.6)


def test_the_first_good_answer_ends_an_outage_and_the_lane_begins_gently() -> None:
    throttle = Throttle()
    in_a_row(throttle, 0.0)
    assert throttle.succeeded(throttle.until)
    assert not throttle.down
    assert throttle.part <= 0.3
    for _ in range(25):
        assert not throttle.succeeded(1.0)
    assert throttle.part == 1.0


def test_retry_after_prolongs_an_outage_but_not_for_ever() -> None:
    for asked, waits in ((30.0, 30.0), (1e6, 60.0)):
        throttle = Throttle()
        throttle.failed(0.0, LEAST_FAILURES, asked)
        assert throttle.until == waits


def test_bad_luck_is_what_chance_explains_while_others_are_answered() -> None:
    throttle = Throttle()
    assert throttle.lucky(0.0) == 0
    throttle.succeeded(0.0, 100)
    assert throttle.lucky(0.0) == 1
    mixed(throttle, 0.5, 2000)
    throttle.succeeded(20.0)
    assert 8 <= throttle.lucky(20.0) <= 25
    assert throttle.lucky(22.0) == 0, "nothing was good for two seconds"
    in_a_row(throttle, 20.1)
    assert throttle.lucky(20.1) == 0, "it is down"


def test_who_says_not_so_fast_more_often_than_yes_is_asked_less() -> None:
    """A receiver that takes 20 per second and answers 429 beyond."""
    throttle, now, sent, good, tokens = Throttle(), 0.0, 0, 0, 0.0
    while now < 60.0:
        now += 0.002
        tokens = min(20.0, tokens + 0.002 * 20)
        if not throttle.allows(now):
            continue
        sent += 1
        if tokens >= 1.0:
            tokens -= 1.0
            good += 1
            throttle.succeeded(now)
        else:
            throttle.failed(now, slow_down=True)
    assert good > 0.5 * 20 * 60
    assert sent < 4 * good
