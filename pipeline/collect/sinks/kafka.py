"""The sink that keeps batches in a topic: acknowledged by all in-sync replicas before they count as kept.

A request whose members were partly acknowledged is refused; so is one whose acknowledgements do not come in
time, though it may still be written. It comes again, and its message ids let the job know it. Each message
has its digest in a header: a start reads those of the last minutes, and knows their repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from binascii import hexlify
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AclOperation

from pipeline.collect.batch import Batch, Member, Refused, Why, cut_short
from pipeline.collect.sinks.intake import Intake, IntakeSink, Ticket, tell
from pipeline.collect.sinks.kafka_lately import lately
from pipeline.collect.sinks.order import places
from pipeline.collect.sinks.recording.line import SAME
from pipeline.collect.sinks.settings import KafkaSinkSettings
from pipeline.kafka.admin import COMPACTED, KafkaAdmin, may
from pipeline.kafka.brokers import Reachability
from pipeline.kafka.client import OWN, KafkaSettings, client_settings
from pipeline.kafka.passed import made
from pipeline.model.errors import ConfigError
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COLLECT_KEEPING, COLLECT_REFUSING

log = logging.get(__name__)

ANSWER_SECS = 5.0
"""How long a request waits for the brokers."""
BACK_MS: Final = 60_000
"""Times never go back, unless by more: the clock was set, as no request waits so long for others."""
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
_MAX_BYTES = 1_000_000
"""The client's own bound of a message, `message.max.bytes`."""
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE})
_TICK_SECS = 0.25
_ASK_SECS = 1.0
PLACE: Final = "collect.to.kafka.settings"


def producer_settings(settings: KafkaSinkSettings, reachability: Reachability) -> dict[str, Any]:
    """Return what the producer is made with."""
    return {
        "linger.ms": 1,
        "compression.type": "lz4",
        # The partitioner of Kafka's own clients: what they write beside us lands in the same partition.
        "partitioner": "murmur2_random",
        **client_settings(KafkaSettings(settings.brokers, settings=settings.settings), reachability),
        **OURS,
    }


@dataclass(slots=True, eq=False)
class _Delivery:
    """A ticket whose members are with the client."""

    ticket: Ticket
    reports: deque[tuple[_Delivery, KafkaError | None]]
    left: int
    """Members that nothing was heard of yet."""
    failed: KafkaError | None = None

    def report(self, error: KafkaError | None, message: Message) -> None:
        """Take what became of one member; in the thread that listens."""
        self.reports.append((self, error))


