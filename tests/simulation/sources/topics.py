"""A broker with two topics, users and events, of which the job's real reader merges partition by partition.

Records reach the broker a moment after their time, some of them late; what of it has been fetched, and
whether its end was told, is luck. Some stamps are far ahead of the clock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME, KafkaError

from pipeline.job.steps.source import SourcePartition
from pipeline.kafka.admin import Topic
from pipeline.kafka.brokers import Reachability
from pipeline.kafka.client import KafkaSettings
from pipeline.sources.topics import kafka_source, stream
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.kafka_source import KafkaSource
from tests.simulation.life import Life
from tests.simulation.records import Users
from tests.simulation.world import World, Wrong

USERS, EVENTS = "users", "events"
DELAYS_MS = (0, 1, 5, 20, 45, 200, 1500)
"""How long after its time a record reaches the broker: what a producer lingers, sometimes far longer."""
SETTLED_MS = 50
"""`join.settle` as it is by default."""
FAR_AHEAD_MS = 3_600_000


class Stored(NamedTuple):
    """A record of a topic partition."""

    topic: str
    stamp: int
    time: int
    """Its stamp made monotone."""
    value: bytes
    turn: int
    """When it was appended, relative to all others."""
    arrived_ms: int
    """The same by the clock."""
    is_ahead: bool

    @property
    def rank(self) -> tuple[int, bool]:
        """Return where it stands by time: of equal times updates go first."""
        return self.time, self.topic == EVENTS


def late_ones(left: Iterable[Stored]) -> Counter[str]:
    """Return how many records left after one of the other side that they precede."""
    floors = {USERS: -1, EVENTS: -1}
    late: Counter[str] = Counter()
    for one in left:
        is_event = one.topic == EVENTS
        if (one.time < floors[USERS]) if is_event else (one.time <= floors[EVENTS]):
            late["late_events" if is_event else "late_updates"] += 1
        floors[one.topic] = one.time
    return late


def check_order(left: Sequence[Stored]) -> None:
    """A record that precedes another one left first, if it was there before or came while that settled."""
    for place, later in enumerate(left):
        for one in left[:place]:
            if one.topic == later.topic or later.rank > one.rank:
                continue
            if later.turn < one.turn or later.arrived_ms < one.stamp + SETTLED_MS:
                raise Wrong(f"{later} precedes {one}, was there in time, and left after it")


class Message:
    """What a consumer hands out: a record, or the news that the partition ends here for now."""

    def __init__(self, offset: int, stored: Stored | None) -> None:
        self._offset = offset
        self._stored = stored

    def __len__(self) -> int:
        return len(self.value() or b"")

    def error(self) -> Any:
        return None if self._stored is not None else KafkaError(KafkaError._PARTITION_EOF)

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, self._stored.stamp if self._stored is not None else -1

    def value(self) -> bytes | None:
        return self._stored.value if self._stored is not None else None

    def key(self) -> bytes | None:
        return None

    def headers(self) -> None:
        return None

    def leader_epoch(self) -> int | None:
        return None


class Consumer:
    """Fetches one topic partition, as far as luck has it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.log: list[Stored] = []
        self.next = 0

    def assign(self, partitions: list[Any]) -> None:
        (one,) = partitions
        self.log, self.next = self.broker.logs[one.topic, one.partition], one.offset

    def unassign(self) -> None:
        self.log = []

    def consume(self, limit: int, _timeout: float) -> list[Message]:
        luck = self.broker.world.luck
        if luck.random() < 0.3:
            return []
        end = min(len(self.log), self.next + luck.randint(0, limit))
        found = [Message(offset, self.log[offset]) for offset in range(self.next, end)]
        self.next = max(self.next, end)
        if self.next == len(self.log) and luck.random() < 0.5:
            found.append(Message(self.next, None))
        return found

    def poll(self, _timeout: float) -> Message | None:
        found = self.consume(1, 0)
        return found[0] if found else None

    def commit(self, **_: object) -> None: ...

    def close(self) -> None: ...


