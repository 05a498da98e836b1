"""The merge of topics by broker time, against a model of logs that grow while they are read."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.topics.merging.merge import Alignment, Question
from pipeline.sources.topics.merging.side import Side
from tests.kit.examples import examples

UPDATES, EVENTS, CLICKS = "updates", "events", "clicks"


@dataclass
class Log:
    """A topic partition: records and, as transaction markers leave them, offsets without a record."""

    records: list[tuple[int, int]] = field(default_factory=list)
    """(offset, time)"""
    turns: dict[int, int] = field(default_factory=dict)
    """Per offset when it was acknowledged, relative to all records; not at all in an open transaction."""
    end: int = 0
    undecided: int | None = None
    """First offset of a transaction that is open, or whose marker is not written yet."""
    open: bool = False

    @property
    def committed_end(self) -> int:
        return self.end if self.undecided is None else self.undecided


class World:
    """Logs, a reader of them, and everything that left so far as (side, offset)."""

    def __init__(self, names: list[str], max_wait_ms: int | None = None, undecided_ms: int = 1 << 40) -> None:
        self.logs = {name: Log() for name in names}
        self.wait = {"max_wait_ms": max_wait_ms, "undecided_ms": undecided_ms}
        self.now = 0
        self.turn = 0
        self.left: list[tuple[str, int]] = []
        self.question: tuple[Question, dict[str, int]] | None = None
        self.alignment = self.align([Side(name, 0) for name in names])

    def align(self, sides: list[Side[None]]) -> Alignment[None]:
        return Alignment(
            sides, max_wait_ms=self.wait["max_wait_ms"], undecided_ms=self.wait["undecided_ms"] or 0
        )

    def append(self, name: str, time: int) -> None:
        log = self.logs[name]
        log.records.append((log.end, time))
        if not log.open:
            self.turn += 1
            log.turns[log.end] = self.turn
        log.end += 1

    def begin(self, name: str) -> None:
        log = self.logs[name]
        if log.undecided is None:
            log.undecided, log.open = log.end, True

    def commit(self, name: str) -> None:
        """The producer's commit is acknowledged; its marker is written later."""
        log = self.logs[name]
        log.open = False
        self.turn += 1
        for offset, _ in log.records:
            log.turns.setdefault(offset, self.turn)

    def mark(self, name: str) -> None:
        log = self.logs[name]
        if not log.open:
            log.undecided = None
            log.end += 1

    def side(self, name: str) -> Side[None]:
        return next(side for side in self.alignment.sides if side.name == name)

    def fetch(self, name: str, limit: int = 1 << 30) -> None:
        """What librdkafka does: bring records, and report the end when it has been read."""
        side, log = self.side(name), self.logs[name]
        fresh = [record for record in log.records if side.position <= record[0] < log.committed_end]
        offsets, times = [offset for offset, _ in fresh[:limit]], [time for _, time in fresh[:limit]]
        self.alignment.add(side, offsets, times, [None] * len(offsets), self.now)
        if len(fresh) <= limit:
            self.alignment.reached(side, log.committed_end, self.now)

    def ask(self) -> None:
        question = self.alignment.ask(self.now)
        if question is not None:
            committed = question.committed
            ends = {name: log.committed_end if committed else log.end for name, log in self.logs.items()}
            self.question = question, ends

    def answer(self) -> None:
        if self.question is not None:
            self.alignment.answer(*self.question, self.now)
            self.question = None

    def take(self, limit: int = 1 << 30) -> None:
        for run in self.alignment.take(limit, self.now):
            self.left += [(run.side.name, offset) for offset in run.offsets]

    def restart(self) -> None:
        """A new process that knows the positions and floors of what has left."""
        self.question = None
        self.alignment = self.align(
            [Side(side.name, side.next_offset, side.released_floor) for side in self.alignment.sides]
        )

    def drain(self) -> None:
        """Let everything that was appended leave. Ends, as each round moves one question on at least."""
        for name, log in self.logs.items():
            if log.undecided is not None:
                self.commit(name)
                self.mark(name)
        total = sum(len(log.records) for log in self.logs.values())
        for _ in range(4 * total + 8):
            for name in self.logs:
                self.fetch(name)
            self.take()
            self.ask()
            self.answer()

    def keys(self) -> dict[tuple[str, int], tuple[int, int, int, int]]:
        """Of every record: monotone time, rank of its side, offset, turn."""
        result = {}
        for rank, (name, log) in enumerate(self.logs.items()):
            floor = -1
            for offset, time in log.records:
                floor = max(floor, time)
                result[name, offset] = (floor, rank, offset, log.turns[offset])
        return result


