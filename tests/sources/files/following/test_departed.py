"""A position does not grow for ever with the files that were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.sources.files.following.departed import MOST_UNSEEN, departed
from pipeline.sources.files.following.rotated import Folders
from pipeline.sources.files.opening import FEW_KNOWN
from pipeline.sources.files.position import Known
from pipeline.sources.files.reading.entry import Entry
from tests.sources.files.following.rotations import (
    ROTATIONS,
    Following,
    append,
    lines,
    rename_with_a_counter,
)


def entry(name: str) -> Entry:
    return Entry(name, 1024, "0123456789abcdef", 5000, 0, False, kind="plain", inode=2**60)


@pytest.mark.parametrize("rotate", ROTATIONS)
@pytest.mark.parametrize("given", ["app.jsonl", "app*"])
def test_of_a_path_the_files_that_are_gone_are_forgotten(
    given: str, rotate: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(tmp_path / given)
    following.read()
    known = Known(following.position)
    first = known.files.pop("app.jsonl")
    known.files |= {f"app.jsonl~{number}": entry(f"app.jsonl~{number}") for number in range(2, FEW_KNOWN + 2)}
    last = f"app.jsonl~{FEW_KNOWN + 2}"
    known.files[last] = first._replace(name=last)
    following.position = known.position()
    following.begin()
    assert following.read() == []
    rotate(path)
    append(path, lines(4, 4))
    assert following.named() == [(f"app.jsonl~{FEW_KNOWN + 3}", 4)]
    assert [*Known(following.position).files] == [f"app.jsonl~{FEW_KNOWN + at}" for at in (1, 2, 3)]
    following.again()
    assert following.read() == []


def test_those_that_still_lie_beside_it_and_the_last_of_other_paths_are_not(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    append(path, lines(1, 3))
    following = Following(path)
    for first in (10, 20, 30):
        following.read()
        rename_with_a_counter(path)
        (tmp_path / "app.jsonl.1").rename(tmp_path / f"app.jsonl.{first}")
        append(path, lines(first, first + 3))
    following.read()
    entries = Known(following.position).files
    paths = {"app.jsonl": str(path)}
    assert departed(entries, paths, ["app.jsonl~4"]) == []
    others = [f"gone-{number}.jsonl" for number in range(MOST_UNSEEN + 2)]
    (tmp_path / "app.jsonl.10").unlink()
    known = {name: entry(name) for name in others} | entries
    assert departed(known, paths, ["app.jsonl~4"]) == [*others[:2], "app.jsonl"]


def test_a_folder_of_thousands_of_paths_is_looked_into_once(tmp_path: Path) -> None:
    first, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    for name in ("a.jsonl.1", "a-2.jsonl.gz", "a.log", "ab.jsonl.1", "b.jsonl.1"):
        append(tmp_path / name, lines(1, 1))
    folders = Folders()
    assert {one.name for one in folders.beside(str(first))} == {"a.jsonl.1", "a-2.jsonl.gz"}
    append(tmp_path / "b.jsonl.2", lines(1, 1))
    assert {one.name for one in folders.beside(str(other))} == {"b.jsonl.1"}
