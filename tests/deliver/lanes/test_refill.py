"""One pass over what a shard stores for a webhook: what comes back, what stays, and when to look again."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.deliver.lanes.disk.disk_rows import DiskRows
from pipeline.deliver.lanes.disk.refill import PASS_SHARE, SLICE, SOON_SECS, refill
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Delivery
from tests.kit.delivery.rig import START_MS, Disk, Rig, delivery

SOON_MS = START_MS + int(SOON_SECS * 1000)
LONGEST_SECS = 24 * 3600 * 10


class Pass:
    """A lane and its rows in one shard, of which a pass is made step by step."""

    def __init__(self, *rows: Delivery, ordering: Any = "none") -> None:
        retry = RetrySettings(max_delay_secs=LONGEST_SECS)
        self.rig = Rig(LaneSpec("w", delivery=DeliverySettings(retry=retry, ordering=ordering)))
        self.lane = self.rig.core.lane("w")
        self.shard = Disk()
        self.shard.add(*rows)
        self.disk = DiskRows(self.shard.port)
        self.disk.add(len(rows))

    def step(self) -> list[str]:
        """Read one slice; return which came back."""
        found = refill(self.lane, self.disk, self.rig.clock.at)
        return [each.request.message_id for each in found]


def due(n: int | str, due_ms: int, **fields: Any) -> Delivery:
    return delivery(n, due_ms=due_ms, attempt=1, **fields)


def test_what_is_due_soon_comes_back_and_what_is_later_stays_until_then() -> None:
    one = Pass(delivery(0), due(1, SOON_MS), due(2, SOON_MS + 1), due(3, START_MS + 60_000))
    assert one.step() == ["msg_0", "msg_1"]
    assert (one.disk.rows, one.disk.running, one.disk.wanted) == (2, False, False)
    assert one.disk.next_due() == pytest.approx(one.rig.clock.at + SOON_SECS + 0.001, abs=1e-6)


def test_after_a_pass_that_has_left_nothing_there_is_no_other() -> None:
    one = Pass(delivery(0))
    assert one.step() == ["msg_0"]
    assert (one.disk.rows, one.disk.next_due()) == (0, inf)


def test_a_due_time_that_no_delay_can_have_made_counts_as_none() -> None:
    furthest = START_MS + LONGEST_SECS * 1000
    one = Pass(due(0, furthest), due(1, furthest + 1))
    found = refill(one.lane, one.disk, one.rig.clock.at)
    assert [(each.request.message_id, each.progress.due_ms) for each in found] == [("msg_1", 0)]


def test_a_due_time_that_is_believed_is_kept() -> None:
    one = Pass(due(0, START_MS + 500))
    [found] = refill(one.lane, one.disk, one.rig.clock.at)
    assert found.progress.due_ms == START_MS + 500


def test_where_rows_are_hurried_all_come_back_as_due_in_one_pass() -> None:
    one = Pass(due(0, START_MS + 60_000), due(1, START_MS + 500))
    assert one.step() == ["msg_1"]
    one.disk.hurry()
    found = refill(one.lane, one.disk, one.rig.clock.at)
    assert [each.progress.due_ms for each in found] == [0, 0]
    one.disk.add(0)
    assert one.step() == ["msg_1"], "later ones wait for their time again"


def test_a_pass_goes_on_where_it_was_and_counts_what_is_left() -> None:
    rows = [due(f"{n:03d}", START_MS + 60_000 * (n % 2)) for n in range(2 * SLICE)]
    one = Pass(*rows, delivery("last"))
    seen = []
    for _ in range(3):
        seen.append((len(one.step()), one.disk.rows, one.disk.running))
    assert seen == [
        (SLICE // 2, 2 * SLICE + 1 - SLICE // 2, True),
        (SLICE // 2, SLICE + 1, True),
        (1, SLICE, False),
    ]


def test_rows_that_are_added_while_a_pass_runs_are_looked_for_by_another() -> None:
    one = Pass(*(delivery(f"{n:03d}") for n in range(SLICE + 1)))
    one.step()
    one.disk.add(1)
    assert one.step() == [f"msg_{SLICE:03d}"]
    assert one.disk.wanted
    one.step()
    assert not one.disk.wanted


@pytest.mark.parametrize("brings", [True, False])
def test_a_pass_that_brought_nothing_rests_for_many_times_its_own_time(brings: bool) -> None:
    one = Pass(due(0, START_MS + (0 if brings else 60_000)))
    read = one.shard.port.refill

    def slow(*given: Any) -> Any:
        one.rig.clock.at += 0.5
        return read(*given)

    one.shard.port.refill = slow
    began = one.rig.clock.at
    one.step()
    one.disk.add(1)
    assert one.disk.next_due() == (0.0 if brings else began + 0.5 * PASS_SHARE)


def test_what_is_held_or_waits_for_its_commit_does_not_come_back() -> None:
    one = Pass(*(delivery(n) for n in range(4)))
    one.lane.push(delivery(1), one.rig.clock.at)
    one.shard.port.settling = {delivery(2).row}
    assert one.step() == ["msg_0", "msg_3"]
    assert one.disk.rows == 0


def ordered(user: str, n: int, **fields: Any) -> Delivery:
    return delivery(f"{user}{n}", user=user, row=f"w\0{user}\0{n}".encode(), **fields)


def test_behind_one_that_is_not_due_the_others_of_its_user_stay() -> None:
    one = Pass(
        ordered("a", 0, due_ms=START_MS + 60_000),
        ordered("a", 1),
        ordered("b", 0),
        ordered("b", 1, due_ms=START_MS + 90_000),
        ordered("b", 2),
        ordering="per_user",
    )
    assert one.step() == ["msg_b0"]
    assert one.disk.rows == 4
    one.rig.clock.at += 60
    one.disk.add(0)
    assert one.step() == ["msg_a0", "msg_a1", "msg_b0"]


@pytest.mark.parametrize("how", ["stale", "parked"])
def test_behind_one_that_is_owed_still_and_not_committed_the_others_of_its_user_stay(how: str) -> None:
    first = ordered("a", 0)
    one = Pass(first, ordered("a", 1), ordered("b", 0), ordering="per_user")
    one.shard.port.settling = {first.row}
    if how == "stale":
        one.shard.port.stale = frozenset({first.row})
    else:
        one.lane.note_parked(first)
    assert one.step() == ["msg_b0"]
    one.shard.port.settling = set()
    one.disk.add(0)
    assert one.step() == ["msg_a0", "msg_a1", "msg_b0"]


def test_behind_one_that_has_ended_the_others_of_its_user_come_back() -> None:
    first = ordered("a", 0)
    one = Pass(first, ordered("a", 1), ordering="per_user")
    one.shard.port.settling = {first.row}
    assert one.step() == ["msg_a1"]
