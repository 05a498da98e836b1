"""The latest messages of a topic, for a person who wants to see what it holds."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Final

from confluent_kafka import KafkaError, TopicPartition

from pipeline.kafka.client import KafkaSettings, make_consumer
from pipeline.model.errors import Fatal
from pipeline.sources.files.lines.recorded import Message
from pipeline.sources.topics.kafka_source import KafkaSource
from pipeline.sources.topics.stream import Message as Fetched
from pipeline.sources.topics.stream import headers_of

WAIT_SECS: Final = 10.0
BACK: Final = 100
"""How far back to look for the last message: transaction markers and compaction leave gaps."""
FURTHER: Final = 10
"""So many times further where nothing is found: aborted transactions can be long."""


def latest(settings: KafkaSettings, topic: str, most: int, most_bytes: int) -> tuple[list[Message], bool]:
    """Return the latest messages, each partition with its share, and whether these are all.

    Commits nothing. Raises ConfigError, and Fatal where the brokers do not answer.
    """
    source = source_of(settings, topic)
    count = partitions_of(source)
    back = max(1, most // count)
    while True:
        places, is_whole = _places(source, topic, range(count), back)
        found: list[Message] = []
        size = 0
        with closing(fetch(source, topic, places)) as messages:
            for message in messages:
                if len(found) == most or size > most_bytes:
                    return found, False
                found.append(message)
                size += len(message.value or b"")
        if found or is_whole:
            return found, is_whole
        back *= FURTHER


def one_message(
    settings: KafkaSettings, topic: str, partition: int | None = None, offset: int | None = None
) -> Message | None:
    """Return the message at a place of a topic, by default the latest; None if there is none.

    Commits nothing. Raises ConfigError, and Fatal where the brokers do not answer.
    """
    source = source_of(settings, topic)
    numbers = [one for one in range(partitions_of(source)) if partition in (None, one)]
    if offset is not None:
        spans = {number: ends(source, topic, number) for number in numbers}
        places = {number: offset for number, (first, end) in spans.items() if first <= offset < end}
        with closing(fetch(source, topic, places)) as messages:
            return next(messages, None)
    back = BACK
    while True:
        places, is_whole = _places(source, topic, numbers, back)
        with closing(fetch(source, topic, places)) as messages:
            found = max(messages, key=lambda message: (message.time or 0, message.offset), default=None)
        if found is not None or is_whole:
            return found
        back *= FURTHER


def _places(
    source: KafkaSource, topic: str, numbers: Iterable[int], back: int
) -> tuple[dict[int, int], bool]:
    """Return the offsets so far before the ends of partitions, and whether these are their beginnings."""
    spans = {number: ends(source, topic, number) for number in numbers}
    places = {number: max(first, end - back) for number, (first, end) in spans.items() if first < end}
    return places, all(places[number] == spans[number][0] for number in places)


def source_of(settings: KafkaSettings, topic: str) -> KafkaSource:
    """Return the source of one topic, read up to its present end. Raises ConfigError, Fatal."""
    return KafkaSource(replace(settings, events=(topic,), users=(), both=(), stop="end"))


def partitions_of(source: KafkaSource) -> int:
    """Return how many partitions the one topic has; without commits no right to a group is needed.

    Raises like `KafkaSource.counts`.
    """
    (topic,) = source.admin.topics().values()
    return topic.partitions


def ends(source: KafkaSource, topic: str, partition: int) -> tuple[int, int]:
    """Return the first offset of a partition, and that after its last."""
    find = source.admin.find
    return find(topic, partition, "earliest"), find(topic, partition, "log_end")


def fetch(source: KafkaSource, topic: str, places: Mapping[int, int]) -> Generator[Message, None, None]:
    """Yield the messages of partitions from these offsets up to their ends.

    Commits nothing. Raises Fatal where the brokers do not bring them in time.
    """
    if not places:
        return
    left = dict(places)
    reachability = source.admin.reachability
    consumer = make_consumer(source.settings, reachability, lambda *_: None)
    try:
        consumer.assign([TopicPartition(topic, number, start) for number, start in left.items()])
        deadline = time.monotonic() + WAIT_SECS
        while left:
            if time.monotonic() > deadline:
                raise Fatal(f"{topic} brought nothing within {WAIT_SECS:g} s: {reachability.reason}")
            got: Fetched | None = consumer.poll(0.2)
            if got is None:
                continue
            if got.error() is not None:
                if got.error().code() == KafkaError._PARTITION_EOF:
                    left.pop(got.partition(), None)
                continue
            stamp = max(0, got.timestamp()[1])
            (headers,), key, value = headers_of([got]), got.key(), got.value()
            place = f"{topic}/{got.partition()}"
            yield Message(place, got.offset(), stamp or None, key, headers, value)
            deadline = time.monotonic() + WAIT_SECS
    finally:
        consumer.close()
