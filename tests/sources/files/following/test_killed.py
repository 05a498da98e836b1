"""Followed files of a job that is killed: what is read again is what was read, nothing is taken for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.model.errors import StateError
from pipeline.sources.files.reading.heads import FILE, read_heads
from pipeline.telemetry import metrics
from tests.sources.files.following.random_runs import USUAL, RandomRun
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

MIXTURES = {
    "truncated": (*USUAL, *["truncate"] * 3),
    "truncated and renamed": (*USUAL, *["truncate"] * 2, "rename"),
    "renamed": (*USUAL, *["rename"] * 2),
    "truncated and copied": (*USUAL, "truncate", *["copy"] * 2),
    "everything": (*USUAL, "truncate", "copy", "rename"),
}


def run(seeds: range, what: str, folder: Path) -> None:
    for seed in seeds:
        one = RandomRun(seed, folder / str(seed), MIXTURES[what])
        try:
            one()
        except BaseException as error:
            error.add_note("\n".join([f"seed {seed}:", *one.trace]))
            raise


@pytest.mark.parametrize("what", MIXTURES)
def test_no_random_run_loses_a_line_silently(what: str, tmp_path: Path) -> None:
    run(range(40), what, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("what", MIXTURES)
def test_no_long_random_run_loses_a_line_silently(what: str, tmp_path: Path) -> None:
    run(range(40, 1500), what, tmp_path)


def truncate(path: Path) -> None:
    os.truncate(path, 0)


def make_anew(path: Path) -> None:
    new = path.with_name("new")
    new.touch()
    new.replace(path)


@pytest.mark.parametrize("lives", [1, 2, 3])
@pytest.mark.parametrize("change", [truncate, make_anew])
def test_other_lines_are_not_taken_for_those_sent_before_the_kill(
    change: Callable[[Path], None], lives: int, tmp_path: Path
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(line(1))
    following = Following(path, heads=tmp_path / FILE)
    assert following.named() == [("app.jsonl", 1)]
    if lives > 1:
        following.store()
    for life in range(2, lives + 1):
        change(path)
        append(path, line(life))
        assert following.named() == [(f"app.jsonl~{life}", life)]
    truncate(path)
    append(path, line(9))
    before = metrics.read("source_truncated_total", unread="some")
    for _ in range(2):
        following.kill()
        assert following.named() == [(f"app.jsonl~{lives + 1}", 9)]
    assert metrics.read("source_truncated_total", unread="some") > before


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("in_folder", [False, True])
def test_what_is_rotated_after_a_kill_in_the_very_first_epoch_is_found(
    in_folder: bool, rotate: Callable[[Path], None], tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(logs if in_folder else path, heads=tmp_path / FILE)
    assert len(following.step()) == 3
    rotate(path)
    append(path, lines(4, 4))
    following.kill()
    assert following.named() == [("app.jsonl", 1), ("app.jsonl", 2), ("app.jsonl", 3), ("app.jsonl~2", 4)]


def test_what_an_empty_file_had_between_two_looks_is_read_from_its_copy_after_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.touch()
    os.utime(path, (1, 1))
    following = Following(path, heads=tmp_path / FILE)
    assert following.named() == []
    append(path, line(1))
    copy_and_truncate(path)
    assert following.named() == []
    following.store()
    following.kill()
    append(path, line(2))
    assert following.read() == [1, 2]


def test_a_file_of_which_an_earlier_life_is_lost_is_read_where_it_was_renamed_to(tmp_path: Path) -> None:
    path, seconds = tmp_path / "app.jsonl", iter(range(1, 9))

    def rotate(rotation: Callable[[Path], None]) -> None:
        at = next(seconds)
        os.utime(path, (at, at))
        rotation(path)
        path.with_name("app.jsonl.1").rename(rotated := path.with_name(f"app.jsonl-2026110{at}"))
        os.utime(rotated, (at, at))

    path.write_bytes(lines(1, 3))
    os.utime(path, (0, 0))
    following = Following(path, heads=tmp_path / FILE)
    assert following.read() == [1, 2, 3]
    rotate(copy_and_truncate)
    append(path, line(4))
    assert following.read() == [4]
    truncate(path)
    append(path, lines(5, 7))
    assert following.read() == [5, 6, 7]
    rotate(copy_and_truncate)
    append(path, lines(8, 9))
    rotate(rename_with_a_counter)
    append(path, lines(10, 10))
    following.kill()
    assert following.read() == [1, 2, 3, 5, 6, 7, 8, 9, 10]


def test_files_that_were_rotated_in_the_lost_epoch_keep_their_names(tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    path = logs / "app.jsonl"
    path.write_bytes(lines(1, 1))
    following = Following(logs, heads=tmp_path / FILE)
    assert following.named() == [("app.jsonl", 1)]
    following.store()
    sent = []
    for number in (2, 3):
        rename_with_a_counter(path) if number == 2 else rename_with_a_date(path)
        append(path, lines(number, number))
        sent += following.named()
    assert sent == [("app.jsonl~2", 2), ("app.jsonl~3", 3)]
    following.kill()
    assert following.named() == sent


def test_a_note_is_forgotten_once_the_position_says_as_much(tmp_path: Path) -> None:
    path, heads = tmp_path / "app.jsonl", tmp_path / FILE
    path.write_bytes(line(1))
    following = Following(path, heads=heads)
    following.step()
    assert [*read_heads(heads)] == ["app.jsonl"]
    following.store()
    following.close()
    assert read_heads(heads) == {}


def test_a_torn_note_is_none_nor_what_follows_a_hole_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    path, heads = tmp_path / "app.jsonl", tmp_path / FILE
    path.write_bytes(line(1))
    following = Following(path, heads=heads)
    following.step()
    following.close()
    whole = heads.read_bytes()
    heads.write_bytes(whole + whole[:-9])
    assert [*read_heads(heads)] == ["app.jsonl"]
    heads.write_bytes(whole + b"\0" * 4096 + whole)
    assert [*read_heads(heads)] == ["app.jsonl"]
    heads.write_bytes(whole[:12] + b"?" + whole[13:])
    with pytest.raises(StateError, match=r"damaged; .* or remove the file"):
        Following(path, heads=heads)
