"""Webhooks that no config names any more: a process forgets them once nothing of them is left.

From then on it is as after a restart: only their counts remain, in the stores. If a request of one turns up
after all, from another process that still runs an older version, it becomes known again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from pipeline.compile.versions import Versions
from pipeline.deliver.halts import Halts
from pipeline.deliver.orders import Orders
from pipeline.job.shards import LiveShard
from pipeline.outbox.counters import Counters, WebhookCounts


class CountingShard(LiveShard, Protocol):
    """The part of a shard that is needed here: its counters."""

    counters: Counters


class Departed:
    """One per process; each shard calls it at the end of its epochs, on its worker's thread."""

    def __init__(
        self, versions: Versions, shards: Callable[[], Sequence[CountingShard]], halts: Halts, orders: Orders
    ) -> None:
        self._versions = versions
        self._shards = shards
        self._halts = halts
        self._orders = orders

    def recall(self, counters: Counters) -> None:
        """Before a shard's commit: learn again what was forgotten but is owed or dead after all."""
        unknown = counters.touched - self._versions.specs.keys()
        wanted = {name for name in unknown if name and _is_left(counters.of(name))}
        if wanted:
            self._versions.learn(wanted)

    def look(self, shard: int) -> None:
        """After a shard's commit: forget webhooks with nothing owed, nothing dead and no halt.

        Not while lines are read here under an older version, which may have the webhook.
        """
        versions = self._versions
        gone = versions.gone
        if not gone or versions.in_use != versions.latest.hash:
            return
        shards = self._shards()
        if shard != min((each.number for each in shards), default=shard):
            return
        done = {name for name in gone if not any(_is_left(each.counters.of(name)) for each in shards)}
        if done:
            done -= self._halts.all().keys()
        if done:
            versions.forget(done, self._orders.forget)


def left_of(counters: Counters) -> set[str]:
    """Return the webhooks of which something is left in one's own shard.

    In a store of an older version: only those that owe something. Opening its outbox counts its dead letters,
    and the first commit recalls them.
    """
    return {webhook_id for webhook_id, counts in counters.webhooks() if webhook_id and _is_left(counts)}


def _is_left(counts: WebhookCounts) -> bool:
    """Return whether something is pending, or dead and could be replayed."""
    return bool(counts.pending or counts.dead_bytes)
