"""The shard step: the shard as Bytewax calls it. One step, one store, one transaction per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Never

from bytewax.operators import StatefulBatchLogic

from pipeline.job.control.drain import Drain
from pipeline.job.control.failure import Failure
from pipeline.job.control.pace import Pace
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import Rest
from pipeline.job.settings import JobSettings
from pipeline.job.shards import Shards, Stores
from pipeline.job.steps.chunks import Routed
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.shard import Shard
from pipeline.store.folders import shard_folder
from pipeline.store.store import Store
from pipeline.telemetry.metrics import count

Token = tuple[str, int, int, str]
"""What Bytewax keeps of a shard: ("v1", shard, the store's sequence number, who committed that epoch).

Older versions kept three of them."""

PREPARE_RECORDS = 16
"""After this many records, some of the epoch's final work is done early: per chunk it would cost as much as
it saves."""
NEXT_EPOCH = timedelta(milliseconds=20)
"""How soon a shard is woken again whose timer rang during its commit."""


@dataclass(eq=False)
class ShardStep(StatefulBatchLogic[Routed, Never, Token]):
    """The Bytewax side of a shard: built by its hello, one commit per epoch."""

    token: Token | None
    settings: JobSettings
    stores: Stores
    make: Callable[[int, Store], Shard]
    shards: Shards[Shard]
    drain: Drain
    failure: Failure
    pulse: Pulse
    pace: Pace
    rest: Rest
    epoch_end: EpochEnd
    at_open: Callable[[Shard], list[Path]]
    shard: Shard | None = None
    eof: bool = False
    wakes_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def on_batch(self, values: list[Routed]) -> tuple[Iterable[Never], bool]:
        """Process the chunks in order, then hand over their requests."""
        with self.failure:
            shard = self.shard or self.build(values[0].shard)
            self.epoch_end.calls(shard)
            for chunk in values:
                shard.work(chunk)
                shard.outbox.hand_over()
            self.rest.walks(-len(values))
            shard.outbox.dead_letters.copy()  # before shards begin to commit: what it writes goes with them
            if not self.epoch_end.arrived():
                if not shard.is_prepared and self.pace.is_ending():
                    shard.prepare_all()
                elif shard.unprepared >= PREPARE_RECORDS:
                    shard.prepare()
            for chunk in values:
                if chunk.is_last:
                    self.drain.ended(shard.number, chunk.partition)
            return (), self.RETAIN

    def on_notify(self) -> tuple[Iterable[Never], bool]:
        """Wake up without input: handle the engine's results and commands of the admin socket."""
        self.pulse.turned()
        with self.failure:
            shard = self.shard
            if shard is not None and not self.epoch_end.wakes(shard):
                self.wakes_at = datetime.now(UTC) + NEXT_EPOCH
                return (), self.RETAIN
            self.wakes_at = datetime.now(UTC) + timedelta(seconds=self.settings.epoch_secs)
            if shard is not None:
                for command in self.shards.commands(shard):
                    command(shard)
                shard.outbox.hand_over()
                shard.outbox.dead_letters.copy()
            self.rest.walks(0)
            return (), self.RETAIN

    def on_eof(self) -> tuple[Iterable[Never], bool]:
        """The input has ended: send what can be sent before the last epoch."""
        with self.failure:
            self.eof = True
            self.drain.finish()
            if self.shard is not None:
                self.epoch_end.calls(self.shard)
                self.shard.outbox.collect()
                self.shard.outbox.dead_letters.copy_all(self.drain.secs)
            return (), self.RETAIN

    def notify_at(self) -> datetime | None:
        """Wake up once per epoch, so that results are committed even without input."""
        return None if self.eof else self.wakes_at

    def snapshot(self) -> Token:
        """Commit the epoch, together with the other shards; see DESIGN 6, rule 3."""
        self.pulse.turned()
        with self.failure:
            if self.shard is None:
                return self.token or ("v1", -1, 0, "")
            self.rest.release()  # what was handed over does not wait for the disk
            self.pace.committing()
            self.epoch_end.snapshot(self.shard)
            if not self.pulse.polls:
                self.pace.left()
            seq = self.shard.store.seq
            return ("v1", self.shard.number, seq, self.shard.store.run_of(seq))

    def build(self, number: int) -> Shard:
        """Open the store at the epoch from which Bytewax resumes; the shard's number comes with the hello."""
        store = self.stores.open(shard_folder(self.settings.state, number))
        if store.resume(*(self.token[2:] if self.token is not None else (0,))):
            count("state_undone_total")
        shard = self.shard = self.make(number, store)
        shard.left = self.at_open(shard)
        self.drain.opened(shard)
        self.shards.opened(shard)
        return shard
