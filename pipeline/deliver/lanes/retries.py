"""Where retries wait until they are due."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from pipeline.deliver.lanes.batch import Item
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.policy import RetryAt
from pipeline.deliver.lanes.results import Results
from pipeline.outbox.handover import Delivery

_STEP_SECS = 0.002


def wait_soon(lane: Lane, item: Item, due: float, now: float) -> None:
    """Delay what failed by bad luck: in steps, so that those of one step share a loop turn."""
    if due <= now:
        lane.fresh.append(item)
    else:
        lane.wait(item, ceil(due / _STEP_SECS) * _STEP_SECS, lucky=True)


def regroup(
    results: Results,
    lane: Lane,
    retries: Sequence[tuple[Delivery, RetryAt]],
    now: float,
    *,
    is_probe: bool = False,
) -> None:
    """Delay the deliveries of one request: a batch's members together, until the latest one is due.

    Those of a probe are the next probe, as long as their failure may have been bad luck.
    """
    if not retries:
        return
    item = tuple(delivery for delivery, _ in retries)
    due = now + max(decision.delay_secs for _, decision in retries)
    lucky = all(decision.lucky for _, decision in retries)
    if is_probe and lucky:
        lane.retries.appendleft(item)
    elif lane.should_park(due, now):
        for delivery in item:
            if not delivery.gone:
                results.parked(lane.park(delivery))
    elif lucky:
        wait_soon(lane, item, due, now)
    elif due <= now:
        lane.retries.appendleft(item)
    else:
        lane.wait(item, due)