logs = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), st.booleans()), max_size=20)
READING = ["fetch", "fetch", "fetch", "ask", "answer", "take", "take", "restart"]
reading = st.lists(
    st.tuples(st.sampled_from(READING), st.integers(0, 2), st.integers(1, 3)), min_size=5, max_size=60
)
steps = st.lists(
    st.tuples(
        st.sampled_from([*READING, "append", "append", "append", "begin", "commit", "mark"]),
        st.integers(0, 2),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=80,
)
sides = st.sampled_from([[UPDATES, EVENTS], [UPDATES, EVENTS, CLICKS]])


def play(world: World, script: list[tuple[str, int, int]], *, jitter: bool) -> None:
    clock = 100
    names = list(world.logs)
    for verb, which, number in script:
        name = names[which % len(names)]
        match verb:
            case "append":
                clock += number // 2
                world.append(name, clock - (number if jitter else 0))
            case "begin":
                world.begin(name)
            case "commit":
                world.commit(name)
            case "mark":
                world.mark(name)
            case "fetch":
                world.fetch(name, number)
            case "ask":
                world.ask()
            case "answer":
                world.answer()
            case "take":
                world.take(number)
            case "restart":
                world.restart()
    world.drain()


@settings(max_examples=examples(300))
@given(sides, logs, reading)
def test_finished_logs_leave_in_the_order_of_a_stable_sort(
    names: list[str], written: list[tuple[int, int, bool]], script: list[tuple[str, int, int]]
) -> None:
    world = World(names)
    for which, time, marked in written:
        world.append(names[which % len(names)], time)
        if marked:
            world.mark(names[which % len(names)])
    play(world, script, jitter=False)
    keys = world.keys()
    assert world.left == sorted(keys, key=lambda record: keys[record][:3])


@settings(max_examples=examples(300))
@given(sides, steps, st.booleans())
def test_what_was_appended_earlier_and_is_earlier_leaves_earlier(
    names: list[str], script: list[tuple[str, int, int]], jitter: bool
) -> None:
    world = World(names)
    play(world, script, jitter=jitter)
    keys = world.keys()
    assert sorted(world.left) == sorted(keys), "nothing is lost, nothing leaves twice"
    place = {record: index for index, record in enumerate(world.left)}
    for a, (time_a, rank_a, offset_a, turn_a) in keys.items():
        for b, (time_b, rank_b, offset_b, turn_b) in keys.items():
            if (time_a, rank_a, offset_a) < (time_b, rank_b, offset_b) and turn_a < turn_b:
                assert place[a] < place[b], f"{a} must precede {b}"


def test_an_event_waits_until_the_updates_side_has_passed_its_time() -> None:
    world = World([UPDATES, EVENTS])
    world.append(EVENTS, 10)
    world.append(UPDATES, 5)
    world.append(UPDATES, 11)
    world.fetch(EVENTS)
    world.take()
    assert world.left == []
    world.fetch(UPDATES, 1)
    world.take()
    assert world.left == [(UPDATES, 0)], "a later update of the same time could still come"
    world.fetch(UPDATES, 1)
    world.take()
    assert world.left == [(UPDATES, 0), (EVENTS, 0)]


def test_events_wait_for_topics_with_updates_and_never_for_other_events() -> None:
    world = World([UPDATES, EVENTS, CLICKS])
    for side in world.alignment.sides[1:]:
        side.is_events = True
    world.append(EVENTS, 10)
    world.append(UPDATES, 11)
    world.fetch(EVENTS)
    world.take()
    assert world.left == [], "nothing is known of the updates"
    world.fetch(UPDATES)
    world.take()
    assert world.left == [(EVENTS, 0)], "clicks that have brought nothing hold nobody up"
    assert world.alignment.held_by is not None
    assert world.alignment.held_by.name in (EVENTS, CLICKS), "an update waits for every event before it"
    world.append(CLICKS, 5)
    world.fetch(CLICKS)
    world.take()
    assert world.left[-1] == (CLICKS, 0)
    assert world.alignment.late == {}, "events have no order among topics"


def test_an_event_waits_for_all_updates_of_its_own_time() -> None:
    world = World([UPDATES, EVENTS])
    world.append(UPDATES, 10)
    world.append(UPDATES, 10)
    world.append(EVENTS, 10)
    world.fetch(EVENTS)
    world.fetch(UPDATES, 1)
    world.take()
    assert world.left == [(UPDATES, 0)]


def test_a_restart_goes_on_with_the_floor_of_what_has_left() -> None:
    world = World([UPDATES, EVENTS])
    for time in (1, 9):
        world.append(UPDATES, time)
    for time in (5, 6):
        world.append(EVENTS, time)
    world.fetch(UPDATES)
    world.fetch(EVENTS, 1)
    world.take(1)
    world.restart()
    world.fetch(EVENTS, 1)
    world.fetch(UPDATES)
    world.drain()
    assert world.left == [(UPDATES, 0), (EVENTS, 0), (EVENTS, 1), (UPDATES, 1)]


def test_an_update_of_the_same_time_goes_first() -> None:
    world = World([UPDATES, EVENTS])
    world.append(EVENTS, 10)
    world.append(UPDATES, 10)
    world.fetch(EVENTS)
    world.fetch(UPDATES, 1)
    world.take()
    assert world.left[0] == (UPDATES, 0)


def test_on_an_idle_updates_side_one_question_is_enough() -> None:
    world = World([UPDATES, EVENTS])
    world.append(UPDATES, 1)
    world.drain()
    world.append(EVENTS, 10)
    world.fetch(EVENTS)
    world.take()
    world.ask()
    world.answer()
    world.take()
    assert world.left == [(UPDATES, 0), (EVENTS, 0)]


def test_an_end_asked_for_before_the_event_was_appended_proves_nothing() -> None:
    world = World([UPDATES, EVENTS])
    world.append(EVENTS, 10)
    world.fetch(EVENTS)
    world.take()
    world.ask()
    world.append(UPDATES, 11)
    world.append(EVENTS, 12)
    world.fetch(EVENTS)
    world.answer()
    world.fetch(UPDATES, 0)
    world.take()
    assert world.left == [(EVENTS, 0)], "the second event waits for the update before it"
    world.drain()
    assert world.left == [(EVENTS, 0), (UPDATES, 0), (EVENTS, 1)]


def test_transaction_markers_at_the_end_are_passed_by_the_reported_end() -> None:
    world = World([UPDATES, EVENTS])
    world.append(UPDATES, 1)
    world.mark(UPDATES)
    world.append(EVENTS, 10)
    world.fetch(EVENTS)
    world.alignment.add(world.side(UPDATES), [0], [1], [None], 0)
    world.take()
    world.ask()
    world.answer()
    world.take()
    assert world.left == [(UPDATES, 0)], "offset 1 might hold an update"
    world.fetch(UPDATES)
    world.take()
    assert world.left == [(UPDATES, 0), (EVENTS, 0)]


def test_an_event_after_an_acknowledged_commit_waits_for_its_markers() -> None:
    world = World([UPDATES, EVENTS], undecided_ms=1000)
    world.begin(UPDATES)
    world.append(UPDATES, 1)
    world.commit(UPDATES)
    world.append(EVENTS, 2)
    for world.now in (0, 400, 999):
        world.fetch(EVENTS)
        world.fetch(UPDATES)
        world.take()
        world.ask()
        world.answer()
    assert world.left == []
    world.mark(UPDATES)
    world.fetch(UPDATES)
    world.take()
    assert world.left == [(UPDATES, 0), (EVENTS, 0)]


def test_an_open_transaction_holds_a_record_for_a_limited_time_after_its_fetch() -> None:
    world = World([UPDATES, EVENTS], undecided_ms=1000)
    world.begin(UPDATES)
    world.append(UPDATES, 1)
    gone: dict[int, int] = {}
    for world.now in range(0, 5000, 100):
        if world.now in (0, 2000):
            world.append(EVENTS, world.now)
        world.fetch(EVENTS)
        world.fetch(UPDATES)
        for _ in range(2):
            world.take()
            world.ask()
            world.answer()
        world.take()
        gone.setdefault(len(world.left), world.now)
    assert gone == {0: 0, 1: 1000, 2: 3000}


def test_an_open_transaction_does_not_slow_down_a_backlog() -> None:
    world = World([UPDATES, EVENTS], undecided_ms=1000)
    world.begin(UPDATES)
    world.append(UPDATES, 1)
    for time in range(10_000):
        world.append(EVENTS, time)
    while len(world.left) < 10_000 and world.now < 2000:
        world.now += 5
        world.fetch(EVENTS, 100)
        world.fetch(UPDATES)
        world.take()
        world.ask()
        world.answer()
    assert len(world.left) == 10_000


def test_a_backlog_of_events_needs_two_questions_not_one_per_fetch() -> None:
    world = World([UPDATES, EVENTS])
    for time in range(1000):
        world.append(EVENTS, time)
    world.fetch(UPDATES)
    questions = 0
    while len(world.left) < 1000:
        world.fetch(EVENTS, 10)
        world.take()
        world.ask()
        questions += world.question is not None
        world.answer()
    assert questions == 2


def test_a_side_that_stops_holds_nothing_back() -> None:
    world = World([UPDATES, EVENTS])
    world.append(UPDATES, 1)
    world.append(UPDATES, 2)
    world.append(EVENTS, 3)
    world.side(UPDATES).stop = 1
    world.fetch(UPDATES)
    world.fetch(EVENTS)
    world.take()
    assert world.left == [(UPDATES, 0), (EVENTS, 0)]
    assert world.side(UPDATES).done


@pytest.mark.parametrize(("waited_ms", "gone"), [(99, 0), (100, 1)])
def test_max_wait_lets_an_event_go_and_counts_it(waited_ms: int, gone: int) -> None:
    world = World([UPDATES, EVENTS], max_wait_ms=100)
    world.append(EVENTS, 10)
    world.fetch(EVENTS)
    world.now = waited_ms
    world.take()
    assert (len(world.left), world.alignment.unaligned) == (gone, gone)


def test_max_wait_counts_only_time_without_progress() -> None:
    world = World([UPDATES, EVENTS], max_wait_ms=100)
    world.append(EVENTS, 10)
    for time in range(5):
        world.append(UPDATES, time)
    world.fetch(EVENTS)
    for _ in range(4):
        world.now += 90
        world.fetch(UPDATES, 1)
        world.take()
    assert (EVENTS, 0) not in world.left, "the side lags but moves"
    world.now += 100
    world.take()
    assert world.left[-1] == (EVENTS, 0)
    assert world.alignment.unaligned == 1


def test_a_lost_question_can_be_asked_again() -> None:
    world = World([UPDATES, EVENTS])
    world.append(EVENTS, 10)
    world.fetch(EVENTS)
    world.fetch(UPDATES)
    world.take()
    question = world.alignment.ask(0)
    assert question is not None
    assert world.alignment.ask(0) is None
    world.alignment.lost(question)
    world.drain()
    assert world.left == [(EVENTS, 0)]


def test_changes_go_by_their_commits_however_late_they_are_written() -> None:
    """A snapshot's rows (0) go first; a tombstone (0) follows what stands before it."""
    users: Side[str] = Side("users", 0)
    events: Side[str] = Side("events", 0)
    alignment: Alignment[str] = Alignment([users, events])
    alignment.wall_ms = 10_000
    alignment.add(events, [0, 1, 2], [100, 5_000, 6_001], ["first", "second", "third"], 0)
    commits = [0, 5_000, 0, 6_000]
    alignment.add(users, [0, 1, 2, 3], [8_000, 8_001, 8_002, 8_003], ["r", "u", "gone", "d"], 0, commits)
    for side in (users, events):
        alignment.reached(side, side.position, 0)
    left: list[str] = []
    while True:
        question = alignment.ask(0)
        if question is not None:
            alignment.answer(question, {"users": 4, "events": 3}, 0)
        runs = alignment.take(10, 0)
        if not runs and question is None:
            break
        left += [item for run in runs for item in run.items]
        stamps = [stamp for run in runs if run.side is users for stamp in run.stamps]
        assert all(stamp >= 8_000 for stamp in stamps), "when it was received is still known"
    assert left == ["r", "first", "u", "gone", "second", "d", "third"]
    assert not alignment.late
