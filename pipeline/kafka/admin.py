"""Queries to the brokers: which topics and partitions exist, where they begin and end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from threading import Thread
from typing import Any, Literal, NamedTuple, TypeAlias

from confluent_kafka import (
    OFFSET_END,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclOperation,
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from pipeline.kafka.brokers import Reachability
from pipeline.kafka.client import KafkaSettings, make_admin, make_consumer
from pipeline.model.errors import ConfigError, Fatal, Stopped
from pipeline.model.process.stop import requested
from pipeline.model.words import meant_or
from pipeline.telemetry import log as logging

log = logging.get(__name__)

Place: TypeAlias = Literal["earliest", "latest", "log_end"] | int
"""A place in a topic partition: its first record, the committed end, the end of the log, or the first record
at a broker time in unix ms (the committed end if there is none)."""

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
"""Errors that pass once the brokers are up again."""
RENEW_EVERY_SECS = 1.0
END_SECS = 5.0
GROUP_SECS = 2.0
"""How long to wait for the group's coordinator: only lag tools need it."""
GROUP_ASK_SECS = 0.5
GROUP_PAUSE_SECS = 0.02
"""Pause before it is asked again after a failure."""


class Topic(NamedTuple):
    """What the broker says about a topic."""

    partitions: int
    id: str
    """Unique to this topic: one recreated under the same name has another. "" where brokers have no ids."""


