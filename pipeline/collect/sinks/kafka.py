"""The sink that keeps batches in a topic: acknowledged by all in-sync replicas before they count as kept.

A request whose members were partly acknowledged is refused; so is one whose acknowledgements do not come in
time, though it may still be written. It comes again, and what of it was acknowledged is known by its message
ids. Each message has its digest in a header: a start reads those of the last minutes, and knows their
repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from pipeline.collect.batch import Batch, Refused, Why
from pipeline.collect.sinks.intake import Intake, IntakeSink, Ticket, tell
from pipeline.collect.sinks.kafka_clients import ANSWER_SECS, PLACE, QUEUED_MESSAGES, Clients
from pipeline.collect.sinks.kafka_delivery import TOO_LARGE, UNFIT, Delivery, Reports, cut, size_of
from pipeline.collect.sinks.kafka_lately import lately
from pipeline.collect.sinks.order import places
from pipeline.config.models.installation.collect import CollectSection
from pipeline.kafka.admin import COMPACTED, KafkaAdmin, may
from pipeline.kafka.brokers import Reachability
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import ConfigError
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COLLECT_KEEPING, COLLECT_REFUSING, COLLECT_UNFIT

log = logging.get(__name__)

BACK_MS: Final = 60_000
"""Times never go back, unless by more: the clock was set, as no request waits so long for others."""
_MAX_BYTES = 1_000_000
"""The client's own bound of a message, `message.max.bytes`."""
CONNECT_SECS = 10.0
"""How long the brokers may take to answer when the collector starts."""
_TICK_SECS = 0.25
_ASK_SECS = 1.0


class KafkaSink(IntakeSink):
    """Keeps batches in a topic, used from one event loop.

    Raises ConfigError for settings or a topic that cannot be used, Fatal where no broker answers.
    """

    def __init__(self, section: CollectSection, *, clock: Callable[[], float] = time.monotonic) -> None:
        to = section.to.kafka
        assert to is not None  # this sink was chosen for it
        self._clock = clock
        self._topic = to.topic
        self._where = f"topic `{to.topic}` at {to.brokers}"
        asked = KafkaSettings(to.brokers, settings=to.settings, where=PLACE, connect_secs=CONNECT_SECS)
        self._reachability = Reachability(to.brokers)
        self._clients = Clients(to, self._reachability)
        admin = KafkaAdmin(asked)
        self._connection = asked
        self._admin: KafkaAdmin | None = None
        """While there is trouble: what it has to say nobody hears."""
        self._asked: Future[Any] | None = None
        if admin.look_at(to.topic, AclOperation.WRITE) is None:
            raise ConfigError(
                f"{self._where} does not exist: create it with as many partitions as the job may have workers"
            )
        if COMPACTED in admin.history_limits(to.topic):
            raise ConfigError(
                f"{self._where} is compacted ({COMPACTED}): of the events of a user only the last would be "
                "kept. Set `cleanup.policy=delete` on it, or name another topic"
            )
        self._largest = int(to.settings.get("message.max.bytes") or _MAX_BYTES)
        self._intake = Intake(
            self._put, dedupe_secs=section.dedupe_secs, order_secs=section.order_secs, clock=clock
        )
        ring = self._intake.ring
        if section.dedupe_secs > 0:
            now, now_ms = clock(), time.time_ns() // 1_000_000
            since_ms = now_ms - int(section.dedupe_secs * 1000)
            for at_ms, digest in lately(asked, to.topic, since_ms, ring.most):
                ring.add((digest,), now - max(0, now_ms - at_ms) / 1000)
        self._reports: Reports = deque()
        self._deliveries: dict[Delivery, None] = {}
        """The oldest first."""
        self._queued = 0
        self._last_ms = 0
        self._failing: KafkaError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_ask = 0.0
        self._back = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="collect-kafka", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> Why | None:
        """BROKER while the brokers are away, or did not take what came last."""
        return Why.BROKER if self._failing is not None or self._reachability.down else None

    def hand(self, batch: Batch) -> asyncio.Future[int]:
        """Return what `keep` waits for; giving it up does not take the batch back."""
        return super().hand(self._fitting(batch))

    def _end(self) -> None:
        """End the client and its thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._ended.set()
        self._thread.join()

    def _fitting(self, batch: Batch) -> Batch:
        """Return the batch with those of several members cut that no message can hold."""
        if len(batch.members) == 1 or not any(size_of(member) > self._largest for member in batch.members):
            return batch
        members = [
            cut(member, self._largest // 2) if size_of(member) > self._largest else member
            for member in batch.members
        ]
        return msgspec.structs.replace(batch, members=members)

    def _refuses(self, batch: Batch) -> Why | None:
        if self._queued + len(batch.members) > QUEUED_MESSAGES:
            return Why.BUSY
        if any(size_of(member) > self._largest for member in batch.members):
            # Before any of it is on its way: a request is taken whole, or not at all.
            return Why.TOO_LARGE
        return None

    def _put(self, tickets: list[Ticket]) -> None:
        """Hand batches to the client, in order."""
        deliveries = [Delivery(ticket, self._reports, len(ticket.batch.members)) for ticket in tickets]
        self._deliveries.update(dict.fromkeys(deliveries))
        for delivery in deliveries:
            self._queued += delivery.left
        for number, index in places([ticket.batch for ticket in tickets]):
            delivery, batch = deliveries[number], tickets[number].batch
            if batch.received_ms < self._last_ms - BACK_MS:
                self._last_ms = 0  # the clock was ahead: brokers refuse times of the future
            self._last_ms = max(self._last_ms, batch.received_ms)
            error = self._clients.produce(batch.members[index], self._last_ms, delivery, index)
            if error is not None:
                self._reports.append((delivery, index, error))
                self._intake.loop.call_soon(self._heard)
        if self._timer is None:
            self._timer = self._intake.loop.call_later(_TICK_SECS, self._tick)

    def _listen(self) -> None:
        """Let the client's reports come in; a thread of its own, as that waits."""
        while not self._ended.is_set():
            self._clients.poll()
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
            delivery, index, error = reports.popleft()
            if error is None:
                delivery.acknowledged(index)
            elif (member := delivery.next_try(index, error)) is not None:
                refused = self._clients.produce(member, self._last_ms, delivery, index, alone=True)
                if refused is not None:
                    reports.append((delivery, index, refused))
                continue
            else:
                delivery.refused(error)
            self._queued -= 1
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

    def _refuse(self, delivery: Delivery) -> None:
        error = delivery.failed
        assert error is not None  # whoever calls has seen it
        why = Why.BROKER
        if error.code() in TOO_LARGE:
            why = Why.TOO_LARGE
        elif error.code() in UNFIT:
            why = Why.UNFIT
            COLLECT_UNFIT.happened(log, where=self._where, reason=error.str())
        else:
            if self._failing is None:
                reason = self._reachability.reason if self._reachability.down else error.str()
                COLLECT_REFUSING.happened(log, where=self._where, reason=reason)
            self._failing = error
        self._intake.ring.add(delivery.same(), self._clock())
        self._intake.over([delivery.ticket], Refused(why, int(ANSWER_SECS)))

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
