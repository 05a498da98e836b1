"""Segments are closed, compressed, and go when all have read them: a reader finds every line at any time."""

from __future__ import annotations

import os
import time
from pathlib import Path

import orjson
import pytest

from pipeline.collect.batch import Refused, Why
from pipeline.collect.sinks.recording.folder import Folder
from pipeline.collect.sinks.recording.keeper import Keeper
from pipeline.telemetry import metrics
from tests.collect.sinks.kit import (
    Uncompressing,
    batch,
    in_loop,
    kept,
    member,
    named,
    opened,
    section_of,
    segments,
    values,
)

DAY = 86_400.0


def reader(folder: Path, name: str, offset: object, *, age_secs: float = 0.0) -> None:
    path = folder / ".readers" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(orjson.dumps({"version": 1, "offset": offset}))
    at = time.time() - age_secs
    os.utime(path, (at, at))


@in_loop
async def filled(folder: Path, groups: int = 4) -> None:
    """Keep one line in each of so many segments."""
    sink = opened(folder, segment_bytes=1, compress=False)
    for number in range(groups):
        await sink.keep(named(f"m{number}"))
    await sink.close()


def looked(path: Path, ahead_secs: float = 0.0, *, compress: bool = False, **settings: object) -> list[str]:
    """Return what is kept after the keeper looked at the folder, so much later."""
    folder = Folder(path)
    given = section_of(path, **{"retain_secs": DAY, **settings})
    keeper = Keeper if compress else Uncompressing
    try:
        keeper(folder, given, clock=lambda: time.time() + ahead_secs).look()
    finally:
        folder.close()
    return values(path)


ALL = ["m0", "m1", "m2", "m3"]


def test_nothing_goes_where_nobody_reads(tmp_path: Path) -> None:
    filled(tmp_path)
    assert looked(tmp_path, 400 * DAY) == ALL
    (tmp_path / ".readers").mkdir()
    assert looked(tmp_path, 400 * DAY) == ALL


def test_a_segment_goes_when_all_young_readers_have_passed_it_and_a_day_is_over(tmp_path: Path) -> None:
    filled(tmp_path)
    reader(tmp_path, "a", 4)
    reader(tmp_path, "b", 2)
    reader(tmp_path, "gone", 1, age_secs=9 * DAY)
    assert looked(tmp_path) == ALL
    assert looked(tmp_path, 1.1 * DAY) == ["m2", "m3"]
    reader(tmp_path, "b", 4)
    assert looked(tmp_path, 1.2 * DAY) == ["m3"], "the last one is about to be gone on from"


def test_old_readers_alone_let_nothing_go(tmp_path: Path) -> None:
    filled(tmp_path)
    reader(tmp_path, "gone", 4, age_secs=9 * DAY)
    assert looked(tmp_path, 2 * DAY) == ALL


@pytest.mark.parametrize("offset", [-1, "4", None, 3.5, True])
def test_a_reader_that_is_not_understood_may_need_everything(tmp_path: Path, offset: object) -> None:
    filled(tmp_path)
    reader(tmp_path, "a", 4)
    reader(tmp_path, "b", offset)
    assert looked(tmp_path, 2 * DAY) == ALL
    (tmp_path / ".readers" / "b").write_bytes(b"")
    assert looked(tmp_path, 2 * DAY) == ALL
    (tmp_path / ".readers" / "b").unlink()
    assert looked(tmp_path, 2 * DAY) == ["m3"]


@in_loop
async def test_at_the_reserve_what_all_have_read_goes_before_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path, segment_bytes=1, compress=False, reserve_bytes=1 << 20)
    for name in ALL:
        await sink.keep(named(name))
    reader(tmp_path, "a", 2)
    frame = os.statvfs(tmp_path).f_frsize

    class Room:
        f_frsize, f_files = frame, 0

        @property
        def f_bavail(self) -> int:
            return (1 << 20) // frame + (4 if len(segments(tmp_path)) < 5 else 0)

    monkeypatch.setattr(os, "statvfs", lambda path: Room())
    await sink.keep(named("m4"))
    assert values(tmp_path) == ["m1", "m2", "m3", "m4"]
    await sink.close()


