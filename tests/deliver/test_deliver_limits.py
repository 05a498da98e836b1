"""Concurrency, rate and breaker as arithmetic on given times."""

from __future__ import annotations

from pipeline.deliver.lanes.throttle import MIN_REQUESTS, START, Breaker, Concurrency, TokenBucket


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


def test_overload_shrinks_it_once_per_round_trip_down_to_one() -> None:
    limit = Concurrency(64)
    limit.succeeded(0.0, 1, 0.1, 1)
    for _ in range(50):
        limit.overloaded(1.0)
    assert START * 0.6 < limit.limit < START
    for n in range(50):
        limit.overloaded(2.0 + n)
    assert limit.limit == 1.0


def test_it_grows_again_after_the_receiver_has_recovered() -> None:
    limit = Concurrency(64)
    for n in range(50):
        limit.overloaded(float(n))
    assert receiver_with(1000, 0.05, limit, 400)[-1] == 64


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


def failed(breaker: Breaker, now: float, times: int, asked: float = 0.0) -> None:
    for _ in range(times):
        breaker.failed(now, asked)


def state_of(breaker: Breaker) -> str:
    return breaker.state


def test_the_breaker_needs_enough_requests_and_half_of_them_bad() -> None:
    breaker = Breaker()
    failed(breaker, 0.0, MIN_REQUESTS - 1)
    assert state_of(breaker) == "closed"
    failed(breaker, 0.0, 1)
    assert state_of(breaker) == "open"
    mostly_good = Breaker()
    mostly_good.succeeded(0.0, 100)
    failed(mostly_good, 0.0, 99)
    assert state_of(mostly_good) == "closed"
    failed(mostly_good, 0.0, 1)
    assert state_of(mostly_good) == "open"


def test_old_failures_are_forgotten() -> None:
    breaker = Breaker()
    for n in range(100):
        breaker.failed(n * 20.0)
    assert breaker.state == "closed"


def test_it_lets_probes_through_and_closes_when_they_are_well() -> None:
    breaker = Breaker()
    failed(breaker, 0.0, MIN_REQUESTS)
    assert not breaker.allows(0.9)
    assert breaker.allows(1.0)
    breaker.probes += 1
    assert breaker.allows(1.0)
    breaker.probes += 1
    assert not breaker.allows(1.0)
    assert not breaker.succeeded(1.1)
    breaker.probes -= 1
    assert breaker.succeeded(1.1)
    assert breaker.state == "closed"


def test_failed_probes_double_the_time_up_to_a_minute() -> None:
    breaker = Breaker()
    failed(breaker, 0.0, MIN_REQUESTS)
    now, spans = 0.0, []
    for _ in range(9):
        spans.append(breaker.until - now)
        now = breaker.until
        assert breaker.allows(now)
        breaker.failed(now)
    assert spans == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_receiver_that_answers_some_probes_is_tried_again_soon() -> None:
    breaker = Breaker()
    failed(breaker, 0.0, MIN_REQUESTS)
    for good_first in (True, False, True, False):
        now = breaker.until
        assert breaker.allows(now)
        for good in (good_first, not good_first):
            if good:
                assert not breaker.succeeded(now)
            else:
                breaker.failed(now)
        assert breaker.state == "open"
        assert breaker.until - now <= 2.0


def test_retry_after_keeps_it_open_for_longer_but_not_for_ever() -> None:
    breaker = Breaker()
    failed(breaker, 0.0, MIN_REQUESTS, asked=30.0)
    assert breaker.until == 30.0
    greedy = Breaker()
    failed(greedy, 0.0, MIN_REQUESTS, asked=1e6)
    assert greedy.until == 60.0
