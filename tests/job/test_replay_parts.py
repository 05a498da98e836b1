"""Which events a replay fires, where its requests go, and how fast time passes in it: without a job."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.job.replay import Paced, Replay
from pipeline.model.errors import UsageError
from pipeline.model.records import Event
from pipeline.sources.chunk import RawChunk
from tests.kit import records
from tests.kit.clock import HandClock
from tests.kit.records import NOW_MS


def event(time: int | None, user_id: str | None = "u1") -> Event:
    return records.event(user_id=user_id, anonymous_id="a1", time=time)


@pytest.mark.parametrize(
    ("since", "until", "time", "fires"),
    [
        (None, None, 5, True),
        (None, None, None, True),
        (5, None, 5, True),
        (6, None, 5, False),
        (None, 5, 5, False),
        (None, 6, 5, True),
        (1, 9, None, False),
    ],
)
def test_the_window_holds_its_first_and_not_its_last_moment(
    since: int | None, until: int | None, time: int | None, fires: bool
):
    assert Replay(since_ms=since, until_ms=until).wants(event(time)) is fires


def test_a_user_is_meant_by_the_id_that_the_join_found():
    assert Replay(user_id="u1").wants(event(1, "u1"))
    assert not Replay(user_id="a1").wants(event(1, None))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://crm.example/a/b?c=1", "http://127.0.0.1:9/a/b?c=1"),
        ("https://crm.example", "http://127.0.0.1:9/"),
        ("https://crm.example?x=/y", "http://127.0.0.1:9?x=/y"),
        ("https://crm.example:8443/", "http://127.0.0.1:9/"),
    ],
)
@pytest.mark.parametrize("to", ["http://127.0.0.1:9", "http://127.0.0.1:9/"])
def test_only_the_origin_of_a_url_is_replaced(url: str, expected: str, to: str):
    assert Replay(to=to).redirect(url) == expected


@pytest.mark.parametrize("to", ["ftp://x", "127.0.0.1:9", "http://", "http://x/path"])
def test_a_target_with_a_path_or_without_a_host_is_refused(to: str):
    with pytest.raises(UsageError, match="is no origin"):
        Replay(to=to)


class Listed:
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
    def position(self) -> tuple[object, ...]:
        return ("test-1", self.at)

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
    assert listed.position == ("test-1", 2)
    assert paced.position == ("test-1", 1)
    assert not paced.done
    clock.now += 60
    assert drain(paced) == 1
    assert paced.position == ("test-1", 2)
    paced.close()
    assert listed.closed
