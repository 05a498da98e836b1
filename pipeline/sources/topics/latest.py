"""The latest messages of a topic, for a person who wants to know what is in it."""

from __future__ import annotations

import time
from dataclasses import replace

from confluent_kafka import KafkaError, TopicPartition

from pipeline.kafka.client import KafkaSettings, make_consumer
from pipeline.model.errors import Fatal
from pipeline.sources.files.recorded import Message
from pipeline.sources.topics.kafka_source import KafkaSource
from pipeline.sources.topics.stream import Message as Fetched

WAIT_SECS = 10.0


def latest(
    settings: KafkaSettings, topic: str, most: int, most_bytes: int, back: int = 0
) -> tuple[list[Message], bool]:
    """Return at most so many of the latest messages, each partition with its share; whether these are all.

    back: how much further back a partition is begun at. Commits nothing. Raises ConfigError, and Fatal where
    the brokers do not answer.
    """
    source = KafkaSource(replace(settings, events=(topic,), users=(), both=(), stop="end"))
    admin = source.admin
    count = source.counts()[topic]
    share = max(1, most // count) + back
    places: dict[int, int] = {}
    is_whole = True
    for number in range(count):
        first, end = admin.find(topic, number, "earliest"), admin.find(topic, number, "log_end")
        if first < end:
            places[number] = max(first, end - share)
            is_whole = is_whole and places[number] == first
    found: list[Message] = []
    if not places:
        return found, True
    consumer = make_consumer(source.settings, admin.reachability, lambda *_: None)
    try:
        consumer.assign([TopicPartition(topic, number, start) for number, start in places.items()])
        size = 0
        deadline = time.monotonic() + WAIT_SECS
        while places and size < most_bytes and len(found) < most:
            if time.monotonic() > deadline:
                if found:
                    break
                raise Fatal(f"{topic} brought nothing within {WAIT_SECS:g} s: {admin.reachability.reason}")
            got: Fetched | None = consumer.poll(0.2)
            if got is None:
                continue
            if got.error() is not None:
                if got.error().code() == KafkaError._PARTITION_EOF:
                    places.pop(got.partition(), None)
                continue
            stamp = max(0, got.timestamp()[1])
            headers, key, value = got.headers(), got.key(), got.value()
            size += len(value or b"")
            place = f"{topic}/{got.partition()}"
            found.append(Message(place, got.offset(), stamp or None, key, headers, value))
        return found, is_whole and not places
    finally:
        consumer.close()
