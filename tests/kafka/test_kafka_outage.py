"""Brokers that go away and come back, under load."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from pipeline.model.errors import StateError
from pipeline.sources.topics.ends import LAG_EVERY_MS
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.telemetry import metrics
from tests.kafka.servers.broker import Broker, down, free_port, up
from tests.kafka.servers.topics import Tap, Topics, until

Tapper = Callable[[KafkaReader], Tap]


@pytest.fixture
def mortal(broker: Broker) -> Iterator[Broker]:
    """The broker, for a test that kills it; it runs again afterwards."""
    if not broker.owned:
        pytest.skip("a broker that is not ours is not killed")
    yield broker
    if broker.process is None:
        broker.start()


class Load:
    """Writes numbered updates and events from a thread, with an outage in the middle, none lost."""

    def __init__(self, topics: Topics, users: str, events: str) -> None:
        self.topics, self.users, self.events = topics, users, events
        self.sent = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        assert self.topics.producer.flush(30) == 0

    def _write(self) -> None:
        producer = self.topics.producer
        while not self._stop.wait(0.002):
            producer.produce(self.users, b"u%d" % self.sent, b"u1", 0)
            assert producer.flush(30) == 0
            producer.produce(self.events, b"e%d" % self.sent, b"u1", 0)
            producer.poll(0)
            self.sent += 1


def test_a_broker_killed_and_restarted_under_load_loses_nothing_and_keeps_the_order(
    mortal: Broker, topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    config = {"message.timestamp.type": "LogAppendTime"}
    events, users = topics.create("events", config=config), topics.create("users", config=config)
    seen = tap(topics.open(events=(events,), users=(users,)))
    with Load(topics, users, events) as load:
        seen.take(200)
        mortal.kill()
        until(lambda: seen.turn() or metrics.read("source_unreachable") == 1, "the outage to be noticed")
        mortal.start(wait=False)
        mortal.wait_ready()
        sent = load.sent
        until(lambda: seen.turn() and load.sent > sent + 50, "the load to go on")
    seen.take(2 * load.sent)
    lines = [line or b"" for line in seen.lines]
    assert sorted(lines) == sorted(b"%c%d" % (kind, i) for kind in b"ue" for i in range(load.sent))
    place = {line: index for index, line in enumerate(lines)}
    assert all(place[b"u%d" % i] < place[b"e%d" % i] for i in range(load.sent))
    assert metrics.read("source_unreachable") == 0
    assert "Kafka is unreachable" in caplog.text
    assert "Kafka is reachable again" in caplog.text


def test_brokers_that_fall_silent_are_told_and_let_nothing_pass_that_waits_for_them(
    mortal: Broker, topics: Topics, tap: Tapper, caplog: pytest.LogCaptureFixture
) -> None:
    events, users = topics.create("events"), topics.create("users")
    at = topics.send(users, b"u0")
    reader = topics.open(events=(events,), users=(users,))
    seen = tap(reader)
    seen.take(1)
    # What follows is acknowledged, and not fetched yet when the brokers fall silent.
    (behind,) = [stream for stream in reader._streams if stream.topic == users]
    behind.consumer.pause([TopicPartition(users, 0)])
    topics.send(users, b"u1")
    topics.send(events, b"e1")
    until(lambda: seen.turn() or any(stream.holds for stream in reader._streams), "the event")
    admin, found = topics.source(connect_secs=30.0).admin, list[int]()
    assert admin.find(users, 0, "latest") == at + 2
    assert mortal.process is not None
    mortal.process.send_signal(signal.SIGSTOP)
    try:
        asking = threading.Thread(target=lambda: found.append(admin.find(users, 0, "earliest")))
        asking.start()
        topics.clock.ahead += LAG_EVERY_MS
        until(lambda: seen.turn() or metrics.read("source_unreachable") == 1, "the silence to be noticed", 30)
    finally:
        mortal.process.send_signal(signal.SIGCONT)
    asking.join()
    assert found == [at], "its first record, not where it ends"
    assert seen.lines == [b"u0"], "the event waits for what was acknowledged before it"
    assert "Kafka is unreachable" in caplog.text
    behind.consumer.resume([TopicPartition(users, 0)])
    assert seen.take(3) == [b"u0", b"u1", b"e1"]
    assert metrics.read("source_unreachable") == 0


def test_a_log_whose_new_leader_lacks_what_was_read_is_no_log_to_go_on_with(
    mortal: Broker, topics: Topics, tap: Tapper
) -> None:
    events = topics.create("events")
    topics.send_many(events, [b"%d" % i for i in range(10)])
    seen = tap(topics.open(events=(events,)))
    seen.take(10)
    version, read, (place,) = seen.reader.position
    seen.reader.close()
    mortal.kill()
    mortal.start()  # with it a new epoch of the leader begins
    Topics(mortal).send_many(events, [b"%d" % i for i in range(10, 20)])
    going_on = tap(topics.open((version, read, (place,)), events=(events,)))
    assert going_on.take(10) == [b"%d" % i for i in range(10, 20)]
    # As if five records more had been read from the leader of before, which no other has.
    beyond = (version, 15, ((events, 15, *place[2:]),))
    for _ in range(2):
        lost = tap(topics.open(beyond, events=(events,)))
        with pytest.raises(StateError, match=r"lost records that were read before offset 15, and has others"):
            until(lost.turn, "the error")
    again = tap(topics.open(beyond, events=(events,), out_of_range="earliest"))
    assert again.take(20)[:1] == [b"0"]
    assert again.chunks[0].sources == f"{events}~2/0"


def test_nothing_is_said_of_an_epoch_where_markers_of_transactions_stand_before_the_place(
    topics: Topics, tap: Tapper
) -> None:
    events = topics.create("events")
    with topics.transaction() as producer:
        producer.produce(events, b"e", b"u1", 0)
    reader = topics.open(events=(events,))
    seen = tap(reader)
    seen.take(1)
    until(lambda: not seen.turn() and reader.position[2][0][1] == 2, "the end, behind the marker")
    assert len(reader.position[2][0]) == 6


def test_close_does_not_wait_for_brokers_that_are_gone(mortal: Broker, topics: Topics, tap: Tapper) -> None:
    events = topics.create("events")
    topics.send(events, b"e")
    seen = tap(topics.open(events=(events,)))
    seen.take(1)
    mortal.kill()
    seen.reader.durable(seen.reader.position)
    began = time.monotonic()
    seen.reader.close()
    assert time.monotonic() - began < 5


def test_an_event_with_an_idle_property_topic_is_there_within_milliseconds(
    topics: Topics, tap: Tapper, record_property: Callable[[str, object], None]
) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(users, b"update")
    seen = tap(topics.open(events=(events,), users=(users,)))
    seen.take(1)
    waits = []
    for turn in range(50):
        topics.send(events, b"event")
        acknowledged = time.perf_counter()
        seen.take(turn + 2)
        waits.append(time.perf_counter() - acknowledged)
    median_ms = sorted(waits)[25] * 1000
    record_property("idle property topic: acknowledged to read, median ms", round(median_ms, 2))
    # Of this, 50 ms are `join.settle`.
    assert median_ms < 200, "no waiting for a fetch of the idle side to time out (500 ms by default)"


def test_the_broker_command_starts_and_stops_a_broker(tmp_path: Path, broker: Broker) -> None:
    if not broker.owned:
        pytest.skip("no broker of our own can be had")
    running = up(tmp_path / "k", free_port(), detach=True)
    assert running.process is not None
    assert down(tmp_path / "k")
    running.process.wait(10)
    assert not down(tmp_path / "k"), "stopped already"
    assert Broker.reopen(tmp_path / "k").address == running.address


ASK = """
import sys, time
from pipeline.kafka.admin import KafkaAdmin
from pipeline.kafka.client import KafkaSettings
began = time.monotonic()
while time.monotonic() < began + 2:
    admin = KafkaAdmin(KafkaSettings(sys.argv[1], group=f"group-{time.monotonic_ns()}"))
    for _ in range(5):
        admin.check_group("events")
"""


def test_a_broker_whose_coordinator_is_not_ready_yet_crashes_no_job(tmp_path: Path) -> None:
    cold = Broker.create(tmp_path / "cold")
    try:
        jobs = [subprocess.Popen([sys.executable, "-c", ASK, cold.address]) for _ in range(3)]
        assert [job.wait(60) for job in jobs] == [0, 0, 0]
    finally:
        cold.stop()
