"""The source step: hello, chunks, config versions, back-pressure, stop."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition

from pipeline.job.context import Job
from pipeline.job.steps.chunks import Intake
from pipeline.job.steps.history import History
from pipeline.sources.chunk import CHUNK_LINES, Position
from pipeline.store.folders import source_folder
from pipeline.telemetry import log
from pipeline.telemetry.metrics import gauge

Token = tuple[str, Position]
"""What Bytewax keeps of a source partition: ("v1", the reader's position)."""

DISK_CHECK_SECS = 1.0
ANSWER_SECS = 0.0004
"""How soon to look again while a reader expects an answer."""

_log = log.get("source")


class Source(FixedPartitionedSource[Intake, Token]):
    """The job's source; one Bytewax partition per reader."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def list_parts(self) -> list[str]:
        """Return the partitions' names."""
        with self.job.guard():
            self.job.partitions = self.job.readers.list_partitions()
            return self.job.partitions

    def build_part(self, step_id: str, for_part: str, resume_state: Token | None) -> SourcePartition:
        """Open the partition where the last durable epoch left it."""
        with self.job.guard():
            return SourcePartition(self.job, for_part, resume_state[1] if resume_state else None)


class SourcePartition(StatefulSourcePartition[Intake, Token]):
    """One reader, as Bytewax polls it."""

    def __init__(self, job: Job, name: str, position: Position | None) -> None:
        self.job = job
        self.name = name
        self.reader = job.readers.open(name, position)
        self.reader.keep_trail(source_folder(job.state, name))
        self.line = self.reader.position[1]
        self.history = History(source_folder(job.state, name), self.line)
        self.version = ""
        self.said_last = False
        self.snapped: Position | None = self.reader.position
        self.next_disk_check = 0.0
        self.low_on_disk = False
        self.gave = False

    def next_batch(self) -> Iterable[Intake]:
        """Return the next chunk, a hello first, or nothing while there is none or the job is behind."""
        with self.job.guard():
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
            self.job.source_bytes[self.name] = self.reader.progress
        if not self.version:
            return [self.enter_version()]
        if self.job.stopping:
            return self.end()
        if self.job.paused() or self.disk_is_low():
            return []
        batch = []
        if self.needs_switch(at_boundary=durable is not None):
            batch.append(self.enter_version())
        limit = CHUNK_LINES * self.job.stretch
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
        return None if self.job.is_drained() else []

    def needs_switch(self, *, at_boundary: bool) -> bool:
        """Return whether the next line runs under another version than the last one."""
        if self.history.version_at(self.line) != self.version:
            # Also at the high water: there the job may have died between a switch and its first chunk, and
            # to go on under another version than the history says would make the next replay differ.
            return True
        at_new_line = self.line >= self.history.high
        return at_new_line and at_boundary and self.job.versions.latest.hash != self.version

    def enter_version(self) -> Intake:
        """Go to the version of the next line; it travels ahead of it, to every key."""
        replayed = self.history.version_at(self.line) if self.line < self.history.high else None
        if replayed is None:
            snapshot = self.job.versions.latest
            if self.history.version_at(self.line) != snapshot.hash:
                self.history.switch(self.line, snapshot.hash)
        else:
            snapshot = self.job.versions.get(replayed)
        if self.version and self.version != snapshot.hash:
            _log.info("config version in use", partition=self.name, version=snapshot.hash[:12])
        self.version = snapshot.hash
        return Intake(self.name, snapshot.hash, text=snapshot.text.to_bytes())

    def disk_is_low(self) -> bool:
        """Return whether the state directory has less room than the reserve; checked once a second."""
        now = time.monotonic()
        if now >= self.next_disk_check:
            self.next_disk_check = now + DISK_CHECK_SECS
            low = shutil.disk_usage(self.job.state).free < self.job.disk_reserve_bytes
            gauge("source_paused", float(low), reason="disk")
            if low != self.low_on_disk:
                self.low_on_disk = low
                if low:
                    _log.error("disk is nearly full: reading pauses", state=str(self.job.state))
                else:
                    _log.warning("disk has room again: reading goes on", state=str(self.job.state))
        return self.low_on_disk

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
