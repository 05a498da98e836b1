"""Which file is which: one is known by its beginning, whatever it is called, and read once."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest

from pipeline.model.errors import ConfigError, StateError
from pipeline.sources.files.recording import Recording
from tests.sources.files.following.rotations import (
    Following,
    append,
    compress_and_truncate,
    copy_and_truncate,
    line,
    lines,
    number_of,
    rename_with_a_counter,
)
from tests.sources.files.reads import read_all


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


def test_short_files_that_begin_alike_are_different_ones(tmp_path: Path) -> None:
    following = Following(tmp_path)
    for number in range(1, 4):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(line(7))
        assert following.named() == [(path.name, 7)]
        path.unlink()  # the next one may get its inode
        following.again()


@pytest.mark.parametrize("follow", [True, False])
def test_folders_of_a_pattern_may_come_and_go(tmp_path: Path, follow: bool) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0/app.jsonl").write_bytes(line(0))
    run = Following(tmp_path / "*/app.jsonl", follow=follow)
    assert run.named() == [("0/app.jsonl", 0)]
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "app.jsonl").write_bytes(line(number))
        run.again()
        assert run.named() == [(f"{number}/app.jsonl", number)]
        (folder / "app.jsonl").unlink()
        folder.rmdir()


def test_a_given_file_that_is_made_later_changes_no_name(tmp_path: Path) -> None:
    first, later = tmp_path / "a/app.jsonl", tmp_path / "b/app.jsonl"
    for number, path in enumerate((first, later)):
        path.parent.mkdir()
        if path == first:
            path.write_bytes(line(number))
    run = Following(first, later)
    assert run.named() == [("a/app.jsonl", 0)]
    later.write_bytes(line(1))
    assert run.named() == [("b/app.jsonl", 1)]
    first.unlink()
    run.again()
    assert run.named() == []


@pytest.mark.parametrize("last", [50, 1])
@pytest.mark.parametrize("is_copy", [False, True])
@pytest.mark.parametrize("follow", [True, False])
def test_a_file_that_was_known_by_its_name_alone_keeps_it(
    tmp_path: Path, follow: bool, is_copy: bool, last: int
) -> None:
    path = tmp_path / "one/app.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines(1, last))
    before = Recording([str(path)], follow=follow)
    assert before.read(10) is not None
    before.close()
    other = tmp_path / "new/app.jsonl"
    other.parent.mkdir()
    other.write_bytes(lines(60, 61))
    if is_copy:
        shutil.copytree(path.parent, tmp_path / "copy")
        shutil.rmtree(path.parent)
    reader = Recording([str(tmp_path / "*/app.jsonl")], follow=follow, resume=before.position)
    found = []
    while (chunk := reader.read(99)) is not None:
        names = chunk.sources if isinstance(chunk.sources, list) else [chunk.sources] * len(chunk)
        found += [(name, number_of(text)) for name, text in zip(names, chunk.lines, strict=True)]
    reader.close()
    rest = [("app.jsonl", number) for number in range(11, last + 1)]
    assert sorted(found) == [*rest, ("new/app.jsonl", 60), ("new/app.jsonl", 61)]


@pytest.mark.parametrize("follow", [False, True])
def test_hidden_files_of_a_folder_are_not_read(tmp_path: Path, follow: bool) -> None:
    (tmp_path / ".trash").mkdir()
    (tmp_path / "r.jsonl").write_bytes(lines(1, 1))
    for hidden in (".s.jsonl", "._r.jsonl", ".trash/t.jsonl"):
        (tmp_path / hidden).write_bytes(lines(2, 2))
    recording = Recording([str(tmp_path)], follow=follow)
    assert [place[0] for place in read_all(recording)] == ["r.jsonl"]
    named = Recording([str(tmp_path / ".s.jsonl")])
    assert [place[0] for place in read_all(named)] == [".s.jsonl"]
    append(tmp_path / ".s.jsonl", line(3))
    resumed = Recording([str(tmp_path)], follow=follow, resume=named.position)
    assert [place[0] for place in read_all(resumed)] == [".s.jsonl", "r.jsonl"], "one that was begun goes on"


@pytest.mark.parametrize("follow", [False, True])
def test_files_of_a_folder_that_end_otherwise_are_named(
    tmp_path: Path, follow: bool, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "day").mkdir()
    for name in ("r.jsonl", "day/a.json.gz", "s.ndjson", "r.jsonl.1", "notes.md", ".b.json", "_SUCCESS"):
        (tmp_path / name).write_bytes(lines(1, 1))
    with caplog.at_level("WARNING"):
        found = read_all(Recording([str(tmp_path)], follow=follow))
    assert {place[0] for place in found} == {"r.jsonl", "s.ndjson"}
    (told,) = [
        record for record in caplog.records if "not read because of how their names end" in record.message
    ]
    shown = vars(told)
    assert "day/a.json.gz" in str(shown)
    assert f"'files': {1 if follow else 2}" in str(shown), "of a followed file the old ones were read before"


def test_files_that_another_path_names_are_not_told_to_be_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("r.jsonl", "a.json"):
        (tmp_path / name).write_bytes(lines(1, 1))
    found = read_all(Recording([str(tmp_path), f"{tmp_path}/./*.json"]))
    assert {place[0] for place in found} == {"r.jsonl", "a.json"}
    assert "how their names end" not in caplog.text


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


def test_a_last_line_that_is_not_whole_is_read_once_it_is(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(line(1) + line(2)[:-3])
    following = Following(path, follow=False)
    assert following.read() == [1]
    append(path, line(2)[-3:] + line(3)[:-1])
    following.again()
    assert following.read() == [2, 3], "a whole one needs no line end"
    append(path, b"\n" + line(4))
    following.again()
    assert following.read() == [4]


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
