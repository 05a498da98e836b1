"""How librdkafka is set up for the Kafka source, and what it says about its connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pipeline.config.job_models import KafkaSource as KafkaModel
from pipeline.model.errors import ConfigError
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

REFUSED = {
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
    def of(
        cls,
        model: KafkaModel,
        *,
        max_wait_secs: float | None = None,
        aside: Literal["record", "replay"] | None = None,
    ) -> KafkaSettings:
        """Return what ``source.kafka`` of pipeline.yaml says.

        aside: for a recorder or a replay, which must not move the live job's group. A replay reads the whole
        of the topics, up to their present end.
        """
        return cls(
            brokers=model.brokers,
            events=tuple(model.events),
            users=tuple(model.users),
            group=f"{model.group}-{aside}" if aside else model.group,
            start="earliest" if aside == "replay" else model.start,
            stop="end" if aside == "replay" else "never",
            out_of_range=model.out_of_range,
            max_wait_secs=max_wait_secs,
            settings=model.settings,
        )


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
        if not self.down and error.code() in (KafkaError._ALL_BROKERS_DOWN, *REFUSED):
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
