"""Clocks that move only when a test says so."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.deliver.lanes.clock import Clock

START_MS = 1_700_000_000_000


@dataclass(slots=True)
class HandClock:
    """Called, it gives the time; a test sets `now`."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class ManualClock(Clock):
    """The engine's clock; its wall may be stepped, and `busy` is CPU that was taken."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.step = 0.0
        self.busy = 0.0
        super().__init__()

    def now(self) -> float:
        return self.at

    def wall(self) -> float:
        return START_MS / 1000 + (self.at - 1000.0) + self.step

    def cpu(self) -> float:
        return self.busy
