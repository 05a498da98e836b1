"""Copies of dead letters to a Kafka topic, keyed by delivery key."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AclOperation

from pipeline.kafka.admin import KafkaAdmin
from pipeline.kafka.client import KafkaSettings, client_settings
from pipeline.kafka.passed import made
from pipeline.model.errors import ConfigError
from pipeline.model.json import Value
from pipeline.outbox.codec import DeadLetter
from pipeline.outbox.copies.place import NotCopied
from pipeline.outbox.reading.dead_letter_json import key_of, to_json
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import DEAD_LETTER_TOO_LARGE
from pipeline.telemetry.metrics import count

log = logging.get(__name__)

FLUSH_SECS = 30.0
"""How long the brokers may take before all is sent once more, by a new client."""

PLACE: Final = "dead_letters.kafka.settings"
OURS: Final[Mapping[str, str | bool]] = {"acks": "all", "enable.idempotence": True}
"""What `copy` promises rests on these."""
CLOSED: Final = OURS.keys() | {"request.required.acks", "bootstrap.servers", "metadata.broker.list"}
"""Settings that cannot be passed through. Some have two names."""
_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE)


class KafkaCopies:
    """Produces copies; each is acknowledged by all in-sync replicas before `copy` returns.

    Raises ConfigError for a topic or settings that cannot be used, Fatal where no broker answers.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        settings: Mapping[str, Value],
        *,
        flush_secs: float = FLUSH_SECS,
        connect_secs: float = 10.0,
    ) -> None:
        if not brokers:
            raise ConfigError("dead_letters.kafka needs `brokers`: the source has none to take over")
        self._where = f"topic `{topic}` at {brokers}"
        self._topic = topic
        self._flush_secs = flush_secs
        self._waiting = 0
        self._failed: KafkaError | None = None
        self._too_large: list[DeadLetter] = []
        # Asked by a client of its own: a producer tells why brokers do not answer only afterwards.
        admin = KafkaAdmin(KafkaSettings(brokers, settings=settings, where=PLACE, connect_secs=connect_secs))
        self._reachability = admin.reachability
        own = {
            "linger.ms": 5,
            "client.id": "hookline-dead-letters",
            # A topic that is deleted stays so: made anew by us it would have a broker's defaults.
            "allow.auto.create.topics": False,
        }
        whole = {**client_settings(KafkaSettings(brokers), self._reachability), **own, **settings, **OURS}
        self._made = partial(made, Producer, whole, settings, CLOSED, PLACE)
        self._producer: Producer | None = self._made()
        """None after a failure: what is left in it would be sent, too."""
        if admin.look_at(topic, AclOperation.WRITE) is None:
            raise ConfigError(f"{self._where} does not exist: create it for copies of dead letters")

    def copy(self, letters: Sequence[DeadLetter]) -> None:
        """Return when every copy is acknowledged. Raises NotCopied where the brokers do not within the time.

        A letter that is too large for the topic is copied without its body; where even that is refused the
        letter is in the state directory only. Either is logged.
        """
        producer = self._producer or self._made()
        self._producer, self._failed, self._waiting = None, None, 0
        self._too_large.clear()
        try:
            for letter in letters:
                self._produce(producer, letter, to_json(letter))
            self._heard(producer.flush, self._flush_secs)
            large, self._too_large = self._too_large, []
            left_out = sum([not self._squeeze(producer, letter) for letter in large])
            if self._waiting:
                raise NotCopied(f"{self._where}: {self._why()}")
        except NotCopied:
            producer.purge(blocking=False)
            raise
        self._producer = producer
        count("dead_letter_copies_total", len(letters) - left_out, result="ok")

    def _produce(self, producer: Producer, letter: DeadLetter, value: bytes) -> None:
        key = key_of(letter).encode("utf-8", "backslashreplace")
        deadline = time.monotonic() + self._flush_secs
        while True:
            try:
                producer.produce(self._topic, value, key, on_delivery=partial(self._delivered, letter))
                break
            except BufferError:
                self._heard(producer.poll, 0.1)
                if time.monotonic() > deadline:
                    raise NotCopied(f"{self._where}: the brokers take nothing") from None
            except KafkaException as error:
                if error.args[0].code() not in _TOO_LARGE:
                    raise NotCopied(f"{self._where}: {error.args[0].str()}") from None
                self._too_large.append(letter)
                break
        self._waiting += 1

    def _heard(self, call: Callable[[float], int], secs: float) -> None:
        """Let callbacks run. Where the client gave up that comes as an exception, perhaps inside another."""
        try:
            call(secs)
        except (KafkaException, SystemError) as failed:
            raise NotCopied(f"{self._where}: the client gave up: {failed.__cause__ or failed}") from None

    def _delivered(self, letter: DeadLetter, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._waiting -= 1
        elif error.code() in _TOO_LARGE:
            self._too_large.append(letter)
        else:
            self._failed = error

    def _why(self) -> str:
        """Return why copies were not acknowledged: librdkafka itself only knows that the time was up."""
        failed = self._failed
        if failed is None:
            return self._reachability.reason
        if failed.code() == KafkaError._MSG_TIMED_OUT and self._reachability.down:
            return f"{failed.str()} ({self._reachability.reason})"
        return failed.str()

    def _squeeze(self, producer: Producer, letter: DeadLetter) -> bool:
        """Copy a letter refused for its size: alone, as brokers judge whole batches; then smaller."""
        for body in (True, False):
            self._waiting -= 1
            self._produce(producer, letter, to_json(letter, body=body))
            self._heard(producer.flush, self._flush_secs)
            if not self._too_large:
                if not body:
                    log.warning("a dead letter is copied without its large body", key=key_of(letter))
                return True
            self._too_large.clear()
        self._waiting -= 1
        DEAD_LETTER_TOO_LARGE.happened(log, key=key_of(letter))
        return False

    def close(self) -> None:
        """Forget what is not acknowledged: it will be copied again. Does not wait."""
        if self._producer is not None:
            self._producer.purge(blocking=False)