class KafkaSink(IntakeSink):
    """Keeps batches in a topic, used from one event loop.

    Raises ConfigError for settings or a topic that cannot be used, Fatal where no broker answers.
    """

    def __init__(self, settings: KafkaSinkSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._topic = settings.topic
        self._where = f"topic `{settings.topic}` at {settings.brokers}"
        self._settings = settings.settings
        asked = KafkaSettings(
            settings.brokers, settings=settings.settings, where=PLACE, connect_secs=settings.connect_secs
        )
        self._reachability = Reachability(settings.brokers)
        self._given = producer_settings(settings, self._reachability)
        self._producer = self._made()
        admin = KafkaAdmin(asked)
        self._connection = asked
        self._admin: KafkaAdmin | None = None
        """While there is trouble: what it has to say nobody hears."""
        self._asked: Future[Any] | None = None
        if admin.look_at(settings.topic, AclOperation.WRITE) is None:
            raise ConfigError(
                f"{self._where} does not exist: create it with as many partitions as the job may have workers"
            )
        if COMPACTED in admin.history_limits(settings.topic):
            raise ConfigError(
                f"{self._where} is compacted ({COMPACTED}): of the events of a user only the last would be "
                "kept. Set `cleanup.policy=delete` on it, or name another topic"
            )
        self._largest = int(settings.settings.get("message.max.bytes", _MAX_BYTES))
        self._intake = Intake(
            self._put, dedupe_secs=settings.dedupe_secs, order_secs=settings.order_secs, clock=clock
        )
        ring = self._intake.ring
        if settings.dedupe_secs > 0:
            now, now_ms = clock(), time.time_ns() // 1_000_000
            since_ms = now_ms - int(settings.dedupe_secs * 1000)
            for at_ms, digest in lately(asked, settings.topic, since_ms, ring.most):
                ring.add((digest,), now - max(0, now_ms - at_ms) / 1000)
        self._reports: deque[tuple[_Delivery, KafkaError | None]] = deque()
        self._deliveries: dict[_Delivery, None] = {}
        """The oldest first."""
        self._queued = 0
        self._last_ms = 0
        self._failing: KafkaError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_ask = 0.0
        self._back = False
        self._closing = False
        self._ended = threading.Event()
        self._retired: list[Producer] = []
        """Those that gave up, until nothing is to be heard of them any more."""
        self._thread = threading.Thread(target=self._listen, name="collect-kafka", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> Why | None:
        """BROKER while the brokers are away, or did not take what came last."""
        return Why.BROKER if self._failing is not None or self._reachability.down else None

    def hand(self, batch: Batch) -> asyncio.Future[int]:
        """Return what `keep` waits for; giving it up does not take the batch back."""
        batch = self._fitting(batch)
        why = self._refuses(batch)
        if why is None:
            return self._intake.hand(batch)
        return self._refusal(why, self._intake.retry_secs)

    async def close(self) -> None:
        """Wait for the acknowledgements of what was handed over; what comes now is refused."""
        if self._closing:
            return
        self._closing = True
        await self._intake.emptied()
        if self._timer is not None:
            self._timer.cancel()
        self._ended.set()
        self._thread.join()

    def _fitting(self, batch: Batch) -> Batch:
        """Return the batch with those of several members cut that no message can hold."""
        if len(batch.members) == 1 or not any(_size(member) > self._largest for member in batch.members):
            return batch
        members = [
            _cut(member, self._largest) if _size(member) > self._largest else member
            for member in batch.members
        ]
        return msgspec.structs.replace(batch, members=members)

    def _refuses(self, batch: Batch) -> Why | None:
        if self._closing:
            return Why.STOPPING
        if self._queued + len(batch.members) > QUEUED_MESSAGES:
            return Why.BUSY
        if any(_size(member) > self._largest for member in batch.members):
            # Before any of it is on its way: a request is taken whole, or not at all.
            return Why.TOO_LARGE
        return None

    def _put(self, tickets: list[Ticket]) -> None:
        """Hand batches to the client, in order."""
        deliveries = [_Delivery(ticket, self._reports, len(ticket.batch.members)) for ticket in tickets]
        self._deliveries.update(dict.fromkeys(deliveries))
        for delivery in deliveries:
            self._queued += delivery.left
        for number, index in places([ticket.batch for ticket in tickets]):
            delivery, batch = deliveries[number], tickets[number].batch
            if batch.received_ms < self._last_ms - BACK_MS:
                self._last_ms = 0  # the clock was ahead: brokers refuse times of the future
            self._last_ms = max(self._last_ms, batch.received_ms)
            error = self._produce(batch.members[index], delivery)
            if error is not None:
                self._reports.append((delivery, error))
                self._intake.loop.call_soon(self._heard)
        if self._timer is None:
            self._timer = self._intake.loop.call_later(_TICK_SECS, self._tick)

    def _produce(self, member: Member, delivery: _Delivery) -> KafkaError | None:
        """Hand one member to the client; return why it does not take it."""

        def hand_over() -> None:
            self._producer.produce(
                self._topic,
                member.value,
                None if member.user is None else member.user.encode("utf-8", "surrogatepass"),
                timestamp=self._last_ms,
                headers=_headers(member),
                on_delivery=delivery.report,
            )

        try:
            try:
                hand_over()
            except KafkaException as refused:
                if refused.args[0].code() != KafkaError._FATAL:
                    raise
                # It gave up for good; what it still holds is reported as failed.
                log.error("the Kafka client gave up, going on with another one", reason=refused.args[0].str())
                self._retired = [old for old in self._retired if len(old)] + [self._producer]
                self._producer = self._made()
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

    def _listen(self) -> None:
        """Let the client's reports come in; a thread of its own, as that waits."""
        while not self._ended.is_set():
            for producer in [*self._retired, self._producer]:
                try:
                    producer.poll(0.1 if producer is self._producer else 0)
                except (KafkaException, SystemError) as failed:
                    log.warning("the Kafka client complains", reason=str(failed.__cause__ or failed))
            if self._reports or (self.trouble and self._answers()):
                with contextlib.suppress(RuntimeError):  # the loop was closed under way
                    self._intake.loop.call_soon_threadsafe(self._heard)

    def _answers(self) -> bool:
        """Return whether brokers that were away answer again, and we may write to the topic: without requests
        nothing else would say so. Never waits.
        """
        now = self._clock()
        if self._asked is None:
            if now >= self._next_ask:
                self._next_ask = now + _ASK_SECS
                self._admin = KafkaAdmin(self._connection)
                self._asked = self._admin.describe([self._topic], operations=True)[self._topic]
            return False
        if not self._asked.done():
            return False
        asked, self._asked, self._admin = self._asked, None, None
        with contextlib.suppress(KafkaException):
            self._back = may(asked.result(), AclOperation.WRITE)
        return self._back

    def _heard(self) -> None:
        """Answer the batches of which all members were heard of."""
        if self._back:
            self._back = False
            self._well()
        reports, kept, now = self._reports, list[Ticket](), self._clock()
        while reports:
            delivery, error = reports.popleft()
            delivery.left -= 1
            self._queued -= 1
            if error is not None:
                delivery.failed = error
            if delivery.left:
                continue
            del self._deliveries[delivery]
            if delivery.failed is None:
                kept.append(delivery.ticket)
            else:
                self._refuse(delivery)
        if kept:
            self._intake.kept(kept, sum([ticket.size for ticket in kept]), now - kept[0].came)
            self._well()
            self._intake.over(kept)

    def _well(self) -> None:
        if self._failing is not None:
            COLLECT_KEEPING.happened(log, where=self._where)
        self._failing = None
        self._reachability.answered()

    def _refuse(self, delivery: _Delivery) -> None:
        error = delivery.failed
        assert error is not None  # whoever calls has seen it
        too_large = error.code() in _TOO_LARGE
        if not too_large:
            if self._failing is None:
                reason = self._reachability.reason if self._reachability.down else error.str()
                COLLECT_REFUSING.happened(log, where=self._where, reason=reason)
            self._failing = error
        why = Why.TOO_LARGE if too_large else Why.BROKER
        self._intake.over([delivery.ticket], Refused(why, int(ANSWER_SECS)))

    def _made(self) -> Producer:
        return made(Producer, self._given, self._settings, CLOSED, PLACE)

    def _tick(self) -> None:
        """Refuse what has waited too long; should it be kept yet, its repeat is known as one."""
        self._timer = None
        latest = self._clock() - ANSWER_SECS
        for delivery in self._deliveries:
            ticket = delivery.ticket
            if ticket.came > latest:
                break
            late = Refused(Why.BROKER, int(ANSWER_SECS))
            tell(ticket.outcome, late)
            for _, outcome in ticket.after or ():
                tell(outcome, late)
            ticket.after = None
        if self._deliveries:
            self._timer = self._intake.loop.call_later(_TICK_SECS, self._tick)


def _headers(member: Member) -> list[tuple[str, str | bytes | None]]:
    headers: list[tuple[str, str | bytes | None]] = [*member.headers]
    return headers if member.same is None else [(SAME, hexlify(member.same)), *headers]


def _cut(member: Member, most: int) -> Member:
    value, says = cut_short(member.value or b"", most // 2)
    return msgspec.structs.replace(member, value=value, headers=(*member.headers, says))


def _size(member: Member) -> int:
    """Return at least what a member takes as a message."""
    headers = sum([len(name) + len(value) + 10 for name, value in member.headers])
    return len(member.value or b"") + len(member.user or "") + headers + 90
