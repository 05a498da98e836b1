"""Records that reach the broker after one of the other topic that they precede, and stamps ahead of it.

No broker: two logs with times, and how much of them was fetched when.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.side import Run, Side
from pipeline.sources.topics.merging.trail import Trail
from tests.kit.examples import examples

NAMES = ("users", "events")
NOW = 1_000_000
"""Unix ms of the model's clock when it begins."""
Left = list[tuple[str, int]]


class Broker:
    """Two logs as they grow, and a reader that fetches all of them each millisecond, or less often."""

    def __init__(self, settle_ms: int, floors: tuple[int, int] = (0, 0)) -> None:
        self.logs: dict[str, list[int]] = {name: [] for name in NAMES}
        self.sides = [Side[str](name, 0) for name in NAMES]
        self.merge = Alignment[str](self.sides, settle_ms=settle_ms)
        self.now = 0
        self.wall_ahead = NOW
        self.left: Left = []
        self.runs: list[Run[str]] = []

    def append(self, name: str, stamp: int) -> None:
        self.logs[name].append(NOW + stamp)

    def fetch(self, *names: str) -> None:
        self.merge.wall_ms = self.wall_ahead + self.now
        for side in self.sides:
            if side.name in (names or NAMES):
                log = self.logs[side.name]
                fresh = list(range(side.position, len(log)))
                self.merge.add(side, fresh, log[side.position :], [side.name] * len(fresh), self.now)
                self.merge.reached(side, len(log), self.now)

    def turn(self) -> list[tuple[str, int]]:
        """Fetch, take, ask and hear the answer at once."""
        self.fetch()
        before = len(self.left)
        for _ in range(3):
            self._take()
            question = self.merge.ask(self.now)
            if question is not None:
                self.merge.answer(question, {name: len(log) for name, log in self.logs.items()}, self.now)
        self._take()
        return self.left[before:]

    def _take(self) -> None:
        runs = self.merge.take(200, self.now)
        self.runs += runs
        self.left += [(run.side.name, offset) for run in runs for offset in run.offsets]

    def until(self, ms: int, step: int = 1) -> None:
        while self.now < ms:
            self.now = min(ms, self.now + step)
            self.turn()

    @property
    def late(self) -> int:
        return sum(self.merge.late.values())


def read_again(logs: dict[str, list[int]]) -> Left:
    """Return the order of a reader for which everything is there, years later."""
    again = Broker(0)
    again.logs, again.wall_ahead = logs, NOW + 10**10
    again.turn()
    return again.left


@pytest.mark.parametrize("kind", NAMES)
def test_a_record_of_either_side_is_held_until_the_clock_is_past_its_time(kind: str) -> None:
    topic = Broker(50)
    topic.now = 110
    topic.append(kind, 100)
    assert topic.turn() == []
    topic.until(149)
    assert topic.left == []
    topic.until(150)
    assert topic.left == [(kind, 0)]


@pytest.mark.parametrize("kind", NAMES)
def test_a_record_from_a_clock_ahead_is_held_no_longer_than_the_time_after_it_was_fetched(kind: str) -> None:
    topic = Broker(50)
    topic.append(kind, 30_000)
    topic.turn()
    topic.until(49)
    assert topic.left == []
    topic.until(50)
    assert topic.left == [(kind, 0)]


@pytest.mark.parametrize("kind", NAMES)
def test_a_clock_set_back_holds_nothing_longer(kind: str) -> None:
    topic = Broker(50)
    topic.append(kind, 0)
    topic.turn()
    topic.wall_ahead -= 3_600_000
    topic.until(50)
    assert topic.left == [(kind, 0)]


def test_without_a_settle_time_nothing_is_held() -> None:
    topic = Broker(0)
    topic.append("events", 0)
    assert topic.turn() == [("events", 0)]


def test_a_backlog_is_not_held() -> None:
    topic = Broker(50)
    for number in range(100):
        topic.append("events", number - 10_000)
    topic.append("users", -9_950)
    assert len(topic.turn()) == 101


@pytest.mark.parametrize(("early", "late"), [NAMES, NAMES[::-1]])
def test_what_its_producer_held_back_for_40_ms_still_goes_first(early: str, late: str) -> None:
    topic = Broker(50)
    topic.now = 1
    topic.append(early, 1)
    topic.until(40)
    topic.append(late, 0)
    topic.until(60)
    assert topic.left == [(late, 0), (early, 0)]
    assert topic.late == 0


@pytest.mark.parametrize(("early", "late"), [NAMES, NAMES[::-1]])
def test_what_comes_later_than_that_is_counted_on_its_side(early: str, late: str) -> None:
    topic = Broker(50)
    topic.append(early, 1)
    topic.until(60)
    topic.append(late, 0)
    topic.until(120)
    assert topic.left == [(early, 0), (late, 0)]
    assert topic.merge.late == {late: 1}


def test_an_answer_from_before_a_record_had_settled_does_not_let_it_pass() -> None:
    topic = Broker(50)
    topic.append("events", 0)
    topic.now = 45
    topic.append("events", 45)
    topic.until(50)
    assert topic.left == [("events", 0)], "the end was asked for when the first one had settled"
    topic.until(90)
    topic.append("users", 40)
    topic.until(100)
    assert topic.left == [("events", 0), ("users", 0), ("events", 1)]


