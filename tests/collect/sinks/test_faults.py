"""A disk that fails, is full, or loses its power: nothing that was called kept is lost, doubled or torn."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from itertools import count
from pathlib import Path
from typing import cast

import pytest

from pipeline.collect.batch import Member, Refused, Sink, Why
from pipeline.collect.sinks.recording.folder import Folder
from pipeline.collect.sinks.recording.keeper import Keeper
from pipeline.collect.sinks.recording.line import line_rests
from pipeline.collect.sinks.recording.mend import mend
from pipeline.collect.sinks.recording.writer import Group, Writer
from pipeline.model.errors import Fatal, StateError
from pipeline.sources.files.lines.recorded import parse_line
from tests.collect.sinks.kit import batch, in_loop, kept, member, named, opened, section_of, segments, values
from tests.faults.disks.test_failing_disk import no_file_may_grow
from tests.kit.machine.file_system import FileSystem, file_system
from tests.kit.machine.powercut import cuts, unfsynced

__all__ = ["unfsynced"]


@in_loop
async def test_after_a_failed_sync_the_file_is_never_synced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink, sync, failed, calls = opened(tmp_path), os.fdatasync, set[int](), count()

    def fails_every_third(descriptor: int) -> None:
        number = os.fstat(descriptor).st_ino
        assert number not in failed
        if next(calls) % 3 == 2:
            failed.add(number)
            raise OSError(errno.EIO, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", fails_every_third)
    told = []
    for number in range(20):
        while await _why_refused(sink, f"m{number}") is Why.DISK:  # an SDK sends it again
            assert sink.trouble is Why.DISK
        assert sink.trouble is None
        told.append(f"m{number}")
    await sink.close()
    assert len(failed) >= 6
    assert values(tmp_path) == told
    _numbers_and_times_grow(tmp_path)


def test_a_segment_that_was_compressed_between_two_tries_to_close_it_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Room:
        def make_room(self, size: int) -> None:
            pass

        def closed(self) -> None:
            pass

    def refuses() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    folder = Folder(tmp_path)
    writer = Writer(folder, Room(), lambda *_: None, segment_bytes=1, segment_secs=60.0)
    writer.write(Group(b"first\n", 0, 1, False))
    with monkeypatch.context() as patched:
        patched.setattr(folder, "save", refuses)
        with pytest.raises(OSError, match="No space left"):
            writer.write(Group(b"second\n", 1, 2, True))
    folder.plain(0).unlink()  # what compresses closed segments has done so
    writer.write(Group(b"second\n", 1, 2, True))
    assert folder.plain(1).read_bytes() == b"second\n"
    folder.close()


@in_loop
async def test_what_a_failed_group_left_behind_does_not_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where cutting it off fails as well: the next start knows how far the file counts."""
    sink = opened(tmp_path)
    await sink.keep(named("kept"))
    with monkeypatch.context() as failing:
        for name in ("fdatasync", "ftruncate"):
            failing.setattr(os, name, _fails)
        with pytest.raises(Refused):
            await sink.keep(named("refused"))
    await sink.keep(named("refused"))
    await sink.close()
    assert values(tmp_path) == ["kept", "refused", "refused"], "as it could not be cut"
    await opened(tmp_path).close()
    assert values(tmp_path) == ["kept", "refused"]


