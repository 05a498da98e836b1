"""The Kafka source: which partitions there are, and a reader for each of them.

    source = KafkaSource(settings)
    source.list_partitions()                     # ["kafka-0", "kafka-1", ...]
    reader = source.open("kafka-0", position)    # position of an earlier reader, or None

Source partition ``kafka-i`` reads partition i of every topic: topics of user updates and of events are to be
co-partitioned by user id (DESIGN 5). Or ``kafka-0`` reads all partitions of all topics (`join.partitions`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.kafka.admin import COMPACTED, KafkaAdmin, Topic, topic_id
from pipeline.kafka.client import KafkaSettings, make_consumer, wait_ms
from pipeline.model.errors import Fatal, StateError, TopicGrew
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import BaseReader
from pipeline.sources.topics.began import FILE, Beginnings
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.merging.side import Side
from pipeline.sources.topics.places import Places, is_another
from pipeline.sources.topics.stream import Message, SidePlace, Stream, group_committed, places_of
from pipeline.store.folders import source_folder
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import (
    EVENTS_COMPACTED,
    HISTORY_LIMITED,
    PARTITIONS_ADDED,
    TOPICS_UNEVEN,
)

log = logging.get(__name__)

PREFIX = "kafka-"
_UNKNOWN = KafkaError.UNKNOWN_TOPIC_OR_PART
TOPICS_EVERY_MS = 2_000
"""How soon a recreated topic is noticed if its offsets do not tell."""
TOPICS_AGAIN_MS = 10
"""How often topics are looked up, at most, while records wait for it."""
TOPICS_ANSWER_MS = 200
"""How long records wait for it, at most."""
GONE_MS = 10_000
"""How long a deleted topic may be missing before the job ends: it may be recreated."""


GROWN_MS = 2 * TOPICS_EVERY_MS
"""How long every answer must know new partitions before the job starts anew: a broker that lags behind might
answer that start, and so on for ever."""


class GoneReader(BaseReader):
    """The reader of a partition that no topic has any more: Bytewax needs every partition it has known."""

    def __init__(self, name: str, position: Position, *, ends: bool) -> None:
        self.name = name
        self.position = position
        self.done = ends

    def read(self, limit: int) -> RawChunk | None:
        """Return None, always."""
        return None

    def is_still(self) -> bool:
        """True: nothing ever comes."""
        return True


class KafkaSource:
    """The Kafka source of one process; its readers share a client for questions."""

    def __init__(
        self,
        settings: KafkaSettings,
        formats: Formats = ALL_AUTO,
        clock_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        """Contacts no broker yet. Raises ConfigError for settings that cannot be used."""
        self.settings = settings
        self._formats = formats
        self._clock_ms = clock_ms
        self.admin = KafkaAdmin(settings)
        self._topics: dict[str, Topic] = {}
        """As last seen."""
        self._counts: dict[str, int] = {}
        self._places = Places(settings, self.admin, self.counts, lambda: self._topics)
        self._described: dict[str, Future[Any]] = {}
        self._describe_at = self._asked_at = 0
        self._known_at: dict[str, int] = {}
        """By topic: when what is known of it was asked for."""
        self._gone_since: dict[str, int] = {}
        """By topic; librdkafka does not report that a topic was deleted."""
        self._grown_since: dict[str, int] = {}
        """By topic: since when every answer knew new partitions."""

    def counts(self) -> dict[str, int]:
        """Return the number of partitions of each topic, as of the first call.

        Raises ConfigError for an unknown or forbidden topic or group and for brokers that refuse us, Fatal
        where no broker answers in time.
        """
        if not self._counts:
            topics = self.admin.topics()
            counts = {name: topic.partitions for name, topic in topics.items()}
            self.admin.check_group(next(iter(counts)))
            self._topics, self._counts = topics, counts
            nameless = [name for name, topic in topics.items() if not topic.id]
            if nameless:
                log.warning(
                    "the brokers have no topic ids: a topic that is made anew is only noticed by its offsets",
                    topics=", ".join(nameless),
                )
            for topic in self.settings.topics:
                self._tell_limits(topic)
            if len(set(counts.values())) > 1 and not self.settings.together:
                TOPICS_UNEVEN.happened(log, partitions=dict(counts))
        return self._counts

    def _tell_limits(self, topic: str) -> None:
        """Warn of settings of a topic that remove records the join needs."""
        limits = self.admin.history_limits(topic)
        if topic not in (*self.settings.users, *self.settings.both):
            # A reader that only looks at a topic does not know what it holds.
            if COMPACTED in limits and self.settings.stop == "never":
                EVENTS_COMPACTED.happened(log, topic=topic, limits=limits)
        # Each change of a table carries the whole row: compaction keeps what is needed.
        elif limits and (limits != COMPACTED or self._formats.of(f"{topic}/0").committed is None):
            HISTORY_LIMITED.happened(log, topic=topic, limits=limits)

    def list_partitions(self) -> list[str]:
        """Return the names of the source partitions; raises like `counts`."""
        number = 1 if self.settings.together else max(self.counts().values())
        return [f"{PREFIX}{index}" for index in range(number)]

    def open(self, name: str, position: Position | None = None) -> KafkaReader | GoneReader:
        """Return the reader of a source partition, from ``position`` on, or from the configured start.

        Raises StateError where the position is not to be had any more, and like `counts`.
        """
        if not name.startswith(PREFIX):
            raise StateError(f"{name}: the state directory was written by another kind of source")
        index = int(name.removeprefix(PREFIX))
        stored: dict[str, SidePlace] = {}
        handed_out = 0
        if position is not None:
            if position[0] not in (KafkaReader.VERSION, *KafkaReader.OLDER):
                raise StateError(
                    f"{name}: the state directory was written by another kind of source ({position[0]})"
                )
            _, handed_out, places = position
            stored = self._places.adopted(name, places_of(places))
        # Topics of updates first, with all their partitions: an update precedes an event of its time.
        present = [
            (topic, one)
            for topic in self.settings.topics
            for one in (range(self.counts()[topic]) if self.settings.together else (index,))
            if one < self.counts()[topic]
        ]
        vanished: list[SidePlace] = []
        for key in sorted(stored.keys() - {self._places.key(*one) for one in present}):
            place = stored[key]
            if place.topic in self.settings.topics:
                vanished.append(self._places.vanished(max(place.partition, index), place))
            else:
                log.info("a topic is not configured now; its place is kept", topic=key, partition=index)
                vanished.append(place)
        if not present:
            gone = (KafkaReader.VERSION, handed_out, tuple(place.stored for place in vanished))
            return GoneReader(name, gone, ends=self.settings.stop != "never")
        state = self.settings.state
        began = Beginnings(None if state is None else source_folder(state, name) / FILE)
        streams: list[Stream] = []
        for topic, index in present:
            updates = self.settings.side_of(topic) == "users"
            place = self._places.place(
                topic, index, updates, stored.get(self._places.key(topic, index)), began
            )
            side: Side[Message] = Side(place.source(index), place.offset, place.floor, place.stop)
            side.is_events = self.settings.side_of(topic) == "events"
            wait = wait_ms(sum(self.counts().values()), is_alone=len(present) == 1)
            make = partial(
                make_consumer, self.settings, self.admin.reachability, group_committed, wait_ms=wait
            )
            streams.append(Stream(topic, index, updates, side, make, place.life, place.id))
            streams[-1].is_one_of_many = self.settings.together
            shape = self._formats.of(f"{topic}/{index}")
            streams[-1].commit_time = shape.committed
            if shape.committed is not None and len(present) > 1:
                streams[-1].frame = shape.frame
            streams[-1].go_to(side.position, place.epoch)
        began.keep()
        reader = KafkaReader(
            name,
            streams,
            self.settings,
            self.admin,
            handed_out=handed_out,
            vanished=vanished,
            topics=self,
            clock_ms=self._clock_ms,
        )
        reader.under(self._formats)
        return reader

    def relocated(self, index: int, place: SidePlace, *, is_truncated: bool = False) -> SidePlace:
        """Return where a running reader goes on after a place that is gone. Waits for the brokers.

        Raises StateError where it is not to be had, Fatal where the topic is gone.
        """
        found = self.admin.look_at(place.topic, AclOperation.READ)
        if found is None:
            raise self._gone(place.topic)
        self._topics[place.topic] = Topic(len(found.partitions), topic_id(found))
        return self._places.checked(index, place, is_truncated=is_truncated)

    def _gone(self, topic: str) -> Fatal:
        where = self.settings.brokers
        return Fatal(f"topic `{topic}` is gone from {where}: make it anew, or take it out of `source.kafka`")

    def is_another(self, topic: str, id: str) -> bool:
        """True if a topic is known to have another id now. Never waits."""
        return is_another(self._topics[topic].id, id)

    def watch_topics(self, now_ms: int) -> None:
        """Notice recreated topics, and added partitions.

        Never waits. Raises Fatal for a topic that is gone, TopicGrew in a job for one with new partitions.
        """
        if self._described and all(future.done() for future in self._described.values()):
            described, self._described = self._described, {}
            for topic, future in described.items():
                failed = future.exception()
                if failed is None:
                    self._seen(topic, future.result(), now_ms)
                if isinstance(failed, KafkaException) and failed.args[0].code() == _UNKNOWN:
                    if now_ms - self._gone_since.setdefault(topic, now_ms) >= GONE_MS:
                        raise self._gone(topic)
                else:
                    # If brokers do not tell, offsets alone must do.
                    self._known_at[topic] = self._asked_at
                    self._gone_since.pop(topic, None)
        is_late = now_ms >= self._asked_at + TOPICS_EVERY_MS
        if now_ms >= self._describe_at and (is_late or not self._described):
            self._asked_at, self._describe_at = now_ms, now_ms + TOPICS_EVERY_MS
            self._described = self.admin.describe(list(self.counts()))

    def are_known_since(self, when_ms: int, topic: str, now_ms: int) -> bool:
        """True if a topic was looked up since then, or brokers do not answer; otherwise a look-up is started.

        Never waits. The one that is asked may be away while others bring records.
        """
        if self._known_at.get(topic, -1) >= when_ms or now_ms >= when_ms + TOPICS_ANSWER_MS:
            return True
        self._describe_at = min(self._describe_at, self._asked_at + TOPICS_AGAIN_MS)
        return False

    def _seen(self, topic: str, found: Any, now_ms: int) -> None:
        before, partitions = self._topics[topic], len(found.partitions)
        id = topic_id(found) or before.id
        has_grown = id == before.id and partitions > before.partitions
        if not has_grown:
            self._grown_since.pop(topic, None)
        elif now_ms - self._grown_since.setdefault(topic, now_ms) < GROWN_MS:
            return
        self._topics[topic] = Topic(partitions, id)
        if has_grown:
            PARTITIONS_ADDED.happened(log, partitions - before.partitions, topic=topic, partitions=partitions)
            if self.settings.state is not None:
                raise TopicGrew(topic, partitions)
