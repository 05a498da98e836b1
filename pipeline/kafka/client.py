"""Configures librdkafka for the Kafka source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from pipeline.config.models.installation.source import KafkaSource as KafkaModel
from pipeline.config.models.installation.source import Side
from pipeline.kafka.brokers import Reachability
from pipeline.kafka.passed import Kind, made

Client = TypeVar("Client", AdminClient, Consumer)

OWN = frozenset(
    {
        "bootstrap.servers",
        "metadata.broker.list",
        "group.id",
        "enable.auto.commit",
        "auto.commit.enable",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "auto.offset.reset",
        "isolation.level",
    }
)
"""Settings on which the promises rest: they cannot be passed through. Some have two names."""

FETCH_WAIT_MS = 10
"""How long the broker holds an empty fetch. Only an empty fetch reveals the end after a transaction."""
MOST_WAIT_MS = 100
"""The same for a topic that no other waits for: records are still sent at once."""
WAIT_ALONE_MS, MOST_WAIT_ALONE_MS = 5, 500
"""For each partition of such topics, where there are many."""
FETCHES_PER_MS = 2
"""For all topic partitions together while nothing comes: each fetch costs the job and the brokers."""
SILENT_MS = 15_000
"""How long a fetch, usually of a megabyte, may take; librdkafka's default is a minute."""
QUEUE_KBYTES = 16 * 1024
"""What librdkafka may prefetch per topic partition."""


@dataclass(slots=True, frozen=True)
class KafkaSettings:
    """Which topics are read, from where, and how the brokers are reached."""

    brokers: str
    events: tuple[str, ...] = ()
    """Topics with events, or with events and user updates."""
    users: tuple[str, ...] = ()
    """Topics with user updates only; null values delete the user of the key."""
    both: tuple[str, ...] = ()
    """Topics with events and user updates."""
    events_alone: frozenset[str] = frozenset()
    """Topics declared to hold no updates, even where no other topic does."""
    group: str = "hookline"
    start: Literal["earliest", "latest"] | int = "earliest"
    """Where event topics begin without a stored offset; a number is a broker time in unix ms."""
    users_start: Literal["earliest", "latest"] | int = "earliest"
    """The same for topics of user updates: the beginning, or events would miss earlier properties."""
    stop: Literal["never", "end"] | int = "never"
    """Where reading ends: never, at the ends found at the start, or at a broker time in unix ms."""
    out_of_range: Literal["error", "earliest", "latest"] = "error"
    max_wait_secs: float | None = None
    settle_secs: float | None = None
    """How old a record must be before the other topics' ends are requested; None: by their timestamps."""
    together: bool = False
    """One source partition reads all partitions of all topics."""
    lives: Mapping[str, tuple[int, str]] | None = None
    """For readers beside a job: how often the job has seen each topic recreated, and the topic's id."""
    state: Path | None = None
    """The state directory of the job that reads; None for others."""
    settings: Mapping[str, Any] | None = None
    """Passed to librdkafka."""
    where: str = "source.kafka.settings"
    """Where those stand, for messages."""
    connect_secs: float = 10.0
    """How long the brokers may take to answer when the job starts."""

    @classmethod
    def of(
        cls,
        model: KafkaModel,
        *,
        max_wait_secs: float | None = None,
        settle_secs: float | None = None,
        aside: Literal["record", "replay"] | None = None,
        sides: Mapping[str, Side] | None = None,
    ) -> KafkaSettings:
        """Return the settings in ``source.kafka`` of pipeline.yaml.

        aside: for a recorder or a replay, which must not move the live job's group. A replay reads all of the
        topics, up to their present end. sides: what each topic of `topics` holds.
        """
        of = {name: side for name, side in (sides or {}).items() if name in model.topics}
        listed: dict[Side, list[str]] = {"events": model.events, "users": model.users, "both": []}
        topics = {
            side: (*(name for name in names if name not in of), *(name for name in of if of[name] == side))
            for side, names in listed.items()
        }
        alone = {name for name in topics["events"] if name in of}
        listed_alone = {name for name in model.events if name in of and model.topics[name].side is None}
        return cls(
            brokers=model.brokers,
            events_alone=frozenset(alone - listed_alone),
            events=topics["events"],
            users=topics["users"],
            both=topics["both"],
            group=f"{model.group}-{aside}" if aside else model.group,
            start="earliest" if aside == "replay" else model.start,
            stop="end" if aside == "replay" else "never",
            out_of_range=model.out_of_range,
            max_wait_secs=max_wait_secs,
            settle_secs=settle_secs,
            settings=model.settings,
        )

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics; the earlier ones win where times are equal."""
        return tuple(dict.fromkeys((*self.users, *self.both, *self.events)))

    def side_of(self, topic: str) -> Side:
        """Return what a topic holds; where no topic is declared to hold updates, those of events may."""
        if topic in self.users:
            return "users"
        if topic in self.both or not (self.users or self.both or topic in self.events_alone):
            return "both"
        return "events"


def client_settings(settings: KafkaSettings, reachability: Reachability) -> dict[str, Any]:
    """Return the settings of every client of the job."""
    return {
        "bootstrap.servers": settings.brokers,
        "client.id": "hookline",
        "reconnect.backoff.max.ms": 1000,
        **(settings.settings or {}),
        "error_cb": reachability.failed,
        "logger": reachability.messages,
    }


def make_admin(settings: KafkaSettings, reachability: Reachability) -> AdminClient:
    """Return an admin client. Raises ConfigError for settings that are not open, or that
    librdkafka rejects.
    """
    base = client_settings(settings, reachability)
    consumers_only = ("fetch.", "queued.", "session.", "max.poll", "check.crcs")
    own = {name: value for name, value in base.items() if not name.startswith(consumers_only)}
    return _made(AdminClient, own, settings)


def make_consumer(
    settings: KafkaSettings,
    reachability: Reachability,
    committed: Callable[..., None],
    *,
    wait_ms: int = FETCH_WAIT_MS,
) -> Consumer:
    """Return a consumer that reads and commits only what it is told to.

    wait_ms: how long the broker holds an empty fetch.
    """
    return _made(
        Consumer,
        {
            "fetch.wait.max.ms": wait_ms,
            "queued.max.messages.kbytes": QUEUE_KBYTES,
            # With a full queue the next fetch comes when there is room again, not a second later.
            "fetch.queue.backoff.ms": 10,
            # After a lost connection the fetch is repeated at once, not after half a second.
            "fetch.error.backoff.ms": 50,
            # A broker that freezes, or loses its network, keeps its connections: another one leads by then.
            "socket.timeout.ms": SILENT_MS,
            **client_settings(settings, reachability),
            "group.id": settings.group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # What to do about an offset out of range is our decision, never a silent jump.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "on_commit": committed,
        },
        settings,
    )


def wait_ms(partitions: int, *, is_alone: bool) -> int:
    """Return how long brokers should hold an empty fetch.

    partitions: how many are read in all. is_alone: no other topic waits for the end of this one.
    """
    if is_alone:
        return min(MOST_WAIT_ALONE_MS, max(MOST_WAIT_MS, partitions * WAIT_ALONE_MS))
    return min(MOST_WAIT_MS, max(FETCH_WAIT_MS, partitions // FETCHES_PER_MS))


def _made(kind: Kind[Client], own: dict[str, Any], settings: KafkaSettings) -> Client:
    return made(kind, own, settings.settings or {}, OWN, settings.where)
