"""The Kafka source: which partitions there are, and a reader for each of them.

    source = KafkaSource(settings)
    source.list_partitions()                     # ["kafka-0", "kafka-1", ...]
    reader = source.open("kafka-0", position)    # position of an earlier reader, or None

Source partition ``kafka-i`` reads partition i of every topic: topics of user updates and of events are to be
co-partitioned by user id (DESIGN 5).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from pipeline.kafka.admin import KafkaAdmin, Place
from pipeline.kafka.client import KafkaSettings, make_consumer
from pipeline.model.errors import StateError
from pipeline.sources.chunk import Position
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.side import BEFORE_ALL, Side
from pipeline.sources.topics.stream import Message, SidePlace, Stream, group_committed
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import PARTITIONS_ADDED, PLACE_LOST, TOPICS_UNEVEN

log = logging.get(__name__)

PREFIX = "kafka-"
TOPICS_EVERY_MS = 60_000


class KafkaSource:
    """One per process: readers share its client for questions."""

    def __init__(
        self,
        settings: KafkaSettings,
        clock_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        """Contacts nobody yet. Raises ConfigError for settings that cannot be used."""
        self.settings = settings
        self._clock_ms = clock_ms
        self.admin = KafkaAdmin(settings)
        self._counts: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._described: dict[str, Future[Any]] = {}
        self._describe_at = 0

    def counts(self) -> dict[str, int]:
        """Return the number of partitions of each topic, as they were when first asked for.

        Raises ConfigError for an unknown or forbidden topic or group and for brokers that refuse us, Fatal
        where no broker answers in time.
        """
        if not self._counts:
            counts = self.admin.partition_counts()
            self.admin.check_group(next(iter(counts)))
            self._counts = counts
            if len(set(counts.values())) > 1:
                TOPICS_UNEVEN.happened(log, partitions=dict(counts))
        return self._counts

    def list_partitions(self) -> list[str]:
        """Return the names of the source partitions; raises like `counts`."""
        return [f"{PREFIX}{index}" for index in range(max(self.counts().values()))]

    def open(self, name: str, position: Position | None = None) -> KafkaReader:
        """Return the reader of a source partition, going on from ``position`` or beginning as configured.

        Raises StateError where the position is not to be had any more, and like `counts`.
        """
        index = int(name.removeprefix(PREFIX))
        stored: dict[str, SidePlace] = {}
        handed_out = 0
        if position is not None:
            if position[0] != KafkaReader.VERSION:
                raise StateError(
                    f"{name}: the state directory was written by another kind of source ({position[0]})"
                )
            _, handed_out, places = position
            stored = {side.topic: side for side in map(SidePlace._make, places)}
        topics = [(topic, True) for topic in self.settings.users]
        topics += [(topic, False) for topic in self.settings.events if topic not in self.settings.users]
        present = [(topic, updates) for topic, updates in topics if index < self.counts()[topic]]
        for topic in stored.keys() - {topic for topic, _ in topics}:
            log.warning(
                "a topic is no longer configured; its place is forgotten", topic=topic, partition=index
            )
        streams: list[Stream] = []
        for topic, updates in present:
            side = self._side(topic, index, updates, stored.get(topic))
            consumer = make_consumer(self.settings, self.admin.reachability, group_committed)
            streams.append(Stream(topic, index, updates, side, consumer))
            streams[-1].go_to(side.position)
        reader = KafkaReader(
            name,
            streams,
            self.settings,
            self.admin,
            handed_out=handed_out,
            relocate=lambda stream: self._checked(stream.topic, stream.index, stream.side.position),
            on_idle=self._watch_topics,
            clock_ms=self._clock_ms,
        )
        if position is not None:
            reader.durable(reader.position)
        return reader

    def _side(self, topic: str, index: int, updates: bool, stored: SidePlace | None) -> Side[Message]:
        name = f"{topic}/{index}"
        if stored is not None:
            return Side(name, self._checked(topic, index, stored.offset), stored.floor, stored.stop)
        start: Place = self.settings.users_start if updates else self.settings.start
        if start != "earliest" and self._appeared_since(topic, index):
            start = "earliest"
        stop = None
        if self.settings.stop != "never":
            stop = self.admin.find(
                topic, index, "latest" if self.settings.stop == "end" else self.settings.stop
            )
        return Side(name, self.admin.find(topic, index, start), BEFORE_ALL, stop)

    def _appeared_since(self, topic: str, index: int) -> bool:
        """True for a partition added after the job's first start: its group has offsets of others only.

        Such a partition is read from its beginning, or what came before the restart would be lost.
        """
        known = self.admin.group_offsets(topic, self.counts()[topic])
        return bool(known) and index not in known

    def _checked(self, topic: str, index: int, offset: int) -> int:
        """Return the offset if the log still has it, else what `out_of_range` makes of it."""
        first, end = self.admin.find(topic, index, "earliest"), self.admin.find(topic, index, "log_end")
        if first <= offset <= end:
            return offset
        policy = self.settings.out_of_range
        if offset < first:
            what = f"{topic}/{index} begins at offset {first} now: {first - offset} offsets from {offset} on "
            what += "were removed (retention) before they were read"
        else:
            what = f"{topic}/{index} ends at offset {end}, but was read up to {offset}: "
            what += "it was recreated or truncated"
        if policy == "error":
            raise StateError(
                f"{what}. Set `source.kafka.out_of_range: earliest` (or `latest`) for one start to go on "
                "with what is there, or begin with a new state directory"
            )
        chosen = first if policy == "earliest" else self.admin.find(topic, index, "latest")
        skipped = max(0, chosen - offset)
        PLACE_LOST.happened(log, skipped, partition=f"{topic}/{index}", what=what, goes_on_at=chosen)
        return chosen

    def _watch_topics(self, now_ms: int) -> None:
        """Notice partitions that were added: they are read after a restart. Never waits."""
        if self._described and all(future.done() for future in self._described.values()):
            for topic, future in self._described.items():
                if future.exception() is None:
                    found = len(future.result().partitions)
                    fresh = found - self._seen.get(topic, self.counts()[topic])
                    self._seen[topic] = found
                    if fresh > 0:
                        PARTITIONS_ADDED.happened(log, fresh, topic=topic, partitions=found)
            self._described = {}
        if now_ms >= self._describe_at:
            self._describe_at = now_ms + TOPICS_EVERY_MS
            self._described = self.admin.describe(list(self.counts()))
