"""Followed files on a file system of another machine, as far as it can be simulated."""

from __future__ import annotations

import os
from collections.abc import Callable
from errno import ESTALE
from pathlib import Path

import pytest

from tests.sources.files.following.rotations import (
    Following,
    append,
    lines,
    rename_with_a_counter,
)


def told_otherwise(
    monkeypatch: pytest.MonkeyPatch, path: Path, says: Callable[[os.stat_result], os.stat_result]
) -> None:
    """Let the status of a file, where it is open now, be another one."""
    fstat, inode = os.fstat, path.stat().st_ino
    is_open = {int(fd) for fd in os.listdir("/proc/self/fd")}

    def told(fd: int) -> os.stat_result:
        status = fstat(fd)
        return says(status) if fd in is_open and status.st_ino == inode else status

    monkeypatch.setattr(os, "fstat", told)


def test_a_size_that_lags_behind_what_was_read_is_no_truncation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]

    def smaller(status: os.stat_result) -> os.stat_result:
        return os.stat_result([*status[:6], status.st_size // 2, *status[7:10]], {"st_mtime_ns": 1})

    told_otherwise(monkeypatch, path, smaller)
    assert following.named() == []
    append(path, lines(4, 4))
    assert following.named() == [("app.jsonl", 4)]
    following.again()
    assert following.named() == []


@pytest.mark.parametrize("is_late", [False, True])
def test_a_file_that_another_machine_has_deleted_does_not_end_the_job(
    is_late: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    rename_with_a_counter(path)
    append(path, lines(4, 4))
    if is_late:
        assert following.named() == [("app.jsonl~2", 4)]

    def stale(status: os.stat_result) -> os.stat_result:
        raise OSError(ESTALE, "Stale file handle")

    told_otherwise(monkeypatch, tmp_path / "app.jsonl.1", stale)
    (tmp_path / "app.jsonl.1").unlink()
    assert not following.is_still()
    append(path, lines(5, 5))
    expected = [("app.jsonl~2", 5)] if is_late else [("app.jsonl~2", 4), ("app.jsonl~2", 5)]
    assert following.named() == expected
    following.again()
    assert following.named() == []
