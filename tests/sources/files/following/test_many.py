"""Followed folders of many files: each look costs little, and what comes is read in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.sources.files.following.followed import FollowedCursor
from pipeline.sources.files.recording import FEW, RESCAN_SECS, Recording

MANY = FEW + 4


class Folder:
    """A followed folder of many files with a line each, and which of them were asked for lines."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.files = [folder / f"{number:02}.jsonl" for number in range(MANY)]
        for path in self.files:
            self.append(path)
        fill = FollowedCursor.fill

        def noted(cursor: FollowedCursor) -> bool:
            self.asked.append(cursor.source.name)
            return fill(cursor)

        monkeypatch.setattr(FollowedCursor, "fill", noted)
        self.reader = Recording([str(folder)], follow=True, clock=lambda: self.now)

    def append(self, path: Path, line: str = "") -> None:
        with path.open("a") as file:
            file.write(f"{line or path.stem}\n")

    def read(self, limit: int = 200) -> list[str]:
        """Return what one look brings."""
        self.asked = []
        chunk = self.reader.read(limit)
        return [] if chunk is None else [(line or b"").decode() for line in chunk.lines]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    folder = Folder(tmp_path, monkeypatch)
    yield folder
    folder.reader.close()


def test_one_look_takes_what_all_have(folder: Folder) -> None:
    assert folder.read() == [path.stem for path in folder.files]
    assert folder.read() == []


def test_only_those_that_changed_are_asked_for_lines_and_all_of_them_at_times(folder: Folder) -> None:
    folder.read()
    assert folder.read() == []
    assert folder.asked == []
    folder.append(folder.files[3], "x")
    assert folder.read() == ["x"]
    assert set(folder.asked) == {"03.jsonl"}
    folder.now += RESCAN_SECS
    assert folder.read() == []
    assert len(set(folder.asked)) == MANY


def test_what_one_has_got_meanwhile_comes_before_later_lines_of_others(folder: Folder) -> None:
    folder.read()
    lines = [
        f'{{"type":"event","name":"E","user_id":"u","time":"2026-11-23T10:00:0{second}Z"}}'
        for second in range(4)
    ]
    first, last = folder.files[0], folder.files[-1]
    folder.append(first, f"{lines[0]}\n{lines[1]}")
    assert folder.read(1) == lines[:1]
    folder.append(first, lines[2])
    folder.append(last, lines[3])
    assert folder.read() + folder.read() == lines[1:]


def test_a_file_that_is_rotated_is_read_on_at_once_and_a_place_is_kept_for_each(folder: Folder) -> None:
    folder.read()
    path = folder.files[5]
    folder.append(path, "old")
    path.rename(path.with_name("05.jsonl.1"))
    folder.append(path, "new")
    found = folder.read() + folder.read() + folder.read()
    assert found == ["old", "new"]
    folder.reader.close()
    again = Recording([str(path.parent)], follow=True, resume=folder.reader.position)
    assert again.read(200) is None
    again.close()
