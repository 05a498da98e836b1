"""Followed files that are written late, lie elsewhere once they are rotated, or are overwritten then."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sources.files.following.rotations import (
    Following,
    append,
    copy_and_truncate,
    line,
    lines,
    rename_with_a_counter,
    rename_with_a_date,
)


@pytest.mark.parametrize("size", [0, 400])
@pytest.mark.parametrize("given", ["app.jsonl", "", "app*"])
@pytest.mark.parametrize("rotate", [rename_with_a_counter, rename_with_a_date])
def test_what_some_process_still_writes_to_the_rotated_file_is_read(
    tmp_path: Path, rotate: Callable[[Path], None], given: str, size: int
) -> None:
    path = tmp_path / "app.jsonl"
    append(path, line(1, size))
    following = Following(tmp_path / given)
    found = following.named()
    with path.open("ab", buffering=0) as late:
        rotate(path)
        append(path, line(2, size))
        found += following.named()
        for number in range(3, 9, 2):
            late.write(line(number, size))
            append(path, line(number + 1, size))
            if number == 5:
                following.again()
            found += following.named()
    assert sorted(number for _, number in found) == [*range(1, 9)]
    assert {number for name, number in found if name == "app.jsonl"} == {1, 3, 5, 7}
    following.again()
    assert following.read() == []


def test_of_rotated_files_only_the_last_is_watched_and_closed_once_it_is_deleted(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    following.read()

    def is_open() -> list[str]:
        links = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        return sorted(Path(link).name for link in links if link.startswith(str(tmp_path)))

    for day in range(10, 15):
        path.rename(tmp_path / f"app-202611{day}.jsonl")
        append(path, lines(day, day))
        assert following.read() == [day]
        assert is_open() == [f"app-202611{day}.jsonl", "app.jsonl"]
    (tmp_path / "app-20261114.jsonl").unlink()
    following.read()
    assert is_open() == ["app.jsonl"]


def test_a_rotated_file_that_is_truncated_later_ends_nothing(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    following.read()
    rename_with_a_counter(path)
    append(path, lines(4, 5))
    assert following.read() == [4, 5]
    os.truncate(tmp_path / "app.jsonl.1", 0)
    append(path, lines(6, 6))
    assert following.read() == [6]
    assert following.is_still()


def shred(path: Path) -> None:
    """Overwrite a file and delete it, as logrotate's `shred` does; it has whole blocks then."""
    path.write_bytes(os.urandom(path.stat().st_size + 4096))
    path.rename(path.with_name("0"))
    path.with_name("0").unlink()


@pytest.mark.parametrize("looks", [False, True])
@pytest.mark.parametrize("given", ["app.jsonl", "app*"])
def test_a_rotated_file_that_is_overwritten_before_it_is_deleted_ends_nothing(
    tmp_path: Path, given: str, looks: bool
) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(tmp_path / given)
    assert following.read() == [1, 2, 3]
    old = tmp_path / "app.jsonl.1"
    path.rename(old)
    path.touch()
    assert following.read() == []
    if looks:
        old.write_bytes(os.urandom(4096))
        assert following.read() == []
    shred(old)
    append(path, lines(4, 5))
    assert following.read() == [4, 5]
    following.again()
    assert following.read() == []


def test_what_was_read_of_a_rotated_file_is_handed_out_though_it_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, line(1))
    following = Following(path)
    assert following.read() == [1]
    rename_with_a_counter(path)
    append(path, line(2))
    assert following.read() == [2]
    append(tmp_path / "app.jsonl.1", b"".join(map(line, range(3, 303))))
    assert following.step() == [*range(3, 103)]
    shred(tmp_path / "app.jsonl.1")
    assert following.read() == [*range(103, 303)]


@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("is_new_container", [False, True])
def test_the_log_of_a_container_is_rotated_where_the_link_leads(
    tmp_path: Path, is_stopped: bool, is_new_container: bool
) -> None:
    pod = tmp_path / "pods" / "shop" / "app"
    pod.mkdir(parents=True)
    (tmp_path / "containers").mkdir()
    log, link = pod / "0.log", tmp_path / "containers" / "app.log"
    link.symlink_to(log)
    append(log, lines(1, 3))
    following = Following(link)
    assert following.read() == [1, 2, 3]
    append(log, lines(4, 5))
    if is_new_container:
        append(pod / "1.log", lines(6, 7))
        link.unlink()
        link.symlink_to(pod / "1.log")
    else:
        log.rename(pod / "0.log.20261130-100000")
        append(log, lines(6, 7))
    if is_stopped:
        following.again()
    assert following.named() == [("app.log", 4), ("app.log", 5), ("app.log~2", 6), ("app.log~2", 7)]


