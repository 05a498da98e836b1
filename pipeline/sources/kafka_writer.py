"""Puts messages into topics: for `hookline produce`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from pipeline.model.errors import ConfigError, Fatal
from pipeline.sources.chunk import Headers
from pipeline.sources.kafka_client import KafkaSettings, Reachability, client_settings

WAIT_SECS = 30.0


class TopicWriter:
    """A producer whose messages of one key keep their order and go to the same partition of every topic.

    Raises ConfigError for settings that cannot be used, Fatal where the brokers do not answer or refuse.
    """

    def __init__(
        self, brokers: str, settings: Mapping[str, Any] | None = None, *, connect_secs: float = 10.0
    ) -> None:
        self._brokers = brokers
        self._failed: KafkaError | None = None
        self._connect_secs = connect_secs
        self._reachability = Reachability(brokers)
        base = client_settings(KafkaSettings(brokers, settings=settings), self._reachability)
        own = {
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            # The partitioner of Kafka's own clients: what they write later lands beside what we write.
            "partitioner": "murmur2_random",
        }
        try:
            self._producer = Producer({**own, **base})
        except KafkaException as refused:
            raise ConfigError(f"kafka settings: {refused.args[0].str()}") from None

    def ensure(self, topics: Iterable[str], partitions: int, config: Mapping[str, str]) -> list[str]:
        """Create the topics that are not there; return their names. Raises Fatal."""
        try:
            known = self._producer.list_topics(timeout=self._connect_secs).topics
        except KafkaException as error:
            reason = error.args[0].str() if self._reachability.last is None else self._reachability.reason
            raise Fatal(f"no Kafka broker at {self._brokers} answered: {reason}") from None
        missing = [topic for topic in topics if topic not in known]
        if missing:
            admin = AdminClient(client_settings(KafkaSettings(self._brokers), self._reachability))
            new = [NewTopic(topic, partitions, config=dict(config)) for topic in missing]
            for topic, future in admin.create_topics(new).items():
                try:
                    future.result(WAIT_SECS)
                except KafkaException as error:
                    if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                        raise Fatal(f"cannot create topic `{topic}`: {error.args[0].str()}") from None
        return missing

    def send(
        self, topic: str, value: bytes | None, *, key: bytes | None, time_ms: int, headers: Headers | None
    ) -> None:
        """Hand a message over; waits only while the queue is full. Raises Fatal if an earlier one failed."""
        deadline = time.monotonic() + WAIT_SECS
        while True:
            try:
                self._producer.produce(
                    topic,
                    value,
                    key,
                    timestamp=time_ms,
                    headers=list(headers or ()),
                    on_delivery=self._delivered,
                )
            except BufferError:
                self._producer.poll(0.1)
                if time.monotonic() > deadline:
                    raise Fatal(f"the brokers at {self._brokers} take nothing") from None
                continue
            except KafkaException as error:
                raise Fatal(f"cannot write to topic `{topic}`: {error.args[0].str()}") from None
            break
        self._producer.poll(0)
        self._check()

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._failed = error

    def _check(self) -> None:
        if self._failed is not None:
            raise Fatal(f"a message was not taken by {self._brokers}: {self._failed.str()}")

    def flush(self) -> None:
        """Return when everything is acknowledged. Raises Fatal where it is not in time."""
        left = self._producer.flush(WAIT_SECS)
        self._check()
        if left:
            raise Fatal(f"{left} messages were not acknowledged by {self._brokers} in {WAIT_SECS:.0f} s")
