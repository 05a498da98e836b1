"""Quiet followed logs: files of a few lines, or none, that are rotated, compressed and deleted."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.model.errors import StateError
from pipeline.sources.files.reading import birth
from pipeline.sources.files.reading.birth import born_ns
from tests.sources.files.following.rotations import (
    ROTATIONS,
    Following,
    append,
    copy_and_truncate,
    line,
    lines,
    rename_with_a_counter,
    rename_with_a_date,
)


def later(path: Path) -> None:
    """Let the clock of the file system go on: files made at once have one time."""
    tick = path.with_name("tick")
    tick.touch()
    began = os.stat(tick).st_mtime_ns
    while os.stat(tick).st_mtime_ns == began:
        tick.touch()


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_the_next_start_goes_on_where_a_file_was_read_out_rotated_and_deleted(
    tmp_path: Path, rotate: Callable[[Path], None], is_there: bool
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    rotate(path)
    path.touch()
    if not is_there:
        path.unlink()
    assert following.read() == []
    next(file for file in tmp_path.iterdir() if file != path).unlink()
    for _ in range(2):
        following.again()
        assert following.read() == []
    append(path, lines(6, 7))
    following.again()
    assert following.named() == [("app.jsonl~2", 6), ("app.jsonl~2", 7)]


def test_what_was_rotated_after_the_deleted_file_is_read_first(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    path.rename(tmp_path / "app.jsonl.2")
    path.touch()
    assert following.read() == []
    later(path)
    append(path, line(6))
    rename_with_a_counter(path)
    (tmp_path / "app.jsonl.2").unlink()
    append(path, line(7))
    following.again()
    assert following.named() == [("app.jsonl~2", 6), ("app.jsonl~3", 7)]


def test_a_file_that_was_deleted_before_it_was_read_out_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.step() == [1, 2, 3, 4, 5]
    append(path, lines(6, 6))  # nobody has seen it
    rename_with_a_counter(path)
    (tmp_path / "app.jsonl.1").unlink()
    path.touch()
    with pytest.raises(StateError, match="0 bytes"):
        following.again()


def test_what_was_written_late_to_a_file_that_was_read_out_is_read_after_the_start(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    rename_with_a_counter(path)
    path.touch()
    assert following.read() == []
    append(tmp_path / "app.jsonl.1", lines(6, 6))
    following.again()
    assert following.named() == [("app.jsonl", 6)]


def test_the_last_line_of_a_deleted_file_is_read_without_its_end(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3).removesuffix(b"\n"))
    following = Following(path)
    assert following.read() == [1, 2]
    rename_with_a_counter(path)
    path.touch()
    assert following.read() == []
    (tmp_path / "app.jsonl.1").unlink()
    assert following.read() == [3]
    following.again()
    append(path, line(4))
    assert following.named() == [("app.jsonl~2", 4)]


@pytest.mark.parametrize("given", ["", "app*"])
@pytest.mark.parametrize("pack", [False, True])
def test_a_rotated_file_of_few_bytes_is_not_read_again(tmp_path: Path, given: str, pack: bool) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(line(1) + line(2))
    following = Following(tmp_path / given)
    assert following.read() == [1, 2]
    for number in range(3, 9, 2):
        old = path.rename(tmp_path / f"app-{number}.jsonl")
        path.write_bytes(line(number) + line(number + 1))
        assert following.read() == [number, number + 1]
        if pack:
            (tmp_path / f"{old.name}.gz").write_bytes(gzip.compress(old.read_bytes()))
            old.unlink()
        following.again()
        assert following.read() == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_numbered_files_of_few_bytes_are_each_read_once(
    tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    end = "" if pack is bytes else ".gz"
    path = tmp_path / "app.jsonl"
    append(path, line(1))
    following = Following(tmp_path / "app*")
    assert following.read() == [1]
    for number in range(2, 8):
        for old in (5, 4, 3, 2, 1):
            if (file := tmp_path / f"app.jsonl.{old}{end}").exists():
                file.rename(tmp_path / f"app.jsonl.{old + 1}{end}")
        (tmp_path / f"app.jsonl.1{end}").write_bytes(pack(path.read_bytes()))
        path.unlink()
        append(path, line(number))
        following.again()
        assert following.read() == [number]


def test_a_copy_of_few_bytes_has_what_was_not_read_before_the_file_was_truncated(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, line(1))
    following = Following(tmp_path / "app*")
    assert following.read() == [1]
    append(path, line(2))
    copy_and_truncate(path)
    append(path, line(3))
    assert sorted(following.read()) == [2, 3]


@pytest.mark.parametrize("torn", [b"", line(1)[:20]])
@pytest.mark.parametrize("rotate", [rename_with_a_counter, rename_with_a_date, copy_and_truncate])
def test_a_file_of_which_nothing_was_read_is_rotated_while_no_job_runs(
    tmp_path: Path, rotate: Callable[[Path], None], torn: bytes
) -> None:
    path = tmp_path / "app.jsonl"
    append(path, torn)
    following = Following(path)
    assert following.read() == []
    following.position = following._recording.position
    later(path)
    append(path, line(1)[len(torn) :] + line(2))
    rotate(path)
    append(path, line(3))
    following.again()
    assert following.named() == [("app.jsonl", 1), ("app.jsonl", 2), ("app.jsonl~2", 3)]


def test_the_next_file_begins_with_the_lines_of_the_last_one(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, line(1))
    following = Following(path)
    assert following.read() == [1]
    append(path, line(2))
    rename_with_a_counter(path)
    append(path, line(1) + line(3))  # as long, and nothing else tells them apart
    following.again()
    assert following.named() == [("app.jsonl", 2), ("app.jsonl~2", 1), ("app.jsonl~2", 3)]


def test_of_several_compressed_files_none_waits_for_a_line_of_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    for number in (2, 1):
        later(path)
        packed = tmp_path / f"app.jsonl.{number}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()) if number == 2 else gzip.compress(lines(4, 5)))
    path.unlink()
    path.touch()
    assert following.read() == [4, 5]


def test_an_old_file_that_is_being_compressed_is_not_the_next_one(tmp_path: Path) -> None:
    old = tmp_path / "app.jsonl.1"
    append(old, lines(1, 3))
    path = tmp_path / "app.jsonl"
    later(path)
    append(path, lines(4, 5))
    following = Following(path)
    assert following.read() == [4, 5]
    old.rename(tmp_path / "app.jsonl.2")
    rename_with_a_counter(path)
    path.touch()
    later(path)
    (tmp_path / "app.jsonl.2.gz").write_bytes(gzip.compress(lines(1, 3)))  # its time is not set yet
    assert following.read() == []


def test_positions_of_older_versions_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    assert following.position is not None
    version, count, places = following.position
    following._recording.close()
    following.position = (version, count, tuple(place[:11] for place in places))
    following._recording = following._begin()
    append(path, line(4))
    rename_with_a_counter(path)
    append(path, line(5))
    assert following.named() == [("app.jsonl", 4), ("app.jsonl~2", 5)]


def test_the_birth_of_a_file_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.touch()
    born = born_ns(str(path))
    if not born:
        pytest.skip("the file system does not say when a file was made")
    later(path)
    append(path, b"x")
    path = path.rename(tmp_path / "b")
    with path.open("rb") as file:
        assert born_ns(str(path)) == born_ns(file.fileno()) == born
    shutil.copy(path, tmp_path / "c")
    assert born_ns(str(tmp_path / "c")) > born
    assert born_ns(str(tmp_path / "none")) == 0
    monkeypatch.setattr(birth, "_STATX", None)
    assert born_ns(str(path)) == 0


@pytest.mark.parametrize("size", [0, 400])
def test_a_file_that_was_found_rotated_is_known_when_it_is_compressed_under_its_next_number(
    tmp_path: Path, size: int
) -> None:
    path, first, second = tmp_path / "app.jsonl", tmp_path / "app.jsonl.1", tmp_path / "app.jsonl.2.gz"
    append(path, line(1, size))
    following = Following(tmp_path / "app*")
    assert following.read() == [1]
    rename_with_a_counter(path)
    append(path, line(2, size) + line(3, size) + line(4, size))
    first.rename(tmp_path / "app.jsonl.2")
    rename_with_a_counter(path)
    append(path, line(5, size))
    following.again()
    assert {*following.named()} == {*(("app.jsonl.1", number) for number in (2, 3, 4)), ("app.jsonl~2", 5)}
    (tmp_path / "app.jsonl.2").unlink()
    second.write_bytes(gzip.compress(first.read_bytes()))
    first.unlink()
    rename_with_a_counter(path)
    append(path, line(6, size))
    assert following.read() == [6]
