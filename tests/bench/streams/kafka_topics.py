"""A real Kafka broker for the benches, and topics filled with a stream; the broker is that of tests/kafka.

    python -m tests.bench.streams.kafka_topics BROKERS STREAM PARTITIONS PARTITIONER

writes a stream into two new topics, and prints their names.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from tests.kafka.servers.broker import POM, Broker, NoBroker
from tests.kit.streams.samples import ROOT

WAIT_SECS = 30.0
WARM_SECS = 10.0
"""How long a broker that was just started is made to work: Java compiles what is called often."""

CRC32, MURMUR2 = "consistent", "murmur2"
"""Where a key belongs: as librdkafka's clients say unless told otherwise, and as those of Java do.

Hookline's shards are by CRC-32, too: of topics spread so, nothing has to cross to another process.
"""

HOT = ("-Xms1g", "-Xmx1g", "-Xmn768m", "-XX:+UseSerialGC")
"""The tests' broker starts fast; this one gets hot, and must not pause: at 5,000 events/s a young generation
of 70 MB is full every 2.4 s, and to collect it takes 10 to 25 ms: that was the 99th percentile of latency.
"""


@contextlib.contextmanager
def broker(folder: Path | None = None) -> Iterator[str]:
    """Give the address of a broker: HOOKLINE_TEST_KAFKA=host:port, or one started here. Raises NoBroker."""
    named = os.environ.get("HOOKLINE_TEST_KAFKA")
    if named:
        Broker(named).wait_ready()
        yield named
        return
    with tempfile.TemporaryDirectory(prefix="hookline-kafka-", dir=folder) as name:
        own = Broker.create(Path(name), jvm=HOT)
        try:
            warm(own.address)
            yield own.address
        finally:
            own.stop()


def warm(brokers: str, secs: float = WARM_SECS) -> None:
    """Let a broker take and give small batches, as many as it can."""
    (topic,) = make_topics(brokers, "warm")
    filler = Filler(brokers, linger_ms=0)
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": topic, "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    until = time.monotonic() + secs
    while time.monotonic() < until:
        filler.send(topic, b"x" * 200)
        filler.poll()
        consumer.poll(0.002)
    filler.flush()
    consumer.close()


def kafka_version() -> str:
    """Return the version of the broker that is started here."""
    found = re.search(r"<version>([\d.]+)</version>", POM.read_text().split("kafka_2.13")[1])
    return found[1] if found else "?"


def make_topics(
    brokers: str, *names: str, partitions: int = 1, config: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Make topics of this run with these settings of theirs, and return their full names."""
    suffix = uuid.uuid4().hex[:8]
    topics = tuple(f"{name}-{suffix}" for name in names)
    admin = AdminClient({"bootstrap.servers": brokers, "log_level": 0})
    settings = {"retention.ms": "-1", **(config or {})}
    made = admin.create_topics([NewTopic(topic, partitions, 1, config=settings) for topic in topics])
    for future in made.values():
        future.result(WAIT_SECS)
    return topics


class Filler:
    """Appends records to topics; librdkafka's partitioner of this name puts them where their user belongs."""

    def __init__(self, brokers: str, *, partitioner: str = CRC32, linger_ms: int = 20) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": brokers,
                "linger.ms": linger_ms,
                "partitioner": partitioner,
                "queue.buffering.max.messages": 200_000,
                "batch.num.messages": 10_000,
                "log_level": 0,
            }
        )

    def send(self, topic: str, line: bytes, user: str = "") -> None:
        """Append a record; waits while the producer's queue is full."""
        while True:
            try:
                self._producer.produce(topic, line, user.encode() or None)
                return
            except BufferError:
                self._producer.poll(0.05)

    def poll(self) -> None:
        """Let the producer say what it has to say."""
        self._producer.poll(0)

    def flush(self) -> None:
        """Return when everything was acknowledged. Raises RuntimeError where it is not."""
        if self._producer.flush(WAIT_SECS):
            raise RuntimeError("the broker did not acknowledge everything")


def fill(brokers: str, stream: Path, *, partitions: int = 1, partitioner: str = CRC32) -> tuple[str, str]:
    """Write a recording into two new topics, of events and of user updates; return their names.

    The users of a stream of the generator come first, so they are all there when the first event is.
    """
    events, updates = make_topics(brokers, "events", "updates", partitions=partitions)
    filler = Filler(brokers, partitioner=partitioner)
    are_updates = True
    with stream.open("rb") as lines:
        for line in lines:
            record = orjson.loads(line)
            if record["type"] == "event" and are_updates:
                filler.flush()  # or an event might have an earlier broker time than its user's update
                are_updates = False
            topic = events if record["type"] == "event" else updates
            filler.send(topic, line.rstrip(b"\n"), record["user_id"])
    filler.flush()
    return events, updates


def filled(brokers: str, stream: Path, partitions: int, partitioner: str = CRC32) -> tuple[str, str]:
    """Return what `fill` does, from a process of its own: the memory of the producer's queue goes with it."""
    command = [
        sys.executable,
        "-m",
        "tests.bench.streams.kafka_topics",
        brokers,
        str(stream),
        str(partitions),
        partitioner,
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    events, updates = done.stdout.split()
    return events, updates


__all__ = ["CRC32", "MURMUR2", "Filler", "NoBroker", "broker", "filled", "kafka_version", "make_topics"]

if __name__ == "__main__":
    print(*fill(sys.argv[1], Path(sys.argv[2]), partitions=int(sys.argv[3]), partitioner=sys.argv[4]))
