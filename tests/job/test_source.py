"""What a source partition tells its reader to be durable: what is stored, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.sources.chunk import NOWHERE, Position, RawChunk
from pipeline.sources.reader import BaseReader
from tests.kit.streams.source import open_partition


class Opened(BaseReader):
    """A reader that stands elsewhere once it is open, as one of files does that were rotated."""

    name = "a"
    done = False

    def __init__(self) -> None:
        self.position: Position = (*NOWHERE[:2], (("as opened",),))
        self.told: list[Position] = []

    def read(self, limit: int) -> RawChunk | None:
        return None

    def durable(self, position: Position) -> None:
        self.told.append(position)


@pytest.mark.parametrize("resumed", [None, NOWHERE])
def test_the_first_poll_tells_the_reader_the_stored_position_and_a_new_job_none(
    resumed: Position | None, tmp_path: Path
) -> None:
    reader = Opened()
    partition = open_partition("a", reader, tmp_path, resumed=resumed)
    for _ in range(2):
        partition.next_batch()
    first = [] if resumed is None else [resumed]
    assert reader.told == first
    partition.snapshot()
    for _ in range(2):
        partition.next_batch()
    assert reader.told == [*first, reader.position]
    partition.close()
