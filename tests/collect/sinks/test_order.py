"""Requests of pages that race are put in the order of their clients' times; the others wait for nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.batch import Batch
from pipeline.collect.sinks.order import FULL, LONGEST, Order, places
from tests.collect.protocols.asking import asked, members_of
from tests.collect.sinks.kit import batch, in_loop, kept, member, opened, values


@dataclass(frozen=True)
class Request:
    batch: Batch
    name: str = ""


def page(name: str, user: str, at_ms: int | None) -> Batch:
    return batch(member(name, user, at_ms), page=True)


@in_loop
async def test_a_page_s_identify_precedes_its_track_though_it_came_later(tmp_path: Path) -> None:
    sink = opened(tmp_path, order_secs=0.05)
    racing = [page("page", "u1", 725), page("track", "u1", 724), page("identify", "u1", 721)]
    await asyncio.gather(*map(sink.keep, racing))
    await sink.close()
    assert values(tmp_path) == ["identify", "track", "page"]
    times = [line.time or 0 for line in kept(tmp_path)]
    assert times == sorted(times)


@in_loop
async def test_a_server_s_request_waits_for_no_page(tmp_path: Path) -> None:
    sink = opened(tmp_path, order_secs=60.0)
    held = sink.hand(page("page", "u1", 1))
    await sink.keep(batch(member("server", "u1", 2)))
    assert not held.done()
    await sink.close()
    assert held.done(), "a stop waits for no more of them"
    assert values(tmp_path) == ["server", "page"]


def test_the_last_of_a_user_s_requests_says_how_long_the_others_wait_but_not_for_ever() -> None:
    order = Order[Request](1.0)
    order.hold(Request(page("a", "u1", 5)), 0.0)
    order.hold(Request(page("b", "u1", 4)), 0.9)
    order.hold(Request(page("c", "u2", 4)), 0.9)
    assert order.release(1.5) == []
    assert [len(together) for together in order.release(1.9)] == [2, 1]
    at = 10.0
    released: list[list[Request]] = []
    while not released:
        order.hold(Request(page("x", "u1", 1)), at)
        at += 0.5
        released = order.release(at)
    assert at == 10.0 + LONGEST
    assert order.due() is None


def test_requests_that_a_third_one_joins_go_together() -> None:
    order = Order[Request](1.0)
    order.hold(Request(page("a", "u1", 5)), 0.0)
    order.hold(Request(page("b", "u2", 4)), 0.1)
    order.hold(Request(batch(member("c", "u1", 3), member("d", "u2", 6), page=True)), 0.2)
    (together,) = order.release(1.2)
    assert places([request.batch for request in together])[0] == (2, 0)
    order.hold(Request(page("e", "u1", 1)), 2.0)
    assert len(order.release(3.0)) == 1


def test_who_is_joined_by_others_stays_with_them_and_waits_no_longer_for_it() -> None:
    order, at = Order[Request](1.0), 0.0
    while at < LONGEST - 0.5:
        order.hold(Request(page("a", "u1", 5)), at)
        at += 0.5
    order.hold(Request(batch(*(member("b", f"u{n}", 4) for n in range(2, 9)), page=True)), at)
    order.hold(Request(batch(member("c", "u1", 3), member("d", "u2", 6), page=True)), at)
    order.hold(Request(page("e", "u1", 1)), at)
    order.hold(Request(page("f", "u8", 1)), at)
    assert order.due() == LONGEST
    assert len(order.release(LONGEST)) == 1
    assert order.due() is None
    for several in (("u1", "u9"), ("u2", "u3", "u4"), ("u1", "u2"), ("u9",)):
        order.hold(Request(batch(*(member("x", user) for user in several), page=True)), 100.0)
    assert [len(together) for together in order.release(101.0)] == [4]


@pytest.mark.parametrize(
    ("path", "before", "told"),
    [
        (
            "/v1/t",
            b'{"event":"E","anonymousId":"a","timestamp":"%s"}',
            b'{"type":"identify","userId":"u","anonymousId":"a","timestamp":"%s"}',
        ),
        ("/v1/t", b'{"event":"E","userId":"a","timestamp":"%s"}',
            b'{"type":"alias","userId":"u","previousId":"a","timestamp":"%s"}'),
        ("/e/", b'{"event":"E","distinct_id":"a","timestamp":"%s"}',
            b'{"event":"$identify","distinct_id":"u","properties":{"$anon_distinct_id":"a"},"timestamp":"%s"}'),
        ("/v1/events", b'{"name":"E","anonymous_id":"a","time":"%s"}',
            b'{"type":"identify","user_id":"u","anonymous_id":"a","time":"%s"}'),
        ("/2/httpapi", b'{"event_type":"E","device_id":"a","event_time":"%s"}',
            b'{"event_type":"$identify","user_id":"u","device_id":"a","event_time":"%s"}'),
    ],
)  # fmt: skip
def test_what_goes_by_the_anonymous_id_is_in_order_with_who_is_told_to_it(
    path: str, before: bytes, told: bytes
) -> None:
    order = Order[Request](1.0)
    for at, body in enumerate((told % b"2026-11-28T11:44:02Z", before % b"2026-11-28T11:44:01Z")):
        order.hold(Request(batch(*members_of(asked("POST", path, body)), page=True)), at / 10)
    (together,) = order.release(2.0)
    assert places([request.batch for request in together]) == [(1, 0), (0, 0)]


def test_who_ties_ever_more_users_together_costs_each_of_them_once() -> None:
    """A page's key is public: what it ties together must not be gone through again with every request."""

    class Counted(dict):
        written = 0

        def __setitem__(self, user, huddle) -> None:
            self.written += 1
            super().__setitem__(user, huddle)

    order = Order[Request](1.0)
    order._of = counted = Counted()
    for n in range(40):
        members = [member("x", f"{n}-{m}") for m in range(50)]
        order.hold(Request(batch(*members, member("x", "all"), page=True)), n / 1000)
    assert counted.written == 40 * 51
    assert len(order.release(1.5)) == 1


