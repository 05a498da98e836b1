"""Followed files that are rotated, cut off, replaced, compressed: each line is read once, or it is said."""

from __future__ import annotations

import gzip
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.model.errors import ConfigError, StateError
from pipeline.sources.chunk import Position
from pipeline.sources.files.reading import lives
from pipeline.sources.files.recording import RESCAN_SECS, Recording


def line(number: int, filler: int = 0) -> bytes:
    return b'{"type":"event","id":"%d","name":"E","user_id":"u","properties":{"x":"%b"}}\n' % (
        number,
        b"-" * filler,
    )


def lines(first: int, last: int) -> bytes:
    """Return lines with so much text that a few of them tell a file from others."""
    return b"".join(line(number, 400) for number in range(first, last + 1))


def append(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def number_of(text: bytes | None) -> int:
    return int(orjson.loads(text or b"")["id"])


class Following:
    """A followed recording, begun anew where it stood as often as is wanted."""

    def __init__(self, *paths: Path, follow: bool = True) -> None:
        self._paths = [str(path) for path in paths]
        self.follow = follow
        self._now = 0.0
        self.position: Position | None = None
        self._recording = self._begin()

    def _begin(self) -> Recording:
        return Recording(self._paths, follow=self.follow, resume=self.position, clock=lambda: self._now)

    def again(self) -> None:
        """Begin anew."""
        if self.position is not None:
            self.position = self._recording.position
        self._recording.close()
        self._recording = self._begin()

    def read(self) -> list[int]:
        """Return the numbers of what is there now."""
        return [number for _, number in self.named()]

    def step(self) -> list[int]:
        """Return the numbers of the next lines that are there, of one file."""
        while (chunk := self._recording.read(100)) is None:
            pass
        self.position = chunk.position
        return [number_of(text) for text in chunk.lines]

    def named(self) -> list[tuple[str, int]]:
        """Return what is there now: what its file is called, and its number."""
        found = []
        for _ in range(4):
            self._now += RESCAN_SECS + 0.1
            while (chunk := self._recording.read(100)) is not None:
                assert not chunk.faults
                self.position = chunk.position
                names = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
                found += [(name, number_of(text)) for name, text in zip(names, chunk.lines, strict=True)]
        return found


def rename_with_a_counter(path: Path) -> None:
    path.rename(path.with_name(path.name + ".1"))


def rename_with_a_date(path: Path) -> None:
    path.rename(path.with_name(f"{path.stem}-20261129{path.suffix}"))


def copy_and_truncate(path: Path) -> None:
    shutil.copy(path, path.with_name(path.name + ".1"))
    os.truncate(path, 0)


def compress_and_truncate(path: Path) -> None:
    path.with_name(path.name + "-20261129.gz").write_bytes(gzip.compress(path.read_bytes()))
    os.truncate(path, 0)


ROTATIONS = (rename_with_a_counter, rename_with_a_date, copy_and_truncate, compress_and_truncate)


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


def test_a_finished_file_that_was_compressed_or_renamed_is_not_read_again(tmp_path: Path) -> None:
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(lines(1, 5))
    other.write_bytes(lines(6, 9))
    run = Following(tmp_path, follow=False)
    assert len(run.read()) == 9
    path.with_name("a.jsonl.gz").write_bytes(gzip.compress(path.read_bytes() + lines(10, 10)))
    path.unlink()
    other.rename(tmp_path / "c.jsonl")
    run.again()
    assert run.named() == [("a.jsonl", 10)]
    run.again()
    assert run.read() == []


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


def test_short_files_that_begin_alike_are_different_ones(tmp_path: Path) -> None:
    following = Following(tmp_path)
    for number in range(1, 4):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(line(7))
        assert following.named() == [(path.name, 7)]
        path.unlink()  # the next one may get its inode
        following.again()


def test_a_file_with_several_names_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "b.jsonl"
    path.write_bytes(line(1))
    (tmp_path / "current.jsonl").symlink_to("b.jsonl")
    (tmp_path / "a.jsonl").symlink_to("b.jsonl")
    (tmp_path / "z.jsonl").hardlink_to(path)
    assert Following(tmp_path, follow=False).named() == [("b.jsonl", 1)]
    following = Following(tmp_path / "current.jsonl")
    assert following.named() == [("current.jsonl", 1)]
    both = Following(tmp_path / "current.jsonl", path, follow=False)
    assert both.named() == [("b.jsonl", 1)]
    with pytest.raises(ConfigError, match="for events and for users"):
        Recording(events=[str(path)], users=[str(tmp_path / "current.jsonl")])


def test_a_link_that_leads_to_the_next_file_is_followed(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"{number}.jsonl").write_bytes(lines(number, number))
    link = tmp_path / "current"
    link.symlink_to("1.jsonl")
    following = Following(link)
    assert following.named() == [("current", 1)]
    link.unlink()
    link.symlink_to("2.jsonl")
    assert following.named() == [("current~2", 2)]


def test_a_file_that_is_written_anew_with_what_was_read_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    for last in (4, 5):  # as rsync does
        new = tmp_path / ".app.jsonl.x"
        new.write_bytes(lines(1, last))
        new.replace(path)
        assert following.named() == [("app.jsonl", last)]


def test_the_file_after_a_compressed_one_is_known_by_its_own_beginning(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    append(path, lines(6, 9))
    compress_and_truncate(path)
    append(path, lines(10, 30))
    following.again()
    assert following.read() == list(range(6, 31))
    append(path, lines(31, 33))
    rename_with_a_counter(path)
    append(path, lines(34, 80))
    following.again()
    assert following.read() == list(range(31, 81))


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


@pytest.mark.parametrize("follow", [False, True])
def test_a_file_that_ends_before_the_place_that_was_read_is_an_error(tmp_path: Path, follow: bool) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 9))
    following = Following(path, follow=follow)
    assert following.step() == list(range(1, 10))
    os.truncate(path, len(lines(1, 5)))
    with pytest.raises(StateError, match=r"it has \d+ bytes, \d+ of it were read"):
        following.again()


