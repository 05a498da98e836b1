"""A delivery in the engine's memory."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from pipeline.outbox.handover import Delivery, Port


class Entry(msgspec.Struct, eq=False, gc=False):
    """One delivery and where it came from."""

    port: Port
    delivery: Delivery
    gone: bool = False
    """True once it was dropped by a command: whoever takes it from a queue passes over it."""
    asked_until: float = 0.0
    """Monotonic time before which the receiver asked not to be tried again."""
    reauthorised: bool = False
    """True once it was sent again because its OAuth2 token had been refused."""


Item: TypeAlias = "tuple[Entry, ...]"
"""What one request carries: one entry, or the members of a batch."""
