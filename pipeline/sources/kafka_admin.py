"""Questions to the brokers: which topics and partitions there are, and where they begin and end."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Literal, TypeAlias

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # OffsetSpec is public in its documentation
    AdminClient,
    OffsetSpec,
)

from pipeline.model.errors import ConfigError, Fatal, HooklineError
from pipeline.sources.kafka_client import REFUSED, KafkaSettings, Reachability, make_admin
from pipeline.telemetry import log as logging

log = logging.get(__name__)

Place: TypeAlias = Literal["earliest", "latest", "log_end"] | int
"""A place in a topic partition: its first record, the end of what is committed, the end of the log, or the
first record at a broker time in unix ms (the committed end if there is none).
"""

EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # a factory without annotations
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # a factory without annotations
_UNANSWERED = (
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._NOENT,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.FENCED_LEADER_EPOCH,
    KafkaError.UNKNOWN_LEADER_EPOCH,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError.NOT_COORDINATOR,
)
"""Errors that pass when the brokers are up again."""
RENEW_EVERY_SECS = 1.0
END_SECS = 5.0


class KafkaAdmin:
    """One per process. What waits does so for ``connect_secs`` at most, and only when the job starts.

    Raises ConfigError where a topic or the brokers refuse us, Fatal where no broker answers in time.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.reachability = Reachability(settings.brokers)
        self._client = make_admin(settings, self.reachability)
        self._renewed = time.monotonic()
        self._retired: list[tuple[float, AdminClient]] = []
        """Clients that may still owe answers, and when they may go: their futures end with them."""

    def partition_counts(self) -> dict[str, int]:
        """Return how many partitions each configured topic has."""
        return {
            topic: self._partition_count(topic) for topic in (*self.settings.users, *self.settings.events)
        }

    def _partition_count(self, topic: str) -> int:
        try:
            return len(self._wait(lambda: self.describe([topic])[topic]).partitions)
        except KafkaException as error:
            raise self._topic_error(topic, error.args[0]) from None

    def find(self, topic: str, index: int, place: Place) -> int:
        """Return the offset of a place in a topic partition."""
        if isinstance(place, str):
            spec = EARLIEST if place == "earliest" else LATEST
        else:
            spec = OffsetSpec.for_timestamp(place)
        partition = TopicPartition(topic, index)
        try:
            found = self._wait(lambda: self._offsets([partition], spec, committed=place != "log_end")[0])
        except KafkaException as error:
            raise Fatal(f"cannot find an offset of {topic}/{index}: {error.args[0].str()}") from None
        offset = int(found.offset)
        if offset < 0:  # no record is as young as the time that was asked for
            return self.find(topic, index, "latest")
        return offset

    def group_offsets(self, topic: str, partitions: int) -> dict[int, int]:
        """Return the committed offsets of the job's group by partition; {} where they may not be read."""
        wanted = [TopicPartition(topic, index) for index in range(partitions)]
        group = self.settings.group

        def ask() -> Future[Any]:
            return self._client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, wanted)])[
                group
            ]

        try:
            found = self._wait(ask).topic_partitions
        except KafkaException as error:
            log.debug("the group's offsets cannot be read", group=group, reason=error.args[0].str())
            return {}
        return {one.partition: one.offset for one in found if one.offset >= 0}

    def ends(self, partitions: Sequence[TopicPartition], *, committed: bool) -> list[Future[Any]]:
        """Ask for the ends of partitions without waiting; the futures answer in about a millisecond."""
        return self._offsets(partitions, LATEST, committed=committed)

    def describe(self, topics: Sequence[str]) -> dict[str, Future[Any]]:
        """Ask what topics look like, without waiting."""
        return self._client.describe_topics(TopicCollection(list(topics)), request_timeout=END_SECS)

    def serve(self) -> None:
        """Let the client say what it has to say; without waiting. Call it now and then."""
        self._client.poll(0)

    def renew(self) -> None:
        """Begin with a new client after a question failed, without waiting.

        After a broker's restart librdkafka 2.16 asks with the old leader epoch until its metadata expire.
        """
        now = time.monotonic()
        if now >= self._renewed + RENEW_EVERY_SECS:
            self._renewed = now
            self._retired = [retired for retired in self._retired if retired[0] > now]
            self._retired.append((now + 2 * END_SECS, self._client))
            self._client = make_admin(self.settings, self.reachability)

    def _offsets(
        self, partitions: Sequence[TopicPartition], spec: Any, *, committed: bool
    ) -> list[Future[Any]]:
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        futures = self._client.list_offsets(
            dict.fromkeys(partitions, spec), isolation_level=level, request_timeout=END_SECS
        )
        return [futures[partition] for partition in partitions]

    def _wait(self, ask: Callable[[], Future[Any]]) -> Any:
        """Return the answer, asking again while brokers are on their way up. Raises KafkaException too."""
        deadline = time.monotonic() + self.settings.connect_secs
        future = ask()
        while True:
            try:
                return future.result(timeout=0.02)
            except TimeoutError:
                pass
            except KafkaException as failed:
                if failed.args[0].code() not in _UNANSWERED:
                    raise
                self.renew()
                future = ask()
            self.serve()
            last = self.reachability.last
            if last is not None and last.code() in REFUSED:
                where = self.settings.brokers
                raise ConfigError(f"Kafka at {where} refuses us: {last.str()}; {REFUSED[last.code()]}")
            if time.monotonic() > deadline:
                raise Fatal(
                    f"no Kafka broker at {self.settings.brokers} answered within "
                    f"{self.settings.connect_secs:g} s: {self.reachability.reason}"
                )

    def _topic_error(self, topic: str, error: KafkaError) -> HooklineError:
        where = self.settings.brokers
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            try:
                known = [name for name in self._client.list_topics(timeout=2.0).topics if name[:2] != "__"]
            except KafkaException:
                known = []
            near = difflib.get_close_matches(topic, known, 1)
            listed = ", ".join(sorted(known)[:20]) or "none"
            hint = f"did you mean `{near[0]}`?" if near else f"topics there: {listed}"
            return ConfigError(f"topic `{topic}` does not exist at {where}; {hint}")
        if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            return ConfigError(
                f"Kafka at {where} does not let us read topic `{topic}`: {error.str()}; "
                "the user needs DESCRIBE and READ on it"
            )
        return Fatal(f"Kafka at {where} cannot describe topic `{topic}`: {error.str()}")
