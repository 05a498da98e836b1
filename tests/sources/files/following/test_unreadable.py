"""Followed files that this user may not read, for now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.model.errors import Fatal
from pipeline.sources.files.recording import Recording
from tests.sources.files.following.rotations import Following, append, lines

NOBODY = 65_534


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that is the working directory of somebody who is not root."""
    here, uid = os.getcwd(), os.geteuid()
    os.chdir(tmp_path)
    if uid == 0:
        os.chown(tmp_path, NOBODY, -1)
        os.seteuid(NOBODY)  # root may read everything
    yield Path()
    os.seteuid(uid)
    os.chdir(here)


def test_a_file_that_takes_the_name_is_read_once_it_may_be(folder: Path) -> None:
    path = folder / "app.jsonl"
    append(path, lines(1, 2))
    following = Following(path)
    assert following.read() == [1, 2]
    path.rename(folder / "app.jsonl.1")
    append(path, lines(3, 3))
    path.chmod(0)  # logrotate gives a new file to its readers after it has made it
    assert following.read() == []
    path.chmod(0o644)
    assert following.named() == [("app.jsonl~2", 3)]


def test_one_file_of_a_folder_keeps_no_other_waiting(folder: Path) -> None:
    append(folder / "a.jsonl", lines(1, 1))
    append(folder / "b.jsonl", lines(2, 2))
    (folder / "b.jsonl").chmod(0)
    following = Following(folder)
    assert following.read() == [1]
    append(folder / "a.jsonl", lines(3, 3))
    assert following.read() == [3]
    (folder / "b.jsonl").chmod(0o644)
    assert following.read() == [2]


def test_one_that_is_given_itself_is_an_error_at_the_start(folder: Path) -> None:
    append(folder / "a.jsonl", lines(1, 1))
    (folder / "a.jsonl").chmod(0)
    with pytest.raises(Fatal, match=r"a\.jsonl: cannot be read: Permission denied"):
        Recording(["a.jsonl"], follow=True)
