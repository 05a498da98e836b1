"""All partitions of all topics read as one: the order is that of time, whatever the keys say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.model.errors import StateError
from pipeline.telemetry import metrics
from tests.kafka.servers.topics import Tapper, Topics

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


def test_a_change_that_came_too_late_is_counted_and_stays_late_after_a_crash(
    topics: Topics, tap: Tapper, tmp_path: Path
) -> None:
    """By its commit it precedes the events that had left."""
    table, events = topics.create("db.public.users", 2), topics.create("events", 3)
    settings: dict[str, Any] = {
        "events": (events,),
        "users": (table,),
        "together": True,
        "format": "debezium",
    }
    for partition in range(3):
        topics.send(events, b"%d" % partition, time_ms=1000 + partition, partition=partition)
    first = tap(topics.open(**settings, settle_secs=0.0))
    first.reader.keep_trail(tmp_path)
    first.take(3)
    change = {"before": None, "after": {"id": 7}, "op": "u", "source": {"table": "users", "ts_ms": 999}}
    topics.send(table, orjson.dumps(change), time_ms=2000, partition=1)
    first.take(4)
    assert metrics.read("join_late_records_total", side="users") == 1
    first.reader.close()
    again = tap(topics.open(**settings))
    again.reader.keep_trail(tmp_path)
    assert again.take(4) == first.lines
    for chunk in first.chunks[:1]:
        rest = tap(topics.open(chunk.position, **settings))
        rest.reader.keep_trail(tmp_path)
        assert rest.take(4 - chunk.position[1]) == first.lines[chunk.position[1] :]
