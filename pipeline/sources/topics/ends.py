"""Asks where the topics of a source partition end: for the merge, and to see how far behind it is."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from pipeline.kafka.admin import END_SECS, KafkaAdmin, offset_of
from pipeline.kafka.brokers import Known
from pipeline.sources.topics.merging.merge import Alignment, Question
from pipeline.sources.topics.stream import Message, Stream
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import UNDECIDED
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
UNDECIDED_MS = 60_000
"""How long a transaction is open before that is told; Flink's are for as long as from one checkpoint to the
next."""


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
        self._known = admin.reachability.known
        """What was known of the brokers when the lag was asked for."""
        self._lag_at = 0
        self._undecided: dict[str, tuple[int, bool]] = {}
        """By side: since when a transaction holds its records back, and whether that was told."""

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
        ends = self._read(futures) if answered else None
        if ends is None:
            self._alignment.lost(question)
            self._ask_at = now + ASK_AGAIN_MS
        else:
            self._alignment.answer(question, ends, now)

    def watch_lag(self, now: int) -> bool:
        """Measure the lag now and then: ask now, and read the answer at the next call. True then."""
        if now < self._lag_at:
            return False
        answered = all(future.done() for future in self._lag)
        if not answered and now < self._lag_at + ASK_GIVE_UP_MS:
            return False
        self._lag_at = now + LAG_EVERY_MS
        if self._lag and answered:
            ends = self._read(self._lag, self._known) or {}
            for stream in self._streams if ends else ():
                side, end = stream.side, ends[stream.side.name]
                gauge("source_lag", max(0, end - side.next_offset), partition=side.name)
                self._tell_undecided(stream, end, now)
        self._known = self._admin.reachability.known
        self._lag = self._futures(committed=False)
        self._admin.serve()
        return True

    def _tell_undecided(self, stream: Stream, end: int, now: int) -> None:
        """Tell of records that nobody may read yet: what is committed ends before the log does.

        end: of the log, some seconds ago.
        """
        side = stream.side
        since, was_told = self._undecided.get(side.name, (now, False))
        if stream.holds or side.done or not side.position == side.told_end < end:
            self._undecided.pop(side.name, None)
            if was_told:
                gauge("source_undecided_records", 0, partition=side.name)
            return
        is_long = now >= since + UNDECIDED_MS
        self._undecided[side.name] = since, is_long
        if is_long:
            UNDECIDED.happened(log, end - side.position, partition=side.name)

    def _futures(self, *, committed: bool) -> list[Future[Any]]:
        partitions = [TopicPartition(stream.topic, stream.index) for stream in self._streams]
        return self._admin.ends(partitions, committed=committed)

    def _read(self, futures: list[Future[Any]], known: Known | None = None) -> dict[str, int] | None:
        """Return the answered end of every side, or None if the question failed: it is asked again.

        known: of the brokers when it was asked, for an answer that is looked at late.
        """
        try:
            ends = {
                stream.side.name: offset_of(future.result())
                for stream, future in zip(self._streams, futures, strict=True)
            }
        except KafkaException as failed:
            reason = failed.args[0].str()
            log.debug("the ends of the topics are unknown", partition=self._partition, reason=reason)
            if known is not None and failed.args[0].code() == KafkaError._TIMED_OUT:
                self._admin.reachability.unanswered(known, END_SECS)
            self._admin.renew()
            return None
        self._admin.reachability.answered(known)
        return ends
