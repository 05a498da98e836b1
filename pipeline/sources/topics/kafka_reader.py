"""Reads partition i of every topic of a Kafka source as one source partition, aligned by broker time."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from confluent_kafka import TIMESTAMP_CREATE_TIME, KafkaError

from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.kafka.admin import KafkaAdmin
from pipeline.kafka.client import KafkaSettings
from pipeline.model.errors import Fatal, StateError
from pipeline.sources.chunk import Position, RawChunk, fitting
from pipeline.sources.reader import BaseReader
from pipeline.sources.topics.ends import Ends
from pipeline.sources.topics.loss import Loss
from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.side import Run
from pipeline.sources.topics.merging.trail import Trail
from pipeline.sources.topics.message_chunk import (
    bytes_of,
    mark_empty_events,
    offsets_of,
    raw_chunk,
    sizes_of,
)
from pipeline.sources.topics.stream import HEAR_SECS, Message, SidePlace, Stream, Topics, close_all, places_of
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import JOIN_AHEAD, JOIN_LATE, UNALIGNED
from pipeline.telemetry.metrics import observe

log = logging.get(__name__)

AHEAD = 1000
"""Records of one side that wait in our queue before no more are fetched: the other side lags behind."""
SETTLE_MS = 50
"""How old records of topics with their producers' times must be (`join.settle`): what a producer may linger,
and the way to the broker."""
COMMIT_SETTLE_MS = 2_000
"""The same for topics that are merged by the times of commits: Debezium looks twice a second, and Connect
writes what it has found (tests/cdc/lag.py measures it)."""
NO_TIME = -1
"""librdkafka's time of a message without one."""
WARN_EVERY_MS = 10_000
CLOSE_SECS = 2.0

TRUNCATED = "truncation"
"""In librdkafka's words for a log whose leader has lost records that another one had."""
_GONE = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC)

Taken: TypeAlias = list[Run[Message]]


