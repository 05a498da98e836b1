"""A topic that was made anew is another one, however long its log is: by its id, not by name and offset."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, TopicPartition
from confluent_kafka.admin import NewPartitions

from pipeline.collect.sinks.kafka import KafkaSink
from pipeline.decode.formats import ALL_AUTO
from pipeline.kafka.admin import Topic
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import ConfigError, Fatal, StateError, TopicGrew
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.known_topics import GROWN_MS, TOPICS_ANSWER_MS, TOPICS_EVERY_MS, KnownTopics
from pipeline.sources.topics.merging.side import Side
from pipeline.sources.topics.stream import Stream
from pipeline.telemetry import metrics
from pipeline.telemetry.happenings import EVENTS_COMPACTED
from tests.collect.sinks.kit import section_to
from tests.kafka.servers.topics import Tap, Tapper, Topics, until


def made_anew(topics: Topics, name: str, lines: int) -> str:
    """Delete a topic and make it again under its name, with another content."""
    topic = f"{name}-{topics.suffix}"
    topics.admin.delete_topics([topic])[topic].result(20)
    until(lambda: topic not in topics.admin.list_topics(timeout=5).topics, "the deletion")
    assert topics.create(name) == topic
    again = Topics(topics.broker)
    again.send_many(topic, [b"new%d" % number for number in range(lines)])
    return topic


@pytest.fixture
def read(topics: Topics, tap: Tapper) -> Tap:
    """A reader that has read three records of a topic."""
    events = topics.create("events")
    topics.send_many(events, [b"old0", b"old1", b"old2"])
    first = tap(topics.open(events=(events,)))
    first.take(3)
    return first


@pytest.mark.parametrize("lines", [1, 3, 10])
def test_the_start_refuses_a_topic_that_was_made_anew(topics: Topics, read: Tap, lines: int) -> None:
    position = read.reader.position
    read.reader.close()
    events = made_anew(topics, "events", lines)
    with pytest.raises(StateError, match=r"made anew, or these brokers are another cluster.*out_of_range"):
        topics.open(position, events=(events,))


@pytest.mark.parametrize("lines", [1, 3, 10])
def test_read_as_out_of_range_says_its_records_are_none_of_the_first_life(
    topics: Topics, tap: Tapper, read: Tap, lines: int
) -> None:
    position = read.reader.position
    read.reader.close()
    events = made_anew(topics, "events", lines)
    second = tap(topics.open(position, events=(events,), out_of_range="earliest"))
    assert second.take(lines) == [b"new%d" % number for number in range(lines)]
    assert {chunk.sources for chunk in second.chunks} == {f"{events}~2/0"}
    third = tap(topics.open(second.reader.position, events=(events,)))
    Topics(topics.broker).send(events, b"later")
    assert third.take(1) == [b"later"]
    assert third.chunks[0].sources == f"{events}~2/0"


@pytest.mark.parametrize("lines", [1, 10])
def test_a_running_reader_notices_it_whatever_its_offsets_say(
    topics: Topics, tap: Tapper, read: Tap, lines: int
) -> None:
    events = read.reader.position[2][0][0]
    going_on = tap(topics.open(read.reader.position, events=(str(events),), out_of_range="earliest"))
    made_anew(topics, "events", lines)

    def refused() -> bool:
        try:
            read.turn()
        except StateError as error:
            return "made anew" in str(error)
        return False

    until(refused, "the refusal")
    wanted = [(f"{events}~2/0", b"new%d" % number) for number in range(lines)]

    def all_read() -> bool:
        going_on.turn()
        return len(going_on.lines) == len(wanted)

    until(all_read, "all of the second life")
    # Also where it had ten records before anybody looked: none is read as the fourth of the first life.
    assert [(chunk.sources, line) for chunk in going_on.chunks for line in chunk.lines] == wanted


def test_what_was_handed_out_of_a_topic_made_anew_is_durable_before_the_job_ends(
    topics: Topics, tap: Tapper, read: Tap
) -> None:
    read.reader.durable((KafkaReader.VERSION, 1, ()))
    made_anew(topics, "events", 10)
    assert isinstance(read.reader, KafkaReader)
    (stream,) = read.reader._streams
    until(lambda: not read.turn() and stream.is_over, "the end")
    assert len(read.lines) == 3, "nothing of the second life"
    read.reader.durable((KafkaReader.VERSION, 2, ()))
    assert not read.turn()
    read.reader.durable(read.reader.position)
    with pytest.raises(StateError, match="made anew"):
        read.turn()


def test_a_topic_that_is_deleted_and_not_made_anew_ends_the_job(topics: Topics, read: Tap) -> None:
    events = f"events-{topics.suffix}"
    topics.admin.delete_topics([events])[events].result(20)
    told: list[str] = []

    def ended() -> bool:
        topics.clock.ahead += TOPICS_EVERY_MS // 100
        try:
            read.turn()
        except Fatal as error:
            told.append(str(error))
        return bool(told)

    until(ended, "the end")
    assert told[0].startswith(f"topic `{events}` is gone from {topics.broker.address}: make it anew")


def test_a_second_life_is_joined_and_its_trail_repeated(topics: Topics, tap: Tapper, tmp_path: Path) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(users, b"u", time_ms=10)
    topics.send(events, b"e", time_ms=20)
    running = tap(topics.open(events=(events,), users=(users,), out_of_range="earliest"))
    running.reader.keep_trail(tmp_path)
    running.take(2)
    made_anew(topics, "users", 3)
    running.take(5)
    Topics(topics.broker).send(events, b"f", time_ms=30)
    running.take(6)
    position = running.chunks[-2].position
    assert running.lines == [b"u", b"e", b"new0", b"new1", b"new2", b"f"]
    again = tap(topics.open(position, events=(events,), users=(users,)))
    again.reader.keep_trail(tmp_path)
    assert again.take(1)[-1:] == [b"f"]


def test_a_position_of_before_knows_no_ids_and_adopts_them(topics: Topics, tap: Tapper, read: Tap) -> None:
    (topic, offset, floor, stop, *_), *_ = read.reader.position[2]
    resumed = tap(topics.open(("kafka-1", 3, ((topic, offset, floor, stop),)), events=(str(topic),)))
    (known,) = read.reader.position[2]
    assert resumed.reader.position == (KafkaReader.VERSION, 3, (known[:6],))


def test_brokers_without_ids_are_told_once_and_read_by_offsets(
    topics: Topics, tap: Tapper, read: Tap, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    events = str(read.reader.position[2][0][0])
    monkeypatch.setattr("pipeline.kafka.admin.topic_id", lambda description: "")
    monkeypatch.setattr("pipeline.sources.topics.known_topics.topic_id", lambda description: "")
    resumed = tap(topics.open(read.reader.position, events=(events,)))
    topics.send(events, b"next")
    assert resumed.take(1) == [b"next"]
    assert caplog.text.count("the brokers have no topic ids") == 1


def test_who_reads_beside_the_job_names_records_as_the_job_does(
    topics: Topics, tap: Tapper, read: Tap
) -> None:
    topic, _, _, _, _, known, *_ = read.reader.position[2][0]
    for lives, source in ((2, known), "~2"), ((2, "another"), "~3"), ((1, known), ""):
        beside = tap(topics.open(events=(str(topic),), lives={topic: lives}))
        beside.take(3)
        assert beside.chunks[0].sources == f"{topic}{source}/0"


def test_a_users_topic_that_does_not_keep_its_history_is_told(
    topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    events = topics.create("events", config={"retention.ms": "3600000"})
    users = (
        topics.create("kept"),
        topics.create("compacted", config={"cleanup.policy": "compact"}),
        topics.create("expiring", config={"retention.ms": "604800000"}),
    )
    topics.source(events=(events,), users=users, format="native").list_partitions()
    told = [metrics.read("source_history_limited", topic=topic) for topic in users]
    assert told == [0, 1, 1]
    fields = [vars(record)["fields"] for record in caplog.records if "its history" in record.message]
    assert [one["limits"] for one in fields] == ["cleanup.policy=compact", "retention.ms=604800000"]
    caplog.clear()
    topics.source(events=(events,), users=users[:2], format="debezium").list_partitions()
    assert caplog.records == [], "each change of a table has the whole row"


def test_a_topic_of_events_that_is_compacted_is_told_to_who_reads_and_refused_to_who_collects(
    topics: Topics, caplog: pytest.LogCaptureFixture
) -> None:
    compacted = topics.create("events", config={"cleanup.policy": "compact,delete"})
    topics.source(events=(compacted,), stop="end").list_partitions()
    assert caplog.records == []
    topics.source(events=(compacted,)).list_partitions()
    assert [record.message for record in caplog.records] == [EVENTS_COMPACTED.text]
    assert metrics.read("source_history_limited", topic=compacted) == 1
    with pytest.raises(ConfigError, match=r"is compacted .*Set `cleanup.policy=delete`"):
        KafkaSink(section_to(topics.broker.address, compacted))


def test_a_topic_made_anew_with_fewer_partitions_is_refused_or_read_and_then_goes_on(
    topics: Topics, tap: Tapper
) -> None:
    events = topics.create("events", 2)
    topics.send(events, b"old", partition=1)
    first = tap(topics.open(name="kafka-1", events=(events,)))
    first.take(1)
    first.reader.close()
    made_anew(topics, "events", 1)
    with pytest.raises(StateError, match=r"has 1 partitions now, but partition 1 .*made anew"):
        topics.source(events=(events,)).open("kafka-1", first.reader.position)
    accepted = topics.source(events=(events,), out_of_range="earliest")
    gone = accepted.open("kafka-1", first.reader.position)
    assert gone.read(200) is None
    assert not gone.done
    later = topics.source(events=(events,)).open("kafka-1", gone.position)
    assert later.position == gone.position, "what was accepted once is not asked again"
    topics.admin.create_partitions([NewPartitions(events, 2)])[events].result(10)
    until(lambda: len(topics.source(events=(events,)).list_partitions()) == 2, "the new partition")
    again = tap(topics.open(gone.position, name="kafka-1", events=(events,)))
    Topics(topics.broker).send(events, b"new", partition=1)
    assert again.take(1) == [b"new"]
    assert again.chunks[0].sources == f"{events}~2/1"


class Fetched:
    """A message, or a consumer that has nothing but that one."""

    def __init__(self, value: bytes, error: KafkaError | None = None) -> None:
        self.left = [self]
        self._value = value
        self._error = error

    def consume(self, limit: int, secs: float) -> list[Fetched]:
        left, self.left = self.left[:limit], []
        return left

    def error(self) -> KafkaError | None:
        return self._error

    def value(self) -> bytes:
        return self._value

    def headers(self) -> None:
        return None


class Schemas:
    """What is around records: their schemas are not here yet."""

    are_here = False

    def misses(self, value: bytes, headers: None) -> bool:
        return not self.are_here


class Described:
    """An admin client that tells at once which topic there is, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_away = False
        self.partitions = 1

    def describe(self, topics: list[str]) -> dict[str, Future[Any]]:
        self.asked += 1
        future: Future[Any] = Future()
        if not self.is_away:
            future.set_result(SimpleNamespace(partitions=[None] * self.partitions, topic_id="id"))
        return dict.fromkeys(topics, future)


