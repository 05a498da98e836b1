"""The dataflow: its steps, their order, and what each is given.

The flow's and the steps' names are the schema of the recovery state: never rename one.
"""

from __future__ import annotations

from typing import Never

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from pipeline.job.assembly import Job
from pipeline.job.commands import execute_left
from pipeline.job.control.departed import Departed
from pipeline.job.format_check import FormatCheck
from pipeline.job.steps.chunks import Intake, Selected
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.identity import IdentityStep, to_shards
from pipeline.job.steps.identity import Token as IdentityToken
from pipeline.job.steps.select import select
from pipeline.job.steps.shard import Shard
from pipeline.job.steps.shard_step import ShardStep
from pipeline.job.steps.shard_step import Token as ShardToken
from pipeline.job.steps.source import SourcePartition, SourceStep
from pipeline.job.steps.stretch import Stretches
from pipeline.sources.chunk import Position
from pipeline.store.store import Store


def build_flow(job: Job) -> Dataflow:
    """Wire the steps of a job."""
    settings, versions, failure = job.settings, job.versions, job.failure
    stretches = Stretches()
    format_check = FormatCheck()
    epoch_end = EpochEnd(job.rest, job.partitions)
    departed = Departed(versions, job.shards.all, job.halts, job.engine.orders)

    def select_from(chunk: Intake) -> list[tuple[str, Selected]]:
        return select(
            chunk, settings.formats, versions, stretches, job.partitions, job.event_names, settings.sizes,
            format_check, job.lookout,
        )  # fmt: skip

    def make_partition(name: str, position: Position | None) -> SourcePartition:
        return SourcePartition(
            name, job.source.open(name, position), position, select_from, settings, versions, stretches,
            job.pressure, job.drain, job.bytes_read, failure, job.pulse, job.pace, job.rest, epoch_end,
            job.lull, job.shards.are_asked,
        )  # fmt: skip

    def identity_step(token: IdentityToken | None) -> IdentityStep:
        return IdentityStep(
            token, settings, job.stores, job.committed, failure, job.pace, job.rest, epoch_end
        )

    def make_shard(number: int, store: Store) -> Shard:
        return Shard(
            number, store, settings, versions, job.engine, job.pressure, job.committed, job.lookout.taps,
            departed, job.copier,
        )  # fmt: skip

    def shard_step(token: ShardToken | None) -> ShardStep:
        return ShardStep(
            token, settings, job.stores, make_shard, job.shards, job.drain, failure, job.pulse, job.pace,
            job.rest, epoch_end, execute_left,
        )  # fmt: skip

    flow = Dataflow("hookline")
    # What reads also selects: Bytewax's overhead per step is as large as a small chunk's selection.
    selected = op.input("source", flow, SourceStep(job.source, job.partitions, make_partition, failure))
    identified = op.stateful_batch("identity", selected, identity_step)
    # By the batch, for the same reason.
    routed = op.flat_map_batch("route", identified, to_shards)
    nothing = op.stateful_batch("shard", routed, shard_step)
    op.output("copies", nothing, _EndStep())
    return flow


class _EndStep(FixedPartitionedSink[Never, None]):
    """The last step: nothing comes here, but Bytewax wants one.

    It has a partition: only a partitioned sink takes part in an epoch (DESIGN 8.1).
    """

    def list_parts(self) -> list[str]:
        """Return the one partition, named by what it was once for: recovery states name it."""
        return ["copies"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _EndPartition:
        """Return the end."""
        return _EndPartition()


class _EndPartition(StatefulSinkPartition[Never, None]):
    """The end."""

    def write_batch(self, values: list[Never]) -> None:
        """Take nothing."""

    def snapshot(self) -> None:
        """Keep nothing."""
