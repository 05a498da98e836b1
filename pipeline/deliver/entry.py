"""A delivery in the engine's memory."""

from __future__ import annotations

from typing import TypeAlias

from pipeline.state.handover import Delivery, Port


class Entry:
    """One delivery and where it came from."""

    __slots__ = ("asked_until", "delivery", "gone", "port", "reauthorised")

    def __init__(self, port: Port, delivery: Delivery) -> None:
        self.port = port
        self.delivery = delivery
        self.gone = False
        """True once it was dropped by a command: whoever takes it from a queue passes over it."""
        self.asked_until = 0.0
        """Monotonic time before which the receiver asked not to be tried again."""
        self.reauthorised = False
        """True once it was sent again because its OAuth2 token had been refused."""


Item: TypeAlias = "tuple[Entry, ...]"
"""What one request carries: one entry, or the members of a batch."""
