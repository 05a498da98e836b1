"""Requests of pages that race are put in the order of their clients' times; the others wait for nobody."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from pipeline.collect.batch import Batch
from pipeline.collect.sinks.order import LONGEST, Order, places
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


TIMES = st.none() | st.integers(0, 9)
BATCHES = st.lists(st.lists(TIMES, min_size=1, max_size=4), min_size=1, max_size=5)


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


def test_many_users_met_by_many_requests_cost_no_more_than_they_are() -> None:
    order = Order[Request](1.0)
    order.hold(Request(batch(*[member("a", f"u{n}", 1) for n in range(5_000)], page=True)), 0.0)
    moved = {id(huddle): huddle for huddle in order._huddles}
    for n in range(50):
        order.hold(Request(page("b", f"v{n}", 1)), 0.1)
        order.hold(Request(batch(member("c", f"v{n}", 1), member("d", "u1", 1), page=True)), 0.2)
        assert [id(huddle) for huddle in order._huddles] == list(moved), "the large one stays where it is"
    (together,) = order.release_all()
    assert len(together) == 101
