"""What is told of topic partitions whose ends are unknown, without a broker."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException

from pipeline.kafka.brokers import Reachability
from pipeline.sources.topics.ends import LAG_EVERY_MS, RENEW_MS, SILENT_MS, UNDECIDED_MS, UNREADABLE_MS, Ends
from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.side import Side
from pipeline.telemetry import metrics
from pipeline.telemetry.names import MetricName

NO_LEADER = KafkaException(KafkaError(KafkaError.LEADER_NOT_AVAILABLE))
LATE = -1001
"""librdkafka's offset of a partition whose broker did not answer in time."""


class Brokers:
    """Answer what a test says: an offset, or an error, for each topic partition."""

    def __init__(self) -> None:
        self.reachability = Reachability("b:9092")
        self.answers: dict[str, int | KafkaException] = {}
        self.open_from = 100
        """Where a transaction is open."""

    def ends(self, partitions: Sequence[Any], *, committed: bool) -> list[Future[Any]]:
        futures = []
        for one in partitions:
            answer, future = self.answers[one.topic], Future[Any]()
            if isinstance(answer, KafkaException):
                future.set_exception(answer)
            else:
                future.set_result(
                    SimpleNamespace(offset=min(answer, self.open_from if committed else answer))
                )
            futures.append(future)
        return futures

    def renew(self) -> None:
        """Nothing to do."""

    serve = renew


class Watched:
    """The ends of two topics, looked at as time goes by."""

    def __init__(self) -> None:
        self.sides = [Side[Any](f"{topic}/0", 0) for topic in ("users", "events")]
        self.brokers = Brokers()
        self.streams: Any = [
            SimpleNamespace(side=side, topic=side.name[:-2], index=0, holds=False, renew=lambda: None)
            for side in self.sides
        ]
        self.ends = Ends("kafka-0", self.streams, Alignment(self.sides), cast(Any, self.brokers))
        self.now = LAG_EVERY_MS

    def told(self, metric: MetricName, users: int | KafkaException, ms: int) -> list[float]:
        """Return what a metric says after so long, with these ends."""
        self.brokers.answers = {"users": users, "events": 7}
        for _ in range(0, ms + 1, LAG_EVERY_MS):
            self.ends.watch_lag(self.now)
            self.now += LAG_EVERY_MS
        return [metrics.read(metric, partition=side.name) for side in self.sides]


@pytest.mark.parametrize("failure", [NO_LEADER, LATE])
def test_a_partition_without_a_leader_is_told_though_other_brokers_answer(failure: Any) -> None:
    watched = Watched()
    told = partial(watched.told, "source_unanswered")
    assert told(failure, SILENT_MS - LAG_EVERY_MS) == [0, 0], "leaders change within seconds"
    assert told(failure, 2 * LAG_EVERY_MS) == [1, 0]
    assert metrics.read("source_lag", partition="events/0") == 7
    assert not watched.brokers.reachability.down, "others answer"
    assert told(9, LAG_EVERY_MS) == [0, 0]
    assert metrics.read("source_lag", partition="users/0") == 9


def test_one_transaction_after_another_is_none_that_stays_open() -> None:
    watched = Watched()
    users = watched.sides[0]
    told = partial(watched.told, "source_undecided_records", 9)
    for place in (1, 2):
        users.position = users.told_end = watched.brokers.open_from = place
        assert told(UNDECIDED_MS - LAG_EVERY_MS) == [0, 0]
    assert told(2 * LAG_EVERY_MS) == [7, 0]
    users.position = users.told_end = 9
    assert told(LAG_EVERY_MS) == [0, 0]


def test_records_that_are_there_and_do_not_come_are_told() -> None:
    watched = Watched()
    users, events = watched.sides
    events.position = 7
    told = partial(watched.told, "source_unreadable_records", 9)
    for place in (1, 2):
        users.position = place
        assert told(UNREADABLE_MS - LAG_EVERY_MS) == [0, 0], "it goes on slowly"
    assert told(2 * LAG_EVERY_MS) == [7, 0]
    users.position = users.told_end = 9
    assert told(LAG_EVERY_MS) == [0, 0]


def test_what_does_not_come_behind_an_end_that_was_told_is_no_transaction_if_it_is_committed() -> None:
    watched = Watched()
    users, events = watched.sides
    users.position = users.told_end = 2
    events.position = 7
    assert watched.told("source_unreadable_records", 9, UNREADABLE_MS + 2 * LAG_EVERY_MS) == [7, 0]
    assert metrics.read("source_undecided_records", partition="users/0") == 0


def test_what_does_not_come_while_reading_is_paused_is_not_told() -> None:
    watched = Watched()
    watched.sides[1].position = 7
    told = partial(watched.told, "source_unreadable_records", 9)
    assert told(2 * LAG_EVERY_MS) == [0, 0]
    watched.now += 2 * UNREADABLE_MS
    assert told(LAG_EVERY_MS) == [0, 0]
    assert told(UNREADABLE_MS) == [9, 0]


def test_another_consumer_is_tried_ever_more_seldom_while_nothing_comes() -> None:
    watched = Watched()
    watched.sides[1].position = 7
    tried: list[int] = []
    watched.streams[0].renew = lambda: tried.append(watched.now)
    told = partial(watched.told, "source_unreadable_records", 9)
    told(8 * RENEW_MS)
    first, second, third = tried
    assert third - second == 2 * (second - first) == 4 * RENEW_MS
    watched.told("source_unreadable_records", NO_LEADER, RENEW_MS)
    assert len(tried) == 3, "brokers that are away bring nothing"
    told(RENEW_MS)
    assert len(tried) == 3, "they are given time when they are back"