@in_loop
async def test_a_write_that_takes_a_part_leaves_no_part(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    await sink.keep(named("before"))
    with no_file_may_grow(), pytest.raises(Refused):
        await sink.keep(named("meanwhile"))
    await sink.keep(named("after"))
    await sink.close()
    assert values(tmp_path) == ["before", "after"]
    _numbers_and_times_grow(tmp_path)


@in_loop
async def test_a_fault_of_ours_is_answered_and_costs_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be made a line, and accounts that fail: no request waits for ever, nor does the end."""
    sink = opened(tmp_path, order_secs=0.01)
    bad = Member(b"{}", cast(str, object()), None, b"same", ())
    for page in (False, True):
        outcomes = [sink.hand(batch(bad, page=page)), sink.hand(batch(bad, page=page))]
        assert await sink.keep(named(f"good {page}", page=page)) == 0
        for outcome in outcomes:
            with pytest.raises(AttributeError):
                await outcome
    with monkeypatch.context() as failing:
        failing.setattr(sink._intake, "kept", _fails)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        assert await sink.keep(named("kept")) == 0
    assert await sink.keep(named("after")) == 0
    assert sink._intake.waiting_bytes == 0
    await sink.close()
    assert values(tmp_path) == ["good False", "good True", "kept", "after"]


@pytest.mark.parametrize("whole", [False, True], ids=["the file", "the folder"])
@in_loop
async def test_what_nobody_will_find_is_not_called_kept(tmp_path: Path, whole: bool) -> None:
    """A file that is open takes lines as before, wherever its name has gone."""
    folder = tmp_path / "collected"
    sink = opened(folder)
    await sink.keep(named("before"))
    taken = folder if whole else folder / segments(folder)[0]
    away = tmp_path / "away" if whole else tmp_path / taken.name
    taken.rename(away)
    folder.mkdir(exist_ok=True)
    assert await _why_refused(sink, "m") is Why.DISK
    await sink.keep(named("m"))
    await sink.keep(named("after"))
    await sink.close()
    assert values(away if whole else tmp_path) == ["before"]
    again = opened(folder)
    await again.keep(named("again"))
    await again.close()
    assert values(folder) == ["m", "after", "again"]


@pytest.mark.parametrize("taken", [".lock", "everything", "the folder"])
@in_loop
async def test_a_collector_whose_lock_is_taken_away_locks_again(tmp_path: Path, taken: str) -> None:
    """With none another collector begins beside it: two give the same numbers, and cut each other's lines."""
    folder = tmp_path / "collected"
    sink = opened(folder)
    await sink.keep(named("before"))
    if taken == ".lock":
        (folder / ".lock").unlink()
    else:
        shutil.rmtree(folder)
        if taken == "everything":
            folder.mkdir()
    assert await _why_refused(sink, "m") is Why.DISK
    if taken == "the folder":
        assert await _why_refused(sink, "m") is Why.DISK
        folder.mkdir()
    await sink.keep(named("m"))
    with pytest.raises(StateError, match="another collector keeps events"):
        opened(folder)
    await sink.close()
    assert values(folder)[-1] == "m"


@pytest.mark.parametrize("goes_on", [False, True], ids=["it has ended", "it goes on"])
@in_loop
async def test_a_folder_that_another_collector_took_over_is_its_own(tmp_path: Path, goes_on: bool) -> None:
    """It may have given the first one's next numbers to lines of its own."""
    first = opened(tmp_path)
    await first.keep(named("before"))
    (tmp_path / ".lock").unlink()
    second = opened(tmp_path)
    await second.keep(named("second"))
    if not goes_on:
        await second.close()
    for _ in range(2):
        assert await _why_refused(first, "m") is Why.DISK
    await first.close()
    if goes_on:
        await second.keep(named("still"))
        await second.close()
    again = opened(tmp_path)
    await again.keep(named("m"))
    await again.close()
    assert values(tmp_path) == ["before", "second", *["still"] * goes_on, "m"]
    _numbers_and_times_grow(tmp_path)


@in_loop
async def test_below_the_reserve_nothing_is_taken_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path, reserve_bytes=1 << 62)
    for _ in range(3):
        with pytest.raises(Refused) as refused:
            await sink.keep(named("m"))
        assert refused.value.why is Why.DISK
    found = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "statvfs", lambda path: _Room(found.f_frsize, 1 << 62))
    await sink.keep(named("m"))
    await sink.close()
    assert values(tmp_path) == ["m"]
    assert [line.offset for line in kept(tmp_path)] == [0], "nobody has seen the lines that were refused"


def test_a_full_disk_refuses_and_keeps_what_it_said(tmp_path: Path) -> None:
    with file_system(tmp_path, 24) as disk:
        if not isinstance(disk, FileSystem):
            pytest.skip(disk)
        folder = disk.folder / "collected"

        @in_loop
        async def fill() -> None:
            sink, told = opened(folder, compress=False, segment_bytes=1 << 20), [""]
            filler = disk.folder / "filler"
            filler.write_bytes(b"x" * (12 << 20))
            large = "x" * 300_000
            while (why := await _why_refused(sink, f"{told[-1]}-{large}")) is None:
                told.append(f"m{len(told)}")
            assert why is Why.DISK
            filler.unlink()
            os.sync()
            await sink.keep(named("after"))
            await sink.close()
            assert [value.partition("-")[0] for value in values(folder)] == [*told[:-1], "after"]

        fill()


def test_no_power_cut_takes_what_was_called_kept(tmp_path: Path, unfsynced: None) -> None:
    told: list[str] = []

    def life(root: Path) -> None:
        told.clear()
        _live(root / "c", told)

    for place, over in cuts(tmp_path, lambda root: None, life):
        after: list[str] = []
        _live(place / "c", after, "n", groups=1)
        found = values(place / "c")
        assert [name for name in found if name in told] == told, "none is lost, doubled, or out of order"
        assert found[-2:] == after
        _numbers_and_times_grow(place / "c")
        assert not over or found == told + after
        # A reader may have seen more than was left: no other line has the number of one that it saw.
        seen = _seen(place.parent / place.name.partition("-")[0] / "c")
        assert all(seen.get(line.offset, line.value) == line.value for line in kept(place / "c"))


