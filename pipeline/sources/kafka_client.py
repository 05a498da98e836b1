"""What the Kafka source asks of librdkafka: settings, offsets, topics, and errors said so that they help."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

from confluent_kafka import (
    Consumer,
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

from pipeline.config.job_models import KafkaSource as KafkaModel
from pipeline.model.errors import ConfigError, Fatal, HooklineError
from pipeline.telemetry import log as logging
from pipeline.telemetry.metrics import gauge

log = logging.get(__name__)

Client = TypeVar("Client", AdminClient, Consumer)

OWN = frozenset(
    {
        "bootstrap.servers",
        "group.id",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "auto.offset.reset",
        "isolation.level",
    }
)
"""Settings on which the promises rest: they cannot be passed through."""

FETCH_WAIT_MS = 10
"""How long the broker holds an empty fetch. After a transaction its end is only told by an empty fetch."""
QUEUE_KBYTES = 16 * 1024
"""What librdkafka may fetch ahead, per topic partition."""

_REFUSED = {
    KafkaError._AUTHENTICATION: "check `security.protocol` and `sasl.*` in `settings`",
    KafkaError._SSL: "check `security.protocol` and `ssl.*` in `settings`",
}


@dataclass(slots=True, frozen=True)
class KafkaSettings:
    """Which topics are read, from where on, and how the brokers are reached."""

    brokers: str
    events: tuple[str, ...] = ()
    """Topics with events, or with events and user updates."""
    users: tuple[str, ...] = ()
    """Topics with user updates alone; null values delete the user of the key."""
    group: str = "hookline"
    start: Literal["earliest", "latest"] | int = "earliest"
    """Where event topics begin without a stored offset; a number is a broker time in unix ms."""
    users_start: Literal["earliest", "latest"] | int = "earliest"
    """The same for topics of user updates: from the beginning, or events would miss what was set before."""
    stop: Literal["never", "end"] | int = "never"
    """Where reading ends: never, at the ends found when it starts, or at a broker time in unix ms."""
    out_of_range: Literal["error", "earliest", "latest"] = "error"
    max_wait_secs: float | None = None
    settings: Mapping[str, Any] | None = None
    """Passed to librdkafka."""
    connect_secs: float = 10.0
    """How long the brokers may take to answer when the job starts."""

    @classmethod
    def of(cls, model: KafkaModel, *, max_wait_secs: float | None = None) -> KafkaSettings:
        """Return what ``source.kafka`` of pipeline.yaml says."""
        return cls(
            brokers=model.brokers,
            events=tuple(model.events),
            users=tuple(model.users),
            group=model.group,
            start=model.start,
            out_of_range=model.out_of_range,
            max_wait_secs=max_wait_secs,
            settings=model.settings,
        )


Place: TypeAlias = Literal["earliest", "latest", "log_end"] | int
"""A place in a topic partition: its first record, the end of what is committed, the end of the log, or the
first record at a broker time in unix ms (the committed end if there is none).
"""


EARLIEST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # a factory without annotations
LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # a factory without annotations


class _Messages:
    """librdkafka's own log lines, which it would otherwise write to stderr: for developers only."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        log.debug("librdkafka", line=text % arguments if arguments else text)


class Reachability:
    """Notes what librdkafka says about its connections: one log line when they go, one when they are back."""

    def __init__(self, brokers: str) -> None:
        self.brokers = brokers
        self.down = False
        self.last: KafkaError | None = None
        """The last error that tells a reason."""

    def failed(self, error: KafkaError) -> None:
        """librdkafka's ``error_cb``; called from any thread."""
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            self.last = error
        if not self.down and error.code() in (KafkaError._ALL_BROKERS_DOWN, *_REFUSED):
            self.down = True
            log.warning("Kafka is unreachable, trying again", brokers=self.brokers, reason=self.reason)
            gauge("source_unreachable", 1)

    def answered(self) -> None:
        """A broker answered."""
        if self.down:
            self.down = False
            log.info("Kafka is reachable again", brokers=self.brokers)
            gauge("source_unreachable", 0)

    @property
    def reason(self) -> str:
        """Why the brokers cannot be reached, as far as is known."""
        return self.last.str() if self.last is not None else "no answer"


def client_settings(settings: KafkaSettings, reachability: Reachability) -> dict[str, Any]:
    """Return what every client of the job is made with. Raises ConfigError for settings that are not open."""
    given = dict(settings.settings or {})
    for name in sorted(OWN & given.keys()):
        raise ConfigError(f"source.kafka.settings: `{name}` is set by Hookline and cannot be changed")
    return {
        "bootstrap.servers": settings.brokers,
        "client.id": "hookline",
        "reconnect.backoff.max.ms": 1000,
        **given,
        "error_cb": reachability.failed,
        "logger": _Messages(),
    }


def make_admin(settings: KafkaSettings, reachability: Reachability) -> AdminClient:
    """Return a client for questions. Raises ConfigError for settings that librdkafka refuses."""
    base = client_settings(settings, reachability)
    consumers_only = ("fetch.", "queued.", "session.", "max.poll", "check.crcs")
    return _made(
        AdminClient, {name: value for name, value in base.items() if not name.startswith(consumers_only)}
    )