def one_known_topic(state: Path | None = None) -> tuple[KnownTopics, Described]:
    settings, admin = KafkaSettings("127.0.0.1:1", events=("events",), state=state), Described()
    known = KnownTopics(settings, ALL_AUTO, cast(Any, admin))
    known._topics, known._counts = {"events": Topic(1, "id")}, {"events": 1}
    known.watch_topics(10_000)
    known.watch_topics(10_001)
    return known, admin


def test_what_comes_long_after_the_last_look_at_the_topics_waits_for_another_one() -> None:
    known, admin = one_known_topic()
    assert known.are_known_since(10_000, "events", 10_001)
    assert not known.are_known_since(11_000, "events", 11_000)
    known.watch_topics(11_001)
    assert admin.asked == 2, "not only when it is time"
    known.watch_topics(11_002)
    assert known.are_known_since(11_000, "events", 11_002)


def test_brokers_that_do_not_say_what_a_topic_is_hold_up_its_records_shortly() -> None:
    known, admin = one_known_topic()
    admin.is_away = True
    for now in range(11_000, 11_000 + TOPICS_ANSWER_MS):
        known.watch_topics(now)
        assert not known.are_known_since(11_000, "events", now)
    assert known.are_known_since(11_000, "events", 11_000 + TOPICS_ANSWER_MS)


