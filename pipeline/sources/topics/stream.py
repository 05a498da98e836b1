"""One topic partition as it is read: its consumer, its side in the merge, its place in the group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, NamedTuple, Protocol, TypeAlias

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from pipeline.decode.framed.framing import Frame
from pipeline.sources.chunk import Headers, Place
from pipeline.sources.topics.merging.side import Side
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import COMMIT_FAILED, HEADERS_UNREADABLE

log = logging.get(__name__)

HEAR_SECS = 0.05
"""How long to wait for messages if nothing else can arrive."""
PAUSE_MS = 300
"""A topic that is deleted and recreated brings nothing for at least this long."""
KNOWN_MS = 15
"""How soon brokers usually describe a topic."""
REFILLED = 200_000
"""More than a recreated log holds before that is noticed: brokers refuse to fetch beyond its end."""

Message: TypeAlias = Any
"""A confluent_kafka.Message; its stubs allow None where a fetched message has a value."""


class SidePlace(NamedTuple):
    """What a reader's position holds of one topic."""

    topic: str
    offset: int
    """Of the first record that was not handed out."""
    floor: int
    """Monotone time of the merge there (`Side.released_floor`)."""
    stop: int | None
    """The offset where reading is to end."""
    life: int = 1
    """Which topic of this name it is, counted from 1: each recreated one has the next number."""
    id: str = ""
    """The topic's id, "" if unknown."""
    partition: int = -1
    """The partition, if a source partition reads all of them; -1: the one with its own number."""
    epoch: int = -1
    """Epoch of the leader that wrote the record before it; -1 if unknown."""

    @property
    def key(self) -> str:
        """Return the key of the place within its position."""
        return self.topic if self.partition < 0 else f"{self.topic}/{self.partition}"

    @property
    def stored(self) -> Place:
        """Return the place as it is stored in a position."""
        if self.epoch >= 0:
            return tuple(self)
        return tuple(self)[:-1] if self.partition >= 0 else tuple(self)[:-2]

    def source(self, index: int) -> str:
        """Return the source of a partition's origins: those of a recreated topic differ from the old ones."""
        life = f"~{self.life}" if self.life > 1 else ""
        return f"{self.topic}{life}/{index}"


def places_of(places: Iterable[Place]) -> dict[str, SidePlace]:
    """Return the places of a reader's position by their keys; older positions have no lives."""
    return {place.key: place for place in (SidePlace(*one) for one in places)}  # type: ignore[arg-type]  # written by us


class Topics(Protocol):
    """What a reader asks of its source about the topics themselves."""

    def relocated(self, index: int, place: SidePlace, *, is_truncated: bool) -> SidePlace:
        """Return where to go on after a place that is gone; waits. Raises StateError, Fatal.

        is_truncated: another leader's log has other records there.
        """

    def is_another(self, topic: str, id: str) -> bool:
        """True if a topic is known to have another id now."""

    def watch_topics(self, now_ms: int) -> None:
        """Look at the topics now and then. Never waits. Raises Fatal for one that is gone."""

    def are_known_since(self, when_ms: int, topic: str, now_ms: int) -> bool:
        """True if a topic was looked up since then, or brokers do not answer; else it soon is."""