def make_consumer(
    settings: KafkaSettings, reachability: Reachability, committed: Callable[..., None]
) -> Consumer:
    """Return a consumer that is told what to read and commits only what it is told to."""
    return _made(
        Consumer,
        {
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "queued.max.messages.kbytes": QUEUE_KBYTES,
            # With a full queue the next fetch comes when there is room again, not a second later.
            "fetch.queue.backoff.ms": 10,
            # When a connection is lost the fetch is repeated at once, not after half a second.
            "fetch.error.backoff.ms": 50,
            **client_settings(settings, reachability),
            "group.id": settings.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # An offset that is gone is our decision, never a silent jump.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "on_commit": committed,
        },
    )


def _made(kind: Callable[[dict[str, Any]], Client], settings: dict[str, Any]) -> Client:
    try:
        return kind(settings)
    except KafkaException as refused:
        raise ConfigError(f"source.kafka.settings: {refused.args[0].str()}") from None


def partition_counts(
    admin: AdminClient, settings: KafkaSettings, reachability: Reachability
) -> dict[str, int]:
    """Return how many partitions each topic has.

    Raises ConfigError for a topic that is not there or closed to us, Fatal where no broker answers in time.
    """
    topics = [*settings.users, *settings.events]
    futures = admin.describe_topics(TopicCollection(topics), request_timeout=settings.connect_secs)
    counts = {}
    for topic, future in futures.items():
        try:
            counts[topic] = len(wait(admin, future, settings, reachability).partitions)
        except KafkaException as error:
            raise _topic_error(admin, topic, settings, error.args[0]) from None
    return counts


def wait(admin: AdminClient, future: Future[Any], settings: KafkaSettings, reachability: Reachability) -> Any:
    """Return a future's result, waiting for ``connect_secs`` at most.

    Raises ConfigError where the brokers refuse us, Fatal where none answers, KafkaException otherwise.
    """
    deadline = time.monotonic() + settings.connect_secs + 1.0
    while True:
        try:
            return future.result(timeout=0.02)
        except TimeoutError:
            admin.poll(0)  # lets it say what is wrong
        except KafkaException as failed:
            if failed.args[0].code() not in (
                KafkaError._TIMED_OUT,
                KafkaError._TRANSPORT,
                KafkaError._ALL_BROKERS_DOWN,
                KafkaError.REQUEST_TIMED_OUT,
            ):
                raise
            admin.poll(0)
            deadline = 0.0
        last = reachability.last
        if last is not None and last.code() in _REFUSED:
            raise ConfigError(
                f"Kafka at {settings.brokers} refuses us: {last.str()}; {_REFUSED[last.code()]}"
            )
        if time.monotonic() > deadline:
            raise Fatal(
                f"no Kafka broker at {settings.brokers} answered within {settings.connect_secs:g} s: "
                f"{reachability.reason}"
            )


def _topic_error(admin: AdminClient, topic: str, settings: KafkaSettings, error: KafkaError) -> HooklineError:
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        try:
            known = [name for name in admin.list_topics(timeout=2.0).topics if not name.startswith("__")]
        except KafkaException:
            known = []
        near = difflib.get_close_matches(topic, known, 1)
        hint = (
            f"did you mean `{near[0]}`?"
            if near
            else "topics there: " + (", ".join(sorted(known)[:20]) or "none")
        )
        return ConfigError(f"topic `{topic}` does not exist at {settings.brokers}; {hint}")
    if error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return ConfigError(
            f"Kafka at {settings.brokers} does not let us read topic `{topic}`: {error.str()}; "
            "the user needs DESCRIBE and READ on it"
        )
    return Fatal(f"Kafka at {settings.brokers} cannot describe topic `{topic}`: {error.str()}")


def offsets(
    admin: AdminClient,
    wanted: Mapping[TopicPartition, OffsetSpec],
    *,
    committed: bool,
    timeout_secs: float,
) -> list[Future[Any]]:
    """Ask for offsets; the futures come in the order of ``wanted`` and answer in about a millisecond."""
    level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
    futures = admin.list_offsets(dict(wanted), isolation_level=level, request_timeout=timeout_secs)
    return [futures[partition] for partition in wanted]


def find_offset(
    admin: AdminClient,
    topic: str,
    index: int,
    place: Place,
    settings: KafkaSettings,
    reachability: Reachability,
) -> int:
    """Return the offset of a place in a topic partition. Raises Fatal where it cannot be had."""
    if isinstance(place, str):
        spec = EARLIEST if place == "earliest" else LATEST
    else:
        spec = OffsetSpec.for_timestamp(place)
    futures = offsets(
        admin,
        {TopicPartition(topic, index): spec},
        committed=place != "log_end",
        timeout_secs=settings.connect_secs,
    )
    try:
        offset = int(wait(admin, futures[0], settings, reachability).offset)
    except KafkaException as error:
        raise Fatal(f"cannot find an offset of {topic}/{index}: {error.args[0].str()}") from None
    if offset < 0:  # no record is as young as the time that was asked for
        return find_offset(admin, topic, index, "latest", settings, reachability)
    return offset


def group_offsets(
    admin: AdminClient,
    partitions: list[TopicPartition],
    settings: KafkaSettings,
    reachability: Reachability,
) -> dict[int, int]:
    """Return the committed offsets of the job's group by partition index; {} where they may not be read."""
    request = [ConsumerGroupTopicPartitions(settings.group, partitions)]
    future = admin.list_consumer_group_offsets(request)[settings.group]
    try:
        found = wait(admin, future, settings, reachability).topic_partitions
    except KafkaException as error:
        log.debug("the group's offsets cannot be read", group=settings.group, reason=error.args[0].str())
        return {}
    return {one.partition: one.offset for one in found if one.offset >= 0}
