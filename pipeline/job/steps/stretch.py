"""How many usual chunks are read as one, while few of the records read go on.

Each chunk costs every shard the same, however few of its records are left: where few are, longer ones pay. A
stream of which 5 % fires costs a quarter less CPU this way, one of which nothing fires a tenth
(tests/bench/alone/flow.py).
"""

from __future__ import annotations

from pipeline.sources.chunk import CHUNK_LINES

MAX_STRETCH = 5
"""A thousand lines: no more than the engine keeps in memory for one webhook."""


class Stretches:
    """What select has learnt about each partition of this process."""

    def __init__(self) -> None:
        self._by_partition: dict[str, int] = {}

    def of(self, partition: str) -> int:
        """Return how many usual chunks the partition reads as one."""
        return self._by_partition.get(partition, 1)

    def learn(self, partition: str, left: int, lines: int) -> None:
        """Take how many records are left of this many lines."""
        if lines >= CHUNK_LINES or left > CHUNK_LINES:  # a small chunk is not representative
            self._by_partition[partition] = stretched(self.of(partition), left, lines)


def stretched(stretch: int, left: int, lines: int) -> int:
    """Return how many usual chunks to read as one next.

    Never so long that a burst of wanted events fills a lane's memory, and short again after one.
    """
    if left > CHUNK_LINES:
        return 1
    if lines >= stretch * CHUNK_LINES and left * 2 < CHUNK_LINES:
        return min(stretch + 1, MAX_STRETCH)
    return stretch
