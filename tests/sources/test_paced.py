"""How fast time passes in a paced replay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.sources.chunk import Position, RawChunk
from pipeline.sources.paced import Paced
from pipeline.sources.reader import BaseReader
from tests.kit.machine.clock import HandClock
from tests.kit.streams.records import NOW_MS


class Listed(BaseReader):
    """A reader of given lines."""

    name = "p"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines
        self.at = 0
        self.closed = False

    @property
    def done(self) -> bool:
        return self.at == len(self.lines)

    @property
    def position(self) -> Position:
        return ("test-1", self.at, ())

    def read(self, limit: int) -> RawChunk | None:
        found = self.lines[self.at : self.at + limit]
        if not found:
            return None
        start, self.at = self.at, self.at + len(found)
        raw = [json.dumps(line).encode() for line in found]
        return RawChunk("p", "p", list(range(start, self.at)), [*raw], self.position)

    def close(self) -> None:
        self.closed = True


def line(secs: float) -> dict[str, Any]:
    return {"type": "event", "name": "E", "user_id": "u", "time": (NOW_MS + secs * 1000) / 1000}


def drain(paced: Paced) -> int:
    count = 0
    while paced.read(200) is not None:
        count += 1
    return count


@pytest.mark.parametrize(("speed", "steps"), [(1.0, 10.0), (10.0, 1.0), (0.5, 20.0)])
def test_time_passes_at_a_multiple_of_the_clock(speed: float, steps: float):
    clock = HandClock()
    paced = Paced(Listed([line(0), line(10), line(20), line(20)]), speed, clock)
    assert drain(paced) == 1
    clock.now += steps * 0.99
    assert drain(paced) == 0
    clock.now += steps * 0.02
    assert drain(paced) == 1
    clock.now += steps
    assert drain(paced) == 2
    assert paced.done


def test_lines_without_a_time_or_from_the_past_follow_at_once():
    paced = Paced(Listed([line(100), {"type": "event"}, line(0), line(100)]), 1.0, HandClock())
    assert drain(paced) == 4


def test_a_line_that_waits_is_not_in_the_position():
    clock = HandClock()
    listed = Listed([line(0), line(60)])
    paced = Paced(listed, 1.0, clock)
    assert drain(paced) == 1
    assert listed.position == ("test-1", 2, ())
    assert paced.position == ("test-1", 1, ())
    assert not paced.done
    clock.now += 60
    assert drain(paced) == 1
    assert paced.position == ("test-1", 2, ())
    paced.close()
    assert listed.closed
