"""The dataflow: which steps there are, in which order, and what each of them is given.

The flow's and the steps' names are the schema of the recovery state: never rename one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from pipeline.compile.versions import Versions
from pipeline.deliver.service import DeliveryService
from pipeline.job.commands import execute_left
from pipeline.job.committed import Committed
from pipeline.job.drain import Drain
from pipeline.job.failure import Failure
from pipeline.job.peers import Peers
from pipeline.job.pressure import Pressure
from pipeline.job.settings import JobSettings
from pipeline.job.shards import Shards, Stores
from pipeline.job.steps.chunks import Intake, Routed, Selected
from pipeline.job.steps.copies import CopiesStep
from pipeline.job.steps.identity import IdentityStep, to_shard
from pipeline.job.steps.select import select
from pipeline.job.steps.shard import Shard, ShardStep
from pipeline.job.steps.source import SourceStep
from pipeline.job.steps.stretch import Stretches
from pipeline.model.errors import HooklineError
from pipeline.outbox.copies import Copies
from pipeline.sources.reader import Source
from pipeline.store.store import Store


@dataclass(slots=True)
class Job:
    """The parts of one process of a running job; every step takes only those that it needs."""

    settings: JobSettings
    source: Source
    versions: Versions
    engine: DeliveryService
    copies: Copies | None = None
    """Where dead letters are copied to; None: nowhere."""
    peers: Peers | None = None
    """The other processes of the job; None where there are none."""
    config_problems: Callable[[], str] = lambda: ""
    """What is wrong with the config files as they are now; "" where they are what runs."""
    failure: Failure = field(default_factory=Failure)
    stores: Stores = field(default_factory=Stores)
    shards: Shards[Shard] = field(default_factory=Shards)
    committed: Committed = field(default_factory=Committed)
    partitions: list[str] = field(default_factory=list)
    """The source partitions of the whole job, once the source has listed them."""
    pressure: Pressure = field(init=False)
    drain: Drain = field(init=False)

    def __post_init__(self) -> None:
        """Make the parts that stand on others."""
        settings, engine, peers = self.settings, self.engine, self.peers
        self.pressure = Pressure(engine, settings.state, settings.disk_reserve_bytes, others=peers)
        self.drain = Drain(
            engine,
            settings.shards,
            self.partitions,
            secs=settings.drain_secs,
            stop_secs=settings.stop_drain_secs,
            others=peers,
        )

    def tell(self) -> tuple[bool, int]:
        """Return what the other processes must know: whether this one is behind, and its drained shards."""
        if self.failure.first is not None or self.drain.finished:
            return False, 0
        try:
            return self.pressure.is_behind(), self.drain.drained_shards()
        except HooklineError:
            return False, 0  # the engine has failed: a worker raises that


def build_flow(job: Job) -> Dataflow:
    """Wire the steps of a job."""
    settings, versions, failure = job.settings, job.versions, job.failure
    stretches = Stretches()

    def select_step(chunk: Intake) -> list[tuple[str, Selected]]:
        with failure:
            return select(chunk, settings.format, versions, stretches, job.partitions)

    def identity_step(token: tuple[str, str, int] | None) -> IdentityStep:
        return IdentityStep(token, settings, job.stores, job.committed, failure)

    def make_shard(number: int, store: Store) -> Shard:
        return Shard(number, store, settings, versions, job.engine, job.pressure, job.committed)

    def shard_step(token: tuple[str, int, int] | None) -> ShardStep:
        return ShardStep(
            token, settings, job.stores, make_shard, job.shards, job.drain, failure, execute_left
        )

    source = SourceStep(
        job.source, job.partitions, settings, versions, stretches, job.pressure, job.drain, job.committed,
        failure,
    )  # fmt: skip
    flow = Dataflow("hookline")
    chunks = op.input("source", flow, source)
    selected = op.flat_map("select", chunks, select_step)
    identified = op.stateful_batch("identity", selected, identity_step)
    routed: op.KeyedStream[Routed] = op.map("route", identified, to_shard)
    dead = op.stateful_batch("shard", routed, shard_step)
    op.output("copies", dead, CopiesStep(job.copies, failure))
    return flow
