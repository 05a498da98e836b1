"""What a collector does to its segments between two looks of a reader."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest

from pipeline.model.errors import StateError
from pipeline.sources.files.recording import Recording
from tests.kit.streams.collected import CollectorsFolder

LISTDIR = "pipeline.sources.files.collected.folder.os.listdir"


@pytest.fixture
def folder(tmp_path: Path) -> CollectorsFolder:
    """Two segments of one line."""
    made = CollectorsFolder(tmp_path / "collected")
    made.append(b'{"n": 0}')
    made.rotate()
    made.append(b'{"n": 1}')
    return made


def read(reader: Recording) -> list[int]:
    found: list[int] = []
    while (chunk := reader.read(200)) is not None:
        found += [orjson.loads(line)["n"] for line in chunk.lines if line]
    return found


@pytest.mark.parametrize("listings", range(1, 5))
def test_a_segment_that_is_removed_once_the_next_has_begun_was_not_lost(
    folder: CollectorsFolder, monkeypatch: pytest.MonkeyPatch, listings: int
) -> None:
    """A collector was stopped, which removes its empty segment; one starts again between two listings."""
    reader, listed, left = Recording([str(folder.path)], follow=True), os.listdir, listings
    assert read(reader) == [0, 1]
    folder.rotate()
    assert read(reader) == []
    folder.plain(2).unlink()

    def then_changes(path: str) -> list[str]:
        nonlocal left
        found, left = listed(path), left - 1
        if not left:
            folder.plain(2).write_bytes(folder.line(b'{"n": 2}'))
            folder.remove(1)
        return found

    monkeypatch.setattr(LISTDIR, then_changes)
    found = []
    while left > 0:
        found += read(reader)
    assert found + read(reader) == [2]
    reader.close()


def test_a_last_segment_that_is_removed_before_the_next_was_begun_is_missed(folder: CollectorsFolder) -> None:
    reader = Recording([str(folder.path)], follow=True)
    assert read(reader) == [0, 1]
    folder.rotate()
    assert read(reader) == []
    folder.plain(2).unlink()
    folder.remove(1)
    with pytest.raises(StateError, match="it is not there, and older ones are"):
        read(reader)
    reader.close()
