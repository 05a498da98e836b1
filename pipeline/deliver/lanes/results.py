"""Results of deliveries: written into them, added to their lane's counters, posted to their shards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.deliver.lanes.batch import Item
from pipeline.deliver.lanes.counts import EXACT
from pipeline.deliver.lanes.lane import HELD_BYTES, Lane
from pipeline.deliver.lanes.onlookers import Onlookers
from pipeline.outbox.handover import Delivery, Outcome, Port, Result

_DELIVERED = Outcome.DELIVERED  # a member look-up takes 0.1 us


@dataclass(slots=True)
class Results:
    """The results of one loop turn. Observers see them; tests may read them."""

    onlookers: Onlookers = field(default_factory=Onlookers)
    waiting: dict[Port, list[Result]] = field(default_factory=dict)
    """Not posted yet."""

    def post(self, now_ms: int) -> None:
        """Write and queue the results: one journal write per shard (DESIGN 6, rule 6)."""
        if self.waiting:
            waiting, self.waiting = self.waiting, {}
            if self.onlookers.wanted():
                self.onlookers.see(waiting.values(), now_ms)
            for port, each in waiting.items():
                port.post(each, now_ms)

    def delivered(self, lane: Lane, item: Item, status: int, now: float, wall_ms: int) -> None:
        """The receiver accepted them. Nearly all deliveries end here, so the code is inlined."""
        tally, held, every = lane.tally, lane.held, self.waiting
        latencies, is_plain = tally.latencies, not lane.ordered
        for delivery in item:
            progress = delivery.progress
            progress.status = status
            if progress.attempt:
                progress.due_ms = 0
                progress.excerpt = ""
            progress.attempt += 1
            tally.delivered += 1
            request = delivery.request
            ms = wall_ms - request.created_ms
            if 0 <= ms < EXACT:
                latencies[ms] = latencies.get(ms, 0) + 1
            else:
                tally.latency(ms)
            results = every.get(delivery.port)
            if results is None:
                results = every[delivery.port] = []
            results.append(Result(delivery, _DELIVERED))
            if is_plain:
                if held.pop(delivery.row, None) is not None:
                    lane.held_bytes -= len(request.body) + HELD_BYTES
            else:
                lane.release(delivery, now)

    def failed(
        self, lane: Lane, delivery: Delivery, status: int, text: str, due_ms: int, *, is_noted: bool = True
    ) -> None:
        """An attempt has failed, and another one is due then. is_noted: it is kept for people."""
        _ended(delivery, status, text, due_ms)
        lane.tally.retried += 1
        result = self._add(delivery, Outcome.RETRY)
        if is_noted:
            self.onlookers.failed.append(result)

    def rejected(
        self, lane: Lane, delivery: Delivery, status: int, text: str, reason: str, now: float
    ) -> None:
        """An attempt has ended, and the delivery with it."""
        _ended(delivery, status, text, 0)
        self.dead(lane, delivery, reason, now)

    def dead(self, lane: Lane, delivery: Delivery, reason: str, now: float) -> None:
        """The delivery is given up."""
        lane.tally.dead += 1
        self.onlookers.failed.append(self._add(delivery, Outcome.DEAD, reason))
        lane.release(delivery, now)

    def parked(self, deliveries: Sequence[Delivery]) -> None:
        """Deliveries belong to the shard again, on its disk."""
        for delivery in deliveries:
            self._add(delivery, Outcome.PARKED)

    def _add(self, delivery: Delivery, outcome: Outcome, reason: str = "") -> Result:
        results = self.waiting.get(delivery.port)
        if results is None:
            results = self.waiting[delivery.port] = []
        result = Result(delivery, outcome, reason)
        results.append(result)
        return result


def _ended(delivery: Delivery, status: int, text: str, due_ms: int) -> None:
    progress = delivery.progress
    progress.attempt += 1
    progress.status = status
    progress.excerpt = text
    progress.due_ms = due_ms
