"""One message of a topic, for a person who wants to see what is made of it."""

from __future__ import annotations

import time
from dataclasses import replace

from confluent_kafka import KafkaError, TopicPartition

from pipeline.kafka.client import KafkaSettings, make_consumer
from pipeline.model.errors import Fatal
from pipeline.sources.files.recorded import Message
from pipeline.sources.topics.kafka_source import KafkaSource
from pipeline.sources.topics.stream import Message as Fetched

BACK = 100
"""How far back the last message is looked for: markers of transactions and compaction leave gaps."""
WAIT_SECS = 10.0


def one_message(
    settings: KafkaSettings, topic: str, partition: int | None = None, offset: int | None = None
) -> Message | None:
    """Return the message at a place of a topic, else the latest of the topic; None where there is none.

    Commits nothing. Raises ConfigError, and Fatal where the brokers do not answer.
    """
    source = KafkaSource(replace(settings, events=(topic,), users=(), both=(), stop="end"))
    admin = source.admin
    places: dict[int, int] = {}
    for number in range(source.counts()[topic]) if partition is None else (partition,):
        first, end = admin.find(topic, number, "earliest"), admin.find(topic, number, "log_end")
        start = max(first, end - BACK) if offset is None else offset
        if first <= start < end:
            places[number] = start
    if not places:
        return None
    consumer = make_consumer(source.settings, admin.reachability, lambda *_: None)
    try:
        consumer.assign([TopicPartition(topic, number, start) for number, start in places.items()])
        latest: tuple[int, Message] | None = None
        deadline = time.monotonic() + WAIT_SECS
        while places:
            if time.monotonic() > deadline:
                raise Fatal(f"{topic} brought nothing within {WAIT_SECS:g} s: {admin.reachability.reason}")
            found: Fetched | None = consumer.poll(0.2)
            if found is None:
                continue
            if found.error() is not None:
                if found.error().code() == KafkaError._PARTITION_EOF:
                    places.pop(found.partition(), None)
                continue
            stamp = max(0, found.timestamp()[1])
            if latest is None or stamp >= latest[0]:
                place = f"{topic}/{found.partition()}"
                headers, key, value = found.headers(), found.key(), found.value()
                latest = stamp, Message(place, found.offset(), stamp or None, key, headers, value)
            if offset is not None:
                break
        return None if latest is None else latest[1]
    finally:
        consumer.close()
