"""Brings rows back from the outbox: repeated passes over what a shard stores for a webhook.

A pass reads committed rows in key order, a slice at a time, while the lane has room. Rows that are not due
stay on disk; the pass remembers the earliest. Rows that the engine holds, or whose result is not committed
yet, are skipped.
"""

from __future__ import annotations

from pipeline.deliver.lanes.disk.disk_rows import DiskRows
from pipeline.deliver.lanes.lane import Lane
from pipeline.outbox.handover import Delivery

SLICE = 100
SOON_SECS = 1.0
"""Rows due within this time are read as if due: another pass would cost more."""
PASS_SHARE = 20.0
"""A pass that brought nothing back is repeated only after this many times its own duration."""


def refill(lane: Lane, disk: DiskRows, now: float) -> list[Delivery]:
    """Read one slice and return what the lane must take into memory, in row order."""
    clock = lane.clock
    if not disk.running:
        disk.running, disk.wanted, disk.again = True, False, False
        disk.cursor, disk.earliest, disk.left, disk.blocked_user = None, float("inf"), 0, None
    # Copied before the read begins: a row whose result is committed in between is still in the copy.
    # A stale row leaves `settling` first, so it is checked first.
    stale = disk.port.stale
    settling = disk.port.settling.copy()
    deliveries, disk.cursor = disk.port.refill(lane.webhook_id, disk.cursor, SLICE)
    limit_ms = clock.steady_ms(now + SOON_SECS)
    furthest_ms = clock.steady_ms(now + lane.longest_delay_secs)
    found: list[Delivery] = []
    for delivery in deliveries:
        row = delivery.row
        if row in lane.held:
            continue
        if row in settling:
            if row in stale or row in lane.parked:
                disk.blocked_user = delivery.request.user
            continue
        if lane.ordered and delivery.request.user == disk.blocked_user:
            disk.left += 1
            continue
        # No delay is longer: a due time further ahead was written under another clock, and is ignored.
        if limit_ms < delivery.progress.due_ms <= furthest_ms and not disk.early:
            disk.left += 1
            disk.earliest = min(disk.earliest, clock.monotonic_of(delivery.progress.due_ms))
            if lane.ordered:
                disk.blocked_user = delivery.request.user
            continue
        if disk.early or delivery.progress.due_ms > furthest_ms:
            delivery.progress.due_ms = 0
        found.append(delivery)
    disk.rows = max(0, disk.rows - len(found))
    if disk.cursor is None:
        disk.running, disk.early = False, False
        disk.rows = disk.left
        disk.wanted = disk.again
        if not found:
            disk.resting_until = now + PASS_SHARE * (clock.now() - now)
    return found
