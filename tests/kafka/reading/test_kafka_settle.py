"""Producers that gather messages before they send them, on a real broker: what is read live, and again."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from pipeline.telemetry import metrics
from tests.kafka.servers.topics import Tap, Tapper, Topics, until

PAIRS = 40
LINGER_MS = 40
TRIES = 5


def producer(topics: Topics, linger_ms: int) -> Producer:
    own = {"bootstrap.servers": topics.broker.address, "linger.ms": linger_ms, "log_level": 0}
    return Producer({**own, "enable.idempotence": True})


def plans(lines: list[bytes | None]) -> list[bytes | None]:
    """Return the plan that each event sees: the as-of join of a single user."""
    seen, plan = [], None
    for line in lines:
        if line is not None and line.startswith(b"u"):
            plan = line[1:]
        else:
            seen.append(plan)
    return seen


def live_and_again(
    topics: Topics, tap: Tapper, lingers: tuple[int, int], settle: float | None
) -> tuple[Tap, Tap]:
    """Write pairs of an update and an event some milliseconds later while a reader reads; read again."""
    users, events = topics.create("users"), topics.create("events")
    first, second = (producer(topics, linger) for linger in lingers)
    live = tap(topics.open(events=(events,), users=(users,), settle_secs=settle))
    for turn in range(PAIRS):
        for one, topic, kind in ((first, users, b"u"), (second, events, b"e")):
            one.produce(topic, kind + b"%d" % turn, b"u1")
            # Longer than a millisecond: at equal times the update is first.
            begun = time.monotonic()
            while time.monotonic() < begun + 0.004:
                live.turn()
                one.poll(0)
    for one in (first, second):
        one.flush(20)
    live.take(2 * PAIRS)
    again = tap(topics.open(events=(events,), users=(users,), stop="end"))
    again.finish()
    return live, again


def late() -> float:
    return sum(metrics.read("join_late_records_total", side=side) for side in ("users", "events"))


@pytest.mark.parametrize("lingers", [(LINGER_MS, 0), (0, LINGER_MS), (LINGER_MS, LINGER_MS)])
def test_live_is_as_read_again_whoever_lingers(topics: Topics, tap: Tapper, lingers: tuple[int, int]) -> None:
    live, again = live_and_again(topics, tap, lingers, settle=1.0)
    assert live.lines == again.lines
    assert plans(live.lines) == [b"%d" % turn for turn in range(PAIRS)]
    assert late() == 0


@pytest.mark.parametrize(("lingers", "side"), [((LINGER_MS, 0), "users"), ((0, LINGER_MS), "events")])
def test_without_settling_what_lingers_comes_too_late_and_is_counted(
    topics: Topics, tap: Tapper, lingers: tuple[int, int], side: str
) -> None:
    for _ in range(TRIES):
        before, of_side = late(), metrics.read("join_late_records_total", side=side)
        live, again = live_and_again(topics, tap, lingers, settle=0.0)
        counted = metrics.read("join_late_records_total", side=side) - of_side
        assert counted <= late() - before  # where a machine is busy some of the other side may be late, too
        if counted:
            break  # on a machine that is slow to ask all may have come by then
    # Events that linger on a quiet machine may all come before their updates are asked for.
    assert counted > 0 or side == "events"
    assert (live.lines != again.lines) == (late() > before)
    noted = [chunk.noted or {} for chunk in live.chunks]
    kind = {"users": "late_updates", "events": "late_events"}[side]
    assert sum(one.get(kind, 0) for one in noted) == counted


def test_by_default_records_settle_where_producers_give_the_times(topics: Topics, tap: Tapper) -> None:
    live, again = live_and_again(topics, tap, (LINGER_MS, LINGER_MS), settle=None)
    assert live.lines == again.lines or late() > 0, "on a machine that is too slow it is at least counted"


@pytest.mark.parametrize(
    ("users", "config", "held"),
    [
        (True, {}, True),
        (True, {"message.timestamp.type": "LogAppendTime"}, False),
        (False, {}, False),
    ],
)
def test_only_two_topics_with_producers_times_are_held(
    topics: Topics, tap: Tapper, users: bool, config: dict[str, str], held: bool
) -> None:
    """An hour ahead is ahead of the clock, so a record is held as long as it may: since it was fetched."""
    events, other = topics.create("events", config=config), topics.create("users", config=config)
    seen = tap(topics.open(events=(events,), users=(other,) if users else ()))
    topics.clock.stopped_at = topics.clock()
    topics.send(events, b"event", time_ms=int(time.time() * 1000) + 30_000)
    if not held:
        assert seen.take(1) == [b"event"]
        return
    until(lambda: seen.turn() or bool(seen.reader._alignment.sides[1].offsets), "the record")  # type: ignore[attr-defined]  # of this reader alone
    topics.clock.ahead += 49
    assert not any(seen.turn() for _ in range(200))
    topics.clock.ahead += 1
    assert seen.take(1) == [b"event"]