class KafkaReader(BaseReader):
    """A reader of one source partition; the places of its position are those of `SidePlace`."""

    gather_secs = 0.00075  # producers and broker have made batches already
    VERSION = "kafka-3"
    OLDER = ("kafka-1", "kafka-2")
    """Positions without epochs; the first without lives and topic ids: they adopt those that are found."""

    def __init__(
        self,
        name: str,
        streams: Sequence[Stream],
        settings: KafkaSettings,
        admin: KafkaAdmin,
        *,
        handed_out: int = 0,
        vanished: Sequence[SidePlace] = (),
        topics: Topics,
        clock_ms: Callable[[], int],
        wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.name = name
        self._streams = list(streams)
        self._reachability = admin.reachability
        self._handed_out = handed_out
        self._vanished = [place.stored for place in vanished]
        """Places in topics that do not have this partition any more."""
        self._topics = topics
        self._clock_ms = clock_ms
        self._wall_ms = wall_ms
        self._formats = ALL_AUTO
        self._bytes = 0
        waits_for_commits = any(stream.commit_time for stream in streams)
        self._settles_by_kind = settings.settle_secs is None and not waits_for_commits
        by_default = COMMIT_SETTLE_MS if waits_for_commits else 0
        wait = settings.max_wait_secs
        self._alignment: Alignment[Message] = Alignment(
            [stream.side for stream in streams],
            size_of=len,
            max_wait_ms=None if wait is None else int(wait * 1000),
            settle_ms=by_default if settings.settle_secs is None else int(settings.settle_secs * 1000),
        )
        self._updates = {one.side.name for one in streams if settings.side_of(one.topic) != "events"}
        """Sides where a null value deletes a user."""
        self._ends = Ends(name, streams, self._alignment, admin)
        self._loss = Loss()
        self._warned: dict[int, int] = {}
        self._unaligned = 0
        self._late: dict[str, int] = {}
        self._closed = False
        self._trail: Trail | None = None

    def keep_trail(self, folder: Path) -> None:
        """Write the ends of chunks to a folder, repeat those found there. One topic alone has one order."""
        if len(self._streams) == 1:
            return
        names = [stream.side.name for stream in self._streams]
        base = [stream.side.next_offset for stream in self._streams]
        self._trail = Trail(folder, names, base, self._handed_out)
        for stream, begin in zip(self._streams, self._trail.base, strict=True):
            if begin != stream.side.position:
                # A crash before the first epoch was durable: `latest` is where it was then.
                stream.go_to(begin)
        if self._trail.ahead:
            for number, stream in enumerate(self._streams):
                stream.side.decided_until = self._trail.ahead[-1].offsets[number]
                stream.side.clamped_before = {at for side, at in self._trail.clamped if side == number}

    @property
    def done(self) -> bool:
        """True when every topic has reached the offset where it stops, and all of it was handed out."""
        return all(stream.side.done and not stream.side.offsets for stream in self._streams)

    @property
    def position(self) -> Position:
        """Where the reader stands: per topic the next offset, the floor of the merge and the stop."""
        places = [stream.place.stored for stream in self._streams]
        return (self.VERSION, self._handed_out, (*places, *self._vanished))

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of keys and values handed out; where a topic ends nobody knows."""
        return self._bytes, 0

    @property
    def expects_answer(self) -> bool:
        """True while records wait for an answer that will be here within a millisecond or so."""
        now = self._clock_ms()
        return self._ends.are_expected(now) or any(stream.is_doubted_at(now) for stream in self._streams)

    def is_still(self) -> bool:
        """True where nothing waits here and nothing has come; what has come is kept for `read`."""
        for stream in self._streams:
            if stream.holds or not stream.goes_on:
                return False
            stream.hear(0)
            if stream.heard is not None:
                return False
        return True

    @property
    def hears(self) -> bool:
        """True where nothing waits here: what comes of the topic named last, of events, is heard."""
        return self._streams[-1].goes_on and not any(stream.holds for stream in self._streams)

    def hear(self, secs: float) -> None:
        """Sleep until librdkafka has something; where there is one topic alone, for longer than ``secs``."""
        self._streams[-1].hear(secs if len(self._streams) > 1 else HEAR_SECS)

    def under(self, formats: Formats) -> None:
        """From the next record on these shapes say what a record without a value is."""
        self._formats = formats

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` records, or None where none may leave now. Never waits for the network.

        Raises StateError for an offset that is gone (unless `out_of_range` says where to go on), Fatal for a
        topic that is gone or closed to us; see `Loss` for when.
        """
        now = self._clock_ms()
        self._watch_topics(now)
        if self._loss.holds(self._handed_out):
            return None
        if len(self._streams) == 1:
            taken = self._read_alone(self._streams[0], limit, now)
        else:
            taken = self._read_aligned(limit, now)
        self._ends.watch_lag(now)
        if not taken:
            return None
        self._handed_out += _number(taken)
        for run in taken:
            epoch = run.items[-1].leader_epoch()
            run.side.left, run.side.epoch = run.offsets[-1] + 1, -1 if epoch is None else epoch
        return self._chunk(taken)

    def _watch_topics(self, now: int) -> None:
        try:
            self._topics.watch_topics(now)
        except Fatal as gone:
            self._loss.met(gone)
        for stream in self._streams:
            if stream.next_life is None and self._topics.is_another(stream.topic, stream.id):
                stream.forget_doubtful()
                self._go_elsewhere(stream)

    def _read_alone(self, stream: Stream, limit: int, now: int) -> Taken:
        side = stream.side
        if side.offsets:  # left of a fetch of large records
            return [side.release(fitting(sizes_of(side.items[:limit])))]
        if stream.next_life is not None:
            self._begin_life(stream, stream.next_life)
        messages, stamps = self._consume(stream, limit, now) if not side.done else ([], [])
        if not messages:
            return []
        offsets = offsets_of(messages)
        if fitting(sizes_of(messages)) < len(messages):
            self._alignment.add(side, offsets, stamps, messages, now)
            return [side.release(fitting(sizes_of(side.items)))] if side.offsets else []
        if side.stop is not None and offsets[-1] >= side.stop:
            side.position = max(side.position, offsets[-1])
            offsets = offsets[: bisect_left(offsets, side.stop)]
            messages, stamps = messages[: len(offsets)], stamps[: len(offsets)]
        if not offsets:
            return []
        side.position = max(side.position, offsets[-1] + 1)
        return [Run(side, offsets, stamps, messages, now)]

    def _read_aligned(self, limit: int, now: int) -> Taken:
        alignment = self._alignment
        alignment.wall_ms = self._wall_ms()
        self._ends.take_answer(now)
        for stream in self._streams:
            side = stream.side
            if stream.next_life is not None and not stream.held:
                if not side.offsets:
                    self._begin_life(stream, stream.next_life)
            elif len(side.offsets) < AHEAD and not side.done:
                messages, stamps = self._consume(stream, limit, now)
                if messages and self._settles_by_kind:
                    self._learn_kind(stream, messages[-1])
                offsets, own = offsets_of(messages), stream.own_times(messages)
                alignment.add(side, offsets, stamps, messages, now, own)
        if self._trail is not None and self._trail.ahead:
            return self._repeat(self._trail, limit)
        taken = alignment.take(limit, now)
        self._ends.ask(now)
        if alignment.unaligned > self._unaligned:
            fresh, self._unaligned = alignment.unaligned - self._unaligned, alignment.unaligned
            UNALIGNED.happened(log, fresh, partition=self.name, records=fresh)
        if taken and self._trail is not None:
            self._trail.note_runs(self._handed_out, self._alignment.sides, taken)
        if taken:
            observe("join_wait_seconds", (now - taken[0].fetched_ms) / 1000)
        return taken

    def _learn_kind(self, stream: Stream, message: Message) -> None:
        """Let records settle while a topic has its producers' times: acknowledged is not yet in order."""
        stream.has_create_times = message.timestamp()[0] == TIMESTAMP_CREATE_TIME
        has_any = any(one.has_create_times for one in self._streams)
        self._alignment.settle_ms = SETTLE_MS if has_any else 0

    def _noted(self, taken: Taken) -> dict[str, int] | None:
        """Return how many records of a chunk were late or ahead of the clock, None if none was."""
        noted: dict[str, int] = {}
        for stream in self._streams:
            name = stream.side.name
            late = self._alignment.late.get(name, 0) - self._late.get(name, 0)
            if late:
                self._late[name] = self._alignment.late[name]
                side = "users" if stream.updates else "events"
                kind = "late_updates" if stream.updates else "late_events"
                noted[kind] = noted.get(kind, 0) + late
                JOIN_LATE.happened(log, late, side=side, partition=name, records=late)
        ahead = sum([len(run.clamped) for run in taken])
        if ahead:
            noted["ahead"] = ahead
            JOIN_AHEAD.happened(log, ahead, partition=self.name, records=ahead)
        return noted or None

    def _repeat(self, trail: Trail, limit: int) -> Taken:
        """Return the next chunk of the trail once all of it was fetched."""
        boundary = trail.ahead[0]
        taken = self._alignment.take_up_to(boundary.offsets, limit)
        if taken is None:
            return []
        number = _number(taken)
        if self._handed_out + number == boundary.line:
            trail.ahead.popleft()
        elif number < limit:
            log.warning("topics changed since the crash: the rest is merged anew", partition=self.name)
            trail.ahead.clear()
        return taken

    def _consume(self, stream: Stream, limit: int, now: int) -> tuple[list[Message], list[int]]:
        """Return what has arrived of one topic partition, at most ``limit``, with its times; never waits."""
        messages = stream.fetch(limit, self._topics, now)
        stamps = [message.timestamp()[1] for message in messages]
        if NO_TIME not in stamps:
            # An error has no time: none of them is one.
            if messages:
                self._reachability.answered()
            return messages, stamps
        good = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                # Records before it in the same batch are added first: position only grows.
                self._alignment.reached(stream.side, message.offset(), now)
                self._reachability.answered()
            else:
                self._failed(stream, error, now)
        return good, [message.timestamp()[1] for message in good]

    def _failed(self, stream: Stream, error: KafkaError, now: int) -> None:
        code, name = error.code(), stream.side.name
        if code == KafkaError._AUTO_OFFSET_RESET:
            self._go_elsewhere(stream, is_truncated=TRUNCATED in error.str())
        elif code in _GONE:
            self._loss.met(Fatal(f"{name} is gone: {error.str()}"))
        elif code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
            raise Fatal(f"Kafka does not let us read {name}: {error.str()}; the user needs READ on it")
        elif error.fatal():
            raise Fatal(f"the Kafka client gave up on {name}: {error.str()}")
        elif now >= self._warned.get(code, 0):
            self._warned[code] = now + WARN_EVERY_MS
            log.warning("Kafka reports an error, reading goes on", partition=name, reason=error.str())

    def _go_elsewhere(self, stream: Stream, *, is_truncated: bool = False) -> None:
        """The place of a stream is not to be had: go on as `out_of_range` says."""
        if stream.is_over:
            return
        try:
            place = self._topics.relocated(stream.index, stream.fetched, is_truncated=is_truncated)
        except (StateError, Fatal) as lost:
            self._loss.met(lost, stream)
            return
        if place.life == stream.life:
            stream.id = place.id
            stream.go_to(place.offset)
            return
        stream.next_life = place
        stream.consumer.unassign()

    def _begin_life(self, stream: Stream, place: SidePlace) -> None:
        """Go on with a topic that was made anew, now that all of the old one has left."""
        side, name = stream.side, place.source(stream.index)
        if side.name in self._updates:
            self._updates.add(name)
        self._alignment.begin_anew(side)
        side.name, side.floor, side.released_floor, side.stop = name, place.floor, place.floor, place.stop
        stream.life, stream.id, stream.next_life = place.life, place.id, None
        stream.go_to(place.offset)
        if self._trail is not None:
            self._trail.begin_anew(
                [one.side.name for one in self._streams], [one.side.next_offset for one in self._streams]
            )

    def _chunk(self, taken: Taken) -> RawChunk:
        chunk = raw_chunk(self.name, taken, self.position)
        if None in chunk.lines:
            mark_empty_events(chunk, self._updates, self._formats)
        self._bytes += bytes_of(chunk.lines) + bytes_of(chunk.keys or ())
        chunk.noted = self._noted(taken) if len(self._streams) > 1 else None
        return chunk

    def durable(self, position: Position) -> None:
        """Commit the group's offsets up to a position that is safe on disk. Does not wait for the answer."""
        _, handed_out, places = position
        self._loss.durable(handed_out)
        if self._trail is not None:
            self._trail.forget(handed_out)
        known = places_of(places)
        for stream in self._streams:
            place = known.get(stream.place.key)
            if place is not None and place.life == stream.life:
                stream.commit(place.offset)

    def close(self) -> None:
        """Let go of the connections; commits nothing. Never raises, and waits `CLOSE_SECS` at most."""
        if self._closed:
            return
        self._closed = True
        if self._trail is not None:
            self._trail.close()
        close_all(self._streams, CLOSE_SECS)


def _number(taken: Taken) -> int:
    return sum([len(run.offsets) for run in taken])
