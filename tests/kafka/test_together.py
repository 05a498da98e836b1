"""All partitions of all topics read as one: the order is that of time, whatever the keys say."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from pipeline.model.errors import StateError
from pipeline.sources.reader import Reader
from tests.kafka.topics import Tap, Topics

Tapper = Callable[[Reader], Tap]

NUMBER = 40


def filled(topics: Topics, users: str, events: str, *, partitions: int) -> list[bytes]:
    """Write updates and events by turns, each to another partition; return them by their times."""
    lines = [b"%s%d" % (b"e" if turn % 2 else b"u", turn) for turn in range(NUMBER)]
    for turn, line in enumerate(lines):
        topic, partition = (events, turn * 7 % partitions) if turn % 2 else (users, turn * 5 % partitions)
        topics.send(topic, line, time_ms=1000 + turn, partition=partition)
    return lines


def test_records_of_all_partitions_come_in_the_order_of_their_times(topics: Topics, tap: Tapper) -> None:
    users, events = topics.create("users", 3), topics.create("events", 3)
    lines = filled(topics, users, events, partitions=3)
    seen = tap(topics.open(events=(events,), users=(users,), stop="end", together=True))
    assert seen.finish(limit=7) == lines
    # From any position on, and the offsets of all partitions are committed once that is durable.
    for chunk in seen.chunks[::3]:
        handed_out = chunk.position[1]
        again = tap(topics.open(chunk.position, events=(events,), users=(users,), together=True))
        again.take(NUMBER - handed_out)
        assert again.lines == lines[handed_out:]


def test_partitions_that_are_read_otherwise_are_refused_but_where_there_is_one(
    topics: Topics, tap: Tapper
) -> None:
    for partitions in (1, 2):
        users, events = (topics.create(f"{name}{partitions}", partitions) for name in ("users", "events"))
        lines = filled(topics, users, events, partitions=partitions)
        for together in (True, False):
            first = tap(topics.open(events=(events,), users=(users,), together=together))
            first.take(5, limit=5)
            position = first.chunks[0].position
            if partitions == 1:
                other = tap(topics.open(position, events=(events,), users=(users,), together=not together))
                other.take(NUMBER - position[1])
                assert first.chunks[0].lines + other.lines == lines
            else:
                was = "together" if together else "apart"
                with pytest.raises(StateError, match=f"join: {{partitions: {was}}}"):
                    topics.open(position, events=(events,), users=(users,), together=not together)


def test_changes_of_a_table_with_one_partition_precede_events_in_any(topics: Topics, tap: Tapper) -> None:
    """They are written later than the events that follow their commits."""
    table, events = topics.create("db.public.users"), topics.create("events", 3)
    for turn in range(9):
        source = {"table": "users", "ts_ms": 1000 + 10 * turn}
        change = {"before": None, "after": {"id": 7, "turn": turn}, "op": "u", "source": source}
        topics.send(events, b"%d" % turn, time_ms=1001 + 10 * turn, partition=turn % 3)
        topics.send(table, orjson.dumps(change), key=b'{"id":7}', time_ms=9000 + turn)
    seen = tap(topics.open(events=(events,), users=(table,), together=True, stop="end", format="debezium"))
    lines = [orjson.loads(line or b"") for line in seen.finish()]
    assert [line if type(line) is int else line["after"]["turn"] for line in lines] == [
        turn for turn in range(9) for _ in range(2)
    ]
    assert [type(line) for line in lines[:2]] == [dict, int]
    received = [time for chunk in seen.chunks for time in chunk.received or ()]
    assert received[0] == 9000, "when it was received is still known"
