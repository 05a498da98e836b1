"""Two topics of a real broker become one order, whatever transactions and compaction leave out."""

from __future__ import annotations

from tests.kafka.servers.topics import LOG_APPEND, Tap, Tapper, Topics, until


def test_two_topics_are_merged_by_time_whatever_the_order_of_arrival(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    for time in (10, 30, 20, 40):
        topics.send(events, b"e%d" % time, time_ms=time)
    for time in (5, 10, 35):
        topics.send(users, b"u%d" % time, time_ms=time)
    seen = tap(topics.open(events=(events,), users=(users,)))
    assert seen.take(7, limit=2) == [b"u5", b"u10", b"e10", b"e30", b"e20", b"u35", b"e40"]


def test_an_aborted_transaction_is_not_read_and_holds_nothing_back(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(users, b"kept", time_ms=1)
    with topics.transaction(commit=False) as producer:
        producer.produce(users, b"aborted", b"u1", timestamp=2)
    topics.send(events, b"event", time_ms=10)
    seen = tap(topics.open(events=(events,), users=(users,)))
    assert seen.take(2) == [b"kept", b"event"]


def test_an_open_transaction_does_not_hold_events_back(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events", config=LOG_APPEND), topics.create("users", config=LOG_APPEND)
    seen = tap(topics.open(events=(events,), users=(users,)))
    with topics.transaction() as producer:
        producer.produce(users, b"update", b"u1")
        producer.flush()
        topics.send(events, b"before")
        assert seen.take(1) == [b"before"], "the update is not acknowledged before its commit"
    topics.send(events, b"after")
    assert seen.take(3) == [b"before", b"update", b"after"]


def test_a_committed_update_is_seen_by_the_event_after_it(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events", config=LOG_APPEND), topics.create("users", config=LOG_APPEND)
    seen = tap(topics.open(events=(events,), users=(users,)))
    for turn in range(10):
        with topics.transaction() as producer:
            producer.produce(users, b"u%d" % turn, b"u1")
        topics.send(events, b"e%d" % turn)
        seen.take(2 * turn + 2)
    assert seen.lines == [line for turn in range(10) for line in (b"u%d" % turn, b"e%d" % turn)]


def test_a_lagging_property_topic_holds_events_until_it_has_caught_up(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send_many(users, [b"u%d" % i for i in range(3000)], first_ms=1)
    topics.send(events, b"event", time_ms=2_000)
    seen = tap(topics.open(events=(events,), users=(users,)))
    seen.take(3001, limit=50)
    assert seen.lines.index(b"event") == 2000, "after the updates up to its time, before the later ones"


def test_a_compacted_property_topic_is_read_through_its_gaps(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    users = topics.create(
        "users",
        config={
            "cleanup.policy": "compact",
            "segment.ms": "100",
            "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "100",
        },
    )
    for turn in range(20):
        topics.send(users, b"old%d" % turn, key=b"u%d" % (turn % 3))

    def compacted() -> bool:
        topics.send(users, b"new", key=b"other")  # a new record rolls the segment, so that it may be cleaned
        check = topics.open(users=(users,), stop="end")
        lines = Tap(check).finish()
        check.close()
        return len([line for line in lines if line and line.startswith(b"old")]) == 3

    until(compacted, "compaction", 30)
    topics.send(events, b"event")
    seen = tap(topics.open(events=(events,), users=(users,)))
    until(lambda: seen.turn() and b"event" in seen.lines, "the event")
    assert [line for line in seen.lines if line and line.startswith(b"old")] == [b"old17", b"old18", b"old19"]
