"""How much of what is owed may be in memory: of one webhook, and of all together."""

from __future__ import annotations

from pipeline.deliver.lanes.lane import MAX_BYTES, Lane
from pipeline.outbox.handover import Room

MAX_TOTAL, MAX_TOTAL_BYTES = 50_000, 96 << 20
"""Deliveries in memory in all; the nearer, the fewer a lane may add."""
MANY = 4_000
"""Deliveries in all, from which on what is added is kept small, by a copy; up to there it wastes 32 MB."""
ALWAYS, ALWAYS_BYTES = 32, 256 * 1024
"""Deliveries that a lane may hold however full the memory is."""


def room(lane: Lane, in_all: int, bytes_in_all: int) -> Room:
    """Return whether a lane takes more into memory, where so much is held in all."""
    held = len(lane.held)
    if held >= lane.max_entries or lane.held_bytes >= MAX_BYTES:
        return Room.NONE
    is_full = held >= MAX_TOTAL - in_all or bytes_in_all >= MAX_TOTAL_BYTES
    if is_full and (held >= ALWAYS or lane.held_bytes >= ALWAYS_BYTES):
        return Room.NONE
    return Room.LONG if in_all > MANY else Room.SOME
