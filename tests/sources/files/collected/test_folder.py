"""A collector's folder is one stream, whatever happens to its segments while it is read."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import time
from collections.abc import Iterator
from itertools import count, pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.errors import ConfigError, StateError
from pipeline.sources.chunk import Position
from pipeline.sources.files.collected.folder import SETTLED_SECS
from pipeline.sources.files.recording import Recording
from tests.kit.examples import examples
from tests.kit.streams.collected import SOURCE, CollectorsFolder
from tests.kit.streams.reader_contract import chunks


def event(n: int) -> bytes:
    return b'{"type":"event","name":"E","user_id":"u","n":%d}' % n


@pytest.fixture
def folder(tmp_path: Path) -> CollectorsFolder:
    return CollectorsFolder(tmp_path / "collected")


class Following:
    """A job's reader that is stopped and goes on."""

    def __init__(self, folder: CollectorsFolder, *others: Path) -> None:
        self.paths = [str(folder.path), *map(str, others)]
        self.position: Position | None = None
        self.open()

    def open(self) -> None:
        self.reader = Recording(self.paths, follow=True, resume=self.position)

    def restart(self) -> None:
        self.reader.close()
        self.open()

    def read(self, limit: int = 200) -> list[int]:
        """Return the numbers of the events that are there, at most so many at a time."""
        found: list[int] = []
        is_still = self.reader.is_still()
        while (chunk := self.reader.read(limit)) is not None:
            self.position = chunk.position
            found += [orjson.loads(line)["n"] for line in chunk.lines if line]
        assert not (is_still and found), "it was certain that nothing had come"
        return found


@pytest.fixture
def following(folder: CollectorsFolder) -> Iterator[Following]:
    made = Following(folder)
    yield made
    made.reader.close()


def fill(folder: CollectorsFolder, *numbers: int) -> None:
    for n in numbers:
        folder.append(event(n))


def test_lines_come_as_they_are_written_and_from_a_new_segment_at_once(
    folder: CollectorsFolder, following: Following
) -> None:
    assert following.read() == []
    for n in range(5):
        fill(folder, 2 * n)
        assert following.read() == [2 * n]
        folder.rotate()
        assert following.read() == []
        fill(folder, 2 * n + 1)
        assert following.read() == [2 * n + 1]


def test_it_is_still_until_its_last_segment_grows_or_another_one_begins(
    folder: CollectorsFolder, following: Following
) -> None:
    def read_out() -> None:
        following.read()
        os.utime(folder.path, (1.0, time.time() - 2 * SETTLED_SECS))  # a while ago
        following.read()
        assert following.reader.is_still()

    assert not following.reader.is_still(), "nobody has looked"
    fill(folder, 1)
    read_out()
    fill(folder, 2)
    assert not following.reader.is_still()
    read_out()
    folder.write(b"{")
    assert not following.reader.is_still()
    read_out()
    folder.rotate()
    assert not following.reader.is_still()


def test_a_line_that_is_not_whole_waits_and_may_be_another_one(
    folder: CollectorsFolder, following: Following
) -> None:
    line = folder.line(event(1))
    folder.write(line[:20])
    assert following.read() == []
    folder.cut(0, 0)
    folder.cut(0, len(line) - 5)  # zeros, as a file system may leave them
    assert following.read() == []
    folder.cut(0, 0)
    folder.rotate(gap=1000)
    fill(folder, 2)
    assert following.read() == [2]


def test_a_line_that_is_too_long_is_one_fault_between_good_lines(folder: CollectorsFolder) -> None:
    def read(reader: Recording) -> list[object]:
        found: list[object] = []
        while (chunk := reader.read(200)) is not None:
            faults = chunk.faults or {}
            found += [faults.get(at) or orjson.loads(line or b"")["n"] for at, line in enumerate(chunk.lines)]
        return found

    begun = Recording([str(folder.path)], follow=True, max_line_bytes=300_000)
    fill(folder, 1)
    long = folder.line(event(2)[:-1] + b" " * 2_500_000 + b"}")
    folder.write(long[:500_000])
    assert read(begun) == [1]
    folder.write(long[500_000:-1])
    assert read(begun) == []
    folder.write(b"\n")
    fill(folder, 3)
    next_one = folder.line(event(4))
    folder.write(next_one[:9])
    fault = f"the line is {len(long) - 1} bytes long, at most 300000 are read"
    chunk = begun.read(1)
    assert chunk is not None
    assert chunk.faults == {0: fault}
    assert read(begun) == [3]
    folder.write(next_one[9:])
    folder.rotate()
    assert read(begun) == [4]
    begun.close()
    folder.pack()
    for resume, left in ((None, [1, fault, 3, 4]), (chunk.position, [3, 4])):
        packed = Recording([str(folder.path)], resume=resume, max_line_bytes=300_000)
        assert read(packed) == left


