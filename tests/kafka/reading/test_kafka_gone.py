"""Offsets and topics that are gone: an error that says what to do, or a place to go on from."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from pipeline.model.errors import StateError
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.telemetry import metrics
from tests.kafka.servers.topics import Tapper, Topics, until


def test_an_offset_removed_by_retention_is_an_error_that_says_what_to_do(topics: Topics) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"%d" % i for i in range(10)])
    reader = topics.open(events=(events,))
    position = reader.position
    reader.close()
    topics.admin.delete_records([TopicPartition(events, 0, 6)])
    until(lambda: topics.source(events=(events,)).admin.find(events, 0, "earliest") == 6, "the deletion")
    with pytest.raises(
        StateError, match=r"begins at offset 6 now: 6 offsets from 0 on .*out_of_range: earliest"
    ):
        topics.open(position, events=(events,))


def test_out_of_range_earliest_goes_on_with_what_is_there_and_counts_the_gap(
    topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"%d" % i for i in range(10)])
    reader = topics.open(events=(events,))
    topics.admin.delete_records([TopicPartition(events, 0, 6)])
    until(lambda: topics.source(events=(events,)).admin.find(events, 0, "earliest") == 6, "the deletion")
    seen = tap(topics.open(reader.position, events=(events,), out_of_range="earliest"))
    reader.close()
    assert seen.take(4) == [b"6", b"7", b"8", b"9"]
    assert metrics.read("source_skipped_total", partition=f"{events}/0") == 6
    assert "the position in a topic was lost" in caplog.text


def test_an_offset_removed_while_reading_is_handled_alike(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"%d" % i for i in range(10)])
    seen = tap(topics.open(events=(events,), out_of_range="earliest"))
    lost = tap(topics.open(events=(events,)))
    for one in (seen, lost):
        assert isinstance(one.reader, KafkaReader)
        stream = one.reader._streams[0]
        stream.consumer.assign([TopicPartition(events, 0, 500)])
        stream.side.position = 500
    assert seen.take(10)[:1] == [b"0"]
    with pytest.raises(StateError, match="ends at offset 10, but was read up to 500"):
        until(lost.turn, "the error")


def test_what_was_fetched_before_retention_took_it_leaves_and_is_durable_before_the_job_ends(
    topics: Topics, tap: Tapper, tmp_path: Path
) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(users, b"u0", time_ms=1)
    reader = topics.open(events=(events,), users=(users,))
    reader.keep_trail(tmp_path)  # as a job does, which reports what is durable
    seen = tap(reader)
    seen.take(1)
    behind, lost = reader._streams
    behind.consumer.pause([TopicPartition(users, 0)])
    topics.send(users, b"u1", time_ms=2)
    topics.send_many(events, [b"%d" % i for i in range(10)], first_ms=3)
    until(lambda: not seen.turn() and lost.side.position == 10, "the events, which wait for the users")
    topics.admin.delete_records([TopicPartition(events, 0, 10)])
    until(lambda: topics.source(events=(events,)).admin.find(events, 0, "earliest") == 10, "the deletion")
    lost.go_to(9)
    until(lambda: not seen.turn() and lost.is_over, "the loss")
    behind.consumer.resume([TopicPartition(users, 0)])
    assert seen.take(12) == [b"u0", b"u1", *(b"%d" % i for i in range(10))]
    assert not seen.turn()
    reader.durable((KafkaReader.VERSION, 3, ()))
    assert not seen.turn()
    reader.durable(reader.position)
    with pytest.raises(StateError, match="begins at offset 10 now"):
        seen.turn()


def test_a_topic_that_was_recreated_is_an_error(topics: Topics) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"x"] * 5)
    position = ("kafka-1", 9, ((events, 9, 0, None),))
    with pytest.raises(StateError, match="recreated or truncated"):
        topics.open(position, events=(events,))
