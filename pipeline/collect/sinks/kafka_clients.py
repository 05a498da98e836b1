"""The Kafka clients of a collector: one that gathers messages into sets, one for those that come alone."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from pipeline.collect.batch import Member
from pipeline.collect.sinks.kafka_delivery import Delivery, headers_of
from pipeline.config.models.installation.collect import CollectKafka
from pipeline.kafka.brokers import Reachability
from pipeline.kafka.client import OWN, KafkaSettings, client_settings
from pipeline.kafka.passed import made
from pipeline.telemetry import log as logging

log = logging.get(__name__)

ANSWER_SECS = 5.0
"""How long a request waits for the brokers."""
QUEUED_MESSAGES = 1_000_000
"""More are not handed to the client: what comes is refused."""
OURS: Mapping[str, Any] = {
    "acks": "all",
    "enable.idempotence": True,
    "message.timeout.ms": int(ANSWER_SECS * 1000),
    "queue.buffering.max.messages": 2 * QUEUED_MESSAGES,
    "queue.buffering.max.kbytes": 2_000_000,
}
"""Settings on which the promises rest."""
CLOSED: Final = OWN | OURS.keys() | {"request.required.acks", "delivery.timeout.ms", "transactional.id"}
"""All that cannot be passed through. Some have two names."""
PLACE: Final = "collect.to.kafka.settings"
_ALONE: Final = {"batch.num.messages": 1, "linger.ms": 0}


def producer_settings(to: CollectKafka, reachability: Reachability) -> dict[str, Any]:
    """Return what the producer is made with."""
    return {
        "linger.ms": 1,
        "compression.type": "lz4",
        # The partitioner of Kafka's own clients: what they write beside us lands in the same partition.
        "partitioner": "murmur2_random",
        # A topic that is deleted stays so: made anew by us it would have a broker's defaults.
        "allow.auto.create.topics": False,
        **client_settings(KafkaSettings(to.brokers, settings=to.settings), reachability),
        **OURS,
    }


class Clients:
    """Raises ConfigError for settings that cannot be used."""

    def __init__(self, to: CollectKafka, reachability: Reachability) -> None:
        self._topic = to.topic
        self._settings = to.settings
        self._given = producer_settings(to, reachability)
        self._gathering = self._made()
        self._alone: Producer | None = None
        """Made when a message is to come alone."""
        self._retired: list[Producer] = []
        """Those that gave up, until nothing is to be heard of them any more."""

    def produce(
        self, member: Member, at_ms: int, delivery: Delivery, index: int, *, alone: bool = False
    ) -> KafkaError | None:
        """Hand over one member, the one of this number; return why the client does not take it.

        at_ms: the message's time. alone: no other is to be in a set with it.
        """

        def hand_over() -> None:
            self._client(alone=alone).produce(
                self._topic,
                member.value,
                None if member.user is None else member.user.encode("utf-8", "surrogatepass"),
                timestamp=at_ms,
                headers=headers_of(member),
                on_delivery=partial(delivery.report, index),
            )

        try:
            try:
                hand_over()
            except KafkaException as refused:
                if refused.args[0].code() != KafkaError._FATAL:
                    raise
                # It gave up for good; what it still holds is reported as failed.
                log.error("the Kafka client gave up, going on with another one", reason=refused.args[0].str())
                self._retire(alone=alone)
                hand_over()
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as refused:
            error: KafkaError = refused.args[0]
            return error
        except Exception as fault:  # one member's: the others were handed over, and are heard of
            log.error("a record cannot be handed to the Kafka client", exc_info=fault)
            return KafkaError(KafkaError._FAIL, str(fault))
        return None

    def poll(self) -> None:
        """Let reports come in; waits a moment for them."""
        alone = self._alone
        for producer in [*self._retired, *([] if alone is None else [alone])]:
            self._poll(producer, 0.0)
        # Where some come alone, their answers are not kept waiting by those that do not come.
        self._poll(self._gathering, 0.01 if alone is not None and len(alone) else 0.1)

    def _poll(self, producer: Producer, secs: float) -> None:
        try:
            producer.poll(secs)
        except (KafkaException, SystemError) as failed:
            log.warning("the Kafka client complains", reason=str(failed.__cause__ or failed))

    def _client(self, *, alone: bool) -> Producer:
        if not alone:
            return self._gathering
        if self._alone is None:
            self._alone = self._made(_ALONE)
        return self._alone

    def _retire(self, *, alone: bool) -> None:
        self._retired = [old for old in self._retired if len(old)] + [self._client(alone=alone)]
        if alone:
            self._alone = None
        else:
            self._gathering = self._made()

    def _made(self, more: Mapping[str, Any] | None = None) -> Producer:
        return made(Producer, {**self._given, **(more or {})}, self._settings, CLOSED, PLACE)