def test_several_rotations_of_a_containers_log_that_nobody_has_seen_lose_nothing(tmp_path: Path) -> None:
    (tmp_path / "pod").mkdir()
    log, link = tmp_path / "pod" / "0.log", tmp_path / "app.log"
    link.symlink_to(log)
    append(log, lines(1, 3))
    following = Following(link)
    assert following.read() == [1, 2, 3]
    packed = tmp_path / "pod" / "0.log.20261130-100000.gz"
    packed.write_bytes(gzip.compress(lines(1, 4)))
    at = os.stat(log).st_mtime_ns
    os.utime(packed, ns=(at, at))
    os.utime(log.rename(log.with_name("0.log.20261130-110000")), ns=(at + 1, at + 1))
    log.with_name("0.log.20261130-110000").write_bytes(lines(5, 6))
    append(log, lines(7, 8))
    following.again()
    assert following.read() == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("given", ["app.jsonl", "**/app.jsonl*"])
@pytest.mark.parametrize("is_stopped", [False, True])
@pytest.mark.parametrize("rotate", [rename_with_a_counter, copy_and_truncate])
def test_rotated_files_are_in_a_folder_of_their_own(
    tmp_path: Path, rotate: Callable[[Path], None], is_stopped: bool, given: str
) -> None:
    old = tmp_path / "old"  # logrotate's `olddir`
    old.mkdir()
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(tmp_path / given)
    assert following.read() == [1, 2, 3]
    append(path, lines(4, 5))
    rotate(path)
    shutil.move(tmp_path / "app.jsonl.1", old / "app.jsonl.1")
    append(path, lines(6, 7))
    if is_stopped:
        following.again()
    assert sorted(following.read()) == [4, 5, 6, 7]
    following.again()
    assert following.read() == []


def test_a_file_of_that_name_in_another_folder_is_not_the_next_one(tmp_path: Path) -> None:
    other = tmp_path / "worker"
    other.mkdir()
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    append(other / "app.jsonl.1", lines(11, 13))
    rename_with_a_counter(path)
    append(path, lines(4, 5))
    following.again()
    assert following.read() == [4, 5]


def test_an_older_file_to_which_somebody_still_writes_is_no_copy_of_an_empty_one(tmp_path: Path) -> None:
    old = tmp_path / "app.jsonl.1"
    append(old, lines(1, 3))
    path = tmp_path / "app.jsonl"
    path.touch()
    following = Following(path)
    assert following.read() == []
    following.position = following._recording.position
    append(old, lines(4, 4))
    append(path, lines(5, 5))
    following.again()
    assert following.named() == [("app.jsonl", 5)]


def test_a_rotated_file_that_is_cut_off_while_no_job_runs_ends_no_start(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 9))
    following = Following(path)
    following.read()
    rename_with_a_counter(path)
    append(path, lines(10, 11))
    assert following.read() == [10, 11]
    os.truncate(tmp_path / "app.jsonl.1", len(lines(1, 5)))
    following.again()
    append(path, lines(12, 12))
    assert following.read() == [12]


def test_a_file_that_was_away_for_an_instant_may_be_truncated_as_any(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    away = path.rename(tmp_path / "away")
    assert following.read() == []
    away.rename(path)
    copy_and_truncate(path)
    append(path, lines(4, 4))
    assert following.read() == [4]


@pytest.mark.parametrize("comes", ["in the first run", "in a later run", "between two"])
def test_a_file_of_another_pattern_whose_path_ends_alike_changes_no_names(comes: str, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "p" / "x.jsonl", tmp_path / "b" / "p" / "x.jsonl"
    first.parent.mkdir(parents=True)
    append(first, lines(1, 1))
    following = Following(tmp_path / "a/*/x.jsonl", tmp_path / "b/*/x.jsonl")
    assert following.named() == [("p/x.jsonl", 1)]
    if comes == "in a later run":
        following.again()
    second.parent.mkdir(parents=True)
    append(second, lines(2, 2))
    if comes == "between two":
        rename_with_a_counter(first)
        append(first, lines(3, 3))
        following.again()
        assert following.named() == [("b/p/x.jsonl", 2), ("p/x.jsonl~2", 3)]
    else:
        assert following.named() == [("b/p/x.jsonl", 2)]
    following.again()
    append(first, lines(4, 4))
    append(second, lines(5, 5))
    life = "~2" if comes == "between two" else ""
    assert sorted(following.named()) == [("b/p/x.jsonl", 5), (f"p/x.jsonl{life}", 4)]
