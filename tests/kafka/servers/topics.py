"""What the tests of this folder do with a broker: make topics, fill them, read until something is there."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from pipeline.decode.decode import BY_NAME
from pipeline.decode.formats import Formats
from pipeline.kafka.client import KafkaSettings
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import Reader
from pipeline.sources.topics.kafka_reader import KafkaReader
from pipeline.sources.topics.kafka_source import KafkaSource
from tests.kafka.servers.broker import Broker

LOG_APPEND = {"message.timestamp.type": "LogAppendTime"}
WAIT_SECS = 20.0


def until(condition: Callable[[], bool], what: str, secs: float = WAIT_SECS) -> None:
    """Return when the condition holds; fail with ``what`` if it does not in time."""
    deadline = time.monotonic() + secs
    while not condition():
        assert time.monotonic() < deadline, f"waited {secs:g} s for {what}"
        time.sleep(0.002)


class Clock:
    """The machine's, in milliseconds, until a test sets it forward or stops it."""

    ahead = 0
    stopped_at: int | None = None

    def __call__(self) -> int:
        now = time.monotonic_ns() // 1_000_000 if self.stopped_at is None else self.stopped_at
        return now + self.ahead


class Topics:
    """Topics of one test, with names of their own."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.admin = AdminClient({"bootstrap.servers": broker.address, "log_level": 0})
        own = {"bootstrap.servers": broker.address, "linger.ms": 0, "log_level": 0}
        # Idempotent: a retry after an outage must not put a message into the log twice.
        self.producer = Producer({**own, "enable.idempotence": True})
        self.suffix = uuid.uuid4().hex[:8]
        self.clock = Clock()
        """Of the sources that are made here."""

    def create(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Return the full name of a new topic. Times of 1970 do not expire unless ``config`` says so."""
        topic = f"{name}-{self.suffix}"
        settings = {"retention.ms": "-1", **(config or {})}

        def created() -> bool:
            new = NewTopic(topic, partitions, 1, config=settings)
            error = self.admin.create_topics([new])[topic].exception(WAIT_SECS)
            if error is None or error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                return True
            # A broker that was stopped or starved for a second is taken back a moment later.
            assert error.args[0].code() == KafkaError.INVALID_REPLICATION_FACTOR, error
            return False

        until(created, f"topic {topic} to be created")
        until(lambda: topic in self.admin.list_topics(timeout=5).topics, f"topic {topic}")
        return topic

    def send(
        self,
        topic: str,
        value: bytes | None,
        *,
        key: bytes | None = b"u1",
        time_ms: int = 0,
        partition: int = 0,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> int:
        """Append one message and return its offset when the broker has acknowledged it."""
        done: list[Message] = []

        def acknowledged(error: KafkaError | None, message: Message) -> None:
            assert error is None, error
            done.append(message)

        self.producer.produce(
            topic, value, key, partition, timestamp=time_ms, headers=list(headers), on_delivery=acknowledged
        )
        self.producer.flush(WAIT_SECS)
        return int(done[0].offset() or 0)

    def send_many(
        self, topic: str, values: Sequence[bytes], *, first_ms: int = 1, partition: int = 0
    ) -> None:
        """Append messages one millisecond apart."""
        for index, value in enumerate(values):
            while True:
                try:
                    self.producer.produce(topic, value, b"u1", partition, timestamp=first_ms + index)
                    break
                except BufferError:
                    self.producer.poll(0.05)
        assert self.producer.flush(WAIT_SECS) == 0

    @contextmanager
    def transaction(self, *, commit: bool = True) -> Iterator[Producer]:
        """A producer inside a transaction, which is committed or aborted at the end."""
        producer = Producer(
            {"bootstrap.servers": self.broker.address, "transactional.id": uuid.uuid4().hex, "log_level": 0}
        )
        producer.init_transactions(WAIT_SECS)
        producer.begin_transaction()
        yield producer
        producer.flush(WAIT_SECS)
        if commit:
            producer.commit_transaction(WAIT_SECS)
        else:
            producer.abort_transaction(WAIT_SECS)

    def source(self, **settings: object) -> KafkaSource:
        """Return a source of these topics with a group of their own; `format`: of all records."""
        base = KafkaSettings(brokers=self.broker.address, group=f"group-{self.suffix}")
        formats = Formats(BY_NAME[str(settings.pop("format", "auto"))])
        return KafkaSource(replace(base, **settings), formats, self.clock)  # type: ignore[arg-type]  # fields by name

    def open(
        self, position: Position | None = None, name: str = "kafka-0", **settings: object
    ) -> KafkaReader:
        """Return the reader of one source partition."""
        source = self.source(**settings)
        assert name in source.list_partitions()
        reader = source.open(name, position)
        assert isinstance(reader, KafkaReader)
        return reader


class Tap:
    """Reads a reader and keeps what came, line by line."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self.chunks: list[RawChunk] = []

    def turn(self, limit: int = 200) -> bool:
        """Read once; True if something came."""
        chunk = self.reader.read(limit)
        if chunk is not None:
            self.chunks.append(chunk)
        return chunk is not None

    def take(self, records: int, limit: int = 200, secs: float = WAIT_SECS) -> list[bytes | None]:
        """Read until this many records came in all, and return them."""

        def enough() -> bool:
            self.turn(limit)
            return len(self.lines) >= records

        until(enough, f"{records} records, have {self.lines[-3:]}", secs)
        return self.lines

    def finish(self, limit: int = 200) -> list[bytes | None]:
        """Read until the reader is done."""

        def finished() -> bool:
            self.turn(limit)
            return self.reader.done

        until(finished, "the end")
        return self.lines

    @property
    def lines(self) -> list[bytes | None]:
        return [line for chunk in self.chunks for line in chunk.lines]

    @property
    def origins(self) -> list[tuple[str, int]]:
        """Topic without its suffix, and offset."""
        found = []
        for chunk in self.chunks:
            sources = [chunk.sources] * len(chunk) if isinstance(chunk.sources, str) else chunk.sources
            found += [(source.split("-")[0], at) for source, at in zip(sources, chunk.offsets, strict=True)]
        return found


Tapper = Callable[[Reader], Tap]
