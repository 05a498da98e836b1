"""The source step: hello, chunks, config versions, back-pressure, stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from pipeline.compile.versions import Versions
from pipeline.job.drain import Drain
from pipeline.job.failure import Failure
from pipeline.job.pressure import Pressure
from pipeline.job.pulse import Pulse
from pipeline.job.settings import JobSettings
from pipeline.job.steps.chunks import Intake
from pipeline.job.steps.history import History
from pipeline.job.steps.stretch import Stretches
from pipeline.sources.chunk import Position
from pipeline.sources.reader import Reader, Source
from pipeline.store.folders import source_folder
from pipeline.telemetry import log

Token = tuple[str, Position]
"""What Bytewax keeps of a source partition: ("v1", the reader's position)."""

ANSWER_SECS = 0.0004
"""How soon to look again while a reader expects an answer."""

_log = log.get("source")


class SourceStep(FixedPartitionedSource[Intake, Token]):
    """The job's source; one Bytewax partition per reader.

    partitions: takes the names of all of them, once the source has listed them.
    """

    def __init__(
        self,
        source: Source,
        partitions: list[str],
        make: Callable[[str, Position | None], SourcePartition],
        failure: Failure,
    ) -> None:
        self.source = source
        self.partitions = partitions
        self.make = make
        self.failure = failure

    def list_parts(self) -> list[str]:
        """Return the partitions' names."""
        with self.failure:
            self.partitions[:] = self.source.list_partitions()
            return list(self.partitions)

    def build_part(self, step_id: str, for_part: str, resume_state: Token | None) -> SourcePartition:
        """Open the partition where the last durable epoch left it."""
        with self.failure:
            return self.make(for_part, resume_state[1] if resume_state else None)


class SourcePartition(StatefulSourcePartition[Intake, Token]):
    """One reader, as Bytewax polls it."""

    def __init__(
        self,
        name: str,
        reader: Reader,
        settings: JobSettings,
        versions: Versions,
        stretches: Stretches,
        pressure: Pressure,
        drain: Drain,
        bytes_read: dict[str, tuple[int, int]],
        failure: Failure,
        pulse: Pulse,
    ) -> None:
        self.name = name
        self.reader = reader
        self.chunk_lines = settings.chunk_lines
        self.versions = versions
        self.stretches = stretches
        self.pressure = pressure
        self.drain = drain
        self.bytes_read = bytes_read
        self.failure = failure
        self.pulse = pulse
        folder = source_folder(settings.state, name)
        self.reader.keep_trail(folder)
        self.line = self.reader.position[1]
        self.history = History(folder, self.line)
        self.version = ""
        self.said_last = False
        self.snapped: Position | None = self.reader.position
        self.gave = False

    def next_batch(self) -> Iterable[Intake]:
        """Return the next chunk, a hello first, or nothing while there is none or the job is behind."""
        self.pulse.turned()
        with self.failure:
            batch = self.advance()
        if batch is None:
            raise StopIteration
        self.gave = bool(batch)
        return batch

    def advance(self) -> list[Intake] | None:
        """Return what `next_batch` returns; None at the end."""
        durable, self.snapped = self.snapped, None
        if durable is not None:
            # The first call after a snapshot: that epoch is durable on every worker (DESIGN 8.4).
            self.reader.durable(durable)
            self.history.durable(durable[1])
            self.bytes_read[self.name] = self.reader.progress
        if not self.version:
            return [self.enter_version()]
        if self.drain.stopping:
            return self.end()
        if self.pressure.paused() is not None:
            return []
        batch = []
        if self.needs_switch(at_boundary=durable is not None):
            batch.append(self.enter_version())
        limit = self.chunk_lines * self.stretches.of(self.name)
        if self.line < self.history.high:
            limit = min(limit, self.history.boundary_after(self.line) - self.line)
        chunk = self.reader.read(limit)
        if chunk is None:
            return self.end() if self.reader.done and not batch else batch
        self.line = chunk.position[1]
        self.history.emitting(self.line)
        batch.append(Intake(self.name, self.version, raw=chunk))
        return batch

    def end(self) -> list[Intake] | None:
        """Say once, after the last line, that it was the last; None when all of it has been sent."""
        if not self.said_last:
            self.said_last = True
            return [Intake(self.name, self.version, is_last=True)]
        return None if self.drain.is_drained() else []

    def needs_switch(self, *, at_boundary: bool) -> bool:
        """Return whether the next line runs under another version than the last one."""
        if self.history.version_at(self.line) != self.version:
            # Also at the high water: there the job may have died between a switch and its first chunk, and
            # to go on under another version than the history says would make the next replay differ.
            return True
        at_new_line = self.line >= self.history.high
        return at_new_line and at_boundary and self.versions.latest.hash != self.version

    def enter_version(self) -> Intake:
        """Go to the version of the next line; it travels ahead of it, to every key."""
        replayed = self.history.version_at(self.line) if self.line < self.history.high else None
        if replayed is None:
            snapshot = self.versions.latest
            if self.history.version_at(self.line) != snapshot.hash:
                self.history.switch(self.line, snapshot.hash)
        else:
            snapshot = self.versions.get(replayed)
        if self.version and self.version != snapshot.hash:
            _log.info("config version in use", partition=self.name, version=snapshot.hash[:12])
        self.version = snapshot.hash
        return Intake(self.name, snapshot.hash, text=snapshot.text.to_bytes())

    def next_awake(self) -> datetime | None:
        """Poll at once, a millisecond after nothing came (Bytewax's own rule), or when an answer is due."""
        if self.gave or not self.reader.expects_answer:
            return None
        return datetime.now(UTC) + timedelta(seconds=ANSWER_SECS)

    def snapshot(self) -> Token:
        """Return the position after the last chunk."""
        self.snapped = self.reader.position
        return ("v1", self.snapped)

    def close(self) -> None:
        """Let go of the reader; must never raise."""
        self.reader.close()
        self.history.close()
