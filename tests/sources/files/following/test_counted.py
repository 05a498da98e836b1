"""Followed folders in which the numbers of rotated files count up: each name passes to another file."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.sources.files.following.rotations import Following, append, lines

FORMS = ["app.jsonl.{}", "app.{}.jsonl"]


class Counted:
    """A folder with a log, whose old files get the next number at each rotation."""

    def __init__(self, folder: Path, form: str, *, kept: int = 9, copies: bool = False) -> None:
        self.path = folder / "app.jsonl"
        self._form, self._kept, self._copies, self._number = form, kept, copies, 0
        self.write(self.path)
        self.following = Following(Path(f"{folder}/app*"))

    def old(self, number: int) -> Path:
        return self.path.with_name(self._form.format(number))

    def write(self, path: Path) -> list[int]:
        """Append three lines; their numbers."""
        first = self._number + 1
        self._number += 3
        append(path, lines(first, self._number))
        return list(range(first, self._number + 1))

    def rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            if self.old(number).exists():
                if number == self._kept:
                    self.old(number).unlink()
                else:
                    self.old(number).rename(self.old(number + 1))
        if self._copies:
            shutil.copy(self.path, self.old(1))
            os.truncate(self.path, 0)
        else:
            self.path.rename(self.old(1))

    def read(self) -> list[int]:
        return sorted(self.following.read())


@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("copies", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_each_file_is_read_once_whatever_its_number_is_by_now(
    tmp_path: Path, form: str, copies: bool, is_stopped: bool
) -> None:
    log = Counted(tmp_path, form, copies=copies)
    assert log.read() == [1, 2, 3]
    for _ in range(4):
        written = log.write(log.path)
        log.rotate()
        written += log.write(log.path)
        if is_stopped:
            log.following.again()
        assert log.read() == written
        if not copies:  # somebody has the old one open for a while
            assert log.write(log.old(1)) == log.read()
    log.following.again()
    assert log.read() == []


def test_files_that_were_numbered_before_the_start_are_read_once_too(tmp_path: Path) -> None:
    append(tmp_path / "app.jsonl.1", lines(101, 103))
    append(tmp_path / "app.jsonl.2", lines(201, 203))
    log = Counted(tmp_path, FORMS[0])
    assert log.read() == [1, 2, 3, 101, 102, 103, 201, 202, 203]
    for _ in range(3):
        log.rotate()
        log.following.again()
        assert log.read() == []
        assert log.write(log.path) == log.read()


def test_two_rotations_between_two_looks_give_each_file_a_name_of_its_own(tmp_path: Path) -> None:
    log = Counted(tmp_path, FORMS[0])
    assert log.following.named() == [("app.jsonl", number) for number in (1, 2, 3)]
    for _ in range(2):
        log.rotate()
        log.write(log.path)
        assert len(log.following.named()) == 3  # now the numbered file is followed as well
    for _ in range(2):
        log.rotate()
        log.write(log.path)
    found = log.following.named()
    assert sorted(number for _, number in found) == [10, 11, 12, 13, 14, 15]
    assert len({name for name, _ in found}) == 2
    log.rotate()
    log.following.again()
    assert log.read() == []


def test_a_file_that_was_deleted_when_its_number_was_too_high_is_closed_and_forgotten(tmp_path: Path) -> None:
    log = Counted(tmp_path, FORMS[0], kept=2)
    assert log.read() == [1, 2, 3]
    for _ in range(12):
        log.rotate()
        log.write(log.path)
        log.read()
    open_files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert len([name for name in open_files if name.startswith(str(tmp_path))]) <= 4
    assert len(log.following._recording._inputs._aside) <= 2  # a path each, not a file each


@pytest.mark.parametrize("form", FORMS)
def test_a_number_whose_file_was_deleted_while_the_job_was_stopped_is_the_next_files(
    tmp_path: Path, form: str
) -> None:
    append(tmp_path / form.format(1), lines(101, 103))
    log = Counted(tmp_path, form, kept=3)
    assert log.read() == [1, 2, 3, 101, 102, 103]
    for _ in range(3):  # the one that was there before is deleted by then
        log.rotate()
        assert log.write(log.path) == log.read()
    log.rotate()
    written = log.write(log.path)
    log.rotate()
    written += log.write(log.path)
    log.following.again()
    assert log.read() == written
    log.following.again()
    assert log.read() == []


def test_the_last_line_of_a_numbered_file_is_read_without_its_end_once_the_file_is_deleted(
    tmp_path: Path,
) -> None:
    append(tmp_path / "app.jsonl.1", lines(101, 103)[:-1])
    log = Counted(tmp_path, FORMS[0], kept=2)
    found = log.read()
    for _ in range(3):
        log.rotate()
        log.write(log.path)
        found += log.read()
    assert sorted(found) == [*range(1, 13), 101, 102, 103]


def test_files_that_pass_through_one_number_unread_have_names_of_their_own(tmp_path: Path) -> None:
    append(tmp_path / "app.jsonl.1", lines(101, 103))
    log = Counted(tmp_path, FORMS[0])
    log.read()
    log.rotate()
    log.write(log.path)
    log.following.again()
    for _ in range(2):
        log.rotate()
        log.write(log.path)
    found = log.following.named()
    assert sorted(number for _, number in found) == [*range(4, 13)]
    assert len({name for name, _ in found}) == 3
    log.following.again()
    assert log.read() == []