def test_what_waits_for_its_schema_is_of_the_topic_that_was_read_though_that_is_another_one_by_now() -> None:
    known, _ = one_known_topic()
    old, schemas = Fetched(b"old"), Schemas()
    side: Side[Any] = Side("events/0", 3)
    stream = Stream("events", 0, False, side, lambda: cast(Any, old), id="id", frame=cast(Any, schemas))
    stream.brought_ms = 10_000
    assert stream.fetch(10, known, 10_050) == []
    assert stream.held == [old]
    assert stream.fetch(10, known, 11_000) == []
    stream.forget_doubtful()
    schemas.are_here = True
    assert stream.fetch(10, known, 12_000) == [old]
    assert not stream.holds
    new = Fetched(b"new")
    stream.consumer = cast(Any, new)
    assert stream.fetch(10, known, 12_000) == []
    assert stream.holds, "until it is known whose it is"
    stream.forget_doubtful()
    assert not stream.holds


def test_an_error_ends_no_pause_after_which_a_topic_may_be_another_one() -> None:
    known, _ = one_known_topic()
    error = Fetched(b"", KafkaError(KafkaError._TRANSPORT))
    side: Side[Any] = Side("events/0", 3)
    stream = Stream("events", 0, False, side, lambda: cast(Any, error), id="id")
    stream.brought_ms = 10_000
    assert stream.fetch(10, known, 11_000) == [error], "told at once"
    stream.consumer = cast(Any, Fetched(b"new"))
    assert stream.fetch(10, known, 11_050) == []
    assert stream.holds, "until it is known whose it is"


