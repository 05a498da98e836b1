"""Recording a source: files, rotation, where it goes on after a stop or a crash."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.auto import RECORDED
from pipeline.decode.formats import ALL_AUTO, Formats
from pipeline.model.errors import Fatal, StateError
from pipeline.recording.record import Recorded, record
from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.files.recording import Recording
from pipeline.sources.reader import BaseReader
from tests.kit.machine.powercut import cuts

Row = tuple[int | None, bytes | None]
"""Broker time, value."""


class FakeReader(BaseReader):
    """A partition of rows, handed out in chunks."""

    def __init__(self, name: str, rows: list[Row], position: Position | None, chunk: int) -> None:
        self.name, self.rows, self.size = name, rows, chunk
        self.at = position[1] if position else 0
        self.committed: list[Position] = []
        self.closed = False

    @property
    def done(self) -> bool:
        return self.at >= len(self.rows)

    @property
    def position(self) -> Position:
        return ("fake-1", self.at, ((self.name, self.at, None),))

    def read(self, limit: int) -> RawChunk | None:
        if self.done:
            return None
        begin, self.at = self.at, min(len(self.rows), self.at + min(limit, self.size))
        rows = self.rows[begin : self.at]
        return RawChunk(
            self.name,
            f"{self.name}/0",
            list(range(begin, self.at)),
            [value for _, value in rows],
            self.position,
            received=[time for time, _ in rows],
            keys=[b"u%d" % index for index in range(begin, self.at)],
            headers=[[("h", b"\xff"), ("n", None)]] * len(rows),
        )

    def durable(self, position: Position) -> None:
        self.committed.append(position)

    def close(self) -> None:
        self.closed = True


class FakeSource:
    def __init__(self, chunk: int = 3, **partitions: list[Row]) -> None:
        self.partitions, self.chunk = partitions, chunk
        self.readers: dict[str, FakeReader] = {}

    def list_partitions(self) -> list[str]:
        return list(self.partitions)

    def open(self, name: str, position: Any) -> FakeReader:
        self.readers[name] = FakeReader(name, self.partitions[name], position, self.chunk)
        return self.readers[name]


def rows(count: int, first: int = 0) -> list[Row]:
    return [(1000 + i, b'{"n":%d}' % i) for i in range(first, first + count)]


def read_back(out: Path, formats: Formats = ALL_AUTO) -> list[RawChunk]:
    reader = Recording([str(out)])
    reader.under(formats)
    chunks = []
    while not reader.done:
        chunk = reader.read(200)
        if chunk is not None:
            chunks.append(chunk)
    assert reader.problems == []
    reader.close()
    return chunks


def lines(out: Path, formats: Formats = ALL_AUTO) -> list[bytes | None]:
    return [line for chunk in read_back(out, formats) for line in chunk.lines]


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.jsonl*"))


def instantly(source: FakeSource, out: Path, **options: Any) -> Recorded:
    return record(source, out, sync_secs=0, **options)


@pytest.mark.parametrize("compression", ["zst", "gz", "none"])
def test_what_was_recorded_reads_back_with_origin_time_key_and_headers(
    tmp_path: Path, compression: Any
) -> None:
    given_rows: list[Row] = [(5, b'{"a":1}'), (None, b"not json\xff"), (7, None), (8, b"null"), (9, b"")]
    done = instantly(FakeSource(p=given_rows), tmp_path, compression=compression)
    assert done.records == 5
    chunks = read_back(tmp_path)
    assert lines(tmp_path) == [value for _, value in given_rows]
    assert [source for chunk in chunks for source in chunk.sources] == ["p/0"] * 5
    assert [offset for chunk in chunks for offset in chunk.offsets] == [0, 1, 2, 3, 4]
    assert [time for chunk in chunks for time in chunk.received or ()] == [5, None, 7, 8, 9]
    assert [key for chunk in chunks for key in chunk.keys or ()] == [b"u%d" % i for i in range(5)]
    headers = [list(headers or ()) for chunk in chunks for headers in chunk.headers or ()]
    assert headers == [[("h", b"\xff"), ("n", None)]] * 5


def test_a_stopped_recording_goes_on_where_it_was(tmp_path: Path) -> None:
    turns = iter([False, False, True])
    instantly(FakeSource(p=rows(20)), tmp_path, stopping=lambda: next(turns))
    assert len(lines(tmp_path)) == 9
    done = instantly(FakeSource(p=rows(20)), tmp_path)
    assert done.records == 11
    assert done.files == [], "the file goes on"
    assert lines(tmp_path) == [value for _, value in rows(20)]


def test_a_file_that_is_taken_away_ends_it_and_it_goes_on_when_that_is_back(tmp_path: Path) -> None:
    """What is open takes lines as before, and nobody would find them."""
    out, away = tmp_path / "out", tmp_path / "away"

    def stopping() -> bool:
        if out.exists() and lines(out):
            out.rename(away)
        return False

    with pytest.raises(Fatal, match="it was moved or removed while it grew; put it back"):
        instantly(FakeSource(p=rows(20)), out, stopping=stopping)
    away.rename(out)
    instantly(FakeSource(p=rows(20)), out)
    assert lines(out) == [value for _, value in rows(20)]


def test_positions_are_told_to_the_reader_only_when_the_lines_are_on_disk(tmp_path: Path) -> None:
    source = FakeSource(p=rows(6))
    seen: list[int] = []

    def progress(recorded: Recorded) -> None:
        seen.append(len(lines(tmp_path)))
        assert [position[1] for position in source.readers["p"].committed][-1] == seen[-1]

    instantly(source, tmp_path, progress=progress)
    assert seen == [3, 6]
    assert source.readers["p"].closed


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30), st.integers(1, 4), st.integers(0, 30), st.booleans()
)
def test_a_crash_at_any_point_leaves_each_line_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], chunk: int, crash_at: int, rotate: bool
) -> None:
    out = tmp_path_factory.mktemp("out")
    written: list[Row] = [(time, b'{"n":%d}' % i) for i, time in enumerate(times)]

    class Crash(Exception):
        pass

    turns = iter(range(1000))

    def clock() -> float:
        turn = next(turns)
        if turn == crash_at:
            raise Crash
        return turn / 4

    options: dict[str, Any] = {"sync_secs": 1, "rotate_bytes": 1 if rotate else 1 << 30}
    try:
        record(FakeSource(chunk, p=written), out, clock=clock, **options)
    except Crash:
        record(FakeSource(chunk, p=written), out, **options)
    assert lines(out) == [value for _, value in written]


def test_bytes_that_were_never_synced_are_cut_off(tmp_path: Path) -> None:
    instantly(FakeSource(p=rows(3)), tmp_path)
    (path,) = tmp_path.rglob("*.jsonl.zst")
    with path.open("ab") as file:
        file.write(b"half a frame")
    instantly(FakeSource(p=rows(6)), tmp_path)
    assert lines(tmp_path) == [value for _, value in rows(6)]


def test_files_are_rotated_by_size_and_named_by_the_records_before_them(tmp_path: Path) -> None:
    instantly(FakeSource(p=rows(9)), tmp_path, rotate_bytes=1, compression="none")
    assert files(tmp_path) == [f"p/{first:020}.rec.jsonl" for first in (0, 3, 6)]
    assert lines(tmp_path) == [value for _, value in rows(9)]


def test_files_are_rotated_by_age(tmp_path: Path) -> None:
    now = iter(range(1000))
    record(FakeSource(p=rows(9)), tmp_path, rotate_secs=5, clock=lambda: float(next(now)))
    assert len(files(tmp_path)) > 1
    assert lines(tmp_path) == [value for _, value in rows(9)]


def test_a_file_is_not_rotated_where_its_successor_would_overtake_it(tmp_path: Path) -> None:
    jumbled: list[Row] = [(time, b'{"t":%d}' % time) for time in (50, 10, 20, 50, 30, 60, 40, 70)]
    instantly(FakeSource(1, p=jumbled), tmp_path, rotate_bytes=1)
    assert [int(name[2:22]) for name in files(tmp_path)] == [0, 5, 7]
    assert lines(tmp_path) == [value for _, value in jumbled]


def test_a_stamp_far_ahead_neither_ends_the_rotation_nor_a_file(tmp_path: Path) -> None:
    ahead: list[Row] = [*rows(1), (4_000_000_000_000, b'{"n":"ahead"}'), *rows(300, first=1)]
    instantly(FakeSource(1, p=ahead), tmp_path, rotate_bytes=1)
    begins = [int(name[2:22]) for name in files(tmp_path)]
    assert begins[:3] == [0, 1, 102], "a hundred records outvote it"
    assert len(begins) > 100
    assert lines(tmp_path) == [value for _, value in ahead]


def test_partitions_have_folders_of_their_own_and_are_merged_by_time(tmp_path: Path) -> None:
    instantly(FakeSource(a=[(1, b"1"), (4, b"4")], b=[(2, b"2"), (3, b"3")]), tmp_path)
    assert [name.split("/")[0] for name in files(tmp_path)] == ["a", "b"]
    assert lines(tmp_path) == [b"1", b"2", b"3", b"4"]


def test_another_compression_begins_with_the_next_file(tmp_path: Path) -> None:
    instantly(FakeSource(p=rows(3)), tmp_path, compression="gz")
    instantly(FakeSource(p=rows(9)), tmp_path, compression="zst", rotate_bytes=1)
    kinds = ((0, "gz"), (3, "zst"), (6, "zst"))
    assert files(tmp_path) == [f"p/{first:020}.rec.jsonl.{kind}" for first, kind in kinds]
    assert lines(tmp_path) == [value for _, value in rows(9)]


def test_two_recorders_do_not_share_a_directory(tmp_path: Path) -> None:
    def second(recorded: Recorded) -> None:
        with pytest.raises(StateError, match="another process records to"):
            instantly(FakeSource(p=rows(1)), tmp_path)

    instantly(FakeSource(p=rows(1)), tmp_path, progress=second)


def test_a_recording_that_was_cut_is_an_error(tmp_path: Path) -> None:
    instantly(FakeSource(p=rows(3)), tmp_path)
    (path,) = tmp_path.rglob("*.jsonl.zst")
    path.write_bytes(path.read_bytes()[:5])
    with pytest.raises(StateError, match=r"has 5 bytes, \d+ were written"):
        instantly(FakeSource(p=rows(6)), tmp_path)


def test_a_damaged_state_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".record.json").write_bytes(b"{")
    with pytest.raises(StateError, match="is damaged"):
        instantly(FakeSource(p=rows(3)), tmp_path)


def test_what_a_kill_has_left_of_the_state_file_goes_with_the_next_start(tmp_path: Path) -> None:
    left = tmp_path / ".record.json.1.partial"
    left.write_bytes(b"{")
    os.utime(left, (0, 0))
    instantly(FakeSource(p=rows(3)), tmp_path)
    assert not left.exists()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Fatal, match="cannot record to"):
        instantly(FakeSource(p=rows(3)), tmp_path / "file")


def test_a_recorder_without_news_waits_instead_of_spinning(tmp_path: Path) -> None:
    waits: list[float] = []

    class Quiet(FakeReader):
        done = False

        def read(self, limit: int) -> RawChunk | None:
            return None

    class QuietSource(FakeSource):
        def open(self, name: str, position: Any) -> FakeReader:
            return Quiet(name, [], position, 1)

    stop: Callable[[], bool] = lambda: len(waits) == 3  # noqa: E731  # one expression, used once
    record(QuietSource(p=[]), tmp_path, stopping=stop, idle=waits.append)
    assert waits == [0.005] * 3


class LatestSource(FakeSource):
    """A topic that is read from where it ends when it is first asked for; it grows while it is read."""

    def __init__(self, log: list[Row], more: int) -> None:
        super().__init__(2, p=log)
        self.more = more

    def open(self, name: str, position: Any) -> FakeReader:
        log, more = self.partitions[name], self.more

        class Growing(FakeReader):
            def read(self, limit: int) -> RawChunk | None:
                nonlocal more
                if self.at >= len(log) and more:
                    more -= 1
                    log.extend(rows(2, first=len(log)))
                return super().read(limit)

            @property
            def done(self) -> bool:
                return not more and super().done

        begin = len(log) if position is None else position[1]
        return Growing(name, log, ("fake-1", begin, ()), self.chunk)


def begins_at(out: Path) -> int | None:
    """Return where the recording would go on, None where nothing of it is on disk."""
    state = out / ".record.json"
    return orjson.loads(state.read_bytes())["partitions"]["p"]["position"][1] if state.exists() else None


def test_a_power_cut_takes_nothing_that_was_kept_and_leaves_no_gap(tmp_path: Path, unfsynced: None) -> None:
    """From `latest`: what comes while the power is off is recorded by the next start."""
    began, kept = 7, Counter[int]()

    def act(root: Path) -> None:
        instantly(LatestSource(rows(began), more=3), root / "out", rotate_bytes=60, compression="none")

    for place, over in cuts(tmp_path, lambda root: None, act):
        known = begins_at(place / "out")
        before = lines(place / "out") if known is not None else []
        kept[len(before)] += 1
        source = LatestSource(rows(began + 10), more=1)
        instantly(source, place / "out")
        after = lines(place / "out")
        assert after[: len(before)] == before
        first = began if known is not None else began + 10
        assert after == [value for _, value in source.partitions["p"][first:]]
        assert not over or len(before) == 6
    assert kept.keys() == {0, 2, 4, 6}


def test_a_file_that_an_older_version_began_goes_on_under_its_name(tmp_path: Path) -> None:
    instantly(FakeSource(p=rows(3)), tmp_path)
    (path,) = tmp_path.rglob("*.rec.jsonl.zst")
    path.rename(path.with_name(path.name.replace(".rec", "")))
    instantly(FakeSource(p=rows(6)), tmp_path)
    assert files(tmp_path) == [f"p/{0:020}.jsonl.zst"]
    assert lines(tmp_path, Formats(RECORDED)) == [value for _, value in rows(6)]


def test_files_that_nothing_is_known_of_are_left_alone(tmp_path: Path) -> None:
    instantly(FakeSource(p=rows(3)), tmp_path)
    (tmp_path / ".record.json").unlink()
    (path,) = tmp_path.rglob("*.jsonl.zst")
    whole = path.read_bytes()
    with pytest.raises(StateError, match=r"zst was recorded before.*another directory"):
        instantly(FakeSource(p=rows(6)), tmp_path)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text.replace(b'"first":0', b'"first":1'),
        lambda text: text.replace(b'"bytes":', b'"bytes":1'),
        lambda text: text.replace(b'"partitions"', b'"partitiont"'),
        lambda text: b'{"version":1,"partitions":[]}',
        lambda text: b'{"version":1,"partitions":{"p":{"first":0}}}',
        lambda text: b'{"version":1,"partitions":{"p":7}}',
        lambda text: b"",
        lambda text: b"\xff",
    ],
)
def test_a_state_file_that_says_something_else_cuts_nothing_off(
    tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    instantly(FakeSource(p=rows(3)), tmp_path)
    state = tmp_path / ".record.json"
    state.write_bytes(damage(state.read_bytes()))
    (path,) = tmp_path.rglob("*.jsonl.zst")
    whole = path.read_bytes()
    with pytest.raises(StateError, match=r"is damaged.*another directory"):
        instantly(FakeSource(p=rows(6)), tmp_path)
    assert path.read_bytes() == whole
