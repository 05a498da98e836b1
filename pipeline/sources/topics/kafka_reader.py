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
from pipeline.sources.chunk import Position, RawChunk, fitting
from pipeline.sources.reader import BaseReader
from pipeline.sources.topics.ends import Ends
from pipeline.sources.topics.irregularities import Irregularities
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
from pipeline.sources.topics.relocation import Relocation
from pipeline.sources.topics.stream import HEAR_SECS, Message, SidePlace, Stream, Topics, close_all, places_of
from pipeline.telemetry import log as logging
from pipeline.telemetry.metrics import observe

log = logging.get(__name__)

AHEAD = 1000
"""Records of one side in our queue beyond which no more are fetched: the other side lags behind."""
AHEAD_BYTES = 16 << 20
"""The same for their bytes: as many are in librdkafka's queue besides."""
SETTLE_MS = 50
"""How old records with producers' times (CreateTime) must be before they are merged, unless `join.settle` is
set: it covers the producers' linger and the way to the broker."""
COMMIT_SETTLE_MS = 2_000
"""The same for topics that are merged by the times of commits: Debezium looks twice a second, and Connect
writes what it has found (tests/cdc/lag.py measures it)."""
NO_TIME = -1
"""librdkafka's time of a message without one."""
CLOSE_SECS = 2.0

Taken: TypeAlias = list[Run[Message]]


class KafkaReader(BaseReader):
    """The reader of one source partition; the places in its position are `SidePlace`s."""

    gather_secs = 0.00075  # producers and broker have made batches already
    VERSION = "kafka-3"
    OLDER = ("kafka-1", "kafka-2")
    """Positions without epochs; the first also has no lives and topic ids, and adopts those found."""

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
        """Places in topics that no longer have this partition."""
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
        self._relocation = Relocation(self._streams, topics, self._alignment, self._updates)
        self._irregularities = Irregularities(name, self._streams, self._alignment)
        self._closed = False
        self._trail: Trail | None = None

    def keep_trail(self, folder: Path) -> None:
        """Write the ends of chunks to a folder, and repeat those found there. A single topic needs none."""
        self._relocation.loss.durable(self._handed_out)
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
        """The position: per topic the next offset, the floor of the merge and the stop."""
        places = [stream.place.stored for stream in self._streams]
        return (self.VERSION, self._handed_out, (*places, *self._vanished))

    @property
    def progress(self) -> tuple[int, int]:
        """Bytes of keys and values handed out; the total is unknown."""
        return self._bytes, 0

    @property
    def expects_answer(self) -> bool:
        """True while records wait for an answer that is due within a millisecond or so."""
        now = self._clock_ms()
        return self._ends.are_expected(now) or any(stream.is_doubted_at(now) for stream in self._streams)

    def is_still(self) -> bool:
        """True if nothing waits here and nothing has arrived; what has arrived is kept for `read`."""
        for stream in self._streams:
            if stream.holds or not stream.goes_on:
                return False
            stream.hear(0)
            if stream.heard is not None:
                return False
        return True

    @property
    def hears(self) -> bool:
        """True if nothing waits here, so that `hear` can wait for the last topic, which holds events."""
        return self._streams[-1].goes_on and not any(stream.holds for stream in self._streams)

    def hear(self, secs: float) -> None:
        """Sleep until librdkafka has something; with a single topic, for longer than ``secs``."""
        self._streams[-1].hear(secs if len(self._streams) > 1 else HEAR_SECS)

    def under(self, formats: Formats) -> None:
        """Use these shapes from the next record on, to tell what a record without a value is."""
        self._formats = formats

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` records, or None if none may leave now. Never waits for the network.

        Raises StateError for an offset that is gone (unless `out_of_range` says where to go on), Fatal for a
        topic that is gone or that we may not read; see `Loss` for when.
        """
        now = self._clock_ms()
        self._relocation.watch_topics(now)
        if self._relocation.loss.holds(self._handed_out):
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

    def _read_alone(self, stream: Stream, limit: int, now: int) -> Taken:
        side = stream.side
        if side.offsets:  # left of a fetch of large records
            return [side.release(fitting(sizes_of(side.items[:limit])))]
        if stream.next_life is not None:
            self._relocation.begin_life(stream, stream.next_life, self._trail)
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
                    self._relocation.begin_life(stream, stream.next_life, self._trail)
            elif len(side.offsets) < AHEAD and side.held_bytes < AHEAD_BYTES and not side.done:
                messages, stamps = self._consume(stream, limit, now)
                if messages and self._settles_by_kind:
                    self._learn_kind(stream, messages[-1])
                offsets, own = offsets_of(messages), stream.own_times(messages)
                alignment.add(side, offsets, stamps, messages, now, own)
        if self._trail is not None and self._trail.ahead:
            return self._repeat(self._trail, limit)
        taken = alignment.take(limit, now)
        self._ends.ask(now)
        self._irregularities.count_unaligned()
        if taken and self._trail is not None:
            self._trail.note_runs(self._handed_out, self._alignment.sides, taken)
        if taken:
            observe("join_wait_seconds", (now - taken[0].fetched_ms) / 1000)
        return taken

    def _learn_kind(self, stream: Stream, message: Message) -> None:
        """Let records settle while a topic has its producers' times: they can arrive out of order."""
        stream.has_create_times = message.timestamp()[0] == TIMESTAMP_CREATE_TIME
        has_any = any(one.has_create_times for one in self._streams)
        self._alignment.settle_ms = SETTLE_MS if has_any else 0

    def _repeat(self, trail: Trail, limit: int) -> Taken:
        """Return the next chunk of the trail once all of it is fetched."""
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
                self._relocation.failed(stream, error, now)
        return good, [message.timestamp()[1] for message in good]

    def _chunk(self, taken: Taken) -> RawChunk:
        chunk = raw_chunk(self.name, taken, self.position)
        if None in chunk.lines:
            mark_empty_events(chunk, self._updates, self._formats)
        self._bytes += bytes_of(chunk.lines) + bytes_of(chunk.keys or ())
        chunk.noted = self._irregularities.of(taken) if len(self._streams) > 1 else None
        return chunk

    def durable(self, position: Position) -> None:
        """Commit the group's offsets up to a position that is safe on disk. Does not wait for the answer."""
        _, handed_out, places = position
        self._relocation.loss.durable(handed_out)
        if self._trail is not None:
            self._trail.forget(handed_out)
        known = places_of(places)
        for stream in self._streams:
            place = known.get(stream.place.key)
            if place is not None and place.life == stream.life:
                stream.commit(place.offset)

    def close(self) -> None:
        """Close the connections; commits nothing. Never raises, and waits `CLOSE_SECS` at most."""
        if self._closed:
            return
        self._closed = True
        if self._trail is not None:
            self._trail.close()
        close_all(self._streams, CLOSE_SECS)


def _number(taken: Taken) -> int:
    return sum([len(run.offsets) for run in taken])