def _seen(folder: Path) -> dict[int, bytes | None]:
    if not folder.exists():
        return {}
    plain = b"".join(path.read_bytes() for path in folder.glob("*.rec.jsonl"))
    return {line.offset: line.value for line in map(parse_line, plain.splitlines())}


def _live(path: Path, told: list[str], prefix: str = "m", groups: int = 3) -> None:
    """Keep groups of two lines in segments of their own; compress the first ones."""
    folder = Folder(path)
    try:
        mend(folder)
        keeper = Keeper(folder, section_of(path))
        number, at_ms = folder.known.next_line, folder.known.time_ms
        writer = Writer(folder, keeper, lambda failed, secs: None, segment_bytes=1, segment_secs=9e9)
        for index in range(groups):
            names = [f"{prefix}{len(told)}", f"{prefix}{len(told) + 1}"]
            at_ms += 1
            lines = b"".join(
                b'{"hookline":1,"source":"collect-%b/0","offset":%d,"time":%d%b'
                % (folder.known.id.encode(), number + place, at_ms, rest)
                for place, rest in enumerate(line_rests([member(name) for name in names]))
            )
            writer.write(Group(lines, number, at_ms, index > 0))
            told += names
            number += 2
            if index == 1:
                keeper.look()
        keeper.close()
        writer.close(number)
    finally:
        folder.close()


@pytest.mark.parametrize(
    "tail",
    [b'{"hookline":1,"source":"coll', b"\0" * 4096, b'\n{"x":1}\n', b"\0" * 100 + b'{"hookline":1,"sour'],
)
def test_a_torn_end_is_cut_off(tmp_path: Path, tail: bytes) -> None:
    told: list[str] = []
    _live(tmp_path, told)
    state = (tmp_path / ".collect.json").read_bytes()
    folder = Folder(tmp_path)
    mend(folder)
    writer = Writer(
        folder, Keeper(folder, section_of(tmp_path)), lambda *_: None, segment_bytes=1, segment_secs=1
    )
    growing = writer.growing
    assert growing is not None
    last = (tmp_path / segments(tmp_path)[-2]).read_bytes().splitlines(keepends=True)[-1]
    folder.plain(growing[0]).write_bytes(last + last + tail)
    folder.close()  # it was killed
    assert (tmp_path / ".collect.json").read_bytes() != state
    _live(tmp_path, told)
    assert values(tmp_path)[8:] == told[6:]
    assert len(kept(tmp_path)) == 14


def test_a_folder_whose_account_is_gone_or_damaged_is_refused_with_what_to_do(tmp_path: Path) -> None:
    _live(tmp_path, [])
    account = tmp_path / ".collect.json"
    good = account.read_bytes()
    for damaged in (b"", b"{", b"[]", b'{"version":1}', good.replace(b'"next_line":6', b'"next_line":5')):
        account.write_bytes(damaged)
        with pytest.raises(StateError, match=r"\.collect\.json is damaged .* another folder"):
            Folder(tmp_path)
    account.unlink()
    with pytest.raises(StateError, match=r"\.collect\.json is not there, .* put it back, or"):
        Folder(tmp_path)
    account.write_bytes(good.replace(b'"version":1', b'"version":2'))
    with pytest.raises(StateError, match="is of version 2, 1 is known"):
        Folder(tmp_path)
    account.write_bytes(good)
    Folder(tmp_path).close()


def _numbers_and_times_grow(folder: Path) -> None:
    lines = kept(folder)
    assert [line.offset for line in lines] == sorted({line.offset for line in lines})
    times = [line.time or 0 for line in lines]
    assert times == sorted(times)
    for first in [int(name[:20]) for name in segments(folder)][1:]:
        before = [line.time or 0 for line in lines if line.offset < first]
        after = [line.time or 0 for line in lines if line.offset >= first]
        assert not before or not after or after[0] > before[-1], "a new segment begins later"


async def _why_refused(sink: Sink, name: str) -> Why | None:
    try:
        await sink.hand(named(name))
    except Refused as refused:
        return refused.why
    return None


def _fails(*_: object) -> None:
    raise OSError(errno.EIO, "Input/output error")


class _Room:
    def __init__(self, f_frsize: int, free: int) -> None:
        self.f_frsize, self.f_bavail, self.f_files = f_frsize, free, 0


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "Make a little room"),
        (errno.EROFS, "Let this user write"),
        (errno.EIO, "See to that disk"),
    ],
)
@pytest.mark.parametrize(
    "step", ["folder.make_folder", "folder.remove_partials", "folder.replace_durably", "segment.sync"]
)
def test_a_disk_that_refuses_the_start_names_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, code: int, remedy: str
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(f"pipeline.collect.sinks.recording.{step}", refuses)
    with pytest.raises(Fatal, match=rf"{os.strerror(code)}\. {remedy}.*`collect.to.recording`"):
        opened(tmp_path / "collected")
