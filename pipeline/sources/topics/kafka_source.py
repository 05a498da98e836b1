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
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.kafka.admin import COMPACTED, KafkaAdmin, Place, Topic, topic_id
from pipeline.kafka.client import KafkaSettings, make_consumer, wait_ms
from pipeline.model.errors import Fatal, StateError
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import BaseReader
from pipeline.sources.topics.began import FILE, Began, Beginnings
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.side import BEFORE_ALL, Side
from pipeline.sources.topics.stream import Message, SidePlace, Stream, group_committed, places_of
from pipeline.store.folders import source_folder
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import (
    EVENTS_COMPACTED,
    HISTORY_LIMITED,
    PARTITIONS_ADDED,
    PLACE_LOST,
    TOPICS_UNEVEN,
)

log = logging.get(__name__)

PREFIX = "kafka-"
_UNKNOWN = KafkaError.UNKNOWN_TOPIC_OR_PART
REMEDY = (
    "Set `source.kafka.out_of_range: earliest` (or `latest`) for one start to go on with what is there, or "
    "begin with a new state directory"
)
TOPICS_EVERY_MS = 2_000
"""How soon a topic that is made anew is noticed where its offsets do not tell."""
TOPICS_AGAIN_MS = 10
"""How often topics are looked at, at most, where records wait for that."""
TOPICS_ANSWER_MS = 200
"""How long records wait for that, at most."""
GONE_MS = 10_000
"""How long a topic that is deleted may be away before the job ends: it may be made anew."""


class GoneReader(BaseReader):
    """Of a partition that no topic has any more: Bytewax wants every partition it has known."""

    def __init__(self, name: str, position: Position, *, ends: bool) -> None:
        self.name = name
        self.position = position
        self.done = ends

    def read(self, limit: int) -> RawChunk | None:
        """Return nothing, ever."""
        return None

    def is_still(self) -> bool:
        """It is."""
        return True


