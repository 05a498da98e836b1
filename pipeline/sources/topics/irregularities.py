"""Counts records that a merge could not put in order: late ones, ones ahead of the clock, unaligned ones."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.side import Run
from pipeline.sources.topics.stream import Message, Stream
from pipeline.telemetry import log as logging
from pipeline.telemetry.happenings import JOIN_AHEAD, JOIN_LATE, UNALIGNED

log = logging.get(__name__)


class Irregularities:
    """Those of one source partition, reported as they happen."""

    def __init__(self, partition: str, streams: Sequence[Stream], alignment: Alignment[Message]) -> None:
        self._partition = partition
        self._streams = streams
        self._alignment = alignment
        self._unaligned = 0
        self._late: dict[str, int] = {}

    def count_unaligned(self) -> None:
        """Report events that went on because `join.max_wait` was over."""
        fresh, self._unaligned = self._alignment.unaligned - self._unaligned, self._alignment.unaligned
        if fresh:
            UNALIGNED.happened(log, fresh, partition=self._partition, records=fresh)

    def of(self, taken: Sequence[Run[Message]]) -> dict[str, int] | None:
        """Report how many records of a chunk were late or ahead of the clock; None if none was."""
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
            JOIN_AHEAD.happened(log, ahead, partition=self._partition, records=ahead)
        return noted or None
