"""What holds for every reader (sources/reader.py): one suite, a case per kind of reader."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.reader import Reader

WAIT_SECS = 20.0
ENDLESS = 23
"""How many lines are read of a reader that has no end."""

Line = tuple[str, int, bytes | None]


@dataclass
class Case:
    """One kind of reader over an input that stays as it is."""

    open: Callable[[Position | None], Reader]
    lines: list[bytes] | None = None
    """What the input holds, in order; None: nobody can know."""
    ends: bool = True
    resumes: bool = True
    """False where a position means nothing to another run."""

    @property
    def count(self) -> int:
        return ENDLESS if self.lines is None else len(self.lines)


def lines_of(chunk: RawChunk) -> list[Line]:
    sources = [chunk.sources] * len(chunk) if isinstance(chunk.sources, str) else chunk.sources
    return list(zip(sources, chunk.offsets, chunk.lines, strict=True))


def chunks(reader: Reader, limit: int = 200, count: int | None = None) -> Iterator[RawChunk]:
    """Yield what comes until the reader is done, or this many lines have come."""
    deadline = time.monotonic() + WAIT_SECS
    seen = 0
    while not (reader.done if count is None else seen >= count):
        stood = reader.position[1]
        chunk = reader.read(limit if count is None else min(limit, count - seen))
        if chunk is not None:
            seen += len(chunk)
            yield chunk
        else:
            assert reader.position[1] == stood, "nothing was handed out"
            assert time.monotonic() < deadline, f"nothing came after {seen} lines"
            time.sleep(0 if reader.expects_answer else 0.001)


class ReaderContract:
    """The statements; a subclass has a fixture ``case``."""

    @pytest.fixture
    def opened(self, case: Case) -> Iterator[Callable[..., Reader]]:
        """Opens readers of the case and closes them."""
        readers: list[Reader] = []

        def open_(position: Position | None = None) -> Reader:
            readers.append(case.open(position))
            return readers[-1]

        yield open_
        for reader in readers:
            reader.close()

    @pytest.fixture
    def read(self, case: Case, opened: Callable[..., Reader]) -> Callable[..., list[RawChunk]]:
        """Reads all there is from a position on, with at most this many lines at a time."""

        def read(limit: int = 200, position: Position | None = None) -> list[RawChunk]:
            reader = opened(position)
            left = None if case.ends else case.count - (position[1] if position else 0)
            return list(chunks(reader, limit, left))

        return read

    @pytest.mark.parametrize("limit", [1, 7, 200])
    def test_everything_comes_once_in_order_and_never_more_than_was_asked_for(
        self, case: Case, read: Callable[..., list[RawChunk]], limit: int
    ) -> None:
        found = read(limit)
        assert all(0 < len(chunk) <= limit for chunk in found)
        lines = [line for chunk in found for line in chunk.lines]
        assert len(lines) == case.count
        assert case.lines is None or lines == case.lines
        origins = [(source, at) for chunk in found for source, at, _ in lines_of(chunk)]
        assert len(set(origins)) == len(origins)

    def test_a_chunk_says_of_each_line_what_it_says_of_one(
        self, opened: Callable[..., Reader], case: Case
    ) -> None:
        reader = opened()
        for chunk in chunks(reader, 5, case.count):
            assert chunk.partition == reader.name
            for column in (chunk.offsets, chunk.received, chunk.headers, chunk.keys):
                assert column is None or len(column) == len(chunk)
            assert all(0 <= at < len(chunk) for at in chunk.faults or ())

    def test_the_position_moves_with_what_is_handed_out_and_counts_it(
        self, opened: Callable[..., Reader], case: Case
    ) -> None:
        reader = opened()
        assert reader.position[1] == 0
        handed_out = 0
        for chunk in chunks(reader, 4, case.count):
            handed_out += len(chunk)
            assert chunk.position == reader.position
            assert reader.position[1] == handed_out
        assert reader.position[1] == case.count
        if case.ends:
            assert reader.read(10) is None
            assert reader.position[1] == case.count

    def test_a_reader_is_done_after_everything_and_not_before(
        self, opened: Callable[..., Reader], case: Case
    ) -> None:
        reader = opened()
        for chunk in chunks(reader, 6, case.count):
            assert not reader.done or chunk.position[1] == case.count
        assert not list(chunks(reader)) if case.ends else not reader.done

    def test_from_each_position_the_rest_comes(self, read: Callable[..., list[RawChunk]], case: Case) -> None:
        if not case.resumes:
            return
        whole = [line for chunk in read() for line in lines_of(chunk)]
        for chunk in read(9):
            position = pickle.loads(pickle.dumps(chunk.position))
            assert position == chunk.position
            rest = [line for later in read(200, position) for line in lines_of(later)]
            assert rest == whole[position[1] :]

    def test_a_reader_resumed_at_the_end_is_done_without_a_line(
        self, opened: Callable[..., Reader], case: Case
    ) -> None:
        if not case.ends:
            return
        first = opened()
        assert list(chunks(first))
        assert not list(chunks(opened(first.position)))

    def test_positions_become_durable_late_more_than_once_and_in_any_order(
        self, opened: Callable[..., Reader], case: Case
    ) -> None:
        reader = opened()
        start = reader.position
        reader.durable(start)
        seen = []
        for chunk in chunks(reader, 3, case.count):
            seen.append(chunk)
            reader.durable(seen[len(seen) // 2].position)
        for position in (seen[-1].position, seen[-1].position, seen[0].position, start):
            reader.durable(position)
        assert sum(map(len, seen)) == case.count

    def test_a_trail_repeats_after_a_crash_what_had_been_handed_out(
        self, opened: Callable[..., Reader], case: Case, tmp_path: Path
    ) -> None:
        if not case.resumes:
            return
        first = opened()
        first.keep_trail(tmp_path)
        before = list(chunks(first, 5, case.count))
        safe = before[len(before) // 2].position
        first.durable(safe)
        first.close()
        again = opened(safe)
        again.keep_trail(tmp_path)
        assert again.position == safe
        rest = [line for chunk in chunks(again, 5, case.count - safe[1]) for line in lines_of(chunk)]
        assert rest == [line for chunk in before for line in lines_of(chunk)][safe[1] :]

    def test_progress_grows_and_ends_at_all_there_is(self, opened: Callable[..., Reader], case: Case) -> None:
        reader = opened()
        seen = [reader.progress]
        for _ in chunks(reader, 5, case.count):
            seen.append(reader.progress)
        assert all(earlier[0] <= later[0] for earlier, later in pairwise(seen))
        assert all(read <= total for read, total in seen if total)
        if case.ends and seen[-1][1]:
            assert seen[-1][0] == seen[-1][1]

    def test_only_a_reader_that_waits_expects_an_answer(
        self, opened: Callable[..., Reader], case: Case
    ) -> None:
        reader = opened()
        assert reader.expects_answer is False
        for _ in chunks(reader, 5, case.count):
            assert reader.expects_answer in (False, True)
        if case.ends:
            assert not list(chunks(reader))
            assert reader.expects_answer is False

    def test_closing_twice_is_fine_and_moves_nothing(self, opened: Callable[..., Reader], case: Case) -> None:
        opened().close()
        reader = opened()
        next(chunks(reader, 3, case.count))
        position = reader.position
        reader.close()
        reader.close()
        assert reader.position == position
