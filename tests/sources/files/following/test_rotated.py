"""Followed files that are rotated, cut off, replaced, compressed: each line is read once, or it is said."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources.files.reading import lives
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


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_rotated_file_is_read_to_its_end_and_then_the_next_one(
    tmp_path: Path, rotate: Callable[[Path], None], is_stopped: bool, in_folder: bool
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(tmp_path if in_folder else path)
    assert following.read() == [1, 2, 3, 4, 5]
    append(path, lines(6, 9))
    rotate(path)
    # Longer than what was read: a look at the size tells nothing.
    append(path, lines(10, 30))
    if is_stopped:
        following.again()
    assert following.named() == [
        *(("app.jsonl", number) for number in range(6, 10)),
        *(("app.jsonl~2", number) for number in range(10, 31)),
    ]
    following.again()
    assert following.read() == []
    append(path, lines(31, 31))
    assert following.named() == [("app.jsonl~2", 31)]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_several_rotations_that_nobody_has_seen_lose_nothing(tmp_path: Path, is_stopped: bool) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    append(path, lines(6, 6))
    path.rename(tmp_path / "app.jsonl.2")
    (tmp_path / "app.jsonl.1").write_bytes(lines(7, 9))
    (tmp_path / "app.jsonl.lock").write_bytes(b"no rotated file\n")
    path.write_bytes(lines(10, 12))
    if is_stopped:
        following.again()
    assert following.named() == [
        ("app.jsonl", 6),
        *(("app.jsonl~2", number) for number in (7, 8, 9)),
        *(("app.jsonl~3", number) for number in (10, 11, 12)),
    ]
    rename_with_a_date(path)
    path.write_bytes(lines(13, 13))
    assert following.named() == [("app.jsonl~4", 13)]


@pytest.mark.parametrize(
    ("given", "name"), [("app.jsonl", "app.jsonl"), ("", "app.jsonl"), ("*.log", "app.log")]
)
def test_several_rotations_under_names_as_the_first_one_s_lose_and_repeat_nothing(
    tmp_path: Path, given: str, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(b"".join(map(line, range(1, 6))))
    following = Following(tmp_path / given)
    assert following.read() == [1, 2, 3, 4, 5]
    append(path, line(6))
    for day, written in ((28, line(7)), (29, line(8))):
        rotated = path.rename(tmp_path / f"{path.stem}-202611{day}{path.suffix}")
        os.utime(rotated, ns=(0, day))
        path.write_bytes(written)
    assert sorted(following.read()) == [6, 7, 8]


@pytest.mark.parametrize(("is_stopped", "is_gone"), [(False, False), (True, False), (False, True)])
def test_of_several_rotations_nothing_waits_for_a_line_of_the_newest_file(
    tmp_path: Path, is_stopped: bool, is_gone: bool
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    path.rename(tmp_path / "app.jsonl.1")
    path.touch()
    assert following.read() == []
    append(path, lines(6, 8))
    os.utime(path, ns=(0, os.stat(tmp_path / "app.jsonl.1").st_mtime_ns + 1))
    path.rename(tmp_path / "app.jsonl.2")
    if not is_gone:
        path.touch()
    if is_stopped:
        following.again()
    assert following.read() == [6, 7, 8]
    append(path, lines(9, 9))
    assert following.named() == [("app.jsonl~3", 9)]


def test_who_writes_on_after_the_file_was_renamed_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 1))
    following = Following(path)
    assert following.read() == [1]
    with path.open("ab", buffering=0) as old:
        rename_with_a_counter(path)
        path.touch()  # as logrotate's `create` does; the writer is told afterwards
        assert following.read() == []
        old.write(lines(2, 2))
        assert following.read() == [2]
        old.write(lines(3, 3) + line(4).rstrip(b"\n"))
        append(path, lines(5, 5))
        assert following.read() == [3, 4, 5]


@pytest.mark.parametrize("is_stopped", [False, True])
def test_what_is_compressed_in_a_folder_is_not_read_again(tmp_path: Path, is_stopped: bool) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(tmp_path)
    assert following.read() == [1, 2, 3, 4, 5]
    rename_with_a_date(path)
    path.write_bytes(lines(6, 6))
    assert following.read() == [6]
    rotated = tmp_path / "app-20261129.jsonl"
    packed = gzip.compress(rotated.read_bytes())
    growing = tmp_path / "app-20261129.jsonl.gz"
    growing.write_bytes(packed[:40])
    assert following.read() == []
    growing.write_bytes(packed)
    assert following.read() == []
    rotated.unlink()
    if is_stopped:
        following.again()
    assert following.read() == []
    (tmp_path / "app-20261130.jsonl.gz").write_bytes(gzip.compress(lines(7, 9)))
    assert following.read() == [7, 8, 9]


def test_a_next_file_that_comes_after_the_restart_repeats_nothing_of_the_renamed_one(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(tmp_path)
    assert following.read() == [1, 2, 3, 4, 5]
    append(path, lines(6, 9))
    rename_with_a_date(path)
    following.again()  # finds the renamed file alone
    append(path, lines(10, 12))
    assert sorted(following.named()) == [
        *(("app.jsonl", number) for number in range(6, 10)),
        *(("app.jsonl~2", number) for number in range(10, 13)),
    ]
    append(path, line(13))
    following.again()
    assert following.named() == [("app.jsonl~2", 13)]


def test_a_file_that_was_read_to_its_end_is_followed_when_that_is_asked_for_later(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path, follow=False)
    assert following.read() == [1, 2, 3]
    following.follow = True
    following.again()
    assert following.read() == []
    append(path, lines(4, 5))
    assert following.read() == [4, 5]


def test_a_file_that_is_being_compressed_is_read_from_its_original(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    append(path, lines(6, 9))
    rename_with_a_counter(path)
    half = gzip.compress(lines(1, 6))
    (tmp_path / "app.jsonl.1.gz").write_bytes(half)
    path.write_bytes(lines(10, 12))
    following.again()
    assert following.read() == list(range(6, 13))


def test_a_followed_file_may_go_and_come_again(tmp_path: Path) -> None:
    for pattern in ("app.jsonl", "*.jsonl"):
        path = tmp_path / "app.jsonl"
        path.write_bytes(lines(1, 1))
        following = Following(tmp_path / pattern)
        assert following.read() == [1]
        path.unlink()
        assert following.read() == []
        path.write_bytes(lines(2, 2))
        assert following.read() == [2]


def test_of_many_rotations_the_last_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lives, "MOST_KEPT", 3)
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 1))
    following = Following(path)
    assert following.read() == [1]
    for number in range(2, 9):
        path.rename(tmp_path / f"app.jsonl.{number}")
        path.write_bytes(lines(number, number))
        assert following.named() == [(f"app.jsonl~{number}", number)]
    assert following.position is not None
    kept = [place[0] for place in following.position[2] if str(place[0]).startswith("app.jsonl~")]
    assert kept == ["app.jsonl~6", "app.jsonl~7", "app.jsonl~8"]
    following.again()
    assert following.read() == []


def test_two_followed_files_are_each_rotated(tmp_path: Path) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    for number, path in enumerate(paths):
        path.write_bytes(lines(10 * number, 10 * number + 2))
    following = Following(*paths)
    assert sorted(following.read()) == [0, 1, 2, 10, 11, 12]
    for number, path in enumerate(paths):
        append(path, lines(10 * number + 3, 10 * number + 4))
        rename_with_a_counter(path)
        path.write_bytes(lines(10 * number + 5, 10 * number + 6))
    assert set(following.named()) == {
        *((f"{name}.jsonl", number) for name, number in (("a", 3), ("a", 4), ("b", 13), ("b", 14))),
        *((f"{name}.jsonl~2", number) for name, number in (("a", 5), ("a", 6), ("b", 15), ("b", 16))),
    }


@pytest.mark.parametrize("rotate", ROTATIONS)
def test_a_stamp_far_ahead_looks_into_no_other_file(tmp_path: Path, rotate: Callable[[Path], None]) -> None:
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]

    def at(number: int, minute: int) -> bytes:
        return line(number, 400).replace(
            b'"name"', b'"time":"2026-11-29T%02d:%02d:00Z","name"' % divmod(minute, 60)
        )

    paths[0].write_bytes(b"".join(at(number, 0) for number in range(1, 5)))
    paths[1].write_bytes(at(101, 0))
    following = Following(*paths)
    assert sorted(following.read()) == [1, 2, 3, 4, 101]
    # Whether 6 is a time, a hundred lines after it decide: they are looked for.
    append(paths[0], at(5, 1) + at(6, 600))
    rotate(paths[0])
    append(paths[0], at(7, 2) + at(8, 3))
    append(paths[1], at(102, 700))
    assert sorted(following.named()) == [
        ("a.jsonl", 5), ("a.jsonl", 6), ("a.jsonl~2", 7), ("a.jsonl~2", 8), ("b.jsonl", 102),
    ]  # fmt: skip


@pytest.mark.parametrize("rotate", [rename_with_a_counter, copy_and_truncate])
def test_what_is_rotated_while_older_files_are_read_is_read_after_them(
    tmp_path: Path, rotate: Callable[[Path], None]
) -> None:
    path = tmp_path / "app.jsonl"

    def shift() -> None:
        for number in range(8, 0, -1):
            if (old := path.with_name(f"app.jsonl.{number}")).exists():
                old.rename(path.with_name(f"app.jsonl.{number + 1}"))
        rotate(path)

    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    append(path, lines(4, 5))
    following.again()
    for first in (6, 9, 12):
        shift()
        append(path, lines(first, first + 2))
    assert following.step() == [4, 5]
    shift()  # other names for the files that are still to be read, and one more
    append(path, lines(15, 17))
    found = [*following.named(), *following.named()]
    assert found == [(f"app.jsonl~{2 + at // 3}", 6 + at) for at in range(12)]


def test_a_followed_file_that_is_gone_when_the_job_starts_again_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    append(path, lines(4, 4))
    rename_with_a_counter(path)
    following.again()
    assert following.read() == []
    path.write_bytes(lines(5, 5))
    assert following.named() == [("app.jsonl", 4), ("app.jsonl~2", 5)]


def test_a_file_that_is_renamed_between_two_looks_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(tmp_path)
    assert following.read() == [1, 2, 3]
    other = tmp_path / "b.jsonl"
    other.write_bytes(lines(4, 4))
    stat = os.stat

    def gone(where: str, **given: Any) -> os.stat_result:
        found = stat(where, **given)
        if where == str(other) and sys._getframe(1).f_code.co_name == "_entry_of":
            other.rename(tmp_path / "c.jsonl")
        return found

    monkeypatch.setattr(os, "stat", gone)
    assert following.named() == [("c.jsonl", 4)]


def test_what_was_rotated_is_compressed_while_the_next_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    rename_with_a_counter(path)
    packed = gzip.compress((tmp_path / "app.jsonl.1").read_bytes())
    (tmp_path / "app.jsonl.1.gz").write_bytes(packed[:40])
    path.write_bytes(lines(6, 6))
    assert following.named() == [("app.jsonl~2", 6)]
