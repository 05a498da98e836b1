"""Followed files that are truncated and have no copy: what was not read is told, and reading goes on."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from pipeline.model.errors import StateError
from pipeline.sources.files.lines.blocks import BLOCK_BYTES, Blocks
from pipeline.sources.files.recording import Recording
from pipeline.telemetry import metrics
from tests.sources.files.following.rotations import ROTATIONS, Following, append, line, lines

Truncations: TypeAlias = Callable[[], list[float]]

ALL_READ = "what was there at the last look had been read"
LOST = "what was not read of it is lost"


@pytest.fixture
def truncations() -> Truncations:
    """Return how many truncated files were counted since: after all of it was read, and before."""

    def count() -> list[float]:
        return [metrics.read("source_truncated_total", unread=unread) for unread in ("none", "some")]

    before = count()
    return lambda: [now - then for now, then in zip(count(), before, strict=True)]


@pytest.mark.parametrize("in_folder", [False, True])
@pytest.mark.parametrize("seen_empty", [False, True])
@pytest.mark.parametrize("size", [1, 9])
def test_a_file_that_was_read_out_is_read_from_its_beginning(
    tmp_path: Path,
    size: int,
    seen_empty: bool,
    in_folder: bool,
    caplog: pytest.LogCaptureFixture,
    truncations: Truncations,
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(tmp_path if in_folder else path)
    assert following.read() == [1, 2, 3]
    shutil.copy(path, tmp_path / "kept.log")  # under no name that rotation gives
    for life in (2, 3):
        os.truncate(path, 0)
        if seen_empty:
            assert following.read() == []
        first = 10 * life
        append(path, lines(first, first + size))
        assert following.named() == [(f"app.jsonl~{life}", first + at) for at in range(size + 1)]
        following.again()
        assert following.read() == []
    assert truncations() == [2, 0]
    assert ALL_READ in caplog.text
    assert LOST not in caplog.text
    path.rename(tmp_path / "app.jsonl.1")
    append(path, lines(50, 50))
    following.again()
    assert following.named() == [("app.jsonl~4", 50)]


def test_how_much_of_it_was_not_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, truncations: Truncations
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(b"".join(line(number, 4000) for number in range(100, 200)))
    recording = Recording([str(path)], follow=True)
    chunk = recording.read(100)
    assert chunk is not None
    found = len(chunk)
    assert found < 99  # one block, and the beginning of a line
    os.truncate(path, 0)
    append(path, line(200))
    torn = None
    while torn is None:
        torn = recording.read(100)
    assert torn.lines == [line(100 + found, 4000)[: BLOCK_BYTES - found * len(line(100, 4000))]]
    assert recording.read(100) is None
    chunk = recording.read(100)
    assert chunk is not None
    assert (chunk.sources, chunk.lines) == ("app.jsonl~2", [line(200).rstrip()])
    assert truncations() == [0, 1]
    told = next(one for one in caplog.records if LOST in one.message)
    assert told.levelname == "ERROR"
    assert told.__dict__["fields"] == {
        "file": str(path), "read_bytes": BLOCK_BYTES, "unread_bytes": 100 * len(line(100, 4000)) - BLOCK_BYTES
    }  # fmt: skip


def test_what_was_read_just_before_is_handed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, truncations: Truncations
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    append(path, lines(4, 5))
    read = Blocks.read

    def and_truncate(blocks: Blocks) -> bytes | None:
        block = read(blocks)
        if block:
            monkeypatch.undo()
            os.truncate(path, 0)
            append(path, line(6))
        return block

    monkeypatch.setattr(Blocks, "read", and_truncate)
    assert following.named() == [("app.jsonl", 4), ("app.jsonl", 5), ("app.jsonl~2", 6)]
    assert truncations() == [1, 0]


def test_what_is_truncated_while_no_job_runs_is_told_and_reading_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, truncations: Truncations
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    for life, size in ((2, 1), (3, 9)):
        os.truncate(path, 0)
        append(path, lines(10 * life, 10 * life + size))
        following.again()
        assert following.named() == [(f"app.jsonl~{life}", 10 * life + at) for at in range(size + 1)]
    assert truncations() == [0, 2]
    assert LOST in caplog.text


@pytest.mark.parametrize("is_empty", [False, True])
def test_what_is_truncated_and_then_rotated_while_no_job_runs_is_found(
    tmp_path: Path, is_empty: bool, truncations: Truncations
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    os.truncate(path, 0)
    if not is_empty:
        append(path, lines(4, 4))
    path.rename(tmp_path / "app.jsonl.1")
    append(path, lines(5, 5))
    following.again()
    assert following.read() == ([5] if is_empty else [4, 5])
    assert truncations() == [0, 1]
    following.again()
    assert following.read() == []


def test_another_file_of_that_name_is_no_truncated_one(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    new = tmp_path / ".new"
    new.write_bytes(lines(11, 12))
    new.replace(path)
    with pytest.raises(StateError, match="put the old file back"):
        following.again()


@pytest.mark.parametrize("is_packed", [False, True])
def test_more_rotations_than_files_are_kept_while_no_job_runs_are_told_and_what_is_left_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, truncations: Truncations, is_packed: bool
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 3))
    following = Following(path)
    assert following.read() == [1, 2, 3]
    path.unlink()  # its number was too high
    if is_packed:
        (tmp_path / "app.jsonl.1.gz").write_bytes(gzip.compress(lines(11, 13)))
    else:
        (tmp_path / "app.jsonl.1").write_bytes(lines(11, 13))
    path.write_bytes(lines(21, 24))
    following.again()
    assert following.named() == [
        *(("app.jsonl~2", at) for at in range(11, 14)),
        *(("app.jsonl~3", at) for at in range(21, 25)),
    ]
    assert truncations() == [0, 1]
    assert LOST in caplog.text
    following.again()
    assert following.read() == []


def test_a_line_that_its_writer_takes_back_is_none_of_what_was_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 1) + line(2)[:25])
    following = Following(path)
    assert following.read() == [1]
    os.truncate(path, len(lines(1, 1)))
    append(path, line(3))
    assert following.named() == [("app.jsonl", 3)]
    assert not caplog.records


def test_the_last_line_of_what_it_had_needs_no_end(tmp_path: Path, truncations: Truncations) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 2) + line(3).rstrip(b"\n"))
    following = Following(path)
    assert following.read() == [1, 2]
    os.truncate(path, 0)
    append(path, lines(4, 4))
    assert following.named() == [("app.jsonl", 3), ("app.jsonl~2", 4)]
    assert truncations() == [1, 0]


def test_a_writer_that_goes_on_at_its_old_offset_writes_no_zeros_before_its_line(tmp_path: Path) -> None:
    path = tmp_path / "app.jsonl"
    with path.open("wb", buffering=0) as writer:
        writer.write(lines(1, 300))
        following = Following(path)
        assert following.read() == [*range(1, 301)]
        os.truncate(path, 0)
        assert following.read() == []
        writer.write(lines(301, 302))  # it does not append
        assert following.named() == [("app.jsonl~2", 301), ("app.jsonl~2", 302)]
        os.truncate(path, 0)
        writer.write(lines(303, 303))
        assert following.read() == [303]


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("app.jsonl", bytes(9_000) + lines(1, 3), 9_000),
        ("app.jsonl", bytes(99_000) + lines(1, 3), 99_000),
        ("app.jsonl", b"{".ljust(BLOCK_BYTES) + bytes(9) + lines(1, 3), 0),
        ("app.jsonl.gz", gzip.compress(bytes(9_000) + lines(1, 3)), 9_000),
    ],
)
def test_zeros_make_no_line_come_twice(tmp_path: Path, name: str, content: bytes, first: int) -> None:
    (tmp_path / name).write_bytes(content)
    recording = Recording([str(tmp_path)], follow=True)
    chunk = recording.read(100)
    assert chunk is not None
    assert (chunk.sources, chunk.offsets[0], len(chunk)) == (name, first, 3)
    assert recording.read(100) is None
    assert recording.is_still()


@pytest.mark.parametrize("rotate", [*ROTATIONS[:3], lambda path: os.truncate(path, 0)])
@pytest.mark.parametrize("in_folder", [False, True])
def test_bytes_that_were_read_are_counted_over_rotations_and_restarts(
    tmp_path: Path, rotate: Callable[[Path], None], in_folder: bool
) -> None:
    path = tmp_path / "app.jsonl"
    path.write_bytes(lines(1, 5))
    following = Following(tmp_path if in_folder else path)
    following.read()
    following.again()
    before = following.progress
    size = len(lines(10, 10))
    for number in range(10, 13):
        append(path, lines(number, number))
        assert following.read() == [number]
        rotate(path)
        append(path, lines(number + 10, number + 10))
        assert following.read() == [number + 10]
        read = 2 * (number - 9) * size
        assert following.progress == (before[0] + read, before[1] + read)
        for old in tmp_path.glob("*[0-9]*"):
            old.unlink()