class KafkaSource:
    """One per process: readers share its client for questions."""

    def __init__(
        self,
        settings: KafkaSettings,
        formats: Formats = ALL_AUTO,
        clock_ms: Callable[[], int] = lambda: time.monotonic_ns() // 1_000_000,
    ) -> None:
        """Contacts nobody yet. Raises ConfigError for settings that cannot be used."""
        self.settings = settings
        self._formats = formats
        self._clock_ms = clock_ms
        self.admin = KafkaAdmin(settings)
        self._topics: dict[str, Topic] = {}
        """As they were seen last."""
        self._counts: dict[str, int] = {}
        self._described: dict[str, Future[Any]] = {}
        self._describe_at = self._asked_at = 0
        self._known_at: dict[str, int] = {}
        """By topic: when was asked what is known of it."""
        self._gone_since: dict[str, int] = {}
        """By topic; librdkafka does not say of one that is deleted that nothing comes of it any more."""

    def counts(self) -> dict[str, int]:
        """Return the number of partitions of each topic, as they were when first asked for.

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
        """Say what removes records of a topic that are needed."""
        limits = self.admin.history_limits(topic)
        if topic not in (*self.settings.users, *self.settings.both):
            # Who only looks at a topic does not know what it holds.
            if COMPACTED in limits and self.settings.stop == "never":
                EVENTS_COMPACTED.happened(log, topic=topic, limits=limits)
        # Each change of a table has the whole row: compaction leaves what is needed.
        elif limits and (limits != COMPACTED or self._formats.of(f"{topic}/0").committed is None):
            HISTORY_LIMITED.happened(log, topic=topic, limits=limits)

    def list_partitions(self) -> list[str]:
        """Return the names of the source partitions; raises like `counts`."""
        number = 1 if self.settings.together else max(self.counts().values())
        return [f"{PREFIX}{index}" for index in range(number)]

    def open(self, name: str, position: Position | None = None) -> KafkaReader | GoneReader:
        """Return the reader of a source partition, going on from ``position`` or beginning as configured.

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
            stored = self._adopted(name, places_of(places))
        # Topics of updates first, with all their partitions: an update precedes an event of its time.
        present = [
            (topic, one)
            for topic in self.settings.topics
            for one in (range(self.counts()[topic]) if self.settings.together else (index,))
            if one < self.counts()[topic]
        ]
        for key in sorted(stored):
            if stored[key].topic not in self.settings.topics:
                log.warning(
                    "a topic is no longer configured; its place is forgotten", topic=key, partition=index
                )
        absent = [
            stored[key]
            for key in sorted(stored.keys() - {self._key(*one) for one in present})
            if stored[key].topic in self.settings.topics
        ]
        vanished = [self._vanished(max(place.partition, index), place) for place in absent]
        if not present:
            gone = (KafkaReader.VERSION, handed_out, tuple(place.stored for place in vanished))
            return GoneReader(name, gone, ends=self.settings.stop != "never")
        state = self.settings.state
        began = Beginnings(None if state is None else source_folder(state, name) / FILE)
        streams: list[Stream] = []
        for topic, index in present:
            updates = self.settings.side_of(topic) == "users"
            place = self._place(topic, index, updates, stored.get(self._key(topic, index)), began)
            side: Side[Message] = Side(place.source(index), place.offset, place.floor, place.stop)
            side.is_events = self.settings.side_of(topic) == "events"
            wait = wait_ms(sum(self.counts().values()), is_alone=len(present) == 1)
            consumer = make_consumer(self.settings, self.admin.reachability, group_committed, wait_ms=wait)
            streams.append(Stream(topic, index, updates, side, consumer, place.life, place.id))
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
        if position is not None:
            reader.durable(reader.position)
        return reader

    def _key(self, topic: str, index: int) -> str:
        return f"{topic}/{index}" if self.settings.together else topic

    def _adopted(self, name: str, stored: dict[str, SidePlace]) -> dict[str, SidePlace]:
        """Return the places of a position that was written with partitions read as they are now.

        Topics of one partition are read in the same order either way. Raises StateError for others.
        """
        together = self.settings.together
        if all((place.partition >= 0) == together for place in stored.values()):
            return stored
        if max(self.counts().values()) > 1:
            was = "apart" if together else "together"
            raise StateError(
                f"{name}: the state directory was written by a job that reads the partitions {was}: set "
                f"`join: {{partitions: {was}}}`, or begin with a new state directory"
            )
        adopted = [place._replace(partition=0 if together else -1) for place in stored.values()]
        return {place.key: place for place in adopted}

    def _place(
        self, topic: str, index: int, updates: bool, stored: SidePlace | None, began: Beginnings
    ) -> SidePlace:
        """Return where a topic partition begins or goes on."""
        if stored is not None:
            return self.checked(index, stored)
        start: Place = self.settings.users_start if updates else self.settings.start
        known, key = self._topics[topic].id, self._key(topic, index)
        offset = None if start == "earliest" else began.offset(key, known, start)
        is_new = offset is None
        if offset is None:
            if start != "earliest" and self._appeared_since(topic, index, began):
                start = "earliest"
            offset = self.admin.find(topic, index, start)
            if start != "earliest":
                began.note(key, Began(offset, self.counts()[topic], known, start))
        life, id = (self.settings.lives or {}).get(topic, (1, known))
        if id and known and id != known:
            life += 1
        stop, partition = self._stop(topic, index), index if self.settings.together else -1
        place = SidePlace(topic, offset, BEFORE_ALL, stop, life, known, partition)
        return place if is_new else self.checked(index, place)

    def _stop(self, topic: str, index: int) -> int | None:
        stop = self.settings.stop
        return None if stop == "never" else self.admin.find(topic, index, "latest" if stop == "end" else stop)

    def _appeared_since(self, topic: str, index: int, began: Beginnings) -> bool:
        """True for a partition added after the job's first start.

        Such a partition is read from its beginning, or what came before the restart would be lost. Where the
        state directory does not tell, as one of an older version, the group does: it has offsets of others.
        """
        had = began.had(topic, self._topics[topic].id, index)
        if had is not None:
            return not had
        known = self.admin.group_offsets(topic, self.counts()[topic])
        return bool(known) and index not in known

    def checked(self, index: int, place: SidePlace, *, is_truncated: bool = False) -> SidePlace:
        """Return a place if the log still has it, else what `out_of_range` makes of it. Raises StateError."""
        topic, offset, known = place.topic, place.offset, self._topics[place.topic].id
        first, end = self.admin.find(topic, index, "earliest"), self.admin.find(topic, index, "log_end")
        is_another = self.is_another(topic, place.id)
        if first <= offset <= end and not is_another and not is_truncated:
            return place._replace(id=known or place.id)
        policy = self.settings.out_of_range
        if is_another:
            what = f"{topic} is not the topic that was read: it was made anew, or these brokers are another "
            what += f"cluster (its id is {known}; {place.id} was read up to {topic}/{index}:{offset})"
        elif offset < first:  # also where that was truncated
            what = f"{topic}/{index} begins at offset {first} now: {first - offset} offsets from {offset} on "
            what += "were removed (retention) before they were read"
        elif offset <= end:
            what = (
                f"{topic}/{index} lost records that were read before offset {offset}, and has others there "
            )
            what += "now: a replica that lacked them became its leader (unclean.leader.election.enable)"
        else:
            what = f"{topic}/{index} ends at offset {end}, but was read up to {offset}: "
            what += "it was recreated or truncated"
        if policy == "error":
            raise StateError(f"{what}. {REMEDY}")
        chosen = first if policy == "earliest" else self.admin.find(topic, index, "latest")
        begins_again = is_another or is_truncated or chosen < offset
        skipped = chosen - first if begins_again else chosen - offset
        PLACE_LOST.happened(log, skipped, partition=f"{topic}/{index}", what=what, goes_on_at=chosen)
        if not begins_again:
            # Of what stands before it now nobody tells the epoch.
            return place._replace(offset=chosen, id=known or place.id, epoch=-1)
        stop = self._stop(topic, index)
        return SidePlace(topic, chosen, BEFORE_ALL, stop, place.life + 1, known, place.partition)

    def _vanished(self, index: int, place: SidePlace) -> SidePlace:
        """A partition that was read is not there any more: only a topic made anew can have fewer.

        Returns its place in that topic, where it may come to be. Raises StateError.
        """
        if place.offset == 0:
            return place
        found = self._topics[place.topic]
        what = f"{place.topic} has {found.partitions} partitions now, but partition {index} of it was read "
        what += f"up to offset {place.offset}: it was made anew, or these brokers are another cluster"
        if self.settings.out_of_range == "error":
            raise StateError(f"{what}. {REMEDY}")
        PLACE_LOST.happened(log, 0, partition=f"{place.topic}/{index}", what=what, goes_on_at=None)
        return SidePlace(place.topic, 0, BEFORE_ALL, None, place.life + 1, found.id, place.partition)

    def relocated(self, index: int, place: SidePlace, *, is_truncated: bool = False) -> SidePlace:
        """Return where to go on after a place that a running reader could not have. Waits for the brokers.

        Raises StateError where it is not to be had, Fatal where the topic is gone.
        """
        found = self.admin.look_at(place.topic, AclOperation.READ)
        if found is None:
            raise self._gone(place.topic)
        self._topics[place.topic] = Topic(len(found.partitions), topic_id(found))
        return self.checked(index, place, is_truncated=is_truncated)

    def _gone(self, topic: str) -> Fatal:
        where = self.settings.brokers
        return Fatal(f"topic `{topic}` is gone from {where}: make it anew, or take it out of `source.kafka`")

    def is_another(self, topic: str, id: str) -> bool:
        """True where a topic does not have this id any more, as far as is known by now. Never waits."""
        known = self._topics[topic].id
        return known != id and bool(known and id)

    def watch_topics(self, now_ms: int) -> None:
        """Notice topics that were made anew, and partitions that were added: these are read after a restart.

        Never waits. Raises Fatal for a topic that is gone.
        """
        if self._described and all(future.done() for future in self._described.values()):
            described, self._described = self._described, {}
            for topic, future in described.items():
                failed = future.exception()
                if failed is None:
                    self._seen(topic, future.result())
                if isinstance(failed, KafkaException) and failed.args[0].code() == _UNKNOWN:
                    if now_ms - self._gone_since.setdefault(topic, now_ms) >= GONE_MS:
                        raise self._gone(topic)
                else:
                    # Where brokers do not tell, offsets alone must do.
                    self._known_at[topic] = self._asked_at
                    self._gone_since.pop(topic, None)
        is_late = now_ms >= self._asked_at + TOPICS_EVERY_MS
        if now_ms >= self._describe_at and (is_late or not self._described):
            self._asked_at, self._describe_at = now_ms, now_ms + TOPICS_EVERY_MS
            self._described = self.admin.describe(list(self.counts()))

    def are_known_since(self, when_ms: int, topic: str, now_ms: int) -> bool:
        """True where a topic was looked at since then, or brokers do not answer; else it soon is.

        Never waits. The one that is asked may be away while others bring records.
        """
        if self._known_at.get(topic, -1) >= when_ms or now_ms >= when_ms + TOPICS_ANSWER_MS:
            return True
        self._describe_at = min(self._describe_at, self._asked_at + TOPICS_AGAIN_MS)
        return False

    def _seen(self, topic: str, found: Any) -> None:
        before, partitions = self._topics[topic], len(found.partitions)
        self._topics[topic] = Topic(partitions, topic_id(found) or before.id)
        if self._topics[topic].id == before.id and partitions > before.partitions:
            PARTITIONS_ADDED.happened(log, partitions - before.partitions, topic=topic, partitions=partitions)
