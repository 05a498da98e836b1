"""The source step: hello, chunks and what is selected of them, config versions, back-pressure, stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from zlib import crc32

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from pipeline.compile.versions import Versions
from pipeline.job.control.drain import Drain
from pipeline.job.control.failure import Failure
from pipeline.job.control.lull import Lull
from pipeline.job.control.pace import Pace
from pipeline.job.control.pressure import Pressure
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import ANSWER_SECS, IDLE_AFTER_SECS, IDLE_SECS, Rest
from pipeline.job.settings import JobSettings
from pipeline.job.steps.chunks import Intake, Selected
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.history import History
from pipeline.job.steps.stretch import Stretches
from pipeline.model.errors import StartAnew, StateError
from pipeline.model.process.threads import stay_known
from pipeline.sources.chunk import Position
from pipeline.sources.reader import Reader, Source
from pipeline.store.folders import source_folder
from pipeline.telemetry import log

Token = tuple[str, Position] | tuple[str, Position, int]
"""What Bytewax keeps of a source partition: ("v2", the reader's position, its checksum).

Older versions kept ("v1", position), and read the second of the three all the same. SQLite has no checksums:
a position with a flipped bit would silently skip records."""

AT_ONCE = datetime(2000, 1, 1, tzinfo=UTC)
"""A time in the past, for callers that only need "at once"."""

_log = log.get("source")


@dataclass(eq=False)
class SourceStep(FixedPartitionedSource[tuple[str, Selected], Token]):
    """The job's source; one Bytewax partition per reader.

    partitions: receives their names, once the source has listed them.
    """

    source: Source
    partitions: list[str]
    make: Callable[[str, Position | None], SourcePartition]
    failure: Failure

    def list_parts(self) -> list[str]:
        """Return the partitions' names; called first on the thread of every worker."""
        stay_known()
        with self.failure:
            self.partitions[:] = self.source.list_partitions()
            return list(self.partitions)

    def build_part(self, step_id: str, for_part: str, resume_state: Token | None) -> SourcePartition:
        """Open the partition where the last durable epoch left it."""
        with self.failure:
            return self.make(for_part, position_of(resume_state) if resume_state else None)


@dataclass(eq=False)
class SourcePartition(StatefulSourcePartition[tuple[str, Selected], Token]):
    """One reader, as Bytewax polls it.

    resumed: the stored position that the reader was opened at; None in a new job, also after a kill in its
    first epoch. select: returns what is left of a chunk, under its keys. are_asked: whether commands wait for
    shards.
    """

    name: str
    reader: Reader
    resumed: Position | None
    select: Callable[[Intake], list[tuple[str, Selected]]]
    settings: JobSettings
    versions: Versions
    stretches: Stretches
    pressure: Pressure
    drain: Drain
    bytes_read: dict[str, tuple[int, int]]
    failure: Failure
    pulse: Pulse
    pace: Pace
    rest: Rest
    epoch_end: EpochEnd
    lull: Lull
    are_asked: Callable[[], bool]

    def __post_init__(self) -> None:
        """Begin at the reader's position, under the versions of its history."""
        folder = source_folder(self.settings.state, self.name)
        self.reader.keep_trail(folder)
        self.read_before = self.reader.progress[0]
        self.line = self.reader.position[1]
        self.history = History(folder, self.line)
        self.version = ""
        self.said_last = False
        self.snapped = self.resumed
        """Where the next run begins once the next epoch does; None while it would begin as this one did."""
        self.begins = True
        """True where the next poll is the first one of an epoch."""
        self.gave = False
        self.looked = False
        """True where the last poll only checked whether there is something to read."""
        self.idle_since: float | None = None
        self.polled_at = self.ended_at = 0.0
        """When it was polled last, and when it was by the poll that ended an epoch."""

    def next_batch(self) -> Iterable[tuple[str, Selected]]:
        """Return what is selected of the next chunk, a hello first; nothing while there is no chunk or the
        job is behind.
        """
        self.pulse.polled(self.name)
        selected: list[tuple[str, Selected]] = []
        with self.failure:
            batch = self.advance()
            while self.lull.lasts(wanted=self.is_wanted(batch)):
                self.pulse.polled(self.name)
                batch = self.advance()
            for chunk in batch or ():
                selected += self.select(chunk)
        if batch is None:
            self.pulse.read_out(self.name)
            raise StopIteration
        self.gave = bool(batch)
        self.rest.walks(len(selected))
        return selected

    def is_wanted(self, batch: list[Intake] | None) -> bool:
        """Return whether Bytewax must turn: something has come, or waits for a turn, or may not be read."""
        return (
            batch != []
            or not (self.looked and self.rest.idles)
            or self.drain.stopping
            or self.versions.latest.hash != self.version
            or self.are_asked()
        )

    def advance(self) -> list[Intake] | None:
        """Return the chunks of the next batch; None at the end."""
        self.rest.polled()
        self.polled_at = monotonic()
        begins, self.begins = self.begins, False
        self.looked = False
        if begins:
            # The first call after a snapshot: that epoch is durable on every worker (DESIGN 8.4).
            if self.snapped is not None:
                self.reader.durable(self.snapped)
                self.history.durable(self.snapped[1])
            self.bytes_read[self.name] = self.progress()
            self.pace.committed()
            self.epoch_end.opens()
            self.lull.begins((self.snapped, self.version))
            if self.pace.skew is not None:
                self.pace.skew.durable()
        elif self.pace.skew is not None:
            self.pace.skew.polled()
        if not self.version:
            return [self.enter_version()]
        if self.drain.stopping:
            return self.end()
        if not begins:
            self.looked = True
            if not self.rest.may_look(self.name, self.reader):
                return []
        reason = self.pressure.paused()
        if reason is not None:
            self.looked = False
            if begins and reason == "engine":
                self.pace.engine_was_busy()
            return []
        batch: list[Intake] = []
        if not begins:
            if not self.read_into(batch, at_boundary=False) and not batch and self.reader.done:
                return self.end()
            return batch
        allowed = self.pace.chunks()
        chunks = 0
        while chunks < allowed and self.read_into(batch, at_boundary=chunks == 0):
            chunks += 1
        self.pace.read(chunks, all_allowed=chunks == allowed)
        self.looked = not batch
        return self.end() if self.reader.done and not batch else batch

    def read_into(self, batch: list[Intake], *, at_boundary: bool) -> bool:
        """Append the next chunk, preceded by its version where that changes; False where there is none."""
        if self.needs_switch(at_boundary=at_boundary):
            batch.append(self.enter_version())
        limit = self.settings.chunk_lines * self.stretches.of(self.name)
        if self.line < self.history.high:
            limit = min(limit, self.history.boundary_after(self.line) - self.line)
        reader = self.reader
        try:
            chunk = reader.read(limit)
        except StartAnew as why:
            self.drain.start_anew(why)
            return False
        self.rest.took(chunk, hurry=reader.expects_answer, gather_secs=reader.gather_secs)
        if chunk is None:
            return False
        self.line = chunk.position[1]
        self.history.emitting(self.line)
        batch.append(Intake(self.name, self.version, raw=chunk))
        return True

    def progress(self) -> tuple[int, int]:
        """Return (bytes read, bytes to read or 0) of this run alone, without those of earlier ones."""
        read, of = self.reader.progress
        return max(0, read - self.read_before), max(0, of - self.read_before)

    def end(self) -> list[Intake] | None:
        """Return the final chunk once, after the last line; None when everything has been sent."""
        self.rest.leave()
        if not self.said_last:
            self.said_last = True
            return [Intake(self.name, self.version, is_last=True)]
        return None if self.drain.is_drained() else []

    def needs_switch(self, *, at_boundary: bool) -> bool:
        """Return whether the next line runs under another version than the last one."""
        if self.history.version_at(self.line) != self.version:
            # Also at the high-water mark: the job may have died there between a switch and its first chunk,
            # and continuing under another version than the history says would make the next replay differ.
            return True
        at_new_line = self.line >= self.history.high
        return at_new_line and at_boundary and self.versions.latest.hash != self.version

    def enter_version(self) -> Intake:
        """Switch to the version of the next line; its text travels ahead of the line, to every key."""
        replayed = self.history.version_at(self.line) if self.line < self.history.high else None
        if replayed is None:
            snapshot = self.versions.latest
            if self.history.version_at(self.line) != snapshot.hash:
                self.history.switch(self.line, snapshot.hash)
                self.versions.named(snapshot.hash)
        else:
            snapshot = self.versions.get(replayed)
        if self.version and self.version != snapshot.hash:
            _log.info("config version in use", partition=self.name, version=snapshot.hash[:12])
        self.version = snapshot.hash
        self.versions.enter(self.name, snapshot.hash)
        self.reader.under(snapshot.formats if snapshot.says_formats else self.settings.formats)
        return Intake(self.name, snapshot.hash, text=snapshot.text.to_bytes())

    def next_awake(self) -> datetime | None:
        """Poll at once, a millisecond after nothing came (Bytewax's own rule), or when an answer is due.

        Later where little comes, and much later where nothing has come for long: polls are most of such a
        job's cost. Where the worker rests, at once: it sleeps in the poll. In a job of several processes, the
        last poll of an epoch is followed by none before the epoch is nearly durable, unless what comes then
        would be late.
        """
        pause = self.rest.pause_secs if self.looked else 0.0
        if self.gave:
            self.idle_since = None
        elif self.rest.dozing:
            pause = 0.0  # the timer slack decides when the worker wakes
        elif self.looked and self.rest.resting:
            return AT_ONCE
        elif self.reader.expects_answer:
            pause = ANSWER_SECS
        else:
            now = monotonic()
            if self.idle_since is None:
                self.idle_since = now
            if now - self.idle_since >= IDLE_AFTER_SECS:
                pause = IDLE_SECS
        if self.pace.skew is not None and not self.rest.trickles:
            pause = max(pause, self.pace.skew.pause_secs(self.polled_at - self.ended_at))
        return datetime.now(UTC) + timedelta(seconds=pause) if pause else None

    def snapshot(self) -> Token:
        """Return the position after the last chunk.

        If nothing more is read in this epoch, the shards commit as soon as everything has arrived: they
        already wait for the disk while Bytewax stores this position and asks the steps before them.
        """
        with self.failure:
            self.ended_at = self.polled_at
            if self.pace.skew is not None:
                self.pace.skew.ended()
            is_read_on = not self.said_last and not self.drain.stopping
            if is_read_on and self.epoch_end.closes(self.name):
                self.pace.committing()
                self.epoch_end.arrived()
        self.snapped, self.begins = self.reader.position, True
        return ("v2", self.snapped, _crc(self.snapped))

    def close(self) -> None:
        """Close the reader; must never raise."""
        self.reader.close()
        self.history.close()


def position_of(token: Token) -> Position:
    """Return the position in a token. Raises StateError where it is damaged."""
    position, crc = token[1], token[2:]
    if crc and crc[0] != _crc(position):
        raise StateError(
            "the recovery store is damaged: the checksum of a source's position is another one. Restore the "
            "whole state directory from one backup, or start with an empty one."
        )
    return position


def _crc(position: Position) -> int:
    return crc32(repr(position).encode("utf-8", "backslashreplace"))