@dataclass(slots=True)
class Stream:
    """One topic partition, with a consumer that is not assigned yet. Raises ConfigError as `make` does."""

    topic: str
    index: int
    updates: bool
    """True for a topic of user updates alone."""
    side: Side[Message]
    make: Callable[[], Consumer]
    """Returns a consumer that is not assigned yet."""
    life: int = 1
    id: str = ""
    """Which topic it is, see `SidePlace`."""
    next_life: SidePlace | None = None
    """Where to go on once all that was fetched of the old topic has left."""
    is_over: bool = False
    """True if nothing more can be read: the job is about to end."""
    brought_ms: int = 0
    """When it last brought something."""
    doubted_ms: int | None = None
    """When it brought something after a pause, until its topic is known to be the same."""
    committed: int = -1
    """Offset last committed for the group."""
    is_one_of_many: bool = False
    """True if all partitions of the topic are read together."""
    commit_time: Callable[[bytes], int | None] | None = None
    """Returns when a record's change was committed, if the topic is merged by that."""
    frame: Frame | None = None
    """The frame of its records, if it is merged by a time in them."""
    doubted: list[Message] = field(default_factory=list)
    """What it has brought while its topic is in doubt."""
    held: list[Message] = field(default_factory=list)
    """What was fetched from the first record on whose schema is missing: its time is unknown."""
    heard: Message = None
    """The message that ended a wait, not fetched yet."""
    has_create_times: bool = False
    """True where its messages carry their producers' times, which tell nothing about when they arrive."""
    consumer: Consumer = field(init=False)

    def __post_init__(self) -> None:
        self.consumer = self.make()

    def go_to(self, offset: int, epoch: int = -1) -> None:
        """Fetch from this offset on.

        epoch: of the record before it; where another leader has written others, the client says so.
        """
        self.heard = None
        self.side.position = self.side.left = offset
        self.side.epoch = epoch
        place = TopicPartition(self.topic, self.index, offset)
        if epoch >= 0:
            place = TopicPartition(self.topic, self.index, offset, leader_epoch=epoch)
        # Assign, not subscribe: Bytewax owns partition assignment and offsets.
        self.consumer.assign([place])

    def renew(self) -> None:
        """Fetch on with another consumer. Nothing may have been fetched that has not left."""
        old, self.consumer = self.consumer, self.make()
        Thread(target=_close, args=(old, self.side.name), daemon=True).start()
        side = self.side
        self.go_to(side.position, side.epoch if side.left == side.position else -1)

    def fetch(self, limit: int, topics: Topics, now_ms: int) -> list[Message]:
        """Return what has arrived, at most ``limit``, up to a record that must wait for its schema.

        What is not known yet to be of the topic that has been read waits, too. Never waits itself.
        """
        messages: list[Message] = self.held
        self.held = []
        if not messages:
            messages = self.doubted or self._consume(limit)
            if messages and not self._vouched(messages, topics, now_ms):
                return []
        if self.frame is not None:
            for at, one in enumerate(messages):
                if one.error() is None and self.frame.misses(one.value(), *headers_of([one])):
                    self.held = messages[at:]
                    return messages[:at]
        return messages

    def _consume(self, limit: int) -> list[Message]:
        if self.heard is None:
            return self.consumer.consume(limit, 0)
        messages = [self.heard, *(self.consumer.consume(limit - 1, 0) if limit > 1 else ())]
        self.heard = None
        return messages

    def _vouched(self, messages: list[Message], topics: Topics, now_ms: int) -> bool:
        """Return whether what it has brought is of the topic that was read; False: not known yet.

        Only what comes after a pause, at an offset that is soon reached, can be of a topic made anew. Errors
        are no records: of a topic that is gone they come as well.
        """
        if all(one.error() is not None for one in messages):
            return True
        if self.doubted_ms is None:
            is_doubtful = self.side.position < REFILLED and now_ms >= self.brought_ms + PAUSE_MS and self.id
            self.doubted_ms = now_ms if is_doubtful else None
        if self.doubted_ms is not None and not topics.are_known_since(self.doubted_ms, self.topic, now_ms):
            self.doubted = messages
            return False
        self.doubted, self.doubted_ms, self.brought_ms = [], None, now_ms
        return True

    def is_doubted_at(self, now_ms: int) -> bool:
        """Return whether its topic has been in doubt so briefly that the answer is due at any moment."""
        return self.doubted_ms is not None and now_ms < self.doubted_ms + KNOWN_MS

    def forget_doubtful(self) -> None:
        """Drop what it has brought since its topic was in doubt: the topic is another one."""
        self.doubted, self.doubted_ms = [], None

    @property
    def goes_on(self) -> bool:
        """True if more may come of it."""
        return self.next_life is None and not self.is_over and not self.side.done

    @property
    def holds(self) -> bool:
        """True if something was fetched that has not left."""
        return bool(self.held or self.doubted or self.side.offsets)

    def hear(self, secs: float) -> None:
        """Return as soon as something has arrived, at the latest after ``secs``."""
        if self.heard is None:
            self.heard = self.consumer.poll(secs)

    def own_times(self, messages: Sequence[Message]) -> list[int] | None:
        """Return when messages say that they were committed (ms); None if not merged by that.

        A tombstone goes with what stands before it, and what does not say it by the broker's time.
        """
        if self.commit_time is None:
            return None
        times: list[int] = []
        for message in messages:
            value = message.value()
            if value is not None and self.frame is not None:
                value = self.frame.text(value, *headers_of([message]))
            at = 0 if value is None else self.commit_time(value)
            times.append(message.timestamp()[1] if at is None else at)
        return times

    @property
    def place(self) -> SidePlace:
        """The place where a restart goes on."""
        side, partition = self.side, self.index if self.is_one_of_many else -1
        offset, floor = side.next_offset, side.released_floor
        # Between the two are transaction markers, whose epoch is unknown.
        epoch = side.epoch if offset == side.left else -1
        return SidePlace(self.topic, offset, floor, side.stop, self.life, self.id, partition, epoch)

    @property
    def fetched(self) -> SidePlace:
        """The place where fetching goes on."""
        return self.place._replace(offset=self.side.position, epoch=-1)

    def commit(self, offset: int) -> None:
        """Commit the group's offset, without waiting for the answer."""
        if offset == self.committed:
            return
        self.committed = offset
        where = [TopicPartition(self.topic, self.index, offset)]
        try:
            self.consumer.commit(offsets=where, asynchronous=True)
        except KafkaException as failed:
            group_committed(failed.args[0], where)

    def close(self) -> None:
        """Close the consumer; without brokers this may take a minute. Never raises."""
        _close(self.consumer, self.side.name)


