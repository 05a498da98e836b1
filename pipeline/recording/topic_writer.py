"""Writes messages to topics, for `hookline produce`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AclOperation

from pipeline.kafka.admin import KafkaAdmin
from pipeline.kafka.client import OWN, KafkaSettings, client_settings
from pipeline.kafka.passed import made
from pipeline.model.errors import Fatal
from pipeline.sources.chunk import Headers
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import HISTORY_LIMITED, TOPICS_UNEVEN

log = logging.get(__name__)

WAIT_SECS = 30.0


class TopicWriter:
    """A producer whose messages with one key keep their order and go to the same partition of every topic.

    Raises ConfigError for unusable settings, Fatal where the brokers do not answer or refuse.
    """

    def __init__(
        self, brokers: str, settings: Mapping[str, Any] | None = None, *, connect_secs: float = 10.0
    ) -> None:
        self._brokers = brokers
        self._failed: str | None = None
        """Why a message was not taken."""
        where = "settings for librdkafka"
        given = KafkaSettings(brokers, settings=settings, where=where, connect_secs=connect_secs)
        self._admin = KafkaAdmin(given)
        own = {
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": 20,
            # The topic decides how large a message may be.
            "message.max.bytes": 1_000_000_000,
            # The partitioner of Kafka's own clients: what they write later lands beside what we write.
            "partitioner": "murmur2_random",
            # Missing topics are created with the settings they need, or not at all.
            "allow.auto.create.topics": False,
        }
        whole = {**own, **client_settings(given, self._admin.reachability)}
        self._producer = made(Producer, whole, settings or {}, OWN, where)

    def ensure(self, topics: Iterable[str], partitions: int, config: Mapping[str, str]) -> list[str]:
        """Create missing topics; return their names.

        Raises ConfigError where the brokers refuse us or we may not write a topic, Fatal where they do not
        answer.
        """
        found = {topic: self._admin.look_at(topic, AclOperation.WRITE) for topic in topics}
        missing = [topic for topic, one in found.items() if one is None]
        self._admin.create(missing, partitions, config)
        counts = {topic: len(one.partitions) if one else partitions for topic, one in found.items()}
        if len(set(counts.values())) > 1:
            TOPICS_UNEVEN.happened(log, partitions=counts)
        return missing

    def warn_of_limits(self, topic: str) -> None:
        """Warn where a topic of user updates does not keep its history."""
        limits = self._admin.history_limits(topic)
        if limits:
            HISTORY_LIMITED.happened(log, topic=topic, limits=limits)

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
                self._heard(self._producer.poll, 0.1)
                if time.monotonic() > deadline:
                    raise Fatal(f"the brokers at {self._brokers} take nothing") from None
                continue
            except KafkaException as error:
                raise Fatal(f"cannot write to topic `{topic}`: {error.args[0].str()}") from None
            break
        self._heard(self._producer.poll, 0)
        self._check()

    def _heard(self, call: Callable[[float], int], secs: float) -> int:
        """Return the result of a call that runs callbacks; raises Fatal where the client gave up.

        That arrives as an exception, wrapped in another one where a callback ran at the same time.
        """
        try:
            return call(secs)
        except (KafkaException, SystemError) as failed:
            raise Fatal(
                f"the Kafka client gave up on {self._brokers}: {failed.__cause__ or failed}"
            ) from None

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            size, remedy = len(message), ""
            if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
                remedy = "; raise `max.message.bytes` of the topic, or take the record out"
            self._failed = f"`{message.topic()}` took no message of {size:,} bytes: {error.str()}{remedy}"

    def _check(self) -> None:
        if self._failed is not None:
            raise Fatal(self._failed)

    def flush(self) -> None:
        """Return when everything is acknowledged. Raises Fatal on a timeout."""
        left = self._heard(self._producer.flush, WAIT_SECS)
        self._check()
        if left:
            raise Fatal(f"{left} messages were not acknowledged by {self._brokers} in {WAIT_SECS:.0f} s")
