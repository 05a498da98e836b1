"""A chunk is bounded by its bytes, too: large records come few at a time, and none is lost between two."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from pipeline.sources.chunk import CHUNK_BYTES, fitting
from pipeline.sources.files.recording import Recording
from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.side import Side

LARGE = CHUNK_BYTES * 3 // 4


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [([], 0), ([1] * 200, 200), ([LARGE], 1), ([LARGE] * 3, 2), ([1] * 9 + [LARGE] * 9, 11), ([2**24, 1], 1)],
)
def test_the_record_that_fills_a_chunk_is_its_last(sizes: list[int], fit: int):
    assert fitting(sizes) == fit


@pytest.mark.parametrize("files", [1, 3])
def test_large_lines_come_few_at_a_time(tmp_path: Path, files: int):
    lines = [orjson.dumps({"time": number, "x": "x" * (LARGE * (number % 3 == 0))}) for number in range(30)]
    for file in range(files):
        text = b"".join(line + b"\n" for line in lines[file::files])
        (tmp_path / f"{file}.jsonl").write_bytes(text)
    reader = Recording([str(tmp_path)])
    found: list[bytes | None] = []
    while not reader.done:
        chunk = reader.read(200)
        if chunk is not None:
            assert sum(len(line or b"") for line in chunk.lines) <= CHUNK_BYTES + LARGE + 100
            assert chunk.position[1] == len(found) + len(chunk)
            found += chunk.lines
    reader.close()
    assert found == lines


def test_large_messages_of_two_topics_come_few_at_a_time_in_their_order():
    sides: list[Side[bytes]] = [Side("users/0", 0, stop=20), Side("events/0", 0, stop=20)]
    merge = Alignment(sides, size_of=len)
    messages = [bytes([number]) * LARGE for number in range(40)]
    for first, side in enumerate(sides):
        own = messages[first::2]
        merge.add(side, list(range(20)), list(range(first, 40, 2)), own, 0)
        merge.reached(side, 20, 0)
    found: list[bytes] = []
    while taken := merge.take(200, 0):
        given = [item for run in taken for item in run.items]
        assert len(given) == 2
        found += given
    assert found == messages
