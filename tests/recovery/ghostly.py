"""A dataflow without hello that can die between two steps' snapshots; used by test_ghosts.

    python ghostly.py RECOVERY first|second|last

Prints what the one key of its first step has seen, in order, when it ends. Items are numbers; each epoch
has one call of the source.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import bytewax.operators as op
from bytewax._bytewax import run_main
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.recovery import RecoveryConfig
from bytewax.testing import TestingSink

ITEMS = 6
RUN = sys.argv[2]
QUIET_EPOCHS = 2
"""Epochs without an item at the start of the second run: they do not wake the key."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Numbers(StatefulSourcePartition[int, int]):
    def __init__(self, position: int) -> None:
        self.position = position
        self.calls = 0

    def next_batch(self) -> list[int]:
        self.calls += 1
        if RUN == "second":
            if self.calls > QUIET_EPOCHS:
                die()
            return []
        if self.position == ITEMS:
            raise StopIteration
        self.position += 1
        return [self.position]

    def snapshot(self) -> int:
        return self.position


class Source(FixedPartitionedSource[int, int]):
    def list_parts(self) -> list[str]:
        return ["numbers"]

    def build_part(self, step_id: str, for_part: str, resume_state: int | None) -> Numbers:
        return Numbers(resume_state or 0)


class Memory(StatefulBatchLogic[int, int, tuple[int, ...]]):
    """Remembers what it has seen."""

    def __init__(self, seen: tuple[int, ...] | None) -> None:
        self.seen = seen or ()

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        self.seen += tuple(values)
        return values, self.RETAIN

    def on_eof(self) -> tuple[list[int], bool]:
        print(*self.seen)
        return [], self.RETAIN

    def snapshot(self) -> tuple[int, ...]:
        return self.seen


class Deadly(StatefulBatchLogic[int, int, int]):
    """Dies in its snapshot of the third item: the step before it has written its own already."""

    def __init__(self, seen: Any) -> None:
        self.last = 0

    def on_batch(self, values: list[int]) -> tuple[list[int], bool]:
        self.last = values[-1]
        return values, self.RETAIN

    def snapshot(self) -> int:
        if RUN == "first" and self.last == 3:
            die()
        return self.last


def main() -> None:
    flow = Dataflow("ghostly")
    items = op.input("in", flow, Source())
    keyed = op.map("key", items, lambda number: ("k", number))
    remembered = op.stateful_batch("memory", keyed, Memory)
    deadly = op.stateful_batch("deadly", remembered, Deadly)
    op.output("out", deadly, TestingSink([]))
    run_main(flow, epoch_interval=timedelta(0), recovery_config=RecoveryConfig(str(Path(sys.argv[1]))))


main()
