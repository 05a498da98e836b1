"""After a crash the topics are merged as they were before, although more of them is there by then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.paced import Paced
from pipeline.sources.reader import Reader
from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.side import Side
from pipeline.sources.topics.merging.trail import FILE, REWRITE_BYTES, Boundary, Trail
from tests.kafka.servers.topics import Tapper, Topics

NAMES = ["users/0", "events/0"]


def trail(folder: Path, line: int = 0, base: tuple[int, int] = (0, 0)) -> Trail:
    return Trail(folder, NAMES, base, line)


def noted(folder: Path, count: int) -> list[Boundary]:
    boundaries = [Boundary(10 * n, (3 * n, 7 * n)) for n in range(1, count + 1)]
    one = trail(folder)
    for boundary in boundaries:
        one.note(boundary)
    one.close()
    return boundaries


def test_a_trail_begins_after_the_line_that_is_resumed(tmp_path: Path) -> None:
    boundaries = noted(tmp_path, 5)
    assert list(trail(tmp_path, line=20).ahead) == boundaries[2:]
    assert list(trail(tmp_path, line=50).ahead) == []


def test_a_torn_end_is_ignored_and_the_trail_goes_on_behind_what_is_whole(tmp_path: Path) -> None:
    boundaries = noted(tmp_path, 5)
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:-3])
    again = trail(tmp_path)
    assert list(again.ahead) == boundaries[:4]
    again.note(boundaries[4])
    again.close()
    assert (tmp_path / FILE).read_bytes() == whole


def test_a_stamp_ahead_of_the_clock_goes_with_its_chunk_where_the_end_of_that_is_torn(tmp_path: Path) -> None:
    one = trail(tmp_path)
    one.note(Boundary(10, (3, 7)))
    one.note(Boundary(20, (6, 14)), clamped=[(1, 8)])
    one.close()
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:-3])
    again = trail(tmp_path)
    again.note(Boundary(15, (8, 7)))
    again.close()
    assert [entry.line for entry in trail(tmp_path).ahead] == [10, 15]
    assert trail(tmp_path).clamped == []


def test_a_damaged_entry_ends_the_trail(tmp_path: Path) -> None:
    boundaries = noted(tmp_path, 5)
    data = bytearray((tmp_path / FILE).read_bytes())
    data[-40] ^= 1
    (tmp_path / FILE).write_bytes(data)
    assert list(trail(tmp_path).ahead) == boundaries[:3]


def test_what_is_durable_is_forgotten_and_the_file_stays_small(tmp_path: Path) -> None:
    one = trail(tmp_path)
    for n in range(1, 20_000):
        one.note(Boundary(n, (n, n)))
        if n % 100 == 0:
            one.forget(n - 10)
    one.close()
    assert (tmp_path / FILE).stat().st_size < 2 * REWRITE_BYTES
    assert [boundary.line for boundary in trail(tmp_path, line=19_990).ahead] == list(range(19_991, 20_000))


def test_a_crash_before_the_first_epoch_goes_back_to_where_the_job_began(tmp_path: Path) -> None:
    trail(tmp_path, base=(5, 6)).note(Boundary(1, (5, 7)))
    assert trail(tmp_path, base=(5, 9)).base == (5, 6)
    assert trail(tmp_path, line=1, base=(5, 9)).base == (5, 9), "later the position says it"


def test_a_trail_of_other_topics_is_not_followed(tmp_path: Path) -> None:
    noted(tmp_path, 3)
    assert list(Trail(tmp_path, ["clicks/0", "events/0"], (0, 0), 0).ahead) == []


records = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), max_size=25)


@given(records, st.lists(st.integers(1, 4), min_size=1, max_size=20), st.integers(0, 10))
def test_a_repeated_stretch_has_the_order_of_the_first_time(
    appended: list[tuple[int, int]], takes: list[int], crash: int
) -> None:
    """Records arrive one by one, nothing waits for another side: the worst that late records can do."""

    def sides(at: tuple[int, int] = (0, 0), floors: tuple[int, int] = (-1, -1)) -> list[Side[int]]:
        return [Side(name, offset, floor) for name, offset, floor in zip(NAMES, at, floors, strict=True)]

    live = Alignment(sides(), max_wait_ms=0)
    chunks: list[list[tuple[str, int]]] = []
    marks = [((0, 0), (-1, -1))]
    ends = [0, 0]
    log: list[list[int]] = [[], []]
    for number, (which, time) in enumerate(appended):
        log[which].append(time)
        live.add(live.sides[which], [ends[which]], [time], [0], 0)
        ends[which] += 1
        taken = live.take(takes[number % len(takes)], 0) if number % 3 != 2 else []
        if taken:
            chunks.append([(run.side.name, offset) for run in taken for offset in run.offsets])
            a, b = live.sides
            marks.append(((a.next_offset, b.next_offset), (a.released_floor, b.released_floor)))
    crash = min(crash, len(chunks))
    again = Alignment(sides(*marks[crash]))
    for side, times in zip(again.sides, log, strict=True):
        start = side.position
        again.add(side, list(range(start, len(times))), times[start:], [0] * (len(times) - start), 0)
    for chunk, (offsets, floors) in zip(chunks[crash:], marks[crash + 1 :], strict=True):
        repeated = again.take_up_to(offsets, 200)
        assert [(run.side.name, offset) for run in repeated or [] for offset in run.offsets] == chunk
        assert tuple(side.released_floor for side in again.sides) == floors


def as_it_is(reader: Reader) -> Reader:
    return reader


def paced(reader: Reader) -> Reader:
    return Paced(reader, 1e9)


@pytest.mark.parametrize(("keeps", "kind"), [(True, as_it_is), (True, paced), (False, as_it_is)])
def test_an_update_that_came_late_stays_behind_the_event_that_had_left(
    topics: Topics, tap: Tapper, tmp_path: Path, keeps: bool, kind: Callable[[Reader], Reader]
) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(events, b"event", time_ms=100)
    first = tap(kind(topics.open(events=(events,), users=(users,))))
    if keeps:
        first.reader.keep_trail(tmp_path)
    first.take(1)
    topics.send(users, b"late", time_ms=95)
    first.take(2)
    first.reader.close()
    again = tap(kind(topics.open(events=(events,), users=(users,))))
    again.reader.keep_trail(tmp_path)
    again.take(2)
    assert (again.lines == first.lines) is keeps, "without its trail the reader cannot know"
    topics.send(events, b"next", time_ms=110)
    assert again.take(3)[-1] == b"next", "after the stretch it goes on"


def test_latest_is_where_it_was_before_the_crash(topics: Topics, tap: Tapper, tmp_path: Path) -> None:
    events, users = topics.create("events"), topics.create("users")
    topics.send(events, b"old")
    first = tap(topics.open(events=(events,), users=(users,), start="latest"))
    first.reader.keep_trail(tmp_path)
    topics.send(events, b"new")
    first.take(1)
    first.reader.close()
    again = tap(topics.open(events=(events,), users=(users,), start="latest"))
    again.reader.keep_trail(tmp_path)
    assert again.take(1) == [b"new"]