@in_loop
async def test_at_the_reserve_the_segment_that_grows_can_go_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path, compress=False, reserve_bytes=1 << 20)
    await sink.keep(named("m0", "m1"))
    frame, full = os.statvfs(tmp_path).f_frsize, (tmp_path / segments(tmp_path)[0]).stat().st_ino

    class Room:
        f_frsize, f_files = frame, 0

        @property
        def f_bavail(self) -> int:
            there = {(tmp_path / name).stat().st_ino for name in segments(tmp_path)}
            return (1 << 20) // frame + (0 if full in there else 4)

    monkeypatch.setattr(os, "statvfs", lambda path: Room())
    for _ in range(3):
        with pytest.raises(Refused):
            await sink.keep(named("m2"))
        assert values(tmp_path) == ["m0", "m1"]
    assert metrics.read("collect_refusing") == 1
    reader(tmp_path, "a", 2)
    await sink.keep(named("m2"))
    assert values(tmp_path) == ["m2"]
    assert metrics.read("collect_refusing") == 0
    await sink.close()


@in_loop
async def test_a_disk_that_has_room_again_is_noticed_without_a_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.collect.sinks.recording.sink.TRY_SECS", 0.0)
    sink = opened(tmp_path, reserve_bytes=1 << 62)
    with pytest.raises(Refused):
        await sink.keep(named("m"))
    assert sink.trouble is Why.DISK
    monkeypatch.setattr(Keeper, "_fits", lambda self, size: True)
    assert sink.trouble is None
    await sink.close()


def test_at_the_reserve_the_keeper_makes_room_by_itself(tmp_path: Path) -> None:
    filled(tmp_path)
    reader(tmp_path, "a", 2)
    assert looked(tmp_path, reserve_bytes=1 << 62) == ["m2", "m3"]


def test_a_compressed_segment_holds_the_same_and_the_plain_one_is_gone(tmp_path: Path) -> None:
    filled(tmp_path)
    lines = kept(tmp_path)
    at = (tmp_path / segments(tmp_path)[0]).stat().st_mtime_ns
    assert looked(tmp_path, compress=True) == ALL
    assert kept(tmp_path) == lines
    assert [name[20:] for name in segments(tmp_path)] == [".rec.jsonl.zst"] * 4
    assert (tmp_path / segments(tmp_path)[0]).stat().st_mtime_ns == at


@in_loop
async def test_lines_are_kept_while_what_is_closed_is_compressed(tmp_path: Path) -> None:
    sink = opened(tmp_path, segment_bytes=20_000)
    names = [f"m{number}" for number in range(2_000)]
    for at in range(0, len(names), 50):
        await sink.keep(named(*names[at : at + 50]))
        if at == 1000:
            while not any(name.endswith(".zst") for name in segments(tmp_path)):
                await sink.keep(batch(member("again", same=False)))
    await sink.close()
    assert [value for value in values(tmp_path) if value != "again"] == names


@in_loop
async def test_times_never_go_back_and_a_segment_begins_later_though_the_clock_does(tmp_path: Path) -> None:
    at = 1_764_000_000_000
    for life in range(3):
        sink = opened(tmp_path, segment_bytes=1 if life == 1 else 1 << 20)
        for number in range(3):
            await sink.keep(batch(member(f"{life}-{number}"), received_ms=at - 1000 * (3 * life + number)))
        await sink.close()
    lines = kept(tmp_path)
    assert [line.offset for line in lines] == list(range(9)), "a clean stop leaves no gap"
    assert [(line.time or 0) - at for line in lines] == [0, 0, 0, 1, 2, 3, 4, 4, 4]


@in_loop
async def test_an_age_closes_a_segment_with_the_next_group(tmp_path: Path) -> None:
    sink = opened(tmp_path, segment_secs=0.0, compress=False)
    for name in ALL:
        await sink.keep(named(name))
    await sink.close()
    assert len(segments(tmp_path)) == 4
