"""The Kafka source on a real broker: what it reads, in which order, and where it goes on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from time import time_ns
from types import SimpleNamespace

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import NewPartitions

from pipeline.decode.scan import scan
from pipeline.kafka.admin import KafkaAdmin, offset_of
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import ConfigError, Fatal
from pipeline.model.records import Event
from pipeline.sources.paced import Paced
from pipeline.sources.topics.ends import ANSWER_MS, LAG_EVERY_MS
from pipeline.sources.topics.kafka_reader import AHEAD_BYTES, KafkaReader
from pipeline.sources.topics.kafka_source import KafkaSource
from pipeline.sources.topics.known_topics import GROWN_MS
from pipeline.sources.topics.message_chunk import offsets_of
from pipeline.telemetry import metrics
from tests.kafka.servers.topics import LOG_APPEND, Tapper, Topics, until
from tests.kit.streams.source import open_partition


def committed(topics: Topics, topic: str, partition: int = 0) -> int:
    """The group's committed offset, as a lag tool sees it."""
    consumer = Consumer({"bootstrap.servers": topics.broker.address, "group.id": f"group-{topics.suffix}"})
    try:
        return int(consumer.committed([TopicPartition(topic, partition)], timeout=10)[0].offset)
    finally:
        consumer.close()


def test_a_message_comes_with_key_headers_time_and_origin(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    headers = [("ce_type", b"Purchase"), ("ce_type", b"again"), ("empty", None)]
    topics.send(events, b"{}", key=b"u7", time_ms=1_700_000_000_123, headers=headers)
    topics.send(events, b"[]", key=None, time_ms=1_700_000_000_100)
    seen = tap(topics.open(events=(events,)))
    assert seen.take(2) == [b"{}", b"[]"]
    chunk = seen.chunks[0]
    assert chunk.partition == "kafka-0"
    assert chunk.sources == f"{events}/0"
    assert seen.origins == [("events", 0), ("events", 1)]
    assert [key for chunk in seen.chunks for key in chunk.keys or ()] == [b"u7", None]
    assert chunk.headers is not None
    assert list(chunk.headers[0] or ()) == headers
    times = [time for chunk in seen.chunks for time in chunk.received or ()]
    assert times == [1_700_000_000_123, 1_700_000_000_100], "one topic alone is read in its own order"


def test_log_append_time_is_the_received_time(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events", config=LOG_APPEND)
    topics.send(events, b"{}", time_ms=1)
    seen = tap(topics.open(events=(events,)))
    seen.take(1)
    received = seen.chunks[0].received
    assert received is not None
    assert (received[0] or 0) > 1_700_000_000_000


def test_partition_names_come_from_the_topics(topics: Topics) -> None:
    events, users = topics.create("events", 3), topics.create("users", 3)
    source = topics.source(events=(events,), users=(users,))
    assert source.list_partitions() == ["kafka-0", "kafka-1", "kafka-2"]
    assert metrics.read("source_uneven_topics") == 0


def test_topics_that_are_not_co_partitioned_are_read_and_told(
    topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    events, users = topics.create("events", 2), topics.create("users", 1)
    topics.send(events, b"e", partition=1)
    source = topics.source(events=(events,), users=(users,))
    assert source.list_partitions() == ["kafka-0", "kafka-1"]
    assert metrics.read("source_uneven_topics") == 1
    assert "not co-partitioned" in caplog.text
    assert tap(source.open("kafka-1")).take(1) == [b"e"]


def test_start_latest_skips_what_was_there_and_users_still_come_from_the_beginning(
    topics: Topics, tap: Tapper
) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(events, b"old", time_ms=5)
    topics.send(users, b"update", time_ms=1)
    seen = tap(topics.open(events=(events,), users=(users,), start="latest"))
    topics.send(events, b"new", time_ms=9)
    assert seen.take(2) == [b"update", b"new"]


def test_start_at_a_time_begins_with_the_first_record_of_that_time(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    for time in (100, 200, 300):
        topics.send(events, b"%d" % time, time_ms=1_700_000_000_000 + time)
    seen = tap(topics.open(events=(events,), start=1_700_000_000_150, stop=1_700_000_000_250))
    assert seen.finish() == [b"200"]


def test_a_start_time_after_the_last_record_waits_for_the_next(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    topics.send(events, b"old", time_ms=1000)
    seen = tap(topics.open(events=(events,), start=2000))
    topics.send(events, b"new", time_ms=3000)
    assert seen.take(1) == [b"new"]


def test_stop_at_the_end_is_done_there_and_ignores_what_comes_later(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send_many(events, [b"e%d" % i for i in range(50)], first_ms=100)
    topics.send(users, b"u", time_ms=120)
    reader = topics.open(events=(events,), users=(users,), stop="end")
    topics.send(events, b"later", time_ms=200)
    topics.send(users, b"later", time_ms=201)
    seen = tap(reader)
    lines = seen.finish(limit=7)
    assert lines == [b"e%d" % i for i in range(20)] + [b"u"] + [b"e%d" % i for i in range(20, 50)]
    again = tap(topics.open(reader.position, events=(events,), users=(users,), stop="end"))
    assert again.reader.done, "the stop is part of the position"


@pytest.mark.parametrize("aligned", [False, True])
def test_a_resumed_reader_goes_on_after_the_last_chunk_it_returned(
    topics: Topics, tap: Tapper, aligned: bool
) -> None:
    events = topics.create("events")
    users = (topics.create("users"),) if aligned else ()
    topics.send_many(events, [b"%d" % i for i in range(100)])
    first = tap(topics.open(events=(events,), users=users))
    first.take(10, limit=10)
    position = first.chunks[-1].position
    assert position == first.reader.position
    assert position[1] == len(first.lines)
    second = tap(topics.open(position, events=(events,), users=users))
    second.take(100 - len(first.lines))
    assert first.lines + second.lines == [b"%d" % i for i in range(100)]
    assert second.reader.position[1] == 100


@pytest.mark.parametrize("aligned", [False, True])
def test_large_records_come_few_at_a_time_and_each_chunk_is_a_place_to_go_on_from(
    topics: Topics, tap: Tapper, aligned: bool
) -> None:
    events = topics.create("events")
    users = (topics.create("users"),) if aligned else ()
    sent = [bytes([65 + number]) * 700_000 for number in range(7)]
    for line in sent:
        topics.send(events, line)
    seen = tap(topics.open(events=(events,), users=users, stop="end"))
    assert seen.finish(limit=3) == sent
    assert all(len(chunk) <= 2 for chunk in seen.chunks)
    for chunk in seen.chunks[:2]:
        again = tap(topics.open(chunk.position, events=(events,), users=users, stop="end"))
        assert again.finish() == sent[chunk.position[1] :]


def test_large_records_that_wait_for_another_topic_do_not_fill_the_memory(
    topics: Topics, tap: Tapper
) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send_many(events, [b"x" * 900_000] * 40, first_ms=time_ns() // 1_000_000)
    topics.clock.stopped_at = 0
    seen = tap(topics.open(events=(events,), users=(users,), settle_secs=1000.0))
    assert isinstance(seen.reader, KafkaReader)
    side = seen.reader._streams[1].side
    until(lambda: seen.turn() or side.held_bytes >= AHEAD_BYTES, "many of them")
    for _ in range(100):
        seen.turn()
    assert len(side.offsets) < 40
    topics.clock.stopped_at = None

    def came() -> bool:
        topics.clock.ahead += 1_000_000
        seen.turn()
        return len(seen.lines) == 40

    until(came, "all of them")
    assert side.held_bytes == 0


@pytest.mark.parametrize("paced", [False, True])
def test_group_offsets_move_when_a_position_is_durable_and_not_before(
    topics: Topics, tap: Tapper, paced: bool
) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"x"] * 5)
    seen = tap(topics.open(events=(events,)))
    seen.take(5)
    seen.reader.close()
    assert committed(topics, events) < 0, "close commits nothing"
    reader = topics.open(events=(events,))
    again = tap(Paced(reader, 1e9) if paced else reader)
    again.take(5)
    again.reader.durable(again.reader.position)

    def moved() -> bool:
        again.turn()
        return committed(topics, events) == 5

    until(moved, "the committed offset")


def test_a_resumed_position_is_committed_at_the_first_poll_of_its_partition(
    topics: Topics, tap: Tapper, tmp_path: Path
) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"x"] * 5)
    first = tap(topics.open(events=(events,)))
    partition = open_partition("kafka-0", first.reader, tmp_path)
    until(lambda: bool(partition.next_batch()) and first.reader.position[1] == 5, "all of it")
    position = partition.snapshot()[1]
    partition.close()
    assert committed(topics, events) < 0, "no epoch was durable"
    resumed = tap(topics.open(position, events=(events,)))
    open_partition("kafka-0", resumed.reader, tmp_path, resumed=position).next_batch()
    until(lambda: committed(topics, events) == 5, "the committed offset")


def test_a_tombstone_in_a_users_topic_is_a_line_without_bytes(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(users, b"{}", key=b"u1", time_ms=1)
    topics.send(users, None, key=b"u1", time_ms=2)
    topics.send(events, None, key=b"u1", time_ms=3)
    seen = tap(topics.open(events=(events,), users=(users,)))
    assert seen.take(3) == [b"{}", None, b""]
    assert [key for chunk in seen.chunks for key in chunk.keys or ()] == [b"u1"] * 3
    faults = [text for chunk in seen.chunks for text in (chunk.faults or {}).values()]
    assert faults == ["a record without a value in a topic of events"]


def test_one_topic_with_both_kinds_may_hold_tombstones(topics: Topics, tap: Tapper) -> None:
    both = topics.create("both")
    topics.send(both, None, key=b"u1")
    seen = tap(topics.open(events=(both,)))
    assert seen.take(1) == [None]
    assert seen.chunks[0].faults is None


def test_an_unknown_topic_is_named_with_what_was_probably_meant(topics: Topics) -> None:
    events = topics.create("events")
    with pytest.raises(
        ConfigError, match=rf"topic `x{events}` does not exist at .*; did you mean `{events}`"
    ):
        topics.source(events=(f"x{events}",)).list_partitions()


def test_unreachable_brokers_are_told_within_the_time() -> None:
    settings = KafkaSettings("127.0.0.1:1", events=("e",), connect_secs=0.5)
    with pytest.raises(Fatal, match=r"no Kafka broker at 127\.0\.0\.1:1 answered within 0\.5 s: .*refused"):
        KafkaSource(settings).list_partitions()
    with pytest.raises(Fatal, match=r"answered for e/3 within 0\.5 s: .*refused"):
        KafkaAdmin(settings).find("e", 3, "latest")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"no.such.setting": 1}, r"`no\.such\.setting` is no setting of librdkafka"),
        ({"auto.offset.reset": "latest"}, r"`auto\.offset\.reset` is set by Hookline"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"source\.kafka\.settings: {message}"):
        KafkaSource(KafkaSettings("127.0.0.1:1", events=("e",), settings=settings))


def test_new_partitions_are_noticed_and_read_from_their_beginning_after_a_restart(
    topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    events = topics.create("events")
    topics.send(events, b"old")
    source = topics.source(events=(events,), start="latest")
    source.list_partitions()
    seen = tap(source.open("kafka-0"))
    seen.reader.durable(seen.reader.position)
    topics.admin.create_partitions([NewPartitions(events, 2)])[events].result(10)
    until(
        lambda: (
            committed(topics, events) == 1 and len(topics.source(events=(events,)).list_partitions()) == 2
        ),
        "it",
    )

    now = 1 << 40

    def noticed() -> bool:
        nonlocal now
        now += GROWN_MS
        source.topics.watch_topics(now)
        return metrics.read("source_new_partitions_total", topic=events) == 1

    until(noticed, "the metric")
    assert "read from the next start on" in caplog.text
    Topics(topics.broker).send(events, b"between", partition=1)
    after = tap(topics.open(name="kafka-1", events=(events,), start="latest"))
    assert after.take(1) == [b"between"], "although it begins at the latest"


def test_a_topic_that_is_configured_again_goes_on_where_it_was(topics: Topics, tap: Tapper) -> None:
    events, others = topics.create("events"), topics.create("others")
    position = None
    for number, configured in enumerate(((events, others), (events,), (events, others))):
        topics.send(events, b"e%d" % number)
        topics.send(others, b"o%d" % number)
        seen = tap(topics.open(position, events=configured))
        wanted = [[b"e0", b"o0"], [b"e1"], [b"e2", b"o1", b"o2"]][number]
        assert sorted(line or b"" for line in seen.take(len(wanted))) == wanted
        position = seen.reader.position


def test_lag_is_measured_without_reading(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send_many(events, [b"x"] * 30)
    seen = tap(topics.open(events=(events,), users=(users,)))

    def measured() -> bool:
        seen.turn(1)
        topics.clock.ahead += LAG_EVERY_MS
        return metrics.read("source_lag", partition=f"{events}/0") > 0

    until(measured, "the lag")
    seen.take(30)
    until(lambda: not measured(), "no lag")


@pytest.mark.parametrize("with_users", [False, True])
def test_records_behind_a_transaction_that_stays_open_are_told(
    topics: Topics, tap: Tapper, with_users: bool
) -> None:
    events = topics.create("events")
    users = (topics.create("users"),) if with_users else ()
    topics.send(events, b"before")
    seen = tap(topics.open(events=(events,), users=users))
    seen.take(1)

    def told() -> float:
        seen.turn()
        topics.clock.ahead += LAG_EVERY_MS
        return metrics.read("source_undecided_records", partition=f"{events}/0")

    with topics.transaction(commit=False) as producer:
        producer.produce(events, b"aborted", b"u1")
        producer.flush()
        topics.send(events, b"behind")
        until(lambda: told() == 2, "the records behind it")
        assert metrics.read("source_lag", partition=f"{events}/0") == 2
        assert seen.lines == [b"before"]
    seen.take(2)
    until(lambda: not told(), "nothing behind it")


@pytest.mark.parametrize("with_users", [False, True])
def test_what_has_been_heard_is_read_in_its_place_and_once(
    topics: Topics, tap: Tapper, with_users: bool
) -> None:
    events = topics.create("events")
    users = (topics.create("users"),) if with_users else ()
    seen = tap(topics.open(events=(events,), users=users))
    for times, end in enumerate((3, 6, 9)):
        topics.send_many(events, [b"%d" % number for number in range(end - 3, end)])
        for _ in range(times):
            seen.reader.hear(0.5)
        assert len(seen.take(end)) == end
    assert seen.lines == [b"%d" % number for number in range(9)]
    assert seen.reader.position[2][-1][1] == 9


@pytest.mark.parametrize("with_users", [False, True])
def test_a_reader_is_still_until_something_comes_which_is_read_in_its_place_and_once(
    topics: Topics, tap: Tapper, with_users: bool
) -> None:
    events = topics.create("events")
    users = (topics.create("users"),) if with_users else ()
    seen = tap(topics.open(events=(events,), users=users))

    def is_still() -> bool:
        seen.turn()  # what says where a topic ends is read, too
        return seen.reader.is_still()

    for end in (3, 6):
        until(is_still, "silence")
        topics.send_many(events, [b"%d" % number for number in range(end - 3, end)])
        until(lambda: not seen.reader.is_still(), "the first of them")
        assert not seen.reader.is_still(), "what has come is kept"
        assert len(seen.take(end)) == end
    assert seen.lines == [b"%d" % number for number in range(6)]


def test_a_reader_hears_nothing_while_records_wait_for_another_topic(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    seen = tap(topics.open(events=(events,), users=(users,)))
    topics.clock.stopped_at = topics.clock()
    assert seen.reader.hears
    topics.send(events, b"event")
    until(lambda: seen.turn() or not seen.reader.hears, "the event that waits")
    topics.clock.stopped_at = None
    assert seen.take(1) == [b"event"]
    assert seen.reader.hears


def test_a_closed_reader_may_be_closed_again(topics: Topics) -> None:
    reader = topics.open(events=(topics.create("events"),))
    reader.close()
    reader.close()


def test_an_answer_is_expected_shortly_after_a_question_and_no_longer(topics: Topics, tap: Tapper) -> None:
    events, users = topics.create("events"), topics.create("users")
    seen = tap(topics.open(events=(events,), users=(users,)))
    topics.clock.stopped_at = topics.clock()
    assert not seen.reader.expects_answer, "nothing waits"
    topics.send(events, b"event")
    until(lambda: seen.turn() or seen.reader.expects_answer, "a question about the topic")
    assert seen.reader.expects_answer
    until(lambda: seen.turn() or not any(stream.doubted for stream in seen.reader._streams), "its answer")

    def asks() -> bool:
        topics.clock.ahead += 1  # an answer may be here before it is looked: then another event asks again
        if seen.turn():
            topics.send(events, b"event")
        return seen.reader.expects_answer

    until(asks, "a question about its end")
    assert seen.reader.expects_answer
    topics.clock.ahead += ANSWER_MS
    assert not seen.reader.expects_answer, "a broker that is gone is not waited for in haste"
    topics.clock.stopped_at = None
    assert seen.take(1) == [b"event"]
    assert not seen.reader.expects_answer


@pytest.mark.parametrize(("format", "fault"), [("auto", False), ("cloudevents", False), ("native", True)])
def test_a_cloudevent_without_data_is_an_event_and_no_tombstone(
    topics: Topics, tap: Tapper, format: str, fault: bool
) -> None:
    events, users = topics.create("events"), topics.create("users")
    headers = [("ce_specversion", b"1.0"), ("ce_type", b"Ping"), ("ce_source", b"/s"), ("ce_id", b"1")]
    topics.send(events, None, headers=headers)
    seen = tap(topics.open(events=(events,), users=(users,), format=format))
    seen.take(1)
    chunk = seen.chunks[0]
    assert bool(chunk.faults) is fault
    if not fault:
        found = scan(chunk, format=format, wants=lambda name, kind: True).records
        assert [(type(one), getattr(one, "name", "")) for one in found] == [(Event, "Ping")]


def test_progress_counts_the_bytes_of_keys_and_values(topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    topics.send(events, b"12345", key=b"u1")
    topics.send(events, b"123", key=None)
    seen = tap(topics.open(events=(events,)))
    seen.take(2)
    assert seen.reader.progress == (10, 0)


@dataclass
class Fetched:
    """A message of which nothing is asked but its place."""

    at: int

    def offset(self) -> int:
        return self.at


@pytest.mark.parametrize("offsets", [[], [7], [7, 8, 9], [7, 9, 10], [0, 5]])
def test_offsets_are_those_of_the_messages_also_across_gaps(offsets: list[int]) -> None:
    assert offsets_of([Fetched(offset) for offset in offsets]) == offsets


@pytest.mark.parametrize("offset", [7, 0, -1])
def test_an_answer_is_an_offset_or_says_that_no_record_is_as_young(offset: int) -> None:
    assert offset_of(SimpleNamespace(offset=offset)) == offset


def test_none_is_no_offset_but_a_question_that_was_not_answered_in_time() -> None:
    with pytest.raises(KafkaException, match="_TIMED_OUT"):
        offset_of(SimpleNamespace(offset=OFFSET_INVALID))
