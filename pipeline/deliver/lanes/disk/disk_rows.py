"""What is known of the rows that a webhook has on disk and not in memory."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.outbox.handover import Port


@dataclass(slots=True)
class DiskRows:
    """What is known of one shard's rows of one webhook."""

    port: Port
    rows: int = 0
    """How many are on disk only; an estimate until a pass has ended."""
    wanted: bool = False
    """True where a pass may find something."""
    cursor: bytes | None = None
    running: bool = False
    earliest: float = float("inf")
    """When the first row that a pass left on disk is due."""
    left: int = 0
    """Rows that the running pass left on disk."""
    resting_until: float = 0.0
    early: bool = False
    """True: rows count as due now; see `hurry`."""
    again: bool = False
    """Rows were added while a pass ran."""
    blocked_user: str | None = None
    """The user whose older row this pass left on disk: the user's later ones stay too."""

    def next_due(self) -> float:
        """Return when a pass may find something; infinity where nothing is on disk."""
        if self.running or self.wanted:
            return self.resting_until
        return max(self.earliest, self.resting_until)

    def hurry(self) -> None:
        """Treat all rows as due now: the receiver has just recovered, or a person asked for it.

        A pass in progress has left some behind, so another one starts in its place.
        """
        self.early = self.wanted = True
        self.running = False
        self.resting_until = 0.0

    def add(self, rows: int) -> None:
        """Note rows that were added."""
        self.rows += rows
        if self.running:
            self.again = True
        else:
            self.wanted = True