@pytest.mark.parametrize("keep_plain", [True, False])
@pytest.mark.parametrize("read", [0, 3, 5])
@pytest.mark.parametrize("packer", ["zst", "gz"])
def test_the_place_in_the_plain_file_is_the_place_in_the_compressed_one(
    folder: CollectorsFolder, following: Following, keep_plain: bool, read: int, packer: str
) -> None:
    fill(folder, *range(read))
    assert following.read() == list(range(read))
    fill(folder, *range(read, 9))
    first = folder.rotate()
    fill(folder, 9)
    if packer == "zst":
        folder.pack(keep_plain=keep_plain)
    else:
        folder.plain(first).with_suffix(".jsonl.gz").write_bytes(
            gzip.compress(folder.plain(first).read_bytes())
        )
        if not keep_plain:
            folder.plain(first).unlink()
    following.restart()
    assert following.read(2) == list(range(read, 10))


def test_an_open_segment_is_read_to_its_end_though_its_file_goes(
    folder: CollectorsFolder, following: Following
) -> None:
    fill(folder, 0)
    assert following.read() == [0]
    fill(folder, 1)
    folder.pack(folder.rotate())
    fill(folder, 2)
    assert following.read(1) == [1, 2]


def test_segments_that_were_read_may_go(folder: CollectorsFolder, following: Following) -> None:
    fill(folder, 0, 1)
    first = folder.rotate()
    fill(folder, 2)
    assert following.read() == [0, 1, 2]
    folder.remove(first)
    following.restart()
    fill(folder, 3)
    assert following.read() == [3]


def test_a_place_at_the_end_of_a_segment_that_is_gone_goes_on_with_the_next(
    folder: CollectorsFolder, following: Following
) -> None:
    fill(folder, 0, 1)
    assert following.read() == [0, 1]
    folder.remove(folder.rotate())
    following.restart()
    assert following.read() == []
    fill(folder, 2)
    assert following.read() == [2]


@pytest.mark.parametrize("gone", [(0,), (2,), (0, 2), (0, 2, 4)])
def test_a_segment_that_goes_before_it_was_read_is_named(
    folder: CollectorsFolder, following: Following, gone: tuple[int, ...]
) -> None:
    fill(folder, 0)
    assert following.read() == [0]
    fill(folder, 1)
    for n in (2, 4, 6):
        folder.rotate()
        fill(folder, n, n + 1)
    for first in gone:
        folder.remove(first)
    following.restart()
    with pytest.raises(StateError) as found:
        following.read()
    said = str(found.value)
    lost = 1 if 0 in gone else 2
    assert f"the lines {lost} to {max(gone) + 1} are gone" in said
    assert f"{lost:020}.rec.jsonl" in said
    assert "Put the segment back" in said
    assert "empty state directory" in said


def test_numbers_without_a_line_elsewhere_excuse_no_line_that_is_gone(
    folder: CollectorsFolder, following: Following
) -> None:
    fill(folder, 0)
    assert following.read() == [0]
    folder.rotate()
    fill(folder, 1)
    folder.remove(folder.rotate(gap=3))
    fill(folder, 2)
    following.restart()
    with pytest.raises(StateError, match="the lines 1 to 4 are gone"):
        following.read()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (b"{", "is damaged"),
        (b'{"version":2,"id":"89abcdef"}', "does not understand it"),
        (b'{"version":1,"id":"../../etc"}', "does not understand it"),
        (b'{"version":1,"id":7}', "does not understand it"),
        (b"[]", "does not understand it"),
    ],
)
def test_a_folder_whose_collector_cannot_be_known_is_not_read(
    folder: CollectorsFolder, following: Following, said: bytes, told: str
) -> None:
    fill(folder, 0)
    (folder.path / ".collect.json").write_bytes(said)
    with pytest.raises(StateError, match=told):
        following.restart()


def test_lines_that_begin_anew_are_not_taken_for_those_that_were_read(
    folder: CollectorsFolder, following: Following, tmp_path: Path
) -> None:
    fill(folder, 0, 1, 2)
    assert following.read() == [0, 1, 2]
    folder.remove(0)
    other = CollectorsFolder(tmp_path / "other")
    other.append(event(7))
    other.plain(0).rename(folder.plain(0))
    with folder.plain(0).open("ab") as file:
        file.write(folder.plain(0).read_bytes() * 5)
    following.restart()
    with pytest.raises(StateError, match="not what was read before"):
        following.read()