def test_a_torn_line_of_a_short_file_may_be_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(line(1) + line(2)[:25])
    following = Following(path)
    assert following.read() == [1]
    path.write_bytes(line(1) + line(3))
    following.again()
    assert following.read() == [3]


def test_a_short_file_is_known_by_what_was_read_of_it_when_it_is_compressed(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 1))
    following = Following(path)
    assert following.read() == [1]
    append(path, lines(2, 4))
    (tmp_path / "app.jsonl.1.gz").write_bytes(gzip.compress(path.read_bytes(), 0))
    os.truncate(path, 0)
    following.again()
    assert following.step() == [2, 3, 4]
    following.again()
    append(path, lines(5, 9))
    assert following.read() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("is_renamed", [False, True])
def test_a_next_file_that_only_begins_as_the_last_one_is_read_whole(tmp_path: Path, is_renamed: bool) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 9))
    following = Following(path)
    assert following.read() == list(range(1, 10))
    new = tmp_path / ".app.jsonl.x"
    if is_renamed:  # the old one has a name still: it is no other state of one file
        rename_with_a_counter(path)
        new.write_bytes(lines(1, 12))
        wanted = list(range(1, 13))
    else:
        new.write_bytes(lines(1, 8) + lines(10, 12))
        wanted = [*range(1, 9), 10, 11, 12]
    new.replace(path)
    assert following.named() == [("app.jsonl~2", number) for number in wanted]


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


@pytest.mark.parametrize("size", [1, 9])
def test_a_file_that_was_cut_off_and_has_no_copy_is_an_error_that_says_what_to_do(
    tmp_path: Path, size: int
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    shutil.copy(path, tmp_path / "kept.jsonl")  # under no name that rotation gives
    os.truncate(path, 0)
    append(path, lines(11, 10 + size))
    with pytest.raises(StateError, match="no copy of it lies beside it"):
        following.read()
    with pytest.raises(StateError, match="put the old file back"):
        following.again()


def test_nothing_was_read_of_a_file_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(b'{"half')
    following = Following(path)
    assert following.read() == []
    os.truncate(path, 0)
    assert following.read() == []
    append(path, lines(1, 2))
    assert following.named() == [("app.jsonl", 1), ("app.jsonl", 2)]


def test_a_hole_before_the_first_line_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    with path.open("wb", buffering=0) as writer:
        writer.write(lines(1, 300))
        following = Following(path)
        assert following.read() == [*range(1, 301)]
        copy_and_truncate(path)
        writer.write(lines(301, 302))  # where it stood: it does not append
        assert following.named() == [("app.jsonl~2", 301), ("app.jsonl~2", 302)]


def test_a_folder_that_has_the_name_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 1))
    following = Following(path)
    assert following.read() == [1]
    rename_with_a_counter(path)
    path.mkdir()
    (path / "b.jsonl").touch()
    assert following.read() == []
    append(tmp_path / "app.jsonl.1", lines(2, 2))
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


def test_a_file_that_was_read_and_is_compressed_later_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(path)
    assert following.read() == [1, 2, 3, 4, 5]
    rename_with_a_counter(path)
    path.write_bytes(lines(6, 9))
    assert following.read() == [6, 7, 8, 9]
    path.rename(tmp_path / "app.jsonl.2")
    # Not as gzip does it, which keeps the time: it is the last one that was written.
    (tmp_path / "app.jsonl.1.gz").write_bytes(gzip.compress((tmp_path / "app.jsonl.1").read_bytes()))
    path.write_bytes(lines(10, 12))
    assert following.named() == [("app.jsonl~3", number) for number in (10, 11, 12)]


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
