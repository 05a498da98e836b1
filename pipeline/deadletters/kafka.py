"""Copies of dead letters to a Kafka topic, keyed by delivery key."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from pipeline.deadletters.record import key_of, to_json
from pipeline.model.errors import ConfigError, Fatal
from pipeline.state.codec import DeadLetter
from pipeline.telemetry import log as logging
from pipeline.telemetry.metrics import count

log = logging.get(__name__)

FLUSH_SECS = 30.0
"""How long the brokers may be away before the job stops; it goes on from the last commit when restarted."""

_TOO_LARGE = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE)


class _Messages:
    """librdkafka's own log lines, which it would otherwise write to stderr."""

    def log(self, level: int, text: str, *arguments: object) -> None:
        log.debug("librdkafka", line=text % arguments if arguments else text)


class KafkaCopies:
    """Produces copies; each is acknowledged by all in-sync replicas before `flush` returns.

    Raises ConfigError for a topic or settings that cannot be used, Fatal where no broker answers.
    """

    def __init__(
        self,
        brokers: str,
        topic: str,
        settings: Mapping[str, Any],
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
        own = {
            "bootstrap.servers": brokers,
            "client.id": "hookline-dead-letters",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 5,
            "logger": _Messages(),
            "error_cb": self._note,
        }
        try:
            self._producer = Producer({**own, **settings})
        except KafkaException as refused:
            raise ConfigError(f"dead_letters.kafka.settings: {refused.args[0].str()}") from None
        self._check(connect_secs)

    def _check(self, connect_secs: float) -> None:
        """Refuse a topic that is not there now rather than at the first dead letter."""
        try:
            # All topics, not this one: asking a broker for a topic by name may create it.
            found = self._producer.list_topics(timeout=connect_secs).topics
        except KafkaException as error:
            reason = self._failed or error.args[0]
            raise Fatal(f"cannot reach {self._where} for copies of dead letters: {reason.str()}") from None
        if self._topic not in found:
            raise ConfigError(
                f"{self._where} does not exist, or is not open to us: create it for dead letters"
            )

    def _note(self, error: KafkaError) -> None:
        self._failed = error

    def write(self, letter: DeadLetter) -> None:
        """Take a copy; it is safe when `flush` has returned."""
        self._produce(letter, to_json(letter))

    def _produce(self, letter: DeadLetter, value: bytes) -> None:
        key = key_of(letter).encode("utf-8", "backslashreplace")
        deadline = time.monotonic() + self._flush_secs
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=partial(self._delivered, letter))
                break
            except BufferError:
                self._producer.poll(0.1)
                if time.monotonic() > deadline:
                    raise self._fatal("the brokers take nothing") from None
            except KafkaException as error:
                if error.args[0].code() not in _TOO_LARGE:
                    raise self._fatal(error.args[0].str()) from None
                self._too_large.append(letter)
                break
        self._waiting += 1

    def _delivered(self, letter: DeadLetter, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self._waiting -= 1
        elif error.code() in _TOO_LARGE:
            self._too_large.append(letter)
        else:
            self._failed = error

    def flush(self) -> None:
        """Return when every copy is acknowledged. Raises Fatal where the brokers do not within the time.

        A letter that is too large for the topic is copied without its body; where even that is refused the
        letter is in the state directory only. Either is logged, and stops nothing.
        """
        if not self._waiting:
            return
        copies = self._waiting
        self._failed = None
        self._producer.flush(self._flush_secs)
        large, self._too_large = self._too_large, []
        for letter in large:
            copies -= not self._squeeze(letter)
        if self._waiting:
            raise self._fatal(self._failed.str() if self._failed is not None else "no answer")
        count("dead_letter_copies_total", copies, result="ok")

    def _squeeze(self, letter: DeadLetter) -> bool:
        """Copy a letter refused for its size: alone, as brokers judge whole batches; then smaller."""
        for body in (True, False):
            self._waiting -= 1
            self._produce(letter, to_json(letter, body=body))
            self._producer.flush(self._flush_secs)
            if not self._too_large:
                if not body:
                    log.warning("a dead letter is copied without its large body", key=key_of(letter))
                return True
            self._too_large.clear()
        self._waiting -= 1
        count("dead_letter_copies_total", 1, result="error")
        log.error("a dead letter is too large for the topic and was not copied", key=key_of(letter))
        return False

    def _fatal(self, reason: str) -> Fatal:
        count("dead_letter_copies_total", self._waiting, result="error")
        return Fatal(
            f"cannot write copies of dead letters to {self._where}: {reason}; "
            "nothing is lost, they are kept in the state directory and copied at the next start"
        )

    def close(self) -> None:
        """Forget what is not acknowledged: it will be written again. Does not wait."""
        self._producer.purge(blocking=False)