def test_another_collectors_folder_in_its_place_is_another_source(
    folder: CollectorsFolder, following: Following
) -> None:
    fill(folder, 0, 1)
    assert following.read() == [0, 1]
    folder.remove(0)
    anew = CollectorsFolder(folder.path, id="89abcdef")
    anew.append(event(5))
    following.restart()
    chunk = following.reader.read(10)
    assert chunk is not None
    assert (chunk.sources, chunk.offsets) == (["collect-89abcdef/0"], [0])


def test_numbers_that_a_crash_has_taken_back_are_no_gap(
    folder: CollectorsFolder, following: Following
) -> None:
    fill(folder, 0, 1)
    size = folder.plain(0).stat().st_size
    fill(folder, 2, 3)
    assert following.read() == [0, 1, 2, 3]
    folder.cut(0, size)
    first = folder.rotate(gap=1 << 20)
    fill(folder, 4)
    assert following.read() == [4]
    folder.pack(first)
    following.position = None
    following.restart()
    assert following.read() == [0, 1, 4]


def test_a_place_behind_a_cut_end_goes_on_with_the_next_segment(
    folder: CollectorsFolder, following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder, 0)
    size = folder.plain(0).stat().st_size
    fill(folder, 1)
    assert following.read() == [0, 1]
    following.restart()
    assert following.read() == []
    assert "is shorter" not in caplog.text
    folder.cut(0, size)
    following.restart()
    assert following.read() == []
    assert "a segment is shorter than what was read of it" in caplog.text
    folder.rotate(gap=5)
    fill(folder, 2)
    assert following.read() == [2]


def test_an_empty_segment_may_go(folder: CollectorsFolder, following: Following) -> None:
    fill(folder, 0)
    folder.rotate()
    assert following.read() == [0]
    folder.remove(folder.rotate(gap=3))
    fill(folder, 1)
    assert following.read() == [1]
    following.restart()
    assert following.read() == []


def test_without_a_word_of_gaps_one_behind_a_segment_that_is_there_is_believed(
    folder: CollectorsFolder, following: Following
) -> None:
    fill(folder, 0)
    folder.rotate(gap=9)
    (folder.path / ".collect.json").write_bytes(b'{"version":1,"id":"0123abcd"}')
    fill(folder, 1)
    assert following.read() == [0, 1]


def test_a_folder_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later"
    reader = Recording(collected=[str(path)], follow=True, clock=lambda: 0.0)
    assert reader.read(1) is None
    folder = CollectorsFolder(path)
    folder.append(event(1))
    (chunk,) = chunks(reader, count=1)
    assert (chunk.sources, chunk.offsets, chunk.received) == ([SOURCE], [0], [folder.time_ms])
    reader.close()


def test_a_finite_reading_ends_at_the_last_whole_line(folder: CollectorsFolder) -> None:
    fill(folder, 0, 1)
    folder.pack(folder.rotate())
    fill(folder, 2)
    folder.write(folder.line(event(3))[:-1])
    reader = Recording([str(folder.path.parent)])
    found = list(chunks(reader))
    assert [offset for chunk in found for offset in chunk.offsets] == [0, 1, 2]
    assert {source for chunk in found for source in chunk.sources} == {SOURCE}
    assert reader.progress[0] > 0
    reader.close()