def _close(consumer: Consumer, partition: str) -> None:
    try:
        consumer.close()
    except (KafkaException, RuntimeError) as failed:
        log.warning("a consumer did not close cleanly", partition=partition, reason=str(failed))


def headers_of(messages: Sequence[Message]) -> list[Headers | None]:
    """Return the headers of messages; none of one with a name that is not UTF-8.

    confluent-kafka 2.16 cannot return the others of such a message: it sets an error and returns a list that
    holds a null pointer, which a plain ``message.headers()`` takes for a result.
    """
    found: list[Headers | None] = []
    rest = iter(messages)
    while len(found) < len(messages):
        try:
            found.extend(map(type(messages[0]).headers, rest))
        except SystemError:
            bad = messages[len(found)]
            bad.set_headers([])
            found.append(None)
            HEADERS_UNREADABLE.happened(
                log, topic=bad.topic(), partition=bad.partition(), offset=bad.offset()
            )
    return found


def close_all(streams: Iterable[Stream], secs: float) -> None:
    """Close the consumers, and wait for them ``secs`` at most. Never raises.

    Without brokers librdkafka waits for a minute to finish what is under way.
    """
    closing = [Thread(target=stream.close, daemon=True) for stream in streams]
    for thread in closing:
        thread.start()
    deadline = time.monotonic() + secs
    for thread in closing:
        thread.join(max(0.0, deadline - time.monotonic()))


def group_committed(error: KafkaError | None, partitions: Sequence[TopicPartition]) -> None:
    """librdkafka's ``on_commit``: offsets of the group are for lag tools, so a failure stops nothing."""
    if error is None or error.code() == KafkaError._NO_OFFSET:
        return
    where = ",".join(f"{one.topic}/{one.partition}" for one in partitions)
    needs = "; the user needs READ on the group" * (error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED)
    COMMIT_FAILED.happened(log, partitions=where, reason=f"{error.str()}{needs}")