arrivals = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 300), st.integers(0, 120)), min_size=1, max_size=30
)


@settings(max_examples=examples(100), deadline=None)
@given(arrivals, st.sampled_from([0, 20, 50]))
def test_live_is_as_read_again_but_for_what_was_counted(
    written: list[tuple[str, int, int]], settle: int
) -> None:
    """Each record has its time, and comes to the broker so many milliseconds later."""
    topic = Broker(settle)
    for name, time, linger in sorted(written, key=lambda one: one[1] + one[2]):
        topic.until(time + linger, step=7)
        topic.append(name, time)
        topic.turn()
    topic.until(600, step=50)
    assert len(topic.left) == len(written)
    if all(linger <= settle for _, _, linger in written):
        assert topic.late == 0
    if topic.late == 0:
        assert topic.left == read_again(topic.logs)


# --- stamps ahead of the clock

YEARS = 10**12


@pytest.mark.parametrize("behind", [[], [20], [20, 40]])
def test_one_stamp_far_ahead_holds_up_nobody_behind_it(behind: list[int]) -> None:
    topic = Broker(0)
    topic.append("users", 0)
    topic.append("users", YEARS)
    for time in behind:
        topic.append("users", time)
    for time in (10, 30, 50):
        topic.append("events", time)
    topic.now = 100
    order = [name[0] + str(offset) for name, offset in topic.turn()]
    assert (
        order
        == {
            0: ["u0", "e0", "e1", "e2", "u1"],
            1: ["u0", "e0", "u1", "u2", "e1", "e2"],
            2: ["u0", "e0", "u1", "u2", "e1", "u3", "e2"],
        }[len(behind)]
    )
    assert [offset for run in topic.runs for offset in run.clamped] == [1]
    assert topic.late == 0


def test_one_that_was_fetched_alone_lets_nobody_pass_what_is_not_fetched_yet() -> None:
    topic = Broker(0)
    topic.now = 100
    topic.append("users", YEARS)
    topic.append("events", 50)
    topic.fetch()
    topic.append("users", 40)
    assert topic.turn() == [("users", 0), ("users", 1), ("events", 0)]


def test_a_side_whose_clock_is_always_ahead_goes_by_ours() -> None:
    topic = Broker(0)
    for number in range(5):
        topic.now = 100 * number
        topic.append("events", 100 * number + 600_000)
        topic.append("users", 100 * number)
        assert topic.turn() == [("users", number), ("events", number)]
    assert topic.merge.late == {}


def test_what_lies_behind_its_side_s_maximum_is_no_stamp_ahead() -> None:
    """The clock of this machine may be behind: what goes on as before is believed."""
    topic = Broker(0)
    topic.append("events", -10)
    topic.turn()
    topic.wall_ahead -= 3_600_000
    topic.append("events", 0)
    topic.append("events", 50_000)
    topic.append("events", 100_000)
    topic.turn()
    assert [run.clamped for run in topic.runs] == [[], []]


stamps = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 100), st.sampled_from([0, 0, 0, 90_000, YEARS])),
    min_size=1,
    max_size=25,
)


@settings(max_examples=examples(100), deadline=None)
@given(stamps, st.lists(st.booleans(), min_size=25, max_size=25), st.integers(0, 20), st.integers(0, 10))
def test_after_a_crash_the_same_stamps_are_ahead_although_the_clock_has_gone_on(
    tmp_path_factory: pytest.TempPathFactory,
    written: list[tuple[str, int, int]],
    takes: list[bool],
    crash: int,
    days: int,
) -> None:
    folder = Path(tmp_path_factory.mktemp("trail"))
    live = Broker(0)
    trail = Trail(folder, NAMES, (0, 0), 0)
    places = [(0, [(side.next_offset, side.released_floor) for side in live.sides])]
    chunks: list[Left] = []
    for (name, time, ahead), take in zip(written, takes, strict=False):
        live.append(name, time + ahead)
        live.now = max(live.now, time)
        before, runs = len(live.left), len(live.runs)
        if take and live.turn():
            trail.note_runs(before, live.sides, live.runs[runs:])
            chunks.append(live.left[before:])
            places.append((len(live.left), [(side.next_offset, side.released_floor) for side in live.sides]))
    trail.close()
    line, places_of = places[min(crash, len(chunks))]
    again = Broker(0)
    again.logs, again.wall_ahead = live.logs, NOW + days * 86_400_000
    again.sides = [Side(name, *place) for name, place in zip(NAMES, places_of, strict=True)]
    again.merge = Alignment(again.sides)
    found = Trail(folder, NAMES, (0, 0), line)
    for number, side in enumerate(again.sides):
        side.decided_until = found.ahead[-1].offsets[number] if found.ahead else 0
        side.clamped_before = {at for which, at in found.clamped if which == number}
    again.fetch()
    repeated: Left = []
    for boundary in found.ahead:
        taken = again.merge.take_up_to(boundary.offsets, 200)
        repeated += [(run.side.name, offset) for run in taken or () for offset in run.offsets]
    found.close()
    assert repeated == live.left[line:]
    floors = [[side.released_floor for side in one.sides] for one in (again, live)]
    assert floors[0] == floors[1]