def test_a_beginning_that_retention_has_removed_is_said(
    folder: CollectorsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    fill(folder, 0)
    folder.remove(folder.rotate())
    fill(folder, 1)
    following = Following(folder)
    assert following.read() == [1]
    assert "has removed its first segments" in caplog.text
    following.reader.close()


@pytest.mark.parametrize("harm", ["flipped", "cut"])
def test_a_damaged_segment_is_one_dead_line_and_the_next_is_read(
    folder: CollectorsFolder, following: Following, harm: str
) -> None:
    fill(folder, *range(40))
    first = folder.rotate()
    fill(folder, 40)
    folder.pack(first)
    data = bytearray(folder.packed(first).read_bytes())
    if harm == "cut":
        del data[-9:]
    else:
        data[len(data) // 2] ^= 0xFF
    folder.packed(first).write_bytes(data)
    reader = following.reader
    found = list(chunks(reader, limit=7, count=1))
    while (chunk := reader.read(7)) is not None:
        found.append(chunk)
    faults = [(chunk.offsets[at], reason) for chunk in found for at, reason in (chunk.faults or {}).items()]
    assert len(faults) == 1
    offset, reason = faults[0]
    assert offset == 39
    assert str(folder.plain(first)) in reason
    assert "damaged at byte" in reason
    assert found[-1].offsets[-1] == 40
    assert reader.problems == [reason]
    following.position = found[-1].position
    following.restart()
    assert following.read() == []


def test_it_is_merged_with_other_files_by_when_it_was_received(
    folder: CollectorsFolder, tmp_path: Path
) -> None:
    at = folder.time_ms
    other = tmp_path / "users.jsonl"
    other.write_bytes(
        b"".join(
            b'{"type":"user","user_id":"u","time":%d,"set":{"n":%d}}\n' % (at + n, n) for n in range(-1, 4)
        )
    )
    for n in range(3):
        folder.append(b'{"type":"event","name":"E","user_id":"u","n":%d,"time":0}' % n)
        folder.pack(folder.rotate())
    reader = Recording([str(folder.path), str(other)])
    order = [
        (source == SOURCE, offset)
        for chunk in chunks(reader, limit=3)
        for source, offset in zip(chunk.sources, chunk.offsets, strict=True)
    ]
    assert [is_event for is_event, _ in order] == [False, False, True, False, True, False, True, False]
    reader.close()


@pytest.mark.parametrize("follow", [True, False])
def test_a_clock_that_is_far_ahead_shortly_before_a_segments_end_moves_no_place(
    folder: CollectorsFolder, tmp_path: Path, follow: bool
) -> None:
    """Lines are read ahead to see whether its time is believed."""
    other = tmp_path / "other.jsonl"
    other.write_bytes(event(12) + b"\n")
    for n in range(12):
        ahead_ms = 10**8 if n % 4 == 1 else 0
        folder.time_ms += ahead_ms
        folder.append(event(n))
        folder.time_ms -= ahead_ms
        if n % 4 == 3:
            folder.rotate()
    read: list[int] = []
    position: Position | None = None
    while len(read) < 13:
        reader = Recording([str(folder.path), str(other)], follow=follow, resume=position)
        chunk = reader.read(1)
        reader.close()
        assert chunk is not None
        position = chunk.position
        read += [orjson.loads(line)["n"] for line in chunk.lines if line]
    assert sorted(read) == list(range(13))


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32))
def test_whatever_happens_to_segments_every_line_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    dice = random.Random(seed)
    folder = CollectorsFolder(tmp_path_factory.mktemp("c") / "collected")
    following = Following(folder)
    written: list[int] = []
    read: list[int] = []
    for _ in range(dice.randrange(10, 60)):
        match dice.randrange(8):
            case 0 | 1:
                for _ in range(dice.randrange(1, 20)):
                    written.append(len(written))
                    folder.append(event(written[-1]) + b" " * dice.randrange(200))
            case 2:
                folder.rotate(gap=dice.choice([0, 0, 3, 1 << 20]))
            case 3 if folder.closed():
                first = dice.choice(folder.closed())
                if folder.plain(first).exists():
                    folder.pack(first, keep_plain=dice.random() < 0.3)
            case 4:
                following.restart()
            case 5:
                place = following.position
                lines = place[2][0][4] if place is not None and place[0] == "jsonl-4" else 0
                ends = [*folder.closed(), folder._first]
                for first, end in pairwise(ends):
                    if isinstance(lines, int) and end <= lines:
                        folder.remove(first)
            case _:
                read += following.read(dice.randrange(1, 30))
    read += following.read()
    assert read == written
    following.reader.close()


def test_a_copy_of_the_same_folder_is_refused_beside_it(folder: CollectorsFolder, tmp_path: Path) -> None:
    fill(folder, 0)
    shutil.copytree(folder.path, tmp_path / "copy")
    with pytest.raises(ConfigError, match="it is a copy of what lies in"):
        Recording([str(tmp_path)])


def test_a_folder_that_was_begun_anew_is_told_until_something_of_it_is_read(
    folder: CollectorsFolder, following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[dict[str, object]]:
        following.reader.close()
        now = count(0.0, 10.0)  # each look is one for new files
        following.reader = Recording(
            following.paths[1:],
            collected=following.paths[:1],
            follow=True,
            resume=following.position,
            clock=lambda: next(now),
        )
        for _ in range(3):
            following.reader.read(0)
        found = [vars(record)["fields"] for record in caplog.records if "not there" in record.message]
        caplog.clear()
        return found

    fill(folder, 1, 2)
    assert following.read() == [1, 2]
    assert told() == []
    fill(folder, 3)
    gone = folder.path.rename(folder.path.with_name("elsewhere"))
    (said,) = told()  # there is none at all
    assert said["read"] == f"{SOURCE.partition('/')[0]} up to line 2"
    anew = CollectorsFolder(folder.path, id="0badcafe")
    assert len(told()) == 1
    fill(anew, 7)
    assert following.read() == [7]
    assert told() == []
    following.paths.append(str(gone))
    assert told() == []
    assert following.read() == [3]