TIMES = st.none() | st.integers(0, 9)
BATCHES = st.lists(st.lists(TIMES, min_size=1, max_size=4), min_size=1, max_size=5)


def test_who_ties_too_many_together_has_them_written_in_parts_one_at_a_time() -> None:
    order = Order[Request](1.0)
    size = FULL // 4
    for number in range(10):
        named = f"u{number}"
        order.hold(
            Request(
                batch(*(member("x", named, 0) for _ in range(size - 1)), member("x", "tie", 0), page=True)
            ),
            0.0,
        )
    counts = [[len(together) for together in order.release(at)] for at in (0.0, 0.0, 0.0, 1.0)]
    assert counts == [[4], [4], [], [2]]
    assert order.due() is None


def test_a_full_one_goes_before_what_came_of_its_users_later() -> None:
    order = Order[Request](1.0)
    for at in (0.0, 0.9, 1.8, 2.7):
        order.hold(Request(page("a", "u1", 0)), at)
    full = batch(*(member("b", "u2", 1) for _ in range(FULL)), page=True)
    order.hold(Request(full), 3.6)
    order.hold(Request(batch(member("c", "u1", 2), member("c", "u2", 2), page=True)), 3.6)
    first, *_ = order.release(4.0, 2 * FULL)
    assert first[0].batch is full


@given(BATCHES)
def test_members_of_one_request_keep_their_order_and_single_ones_are_sorted(
    requests: list[list[int | None]],
) -> None:
    batches = [batch(*(member("x", "u", at) for at in times), received_ms=5) for times in requests]
    found = places(batches)
    assert sorted(found) == [(n, i) for n, times in enumerate(requests) for i in range(len(times))]
    for number in range(len(requests)):
        own = [index for of, index in found if of == number]
        assert own == sorted(own)
    single = [5 if requests[n][0] is None else requests[n][0] for n, _ in found if len(requests[n]) == 1]
    assert single == sorted(single, key=lambda at: at or 0)
