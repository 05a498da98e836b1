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


def test_a_last_segment_of_which_nothing_reached_the_disk_may_go(folder: CollectorsFolder) -> None:
    """Its lines were seen, their sync failed, and the collector has not begun another one yet."""
    reader = Recording([str(folder.path)], follow=True)
    folder.rotate()
    folder.append(b'{"n": 2}')
    assert read(reader) == [0, 1, 2]
    folder.plain(2).unlink()
    reader.close()
    reader = Recording([str(folder.path)], follow=True, resume=reader.position)
    assert read(reader) == []
    folder.rotate(gap=1)
    folder.append(b'{"n": 3}')
    assert read(reader) == [3]
    reader.close()


def test_lines_of_a_last_segment_that_is_removed_are_missed_when_the_next_begins(
    folder: CollectorsFolder,
) -> None:
    reader = Recording([str(folder.path)], follow=True)
    assert reader.read(1) is not None
    reader.close()
    folder.plain(1).unlink()
    folder.rotate()
    folder.append(b'{"n": 2}')
    reader = Recording([str(folder.path)], follow=True, resume=reader.position)
    with pytest.raises(StateError, match="the lines 1 to 1 are gone, and this job has not read them"):
        read(reader)
    reader.close()