COMPACTED = "cleanup.policy=compact"
"""One of the limits of a topic's history, see `KafkaAdmin.history_limits`."""
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""The id that a broker without topic ids returns."""


class Unanswered(Exception):
    """Something optional was not answered in time."""


class KafkaAdmin:
    """One per process. Calls that wait do so for at most ``connect_secs``, and only when the job starts.

    Raises ConfigError where a topic or the brokers refuse us, Fatal where no broker answers in time.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self.reachability = Reachability(settings.brokers)
        self._client = make_admin(settings, self.reachability)
        self._renewed = time.monotonic()
        self._retired: list[tuple[float, AdminClient]] = []
        """Clients that may still owe answers, and when to drop them: their futures end with them."""

    def topics(self) -> dict[str, Topic]:
        """Return what the configured topics are."""
        topics = {}
        for name in self.settings.topics:
            found = self.look_at(name, AclOperation.READ)
            if found is None:
                raise self._unknown(name)
            topics[name] = Topic(len(found.partitions), topic_id(found))
        return topics

    def history_limits(self, topic: str) -> str:
        """Return what removes records of a topic: compaction, retention; "" where nothing does.

        Waits at most `GROUP_SECS`, and returns "" where it cannot be asked: it only serves a warning.
        """
        resource = ConfigResource(ResourceType.TOPIC, topic)
        try:
            found = self._wait(lambda: self._client.describe_configs([resource])[resource], GROUP_SECS)
        except (KafkaException, Unanswered) as failed:
            log.debug("what removes records of a topic cannot be asked", topic=topic, reason=str(failed))
            return ""
        values = {name: entry.value for name, entry in found.items()}
        limits = [
            f"{name}={values.get(name)}"
            for name in ("retention.ms", "retention.bytes")
            if values.get(name) not in (None, "-1")
        ]
        policy = values.get("cleanup.policy") or ""
        if "delete" not in policy:
            limits = []
        return ", ".join([COMPACTED] * ("compact" in policy) + limits)

    def look_at(self, topic: str, wanted: Any) -> Any:
        """Return the description of a topic, None where it does not exist.

        Raises ConfigError where we may not do the wanted operation (an ``AclOperation``) there.
        """
        forbidden = self._forbidden(f"{wanted.name} topic `{topic}`", f"{wanted.name} on it")
        try:
            found = self._wait(lambda: self.describe([topic], operations=True)[topic])
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                return None
            if error.args[0].code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise forbidden from None
            if error.args[0].code() == KafkaError.TOPIC_EXCEPTION:
                raise ConfigError(f"`{topic}` is no name of a topic") from None
            where = self.settings.brokers
            raise Fatal(f"Kafka at {where} cannot describe topic `{topic}`: {error.args[0].str()}") from None
        if not may(found, wanted):
            raise forbidden
        return found

    def _forbidden(self, what: str, needs: str) -> ConfigError:
        name = (self.settings.settings or {}).get("sasl.username")
        user = "our user" if name is None else f"user `{name}`"
        return ConfigError(f"Kafka at {self.settings.brokers} does not let us {what}: {user} needs {needs}")

    def _unknown(self, topic: str) -> ConfigError:
        try:
            known = [name for name in self._client.list_topics(timeout=2.0).topics if name[:2] != "__"]
        except KafkaException:
            known = []
        hint = meant_or(topic, known, f"topics there: {', '.join(sorted(known)[:20]) or 'none'}")
        return ConfigError(f"topic `{topic}` does not exist at {self.settings.brokers}; {hint}")

    def create(self, topics: Sequence[str], partitions: int, config: Mapping[str, str]) -> None:
        """Create topics; one that already exists is fine."""
        for topic in topics:
            self._create(NewTopic(topic, partitions, config=dict(config)))

    def _create(self, new: NewTopic) -> None:
        try:
            self._wait(lambda: self._client.create_topics([new])[new.topic])
        except KafkaException as error:
            code = error.args[0].code()
            if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED):
                raise self._forbidden(f"create topic `{new.topic}`", "CREATE on it") from None
            if code != KafkaError.TOPIC_ALREADY_EXISTS:
                raise Fatal(f"cannot create topic `{new.topic}`: {error.args[0].str()}") from None

    def find(self, topic: str, index: int, place: Place) -> int:
        """Return the offset of a place in a topic partition."""
        if isinstance(place, str):
            spec = EARLIEST if place == "earliest" else LATEST
        else:
            spec = OffsetSpec.for_timestamp(place)
        partition = TopicPartition(topic, index)
        try:
            found: int = self._wait(
                lambda: self._offsets([partition], spec, committed=place != "log_end")[0],
                read=offset_of,
                about=f" for {topic}/{index}",
            )
        except KafkaException as error:
            raise Fatal(f"cannot find an offset of {topic}/{index}: {error.args[0].str()}") from None
        if found < 0:  # no record is at or after the given time
            return self.find(topic, index, "latest")
        return found

    def check_group(self, topic: str) -> None:
        """Raise ConfigError where we may not use the group; an absent coordinator is no objection."""
        try:
            self.group_offsets(topic, 1, GROUP_SECS)
        except Unanswered:
            log.debug("the coordinator of the group does not answer", group=self.settings.group)

    def group_offsets(self, topic: str, partitions: int, secs: float | None = None) -> dict[int, int]:
        """Return the committed offsets of the job's group by partition; {} where they are unavailable.

        secs: wait only this long, and raise Unanswered. Raises ConfigError where we may not use the group.
        """
        wanted = [TopicPartition(topic, index) for index in range(partitions)]
        group = self.settings.group
        try:
            found = self._wait(lambda: self._ask_group(wanted), secs)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
                raise self._forbidden(f"use group `{group}`", "READ on the group") from None
            log.debug("the group's offsets cannot be read", group=group, reason=error.args[0].str())
            return {}
        return {one.partition: one.offset for one in found if one.offset >= 0}

    def _ask_group(self, wanted: list[TopicPartition]) -> Future[Any]:
        """Request committed offsets without waiting.

        Through a consumer: the admin client of librdkafka 2.16 crashes the process when it asks a broker that
        is not, or no longer, the group's coordinator (librdkafka issue 5040).
        """
        answer: Future[Any] = Future()

        def ask() -> None:
            consumer = None
            try:
                consumer = make_consumer(self.settings, self.reachability, lambda *_: None)
                answer.set_result(consumer.committed(wanted, timeout=GROUP_ASK_SECS))
            except Exception as failed:
                if consumer is not None and isinstance(failed, KafkaException):
                    # Why we have no coordinator arrives as an event of the consumer.
                    event = consumer.poll(0)
                    error = event.error() if event is not None else None
                    failed = failed if error is None else KafkaException(error)
                time.sleep(GROUP_PAUSE_SECS)
                answer.set_exception(failed)
            finally:
                if consumer is not None:
                    consumer.close()

        Thread(target=ask, name="group", daemon=True).start()
        return answer

    def ends(self, partitions: Sequence[TopicPartition], *, committed: bool) -> list[Future[Any]]:
        """Request the ends of partitions without waiting; the futures answer in about a millisecond.

        Pass their results to `offset_of`.
        """
        return self._offsets(partitions, LATEST, committed=committed)

    def describe(self, topics: Sequence[str], *, operations: bool = False) -> dict[str, Future[Any]]:
        """Request topic descriptions and, with ``operations``, our permissions, without waiting."""
        return self._client.describe_topics(
            TopicCollection(list(topics)),
            include_authorized_operations=operations,
            request_timeout=END_SECS,
        )

    def serve(self) -> None:
        """Let the client run its callbacks, without waiting. Call it now and then."""
        self._client.poll(0)

    def renew(self) -> None:
        """Continue with a new client after a request failed, without waiting.

        After a broker's restart librdkafka 2.16 uses the old leader epoch until its metadata expire.
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

    def _wait(
        self,
        ask: Callable[[], Future[Any]],
        secs: float | None = None,
        read: Callable[[Any], Any] = lambda answer: answer,
        about: str = "",
    ) -> Any:
        """Return the answer, retrying while brokers are starting up. Also raises KafkaException.

        secs: wait only this long, and raise Unanswered. read: takes the answer, or raises what it reports.
        about: what was asked, for a message.
        """
        said = ""
        deadline = time.monotonic() + (self.settings.connect_secs if secs is None else secs)
        future = ask()
        while True:
            try:
                answer = read(future.result(timeout=0.02))
                self.reachability.answered()
                return answer
            except TimeoutError:
                pass
            except KafkaException as failed:
                if failed.args[0].code() not in _UNANSWERED:
                    self.reachability.answered()
                    raise
                said = failed.args[0].str() if failed.args[0].code() > 0 else said
                self.renew()
                future = ask()
            self.serve()
            if self.reachability.refusal:
                raise ConfigError(f"Kafka at {self.settings.brokers} refuses us: {self.reachability.refusal}")
            if requested():
                raise Stopped(f"stopped while waiting for Kafka at {self.settings.brokers}; nothing was done")
            if time.monotonic() > deadline:
                if secs is not None:
                    raise Unanswered
                raise Fatal(
                    f"no Kafka broker at {self.settings.brokers} answered{about} within "
                    f"{self.settings.connect_secs:g} s: {said or self.reachability.reason}"
                )


def offset_of(answer: Any) -> int:
    """Return the requested offset of a partition; -1 where no record is at or after the time.

    Raises KafkaException for a missing one: librdkafka 2.16 returns that where the broker was too late.
    """
    offset = int(answer.offset)
    if offset < OFFSET_END:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    return offset


def may(description: Any, wanted: Any) -> bool:
    """Return whether a topic's description permits something (an ``AclOperation``)."""
    # Brokers that do not report permissions are believed until they refuse.
    allowed = set(description.authorized_operations or ())
    return not allowed or bool(allowed & {wanted, AclOperation.ALL, AclOperation.ANY})


def topic_id(description: Any) -> str:
    """Return the id in a topic's description, "" where the broker has none."""
    found = str(getattr(description, "topic_id", None) or "")
    return "" if found == NO_ID else found