def test_a_place_that_retention_has_moved_says_no_epoch(topics: Topics, tap: Tapper, read: Tap) -> None:
    """That of what was read tells where its leader's records ended: before the place, and no truncation."""
    _, line, ((topic, offset, *rest),) = read.reader.position
    old = (topic, offset, *rest[:4], -1, 0)
    topics.send_many(str(topic), [b"more"] * 3)
    topics.admin.delete_records([TopicPartition(str(topic), 0, 5)])[TopicPartition(str(topic), 0)].result(20)
    resumed = topics.open((KafkaReader.VERSION, line, (old,)), events=(str(topic),), out_of_range="latest")
    seen = tap(resumed)
    (stream,) = resumed._streams
    assert (stream.place.offset, stream.place.epoch, stream.place.life) == (6, -1, 1)
    topics.send(str(topic), b"later")
    assert seen.take(1) == [b"later"]


def test_a_job_starts_anew_once_all_brokers_agree_that_a_topic_has_grown(tmp_path: Path) -> None:
    known, admin = one_known_topic(tmp_path)

    def look(at: int, partitions: int) -> None:
        admin.partitions = partitions
        known.watch_topics(20_000 + at * TOPICS_EVERY_MS)  # it asks
        known.watch_topics(20_000 + at * TOPICS_EVERY_MS)

    for at, partitions in enumerate((2, 2, 1, 2, 1, 2, 2)):  # one of two brokers lags behind
        look(at, partitions)
    with pytest.raises(TopicGrew, match="2 partitions now"):
        look(5 + GROWN_MS // TOPICS_EVERY_MS, 2)
