"""The keys of the shards: spread evenly by Bytewax itself, and stable for ever."""

from __future__ import annotations

import threading
from collections import Counter

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.testing import TestingSink, TestingSource, cluster_main

from pipeline.config.models.installation.job import MAX_SHARDS
from pipeline.job.steps.keys import shard_key, shard_of


def places(workers: int) -> dict[int, int]:
    """Return which worker thread Bytewax runs each shard's key on."""
    found: dict[int, int] = {}

    class Noting(StatefulBatchLogic[int, int, None]):
        def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
            found.update(dict.fromkeys(values, threading.get_ident()))
            return [], self.RETAIN

        def snapshot(self) -> None:
            return None

    flow = Dataflow("places")
    shards = op.input("in", flow, TestingSource(list(range(MAX_SHARDS))))
    keyed = op.map("key", shards, lambda shard: (shard_key(shard), shard))
    noted = op.stateful_batch("note", keyed, lambda _: Noting())
    op.output("out", noted, TestingSink([]))
    cluster_main(flow, [], 0, worker_count_per_proc=workers)
    return found


@pytest.mark.parametrize("workers", range(1, 9))
def test_any_number_of_shards_is_spread_as_evenly_as_can_be(workers: int) -> None:
    found = places(workers)
    assert len(found) == MAX_SHARDS
    for shards in range(1, MAX_SHARDS + 1):
        load = Counter(found[shard] for shard in range(shards))
        assert len(load) == min(workers, shards)
        assert max(load.values()) - min(load.values()) <= 1


def test_keys_and_users_are_where_they_have_always_been() -> None:
    # Part of the state's schema: a change here makes every state directory unreadable.
    assert [shard_key(shard) for shard in (0, 1, 7, 63)] == ["s0.1784", "s1.812", "s7.2466", "s63.66"]
    assert len({shard_key(shard) for shard in range(MAX_SHARDS)}) == MAX_SHARDS
    assert [shard_of(user, 8) for user in ("u:1", "u:2", "a:1", "u:ü", "u:\ud800")] == [2, 0, 6, 6, 5]


def test_users_are_spread_over_the_shards() -> None:
    load = Counter(shard_of(f"u:{number}", 8) for number in range(8000))
    assert min(load.values()) > 800
