"""Asks where the topics of a source partition end: for the merge, and to see how far behind it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline.kafka.admin import END_SECS, KafkaAdmin, offset_of
from pipeline.kafka.brokers import Known
from pipeline.sources.topics.merging.merge import Alignment, Question
from pipeline.sources.topics.stream import Message, Stream
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import UNANSWERED, UNDECIDED, UNREADABLE, Happening
from pipeline.telemetry.metrics import gauge

log = logging.get(__name__)

ASK_EVERY_MS = 1
ANSWER_MS = 2
"""The broker usually answers within one."""
ASK_AGAIN_MS = 200
"""After a question that failed."""
ASK_GIVE_UP_MS = 15_000
"""librdkafka gives up after `END_SECS`; this is for a future that it forgets."""
LAG_EVERY_MS = 5000
SILENT_MS = 30_000
"""How long nobody answers for a topic partition before that is told: leaders change within seconds."""
UNDECIDED_MS = 60_000
"""How long a transaction is open before that is told; Flink's are for as long as from one checkpoint to the
next."""
UNREADABLE_MS = 60_000
"""How long records that are there do not come before that is told."""
RENEW_MS = 20_000
"""How long before another consumer is tried: after an outage one in many does not fetch again. The next one
comes after twice as long: what skips a long aborted transaction must not begin anew for ever."""


class Ends:
    """The questions of one source partition; nothing here waits for an answer."""

    def __init__(
        self, partition: str, streams: Sequence[Stream], alignment: Alignment[Message], admin: KafkaAdmin
    ) -> None:
        self._partition = partition
        self._streams = streams
        self._alignment = alignment
        self._admin = admin
        self._question: tuple[Question, list[Future[Any]]] | None = None
        self._ask_at = self._asked_at = 0
        self._lag: list[Future[Any]] = []
        self._decided: list[Future[Any]] = []
        """The ends of what is committed, if something stood still at the last look."""
        self._known = admin.reachability.known
        """What was known of the brokers when the lag was asked for."""
        self._lag_at = 0
        self._silent = Lasting(UNANSWERED, SILENT_MS)
        self._undecided = Lasting(UNDECIDED, UNDECIDED_MS)
        self._unreadable = Lasting(UNREADABLE, UNREADABLE_MS)
        self._renewals: dict[str, Renewal] = {}
        """By topic partition of which nothing comes."""

    def are_expected(self, now: int) -> bool:
        """Return whether an answer that the merge waits for will be here within a millisecond or so."""
        return self._question is not None and now < self._asked_at + ANSWER_MS

    def ask(self, now: int) -> None:
        """Ask for what the merge waits for, if anything, unless it was asked already."""
        if self._alignment.held_by is None or self._question is not None or now < self._ask_at:
            return
        question = self._alignment.ask(now)
        if question is not None:
            self._asked_at, self._ask_at = now, now + ASK_EVERY_MS
            self._question = question, self._futures(committed=question.committed)

    def take_answer(self, now: int) -> None:
        """Pass an answer on to the merge, if there is one."""
        if self._question is None:
            return
        question, futures = self._question
        answered = all(future.done() for future in futures)
        if not answered and now < self._ask_at + ASK_GIVE_UP_MS:
            return
        self._question = None
        ends = self._read(futures)[0] if answered else {}
        if len(ends) < len(self._streams):
            self._alignment.lost(question)
            self._ask_at = now + ASK_AGAIN_MS
        else:
            self._alignment.answer(question, ends, now)

    def watch_lag(self, now: int) -> None:
        """Measure the lag now and then: ask now, and read the answer at the next call."""
        if now < self._lag_at:
            return
        answered = all(future.done() for future in self._lag)
        if not answered and now < self._lag_at + ASK_GIVE_UP_MS:
            return
        if now >= self._lag_at + LAG_EVERY_MS:
            # Reading was paused: nothing could come meanwhile.
            self._unreadable.begin_anew(now)
            self._renewals.clear()
        self._lag_at = now + LAG_EVERY_MS
        stands = False
        if self._lag:
            ends, failed = self._read(self._lag, self._known) if answered else ({}, {})
            is_decided = self._decided and all(future.done() for future in self._decided)
            stands = self._tell(ends, failed, self._read(self._decided)[0] if is_decided else {}, now)
        self._known = self._admin.reachability.known
        self._lag = self._futures(committed=False)
        self._decided = self._futures(committed=True) if stands else []
        self._admin.serve()

    def _futures(self, *, committed: bool) -> list[Future[Any]]:
        partitions = [TopicPartition(stream.topic, stream.index) for stream in self._streams]
        return self._admin.ends(partitions, committed=committed)

    def _tell(
        self, ends: Mapping[str, int], failed: Mapping[str, str], decided: Mapping[str, int], now: int
    ) -> bool:
        """Tell how far behind each side is, and why it may stay there. Returns whether one stands still.

        ends: of the logs, some seconds ago. failed: why others are unknown. decided: the ends of what is
        committed, where known.
        """
        any_stands = False
        for stream in self._streams:
            side, end = stream.side, ends.get(stream.side.name)
            if not self._admin.reachability.down:
                reason = failed.get(side.name, "no answer")
                self._silent.see(side.name, end is None, now, reason=reason)
            if end is None:
                self._renewals.pop(side.name, None)
                continue
            gauge("source_lag", max(0, end - side.next_offset), partition=side.name)
            stands = side.position < end and not (stream.holds or side.done)
            any_stands |= stands
            # Nobody may read on though the log does: what is committed ends before it.
            is_end = side.position == side.told_end and decided.get(side.name, side.position) <= side.position
            is_held = stands and is_end
            self._undecided.see(side.name, end - side.position if is_held else 0, now, at=side.position)
            # librdkafka fetches a damaged batch again and again, and reports no error for some damage.
            is_stuck = stands and not is_held
            offset = str(side.position)
            self._unreadable.see(
                side.name, end - side.position if is_stuck else 0, now, at=side.position, offset=offset
            )
            self._renew(stream, now, is_stuck=is_stuck)
        return any_stands

    def _renew(self, stream: Stream, now: int, *, is_stuck: bool) -> None:
        """Try another consumer now and then while nothing comes."""
        name, position = stream.side.name, stream.side.position
        if not is_stuck:
            self._renewals.pop(name, None)
            return
        known = self._renewals.get(name)
        if known is None or known.position != position:
            self._renewals[name] = Renewal(position, now + RENEW_MS, RENEW_MS)
        elif now >= known.due_ms:
            log.warning(
                "nothing comes of a topic partition though records are there: trying another connection",
                partition=name,
                offset=position,
            )
            pause_ms = 2 * known.pause_ms
            self._renewals[name] = Renewal(position, now + pause_ms, pause_ms)
            stream.renew()

    def _read(
        self, futures: list[Future[Any]], known: Known | None = None
    ) -> tuple[dict[str, int], dict[str, str]]:
        """Return the answered ends by side, and why the question failed for others: it is asked again.

        known: of the brokers when it was asked, for an answer that is looked at late.
        """
        ends: dict[str, int] = {}
        failed: dict[str, str] = {}
        is_late = False
        for stream, future in zip(self._streams, futures, strict=True):
            try:
                ends[stream.side.name] = offset_of(future.result())
            except KafkaException as error:
                failed[stream.side.name] = error.args[0].str()
                is_late |= error.args[0].code() == KafkaError._TIMED_OUT
        if failed:
            log.debug("the ends of the topics are unknown", partition=self._partition, reasons=failed)
            self._admin.renew()
        if ends:
            self._admin.reachability.answered(known)
        elif known is not None and is_late:
            self._admin.reachability.unanswered(known, END_SECS)
        return ends, failed


class Renewal(NamedTuple):
    """When another consumer is tried next."""

    position: int
    due_ms: int
    pause_ms: int


class Lasting:
    """Something about topic partitions that is told once it has lasted for a while, and when it ends."""

    def __init__(self, happening: Happening, after_ms: int) -> None:
        self._happening = happening
        self._after_ms = after_ms
        self._since: dict[str, tuple[int, int]] = {}

    def begin_anew(self, now: int) -> None:
        """Count from now on again."""
        self._since = {partition: (now, place) for partition, (_, place) in self._since.items()}

    def see(self, partition: str, value: float, now: int, *, at: int = 0, **facts: str) -> None:
        """Note the present value, 0 where it is not so. at: another place there, and it has begun anew."""
        since, place = self._since.get(partition, (now, at))
        if place != at:
            since = now
        if value and now >= since + self._after_ms:
            self._happening.happened(log, value, partition=partition, **facts)
        elif partition in self._since:
            gauge(self._happening.metric, 0, partition=partition)
        if value:
            self._since[partition] = since, at
        else:
            self._since.pop(partition, None)
