"""A table of receivers in trouble, on a manual clock: what gets through, and what is asked for it.

Where failures come by chance a lane can do no better than the natural part: the share of good answers, of the
rate at which a well receiver is sent to.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.lanes.lane import QUOTA_SECS, Lane
from pipeline.deliver.lanes.limits.pressure import is_fast
from pipeline.deliver.lanes.limits.yielding import (
    CPU_FULL,
    CPU_IDLE,
    CPU_ROOM,
    FULL,
    ROOM,
    SOONER,
    Yielding,
)
from pipeline.deliver.requests.spec import LaneSpec
from tests.kit.delivery.rig import Rig, delivery

TRIP_SECS = 0.2
SLOTS = 64
WELL = SLOTS / TRIP_SECS
"""Good answers per second of a receiver that is well."""
WARM_UP_SECS, SECS = 20.0, 20.0

Receiver = Callable[[float, Random], Any]
"""What is answered to a request that comes at this time."""


def by_chance(failing: float) -> Receiver:
    """Fail a part of the requests."""
    return lambda now, luck: 503 if luck.random() < failing else 200


@dataclass
class AtOnce:
    """Serves so many at once, and turns the others away."""

    most: int
    failing: float = 0.0
    _under_way: deque[float] = field(default_factory=deque)

    def __call__(self, now: float, luck: Random) -> Any:
        while self._under_way and self._under_way[0] <= now:
            self._under_way.popleft()
        if len(self._under_way) >= self.most:
            return 503
        self._under_way.append(now + TRIP_SECS)
        return 503 if luck.random() < self.failing else 200


@dataclass
class PerSec:
    """Serves so many per second, saved up for a second, and turns the others away."""

    rate: float
    answer: Any = 503
    _tokens: float = 0.0
    _at: float = 0.0

    def __call__(self, now: float, luck: Random) -> Any:
        self._tokens = min(self.rate, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1.0:
            return self.answer
        self._tokens -= 1.0
        return 200


@dataclass
class Played:
    """A lane that never runs out of deliveries, and one beside it whose receiver is well."""

    receiver: Receiver | None
    """None: it never answers."""
    seed: int = 1
    max_flying: int = 2048
    good: int = 0

    def __post_init__(self) -> None:
        specs = [LaneSpec(name, delivery=DeliverySettings(timeout_secs=5.0)) for name in ("w", "well")]
        self.rig = Rig(*specs, luck=-1, max_flying=self.max_flying)
        self.rig.client.latency = {"w": TRIP_SECS, "well": TRIP_SECS}
        self.luck = Random(self.seed)
        self.rig.client.script["w"] = [self._answer]
        self._given = 0

    def _answer(self, attempt: Any) -> Any:
        if self.receiver is None:
            return "hang"
        answer = self.receiver(self.rig.clock.at, self.luck)
        self.good += answer == 200
        return answer

    def run(self, secs: float, step: float = 0.25, lanes: tuple[str, ...] = ("w",)) -> tuple[float, float]:
        """Let time pass; return good answers and requests per second of the troubled lane."""
        rig, good, sent = self.rig, self.good, self.requests("w")
        end = rig.clock.at + secs
        while rig.clock.at < end:
            now_ms = int(rig.clock.wall() * 1000)
            for name in lanes:
                room = 400 - len(rig.core.lane(name).held)
                numbers = range(self._given, self._given + max(0, room))
                rig.give(*(delivery(n, name, created_ms=now_ms) for n in numbers))
                self._given += len(numbers)
            rig.run(step)
            rig.results()
        return (self.good - good) / secs, (self.requests("w") - sent) / secs

    def requests(self, lane: str) -> int:
        return sum(attempt.owner.webhook_id == lane for attempt in self.rig.client.sent)


@pytest.mark.parametrize(
    ("receiver", "can_take", "least", "most_asked"),
    [
        pytest.param(by_chance(0.3), 0.7 * WELL, 0.9, 1.6, id="30 % fail"),
        pytest.param(by_chance(0.5), 0.5 * WELL, 0.9, 2.2, id="50 % fail"),
        pytest.param(by_chance(0.7), 0.3 * WELL, 0.85, 3.7, id="70 % fail"),
        pytest.param(by_chance(0.8), 0.2 * WELL, 0.8, 5.6, id="80 % fail"),
        pytest.param(by_chance(0.9), 0.1 * WELL, 0.6, 12.0, id="90 % fail"),
        pytest.param(AtOnce(5), 5 / TRIP_SECS, 0.75, 1.6, id="5 at once"),
        pytest.param(AtOnce(20), 20 / TRIP_SECS, 0.75, 1.6, id="20 at once"),
        pytest.param(AtOnce(20, 0.5), 10 / TRIP_SECS, 0.7, 5.0, id="20 at once, of which half fail"),
        pytest.param(PerSec(30.0), 30.0, 0.75, 1.8, id="30 per second"),
        pytest.param(PerSec(30.0, 429), 30.0, 0.6, 3.0, id="30 per second, else 429"),
    ],
)
def test_a_troubled_receiver_gets_what_it_can_take_and_is_not_asked_for_much_more(
    receiver: Receiver, can_take: float, least: float, most_asked: float
) -> None:
    played = Played(receiver)
    played.run(WARM_UP_SECS)
    good, asked = played.run(SECS)
    assert good >= least * can_take
    assert asked <= most_asked * good


@pytest.mark.parametrize(
    "receiver",
    [
        pytest.param(lambda now, luck: 503, id="fails"),
        pytest.param(lambda now, luck: "connect", id="refuses"),
        pytest.param(None, id="hangs"),
    ],
)
def test_a_dead_receiver_costs_probes_only_for_as_long_as_it_is_dead(receiver: Receiver | None) -> None:
    played = Played(by_chance(0.0))
    played.run(2.0)
    before = played.requests("w")
    played.receiver = receiver
    played.run(10.0)
    at_first = played.requests("w") - before
    assert at_first <= SLOTS + 20, "what was under way, and some probes"
    played.run(110.0, step=5.0)
    assert played.requests("w") - before - at_first <= 15
    soon = played.requests("w")
    played.run(3600.0, step=60.0)
    assert 50 <= played.requests("w") - soon <= 130, "twice a minute"
    played.receiver = by_chance(0.0)
    played.run(60.0)
    good, _ = played.run(2.0)
    assert good >= 0.9 * WELL


def served_beside(receiver: Receiver | None) -> int:
    """Return the requests to a well one, where both together would like more connections than there are."""
    played = Played(receiver, max_flying=SLOTS * 3 // 2)
    played.run(12.0, lanes=("w", "well"))
    return played.requests("well")


@pytest.mark.parametrize("receiver", [by_chance(0.5), by_chance(0.9), AtOnce(5), None])
def test_a_well_receiver_gets_what_it_would_get_beside_another_well_one(receiver: Receiver | None) -> None:
    assert served_beside(receiver) >= 0.85 * served_beside(by_chance(0.0))


def looked_at(
    busy: float, *, failing: int, well: int, looks: int, share: float = 0.1, behind: bool = True
) -> list[int | None]:
    """Let an engine be so busy; return what a lane of this share may send, after each look."""
    rig, yielding, seen = Rig(LaneSpec("w")), Yielding(), []
    lane: Lane = rig.core.lane("w")
    lane.throttle.share = share
    yielding.look([lane], 0.0)
    for n in range(1, looks + 1):
        lane.lately = failing if lane.quota is None else min(failing, lane.quota.given)
        yielding.spent, yielding.ended = busy * 0.1, well + lane.lately
        yielding.look([lane], n * 0.1, behind=behind)
        seen.append(None if lane.quota is None else lane.quota.given)
    return seen


def test_who_fails_yields_while_the_engine_is_busy_down_to_what_is_fair() -> None:
    seen = looked_at(FULL + 0.1, failing=1000, well=100, looks=20)
    assert seen[0] == 800
    assert seen[-1] == 50
    assert looked_at(ROOM * SOONER - 0.1, failing=1000, well=100, looks=3) == [None] * 3
    assert looked_at(FULL + 0.1, failing=1000, well=0, looks=3) == [None] * 3, "nobody else wants the time"
    assert looked_at(FULL + 0.1, failing=1000, well=100, looks=20, share=0.5)[-1] == 75
    assert looked_at(FULL + 0.1, failing=45, well=100, looks=3) == [None] * 3, "it is not what takes it"


def test_the_worker_keeps_up_where_it_gathers_and_the_source_seldom_waits() -> None:
    told: list[bool] = []

    class Told(Yielding):
        __slots__ = ()

        def look(
            self, lanes: Sequence[Lane], now: float, cpu: float = 0.0, *, behind: bool = True
        ) -> list[Lane]:
            told.append(behind)
            return []

    rig, engine = Rig(LaneSpec("w")), DeliveryEngine()
    engine._core, rig.core._yielding = rig.core, Told()
    for gathers, waits in ((False, False), (False, True), (True, True), (True, False)):
        rig.core.pressed = {rig.core.lane("w")} if waits else set()
        engine.hold(few=gathers)
        assert [engine.busy(), engine.busy()] == [waits, waits]
        rig.core.pressed = set() if waits else {rig.core.lane("w")}
        assert engine.busy() is not waits
        rig.core._tick(rig.clock.at)
    assert told == [True, True, True, False]


def test_where_the_worker_keeps_up_who_fails_is_left_its_share_of_that() -> None:
    assert looked_at(FULL + 0.1, failing=1000, well=100, looks=20, share=0.5, behind=False)[-1] == 37
    assert looked_at(FULL + 0.1, failing=1000, well=100, looks=20, share=0.8, behind=False)[-1] == 96


def test_what_is_left_to_who_fails_grows_by_and_by_once_the_worker_is_behind() -> None:
    rig, yielding, given = Rig(LaneSpec("w")), Yielding(), []
    lane: Lane = rig.core.lane("w")
    lane.throttle.share = 0.5
    yielding.look([lane], 0.0, behind=False)
    for n in range(1, 61):
        lane.lately = 1000 if lane.quota is None else lane.quota.given
        yielding.spent, yielding.ended = (FULL + 0.1) * 0.1, 1000 + lane.lately
        yielding.look([lane], n * 0.1, behind=n > 30)
        given.append(lane.quota.given if lane.quota is not None else 1000)
    assert (given[29], given[-1]) == (375, 750)
    assert all(after <= before * 1.1 + 1 for before, after in pairwise(given[30:]))


def test_who_fails_yields_while_the_process_has_its_core_full() -> None:
    rig, yielding = Rig(LaneSpec("w")), Yielding()
    lane: Lane = rig.core.lane("w")
    lane.throttle.share, cpu, seen = 0.5, 0.0, []
    yielding.look([lane], 0.0, 0.0)
    for n, used in enumerate([CPU_FULL + 0.05] * 20 + [CPU_ROOM - 0.05] * 2, 1):
        lane.lately = 1000 if lane.quota is None else min(1000, lane.quota.given)
        cpu += used * 0.1
        yielding.ended = 100 + lane.lately
        yielding.look([lane], n * 0.1, cpu)
        seen.append(None if lane.quota is None else lane.quota.given)
    assert (seen[0], seen[19], seen[20] or 0) == (800, 75, 83)
    assert (seen[21] or 0) > 83


def test_a_quota_outlives_an_epochs_end_and_goes_where_there_is_little_to_do() -> None:
    rig, yielding = Rig(LaneSpec("w")), Yielding()
    lane: Lane = rig.core.lane("w")
    lane.throttle.share = 0.5
    yielding.look([lane], 0.0, 0.0)
    given, at, cpu = [], 0.0, 0.0
    for lately, used in ((1000, 1.0), (100, CPU_IDLE + 0.05), (100, CPU_IDLE - 0.05)):
        at, cpu = at + 0.1, cpu + used * 0.1
        lane.lately, yielding.ended = lately, 100 + lately
        yielding.look([lane], at, cpu)
        given.append(lane.quota is not None)
    assert given == [True, True, False]


def test_who_mostly_fails_yields_sooner() -> None:
    busy = FULL * (1 + SOONER) / 2
    assert looked_at(busy, failing=1000, well=100, looks=1, share=0.1) == [800]
    assert looked_at(busy, failing=1000, well=100, looks=1, share=0.5) == [None]


def test_who_has_yielded_comes_back_when_there_is_time_again() -> None:
    rig, yielding = Rig(LaneSpec("w")), Yielding()
    lane: Lane = rig.core.lane("w")
    lane.throttle.share, at = 0.1, 0.0
    for busy in [FULL + 0.1] * 20 + [ROOM * SOONER - 0.1] * 40:
        at += 0.1
        lane.lately = 1000 if lane.quota is None else min(1000, lane.quota.given)
        yielding.spent, yielding.ended = busy * 0.1, 100 + lane.lately
        yielding.look([lane], at)
    assert lane.quota is None or lane.quota.given > 1000


def test_a_quota_is_kept_and_ends_by_itself() -> None:
    played = Played(by_chance(0.5))
    played.run(5.0)
    rig, lane = played.rig, played.rig.core.lane("w")
    yielding = Yielding()
    yielding.look([lane], 0.0)
    lane.lately, yielding.spent, yielding.ended = 100, 0.1, 110
    yielding.look([lane], 0.1)
    assert lane.quota is not None
    given, lane.quota.since = lane.quota.given, rig.clock.at
    before = played.requests("w")
    rig.run(QUOTA_SECS / 2)
    assert played.requests("w") - before <= given
    rig.run(QUOTA_SECS * 2)
    assert played.requests("w") - before > given


def test_who_mostly_fails_never_pauses_the_source() -> None:
    played = Played(by_chance(0.9))
    played.run(60.0)
    assert not is_fast(played.rig.core.lane("w"), played.rig.clock.at)
