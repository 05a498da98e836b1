"""One message of a topic, for a person who wants to see what is made of it."""

from __future__ import annotations

from contextlib import closing

from pipeline.kafka.client import KafkaSettings
from pipeline.sources.files.lines.recorded import Message
from pipeline.sources.topics.latest import ends, fetch, partitions_of, source_of

BACK = 100
"""How far back the last message is looked for: markers of transactions and compaction leave gaps."""


def one_message(
    settings: KafkaSettings, topic: str, partition: int | None = None, offset: int | None = None
) -> Message | None:
    """Return the message at a place of a topic, else the latest of the topic; None where there is none.

    Commits nothing. Raises ConfigError, and Fatal where the brokers do not answer.
    """
    source = source_of(settings, topic)
    places: dict[int, int] = {}
    for number in range(partitions_of(source)) if partition is None else (partition,):
        first, end = ends(source, topic, number)
        start = max(first, end - BACK) if offset is None else offset
        if first <= start < end:
            places[number] = start
    found: Message | None = None
    with closing(fetch(source, topic, places)) as messages:
        for message in messages:
            if found is None or (message.time or 0) >= (found.time or 0):
                found = message
            if offset is not None:
                break
    return found
