"""What connectors have written into their topics."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.sources.files.lines.recorded import Message
from tests.kafka.servers.broker import Broker

WAIT_SECS = 90.0


class Written:
    """The messages of some topics, as they come; a topic may be made later than this."""

    def __init__(self, broker: Broker) -> None:
        self._address = broker.address
        self._consumer = Consumer(
            {
                "bootstrap.servers": broker.address,
                "group.id": uuid.uuid4().hex,
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 5,
                "log_level": 0,
            }
        )
        self._assigned: set[str] = set()
        self.messages: list[Message] = []

    def follow(self, *wanted: str) -> None:
        """Read these topics too, from their beginning, where they are there."""
        there = self._consumer.list_topics(timeout=10).topics
        new = [topic for topic in there if topic in wanted and topic not in self._assigned]
        self._assigned |= {*new}
        self._consumer.incremental_assign(
            [TopicPartition(topic, number, 0) for topic in new for number in there[topic].partitions]
        )

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic that nobody has written to yet."""
        admin = AdminClient({"bootstrap.servers": self._address, "log_level": 0})
        admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(30)

    def topics(self, prefix: str) -> list[str]:
        """Return the names of the topics that a connector has made."""
        names = self._consumer.list_topics(timeout=10).topics
        return sorted(
            name for name in names if name.startswith((f"{prefix}.", f"__debezium-heartbeat.{prefix}"))
        )

    def poll(self, secs: float = 0.05) -> list[Message]:
        """Return what has come within some time."""
        found: list[Message] = []
        for one in self._consumer.consume(1000, secs):
            assert one.error() is None, one.error()
            source = f"{one.topic()}/{one.partition()}"
            headers: Any = one.headers() or None
            message = Message(source, one.offset() or 0, one.timestamp()[1], one.key(), headers, one.value())
            found.append(message)
        self.messages += found
        return found

    def until(self, condition: Callable[[], bool], what: str, *topics: str) -> None:
        """Read until the condition holds; fail with ``what`` if it does not in time."""
        deadline = time.monotonic() + WAIT_SECS
        while not condition():
            assert time.monotonic() < deadline, f"waited {WAIT_SECS:g} s for {what}"
            self.follow(*topics)
            self.poll()

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()
