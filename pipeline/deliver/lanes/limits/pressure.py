"""When the source should pause: only where that costs the other webhooks next to nothing.

A lane that completes at least `FAST` requests per second empties its queue within some hundred milliseconds,
so pausing for it is cheaper than writing its requests to disk. One that is slow, fails, hangs, or waits for a
token or a secret never pauses anything: its requests go to disk (P4).
"""

from __future__ import annotations

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.lanes.lane import Lane

FAST = 1000.0
"""Requests per second."""
SOME = 0.4
"""A receiver with a smaller share of good answers pauses nothing, however fast it fails."""
BACKLOG = 500
"""Deliveries in a lane's memory, or on the way to the engine, from which the source pauses."""


def is_fast(lane: Lane, now: float) -> bool:
    """Return whether the lane completes `FAST` requests per second, by its concurrency and round trips.

    A request without an answer yet counts with its age, so a receiver that starts to hang is noticed at once.
    """
    spec = lane.spec
    tally = lane.tally
    failed = tally.retried + tally.dead
    good, bad = tally.delivered - lane.seen[0], failed - lane.seen[1]
    lane.seen = (tally.delivered, failed)
    lane.lately = good + bad
    if good + bad:
        lane.success += (good / (good + bad) - lane.success) * 0.5
    if spec is None or lane.halt or not spec.enabled or lane.throttle.down or lane.is_stuck(now):
        return False
    if lane.throttle.share < SOME or lane.quota is not None:
        return False
    if lane.bucket is not None and lane.bucket.rate < FAST:
        return False
    oldest = now - next(iter(lane.flying)).started if lane.flying else 0.0
    trip = max(lane.limit.round_trip, oldest)
    slots: float = lane.slots()
    if lane.ordered:
        slots = min(slots, len(lane.users))
    size = spec.delivery.batch.max_events if spec.delivery.batch is not None else 1
    return trip == 0.0 or slots * size / trip * lane.success >= FAST


def under_pressure(lane: Lane) -> bool:
    """Return whether the source should pause for this lane."""
    if not lane.fast or len(lane.held) <= BACKLOG:
        return False
    if lane.batcher is not None:
        # Requests being batched wait for time, not for the receiver.
        return lane.ready() > 1
    return len(lane.held) - len(lane.waiting) > BACKLOG


def is_at_ease(attempt: Attempt) -> bool:
    """Return whether a successful attempt may be settled later: nothing waits for its slot."""
    lane: Lane = attempt.owner
    if lane.fresh or lane.retries or lane.former or lane.ordered or lane.disk or lane.throttle.down:
        return False
    return 200 <= attempt.status < 300 and attempt.fault is None
