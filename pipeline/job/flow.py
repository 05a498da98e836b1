"""The dataflow: which steps there are and in which order.

The flow's and the steps' names are the schema of the recovery state: never rename one.
"""

from __future__ import annotations

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from pipeline.job.context import Job
from pipeline.job.steps.chunks import Intake, Routed, Selected
from pipeline.job.steps.copies import Copies
from pipeline.job.steps.identity import IdentityStep, to_shard
from pipeline.job.steps.select import select
from pipeline.job.steps.shard import ShardStep
from pipeline.job.steps.source import Source


def build_flow(job: Job) -> Dataflow:
    """Wire the steps of a job."""

    def decode_and_select(chunk: Intake) -> list[tuple[str, Selected]]:
        with job.guard():
            return select(job, chunk)

    flow = Dataflow("hookline")
    chunks = op.input("source", flow, Source(job))
    selected = op.flat_map("select", chunks, decode_and_select)
    identified = op.stateful_batch("identity", selected, lambda token: IdentityStep(job, token))
    routed: op.KeyedStream[Routed] = op.map("route", identified, to_shard)
    dead = op.stateful_batch("shard", routed, lambda token: ShardStep(job, token))
    op.output("copies", dead, Copies(job))
    return flow
