"""What is known of a source's topics, and the looks that keep it so: one may grow, be gone, be made anew."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from pipeline.decode.formats import Formats
from pipeline.kafka.admin import COMPACTED, KafkaAdmin, Topic, topic_id
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import Fatal, TopicGrew
from pipeline.sources.topics.places import Places, is_another
from pipeline.sources.topics.stream import SidePlace
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import (
    EVENTS_COMPACTED,
    HISTORY_LIMITED,
    PARTITIONS_ADDED,
    TOPICS_UNEVEN,
)

log = logging.get(__name__)

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


class KnownTopics:
    """The topics of one source: what its readers ask about them, see `Topics`."""

    def __init__(self, settings: KafkaSettings, formats: Formats, admin: KafkaAdmin) -> None:
        """Contacts no broker yet."""
        self._settings = settings
        self._formats = formats
        self._admin = admin
        self._topics: dict[str, Topic] = {}
        """As last seen."""
        self._counts: dict[str, int] = {}
        self.places = Places(settings, admin, self.counts, lambda: self._topics)
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
            topics = self._admin.topics()
            counts = {name: topic.partitions for name, topic in topics.items()}
            self._admin.check_group(next(iter(counts)))
            self._topics, self._counts = topics, counts
            nameless = [name for name, topic in topics.items() if not topic.id]
            if nameless:
                log.warning(
                    "the brokers have no topic ids: a topic that is made anew is only noticed by its offsets",
                    topics=", ".join(nameless),
                )
            for topic in self._settings.topics:
                self._tell_limits(topic)
            if len(set(counts.values())) > 1 and not self._settings.together:
                TOPICS_UNEVEN.happened(log, partitions=dict(counts))
        return self._counts

    def _tell_limits(self, topic: str) -> None:
        """Warn of settings of a topic that remove records the join needs."""
        limits = self._admin.history_limits(topic)
        if topic not in (*self._settings.users, *self._settings.both):
            # A reader that only looks at a topic does not know what it holds.
            if COMPACTED in limits and self._settings.stop == "never":
                EVENTS_COMPACTED.happened(log, topic=topic, limits=limits)
        # Each change of a table carries the whole row: compaction keeps what is needed.
        elif limits and (limits != COMPACTED or self._formats.of(f"{topic}/0").committed is None):
            HISTORY_LIMITED.happened(log, topic=topic, limits=limits)

    def relocated(self, index: int, place: SidePlace, *, is_truncated: bool = False) -> SidePlace:
        """Return where a running reader goes on after a place that is gone. Waits for the brokers.

        Raises StateError where it is not to be had, Fatal where the topic is gone.
        """
        found = self._admin.look_at(place.topic, AclOperation.READ)
        if found is None:
            raise self._gone(place.topic)
        self._topics[place.topic] = Topic(len(found.partitions), topic_id(found))
        return self.places.checked(index, place, is_truncated=is_truncated)

    def _gone(self, topic: str) -> Fatal:
        where = self._settings.brokers
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
            self._described = self._admin.describe(list(self.counts()))

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
            if self._settings.state is not None:
                raise TopicGrew(topic, partitions)
