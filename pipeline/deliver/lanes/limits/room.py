"""How much of what is pending may be in memory: per webhook, and in total."""

from __future__ import annotations

from pipeline.deliver.lanes.disk.refill import SLICE
from pipeline.deliver.lanes.lane import MAX_BYTES, Lane
from pipeline.outbox.handover import Room

MAX_TOTAL, MAX_TOTAL_BYTES = 50_000, 96 << 20
"""Deliveries in memory in total; the nearer, the fewer a lane may add."""
MANY = 4_000
"""Deliveries in total beyond which additions are copied to their exact size; up to there slack
wastes 32 MB."""
ALWAYS, ALWAYS_BYTES = 32, 256 * 1024
"""Deliveries that a lane may hold however full the memory is."""
LOW_WATER = 250
"""With fewer items in its queues, a lane reads rows from disk."""


def room(lane: Lane, in_all: int, bytes_in_all: int) -> Room:
    """Return whether a lane takes more into memory, given the total held."""
    held = len(lane.held) - len(lane.former)  # which may wait for long, and hold up nothing
    if held >= _most(lane) or lane.held_bytes >= MAX_BYTES:
        return Room.NONE
    if _is_full(lane, in_all, bytes_in_all) and (held >= ALWAYS or lane.held_bytes >= ALWAYS_BYTES):
        return Room.NONE
    return Room.LONG if in_all > MANY else Room.SOME


def reads_rows(lane: Lane, in_all: int, bytes_in_all: int) -> bool:
    """Return whether a lane should read rows from disk: it has little to send, and room for it.

    However full the memory is, it reads what keeps it busy: delayed retries may wait for an hour.
    """
    # One that yields needs no more than it may send; new requests are cheaper to send than rows.
    wanted = LOW_WATER if lane.quota is None else min(LOW_WATER, max(1, lane.quota.left))
    if lane.spec is None or lane.ready() >= wanted:
        return False
    if len(lane.held) >= _most(lane) - SLICE or lane.held_bytes >= MAX_BYTES:
        return False
    return not _is_full(lane, in_all, bytes_in_all) or lane.ready() + len(lane.flying) < ALWAYS


def _most(lane: Lane) -> int:
    """Return how many a lane may hold. If it yields: what it can send soon, besides what waits.

    What it holds at an epoch's end is written then, while all others wait; the rest is written as it arrives.
    """
    if lane.quota is None or lane.batcher is not None or lane.ordered:
        # Writing what follows an older one of the same user costs more than the memory it takes here.
        return lane.max_entries
    return min(lane.max_entries, len(lane.waiting) + lane.quota.given + SLICE)


def _is_full(lane: Lane, in_all: int, bytes_in_all: int) -> bool:
    return len(lane.held) >= MAX_TOTAL - in_all or bytes_in_all >= MAX_TOTAL_BYTES
