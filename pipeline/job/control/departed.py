"""Webhooks that no config names any more: a process forgets them once nothing of them is left.

From then on they are as after a restart: their counts stand in the stores, nothing else. Whatever comes of
one all the same, from another process that still runs under an older version, makes it known again.
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
    """A shard as far as its numbers are asked."""

    counters: Counters


class Departed:
    """One per process; each shard comes here at the end of its epochs, on its worker's thread."""

    def __init__(
        self, versions: Versions, shards: Callable[[], Sequence[CountingShard]], halts: Halts, orders: Orders
    ) -> None:
        self._versions = versions
        self._shards = shards
        self._halts = halts
        self._orders = orders

    def recall(self, counters: Counters) -> None:
        """Before a shard's commit: make known again what was forgotten and is owed, or dead, all the same."""
        unknown = counters.touched - self._versions.specs.keys()
        wanted = {name for name in unknown if name and _is_left(counters.of(name))}
        if wanted:
            self._versions.learn(wanted)

    def look(self, shard: int) -> None:
        """After a shard's commit: forget what nothing is owed of, nothing is dead of, and nobody has halted.

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
    """Return the webhooks of which something is left, of one's own shard.

    Of a store that an older version wrote: what is owed alone. Opening its outbox counts its dead letters,
    and the first commit recalls them.
    """
    return {webhook_id for webhook_id, counts in counters.webhooks() if webhook_id and _is_left(counts)}


def _is_left(counts: WebhookCounts) -> bool:
    """Return whether something is still to be sent, or dead and may be sent again."""
    return bool(counts.pending or counts.dead_bytes)