class Admin:
    """Answers questions about the topics; those about ends sometimes a moment later."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.reachability = Reachability("")

    def topics(self) -> dict[str, Topic]:
        return {name: Topic(self.broker.partitions, f"id-{name}") for name in (USERS, EVENTS)}

    def check_group(self, topic: str) -> None: ...

    def history_limits(self, topic: str) -> str:
        return ""

    def find(self, topic: str, index: int, place: Any) -> int:
        return 0 if place == "earliest" else len(self.broker.logs[topic, index])

    def group_offsets(self, topic: str, partitions: int) -> dict[int, int]:
        return {}

    def describe(self, topics: Iterable[str]) -> dict[str, Future[Any]]:
        futures: dict[str, Future[Any]] = {name: Future() for name in topics}
        for name, future in futures.items():
            future.set_result(
                SimpleNamespace(partitions=[None] * self.broker.partitions, topic_id=f"id-{name}")
            )
        return futures

    def ends(self, partitions: list[Any], *, committed: bool) -> list[Future[Any]]:
        futures = []
        for one in partitions:
            future: Future[Any] = Future()
            future.set_result(SimpleNamespace(offset=len(self.broker.logs[one.topic, one.partition])))
            futures.append(future)
        return futures

    def renew(self) -> None: ...

    def serve(self) -> None: ...


class Broker:
    """The source of a schedule: `Recordings` has the same face."""

    def __init__(self, world: World, partitions: int) -> None:
        self.world = world
        self.partitions = partitions
        self.users = [Users(number, world.luck) for number in range(partitions)]
        self.logs: dict[tuple[str, int], list[Stored]] = {
            (topic, number): [] for topic in (USERS, EVENTS) for number in range(partitions)
        }
        self.coming: list[tuple[float, tuple[str, int], int, bytes]] = []
        """When it reaches the broker, where, its stamp, and what it is."""
        self.turn = 0
        self.ahead = world.luck.choice((0.0, 0.0, 0.02, 0.15))
        """How many stamps are far ahead of the clock."""
        self.more()

    def more(self) -> None:
        """Let users do something; their records are on their way."""
        luck, now_ms = self.world.luck, self.world.true_ms()
        for number, users in enumerate(self.users):
            for _ in range(luck.randint(0, 6)):
                stamp = now_ms - luck.randint(0, 30)
                arrives = self.world.now + luck.choice(DELAYS_MS) / 1000
                if luck.random() < self.ahead:
                    stamp += FAR_AHEAD_MS
                is_event = luck.random() < 0.6
                value = users.event() if is_event else users.update()
                self.coming.append((arrives, (EVENTS if is_event else USERS, number), stamp, value))

    def arrive(self) -> None:
        """Append what has come by now, in the order in which it came."""
        due = sorted((one for one in self.coming if one[0] <= self.world.now), key=lambda one: one[0])
        self.coming = [one for one in self.coming if one[0] > self.world.now]
        for _, place, stamp, value in due:
            self.turn += 1
            log, now_ms = self.logs[place], self.world.true_ms()
            time = max(stamp, log[-1].time if log else 0)
            log.append(Stored(place[0], stamp, time, value, self.turn, now_ms, stamp > now_ms + 60_000))

    def line(self, partition: str, source: str, offset: int) -> bytes:
        topic, _, number = source.partition("/")
        return self.logs[topic, int(number)][offset].value

    def is_read(self, partitions: Iterable[SourcePartition]) -> bool:
        return not self.coming and all(
            one.line == sum(len(self.logs[topic, number]) for topic in (USERS, EVENTS))
            for number, one in enumerate(sorted(partitions, key=lambda one: one.name))
        )

    def end(self, life: Life) -> None:
        """Topics never end: the job is stopped."""
        life.job.drain.stopping = True

    # --- the job's side

    def open_source(self) -> KafkaSource:
        """Return the job's own source, whose readers fetch here."""
        settings = KafkaSettings("broker", events=(EVENTS,), users=(USERS,))
        return KafkaSource(settings, clock_ms=lambda: int(self.world.now * 1000))

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let clients of Kafka be clients of this broker."""

        class Reader(KafkaReader):
            def __init__(reader, *args: Any, **more: Any) -> None:
                super().__init__(*args, **more, wall_ms=self.world.wall_ms)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(kafka_source, "KafkaAdmin", lambda settings: Admin(self))
            patch.setattr(kafka_source, "make_consumer", lambda *_, **more: Consumer(self))
            patch.setattr(kafka_source, "KafkaReader", Reader)
            patch.setattr(stream, "Thread", _Now)
            yield

    # --- what must be true at the end

    def check(self, records: Mapping[str, int]) -> None:
        """Records left in the order of their times, or came too late and are counted (P3)."""
        late: Counter[str] = Counter()
        for number in range(self.partitions):
            logs = {topic: self.logs[topic, number] for topic in (USERS, EVENTS)}
            if self.world.clock_was_wrong or any(one.is_ahead for log in logs.values() for one in log):
                return
            left = [
                logs[source.partition("/")[0]][offset]
                for _, (source, offset) in sorted(self.world.emitted.get(f"kafka-{number}", {}).items())
            ]
            late += late_ones(left)
            check_order(left)
        for kind in ("late_updates", "late_events"):
            if records.get(kind, 0) != late[kind]:
                raise Wrong(f"{records.get(kind, 0)} {kind} are counted, {late[kind]} left too late")


class _Now:
    """A thread that is over as soon as it is started."""

    def __init__(self, target: Any, **_: object) -> None:
        self.start = target

    def join(self, timeout: float) -> None: ...
