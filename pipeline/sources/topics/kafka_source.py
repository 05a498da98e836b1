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
from functools import partial

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.kafka.admin import KafkaAdmin
from pipeline.kafka.client import KafkaSettings, make_consumer, wait_ms
from pipeline.model.errors import StateError
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import BaseReader
from pipeline.sources.topics.began import FILE, Beginnings
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.known_topics import KnownTopics
from pipeline.sources.topics.merging.side import Side
from pipeline.sources.topics.stream import Message, SidePlace, Stream, group_committed, places_of
from pipeline.store.folders import source_folder
from pipeline.telemetry import log as logging

log = logging.get(__name__)

PREFIX = "kafka-"


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
        self.topics = KnownTopics(settings, formats, self.admin)

    def list_partitions(self) -> list[str]:
        """Return the names of the source partitions; raises like `KnownTopics.counts`."""
        number = 1 if self.settings.together else max(self.topics.counts().values())
        return [f"{PREFIX}{index}" for index in range(number)]

    def open(self, name: str, position: Position | None = None) -> KafkaReader | GoneReader:
        """Return the reader of a source partition, from ``position`` on, or from the configured start.

        Raises StateError where the position is not to be had any more, and like `KnownTopics.counts`.
        """
        if not name.startswith(PREFIX):
            raise StateError(f"{name}: the state directory was written by another kind of source")
        index = int(name.removeprefix(PREFIX))
        handed_out, stored = self._resumed(name, position)
        counts, places = self.topics.counts(), self.topics.places
        # Topics of updates first, with all their partitions: an update precedes an event of its time.
        present = [
            (topic, one)
            for topic in self.settings.topics
            for one in (range(counts[topic]) if self.settings.together else (index,))
            if one < counts[topic]
        ]
        gone = [stored[key] for key in sorted(stored.keys() - {places.key(*one) for one in present})]
        vanished = [self._vanished(index, place) for place in gone]
        if not present:
            kept = (KafkaReader.VERSION, handed_out, tuple(place.stored for place in vanished))
            return GoneReader(name, kept, ends=self.settings.stop != "never")
        state = self.settings.state
        began = Beginnings(None if state is None else source_folder(state, name) / FILE)
        streams = [
            self._stream(topic, one, stored.get(places.key(topic, one)), began, is_alone=len(present) == 1)
            for topic, one in present
        ]
        began.keep()
        reader = KafkaReader(
            name,
            streams,
            self.settings,
            self.admin,
            handed_out=handed_out,
            vanished=vanished,
            topics=self.topics,
            clock_ms=self._clock_ms,
        )
        reader.under(self._formats)
        return reader

    def _resumed(self, name: str, position: Position | None) -> tuple[int, dict[str, SidePlace]]:
        """Return how many records a position has handed out, and its places by their keys."""
        if position is None:
            return 0, {}
        if position[0] not in (KafkaReader.VERSION, *KafkaReader.OLDER):
            raise StateError(
                f"{name}: the state directory was written by another kind of source ({position[0]})"
            )
        _, handed_out, places = position
        return handed_out, self.topics.places.adopted(name, places_of(places))

    def _vanished(self, index: int, place: SidePlace) -> SidePlace:
        """Return the place to keep of a topic partition that is not read now."""
        if place.topic in self.settings.topics:
            return self.topics.places.vanished(max(place.partition, index), place)
        log.info("a topic is not configured now; its place is kept", topic=place.key, partition=index)
        return place

    def _stream(
        self, topic: str, index: int, stored: SidePlace | None, began: Beginnings, *, is_alone: bool
    ) -> Stream:
        """Return a topic partition with its consumer, at the place where it begins or goes on."""
        kind, counts = self.settings.side_of(topic), self.topics.counts()
        updates = kind == "users"
        place = self.topics.places.place(topic, index, updates, stored, began)
        side: Side[Message] = Side(place.source(index), place.offset, place.floor, place.stop)
        side.is_events = kind == "events"
        wait = wait_ms(sum(counts.values()), is_alone=is_alone)
        make = partial(make_consumer, self.settings, self.admin.reachability, group_committed, wait_ms=wait)
        stream = Stream(topic, index, updates, side, make, place.life, place.id)
        stream.is_one_of_many = self.settings.together
        shape = self._formats.of(f"{topic}/{index}")
        stream.commit_time = shape.committed
        if shape.committed is not None and not is_alone:
            stream.frame = shape.frame
        stream.go_to(side.position, place.epoch)
        return stream
