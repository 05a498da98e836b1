"""Keys of the stateful steps: where Bytewax puts them. They are part of every state directory."""

from __future__ import annotations

import threading
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import TestingSink, cluster_main

from pipeline.config.models.installation.job import MAX_SHARDS
from pipeline.job.steps.keys import identity_key, shard_key


class Once(StatefulSourcePartition[Any, None]):
    def __init__(self, keys: list[str]) -> None:
        self.keys: list[str] | None = keys

    def next_batch(self) -> list[tuple[str, int]]:
        if self.keys is None:
            raise StopIteration
        keys, self.keys = self.keys, None
        return [(key, 1) for key in keys]

    def snapshot(self) -> None:
        """Keep nothing."""


class Partitions(FixedPartitionedSource[Any, None]):
    """Partitions that note on which thread each is built."""

    def __init__(self, names: list[str], keys: list[str]) -> None:
        self.names, self.keys = names, keys
        self.built: dict[str, int] = {}

    def list_parts(self) -> list[str]:
        return self.names

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Once:
        self.built[for_part] = threading.get_ident()
        return Once(self.keys if for_part == self.names[0] else [])


class Where(StatefulBatchLogic[int, int, None]):
    """Says on which thread a key lives."""

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        return [threading.get_ident()], self.RETAIN

    def snapshot(self) -> None:
        """Keep nothing."""


def place(names: list[str], keys: list[str], workers: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return the worker of each partition and of each key, as threads."""
    flow, source, found = Dataflow("keys"), Partitions(names, keys), list[Any]()
    placed = op.stateful_batch("where", op.input("in", flow, source), lambda state: Where())
    op.output("out", placed, TestingSink(found))
    cluster_main(flow, [], 0, worker_count_per_proc=workers)
    return source.built, dict(found)


@pytest.mark.parametrize("workers", [2, 3, 5, 8])
def test_shards_are_spread_evenly(workers: int):
    keys = [shard_key(number) for number in range(MAX_SHARDS)]
    _, placed = place(["recording"], keys, workers)
    sizes = [list(placed.values()).count(worker) for worker in set(placed.values())]
    assert len(sizes) == workers
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("names", [["recording"], [f"kafka-{n}" for n in range(8)]], ids=["one", "eight"])
@pytest.mark.parametrize("workers", [2, 3, 4])
def test_a_partition_and_its_links_are_on_one_worker(names: list[str], workers: int):
    built, placed = place(names, [identity_key(name) for name in names], workers)
    assert [placed[identity_key(name)] for name in names] == [built[name] for name in names]


def test_no_two_partitions_share_a_key():
    names = ["recording", "p0", "p1", *(f"kafka-{n}" for n in range(1, 200))]
    assert len({identity_key(name) for name in names}) == len(names)
