"""Where streams go on when their offset, their log or their topic is gone, or Kafka reports another error."""

from __future__ import annotations

from collections.abc import Sequence

from confluent_kafka import KafkaError

from pipeline.model.errors import Fatal, StartAnew, StateError
from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.trail import Trail
from pipeline.sources.topics.stream import Message, SidePlace, Stream, Topics
from pipeline.telemetry import log as logging

log = logging.get(__name__)

WARN_EVERY_MS = 10_000
TRUNCATED = "truncation"
"""In librdkafka's words for a log whose leader has lost records that another one had."""
_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)


class Relocation:
    """The relocation of the streams of one reader.

    loss: why the reader is to end, if a stream can go on nowhere.
    updates: sides where a null value deletes a user; a topic made anew joins them.
    """

    def __init__(
        self, streams: Sequence[Stream], topics: Topics, alignment: Alignment[Message], updates: set[str]
    ) -> None:
        self.loss = Loss()
        self._streams = streams
        self._topics = topics
        self._alignment = alignment
        self._updates = updates
        self._warned: dict[int, int] = {}

    def watch_topics(self, now: int) -> None:
        """Check now and then whether a topic is gone or was recreated. Never waits. Raises StartAnew."""
        try:
            self._topics.watch_topics(now)
        except StartAnew:
            raise  # nothing is lost: reading goes on until the job has stopped
        except Fatal as gone:
            self.loss.met(gone)
        for stream in self._streams:
            if stream.next_life is None and self._topics.is_another(stream.topic, stream.id):
                stream.forget_doubtful()
                self._go_elsewhere(stream)

    def failed(self, stream: Stream, error: KafkaError, now: int) -> None:
        """Handle an error that came in place of a message. Raises Fatal if reading cannot go on."""
        code, name = error.code(), stream.side.name
        if code == KafkaError._AUTO_OFFSET_RESET:
            self._go_elsewhere(stream, is_truncated=TRUNCATED in error.str())
        elif code in _GONE:
            self.loss.met(Fatal(f"{name} is gone: {error.str()}"))
        elif code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise Fatal(f"Kafka does not let us read {name}: {error.str()}; the user needs READ on it")
        elif error.fatal():
            raise Fatal(f"the Kafka client gave up on {name}: {error.str()}")
        elif now >= self._warned.get(code, 0):
            self._warned[code] = now + WARN_EVERY_MS
            log.warning("Kafka reports an error, trying again", partition=name, reason=error.str())

    def _go_elsewhere(self, stream: Stream, *, is_truncated: bool = False) -> None:
        """Go on as `out_of_range` says: the place of a stream no longer exists."""
        if stream.is_over:
            return
        try:
            place = self._topics.relocated(stream.index, stream.fetched, is_truncated=is_truncated)
        except (StateError, Fatal) as lost:
            self.loss.met(lost, stream)
            return
        if place.life == stream.life:
            stream.id = place.id
            stream.go_to(place.offset)
            return
        stream.next_life = place
        stream.consumer.unassign()

    def begin_life(self, stream: Stream, place: SidePlace, trail: Trail | None) -> None:
        """Go on with a recreated topic, now that all records of the old one have left."""
        side, name = stream.side, place.source(stream.index)
        if side.name in self._updates:
            self._updates.add(name)
        self._alignment.begin_anew(side)
        side.name, side.floor, side.released_floor, side.stop = name, place.floor, place.floor, place.stop
        stream.life, stream.id, stream.next_life = place.life, place.id, None
        stream.go_to(place.offset)
        if trail is not None:
            sides = [one.side for one in self._streams]
            trail.begin_anew([one.name for one in sides], [one.next_offset for one in sides])


class Loss:
    """Why a reader ends if its topics no longer have what it was to read, and when it may raise that.

    What was handed out and is not durable yet would be read again after the job's end, and is not there any
    more: so it becomes durable first. Nobody gets anything new meanwhile.
    """

    def __init__(self) -> None:
        self._error: StateError | Fatal | None = None
        self._drains: Stream | None = None
        """What was fetched of this stream leaves first: it exists nowhere else."""
        self._durable: int | None = None
        """Records that are safe on disk; None if nobody reports it (`state rebuild`), and none is awaited."""

    def durable(self, handed_out: int) -> None:
        """Note how many records are safe on disk."""
        self._durable = handed_out

    def met(self, error: StateError | Fatal, stream: Stream | None = None) -> None:
        """End reading with this error.

        stream: the one that cannot go on; None where its topic is gone.
        """
        # Two of them might wait for each other for ever; and the end of a topic that is gone is unknown.
        self._drains = stream if self._error is None else None
        self._error = error
        if stream is not None:
            stream.is_over = True
            stream.consumer.unassign()

    def holds(self, handed_out: int) -> bool:
        """True if nothing more may leave. Raises the error once it may."""
        if self._error is None or (self._drains is not None and self._drains.holds):
            return False
        if self._durable is None or self._durable >= handed_out:
            raise self._error
        return True
