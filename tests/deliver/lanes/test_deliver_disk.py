"""Memory limits, parking and refilling: what a lane does not hold waits in the shard's outbox."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.deliver.lanes.disk.parked import Parked
from pipeline.deliver.lanes.disk.refill import SLICE
from pipeline.deliver.lanes.lane import HELD_BYTES, MAX_ENTRIES
from pipeline.deliver.lanes.limits.outages import hurry
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.kit.delivery.rig import START_MS, Disk, Rig, delivery

D, R, X, P = Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD, Outcome.PARKED


def rig_with(disk_rows: int = 0, *, luck: float = 0.5, **settings: Any) -> Rig:
    rig = Rig(LaneSpec("w", delivery=DeliverySettings(**settings)), luck=luck)
    rig.disk.add(*(delivery(f"{n:06d}") for n in range(disk_rows)))
    if disk_rows:
        rig.core.on_disk(rig.disk.port, "w", disk_rows)
    return rig


def test_rows_on_disk_are_all_delivered_once() -> None:
    rig = rig_with(3000)
    rig.run(1)
    assert Counter(rig.sent()) == Counter(f"msg_{n:06d}" for n in range(3000))
    assert [each.outcome for each in rig.commit()] == [D] * 3000
    assert rig.core.is_empty()
    assert rig.disk.rows == {}


def test_a_user_is_held_up_until_the_last_of_its_deliveries_is_on_disk_or_back() -> None:
    parked, given = Parked(), [delivery(n, user="u") for n in range(2)]
    for each in given:
        parked.add(each)
    parked.forget((given[0].row,))
    assert parked.holds_up("u")
    parked.forget((given[1].row,))
    assert not parked.holds_up("u")


def test_a_hanging_receiver_costs_bounded_memory() -> None:
    rig = rig_with(5000, timeout_secs=10.0)
    rig.client.script["w"] = ["hang"]
    for _ in range(40):
        rig.run(1)
        assert len(rig.core.lane("w").held) <= MAX_ENTRIES
        rig.commit()
    assert rig.core.lane("w").on_disk() >= 4000
    rig.client.script["w"] = [200]
    rig.run(3600)
    rig.commit()
    assert rig.disk.rows == {}


@pytest.mark.parametrize("ordering", ["none", "per_user"])
def test_what_is_held_is_counted_by_its_bytes_and_once(ordering: str) -> None:
    rig = rig_with(ordering=ordering)
    lane = rig.core.lane("w")
    given = [delivery(n, body=b"x" * 10 * n, user=f"u{n % 2}") for n in range(5)]
    rig.give(*given)
    rig.give(*given)
    assert lane.held_bytes == 100 + 5 * HELD_BYTES
    rig.run(1)
    assert Counter(rig.sent()) == Counter(f"msg_{n}" for n in range(5))
    assert (lane.held, lane.held_bytes) == ({}, 0)


def test_a_row_that_is_read_a_little_early_is_sent_when_it_is_due() -> None:
    rig = rig_with()
    rig.disk.add(delivery(1, attempt=3, due_ms=START_MS + 700))
    rig.core.on_disk(rig.disk.port, "w", 1)
    rig.run(0.6)
    assert len(rig.core.lane("w").held) == 1
    assert rig.sent() == []
    rig.run(0.2)
    assert rig.sent() == ["msg_1"]


def test_a_row_whose_result_is_not_committed_is_not_sent_again() -> None:
    rig = rig_with(50)
    rig.run(1)
    assert len(rig.client.sent) == 50
    rig.core.on_disk(rig.disk.port, "w", 0)  # another pass, before any commit
    rig.run(5)
    assert len(rig.client.sent) == 50
    rig.commit()
    rig.core.on_disk(rig.disk.port, "w", 0)
    rig.run(5)
    assert len(rig.client.sent) == 50


def test_a_row_that_is_settled_while_it_is_being_read_is_not_sent_again() -> None:
    rig = rig_with(50)
    rig.run(1)
    read = rig.disk.port.refill

    def slow_read(webhook: str, cursor: bytes | None, limit: int) -> Any:
        rows = read(webhook, cursor, limit)
        rig.commit()  # the worker commits between the read and what the engine makes of it
        return rows

    rig.disk.port.refill = slow_read
    rig.core.on_disk(rig.disk.port, "w", 0)
    rig.run(5)
    assert len(rig.client.sent) == 50


def test_rows_in_memory_are_not_read_twice() -> None:
    rig = rig_with(10)
    rig.client.script["w"] = ["hold"]
    rig.run(1)
    rig.core.on_disk(rig.disk.port, "w", 0)
    rig.run(1)
    assert len(rig.client.held) == 10
    assert len(rig.core.lane("w").held) == 10


def test_rows_wait_on_disk_until_they_are_due() -> None:
    rig = rig_with()
    for n in range(10):
        rig.disk.add(delivery(n, attempt=1, due_ms=START_MS + 60_000 * n))
    rig.core.on_disk(rig.disk.port, "w", 10)
    for minute in range(10):
        rig.run(30)
        assert len(rig.client.sent) == minute + 1
        rig.run(30)
    rig.commit()
    assert rig.core.is_empty()


def test_many_rows_with_later_due_times_are_not_read_again_and_again() -> None:
    rig = rig_with()
    for n in range(5000):
        rig.disk.add(delivery(n, attempt=1, due_ms=START_MS + 3_600_000 + n))
    rig.core.on_disk(rig.disk.port, "w", 5000)
    rig.run(3000)
    assert rig.disk.reads <= 5000 / SLICE + 1
    assert rig.core.lane("w").held == {}


def test_a_due_time_of_another_clock_is_not_believed() -> None:
    rig = rig_with(retry=RetrySettings(max_delay_secs=60))
    rig.disk.add(delivery(1, attempt=1, due_ms=START_MS + 400 * 24 * 3_600_000))
    rig.core.on_disk(rig.disk.port, "w", 1)
    rig.run(25 * 3600)
    assert len(rig.client.sent) == 1


def test_waiting_retries_beyond_their_share_are_parked_and_come_back() -> None:
    rig = rig_with(luck=-1, retry=RetrySettings(min_delay_secs=300, max_delay_secs=300))
    rig.client.script["w"] = [422]
    for n in range(1500):
        rig.client.by_message[f"msg_{n}"] = [(408, {"retry_after": "200"}), 200]
    lane = rig.core.lane("w")
    for start in range(0, 1500, 100):
        for n in range(start, start + 100):
            rig.give(delivery(n), delivery(f"x{n}"), delivery(f"y{n}"))
        rig.run(20)
        assert len(lane.waiting) <= MAX_ENTRIES // 2
        rig.commit()
    assert lane.on_disk() > 0
    assert len(rig.disk.rows) == lane.on_disk()
    for _ in range(100):
        rig.run(20)
        rig.commit()
    done = Counter(each for each in rig.sent() if each[4] not in "xy")
    assert done == Counter({f"msg_{n}": 2 for n in range(1500)})
    assert rig.core.is_empty()


def test_when_the_receiver_heals_rows_on_disk_do_not_wait_for_their_due_time() -> None:
    rig = rig_with(luck=0.9, retry=RetrySettings(min_delay_secs=3000))
    rig.disk.add(*(delivery(f"d{n}", attempt=3, due_ms=START_MS + 3_000_000) for n in range(100)))
    rig.core.on_disk(rig.disk.port, "w", 100)
    rig.client.script["w"] = [500] * 12 + [200]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(1)
    assert rig.core.lane("w").throttle.down
    rig.give(delivery("p1"), delivery("p2"))
    rig.run(60)
    rig.commit()
    assert rig.core.is_empty()


def test_several_shards_are_read_in_turn() -> None:
    rig = rig_with(500)
    other = Disk(1)
    other.add(*(delivery(f"other-{n}") for n in range(500)))
    rig.core.on_disk(other.port, "w", 500)
    rig.run(1)
    assert len(rig.client.sent) == 1000
    early = Counter(each.startswith("msg_other") for each in rig.sent()[:600])
    assert min(early.values()) >= 100
    assert len(other.take()) == 500


def test_rows_that_are_too_old_die_even_while_nothing_is_sent() -> None:
    rig = rig_with(2000, retry=RetrySettings(max_age_secs=600))
    rig.core.lane("w").halt = "paused"
    rig.run(3600)
    assert Counter((each.outcome, each.reason) for each in rig.commit()) == {(X, "max-age"): 2000}
    assert rig.client.sent == []
    assert rig.core.is_empty()


# --- order


def ordered_rig(luck: float = 0.5, **settings: Any) -> Rig:
    return rig_with(luck=luck, ordering="per_user", **settings)


def ordered(user: int, n: int, sequence: int) -> Any:
    row = f"w\0u{user:03d}\0".encode() + sequence.to_bytes(8, "big")
    return delivery(f"{user}-{n}", row=row, user=f"u{user:03d}")


def order_of(rig: Rig) -> dict[str, list[str]]:
    """Return the first successful sends of each user, in order."""
    seen: dict[str, list[str]] = {}
    for attempt in rig.client.sent:
        if attempt.status == 200:
            each = attempt.items[0]
            seen.setdefault(each.request.user, []).append(each.request.message_id)
    return seen


def test_each_users_deliveries_keep_their_order_through_failures() -> None:
    rig = ordered_rig(luck=-1)
    rig.client.script["w"] = [500, 500, 200]
    given = [ordered(user, n, n * 50 + user + 1) for n in range(40) for user in range(50)]
    for each in given:
        rig.client.by_message[each.request.message_id] = [500, 500, 200]
    for start in range(0, len(given), 200):
        rig.give(*given[start : start + 200])
        rig.run(1)
        rig.commit()
    rig.run(24 * 3600)
    assert order_of(rig) == {f"u{user:03d}": [f"msg_{user}-{n}" for n in range(40)] for user in range(50)}


def test_only_the_head_of_a_users_queue_is_in_flight() -> None:
    rig = ordered_rig()
    rig.client.script["w"] = ["hold"]
    rig.give(*(ordered(user, n, n * 3 + user + 1) for n in range(5) for user in range(3)))
    rig.run()
    assert sorted(rig.sent()) == ["msg_0-0", "msg_1-0", "msg_2-0"]
    rig.client.release()
    rig.run()
    assert sorted(rig.sent()[3:]) == ["msg_0-1", "msg_1-1", "msg_2-1"]


def test_a_dead_head_releases_the_next() -> None:
    rig = ordered_rig()
    rig.client.by_message["msg_0-0"] = [400]
    rig.give(*(ordered(0, n, n + 1) for n in range(3)))
    rig.run()
    assert rig.sent() == ["msg_0-0", "msg_0-1", "msg_0-2"]


def test_rows_of_a_user_come_back_in_order_and_behind_one_that_is_not_due() -> None:
    rig = ordered_rig()
    first = ordered(0, 0, 1)
    first.progress.attempt, first.progress.due_ms = 1, START_MS + 60_000
    rig.disk.add(first, *(ordered(0, n, n + 1) for n in range(1, 250)), ordered(1, 0, 999))
    rig.core.on_disk(rig.disk.port, "w", 251)
    rig.run(30)
    assert rig.sent() == ["msg_1-0"]
    rig.run(60)
    assert rig.sent()[1:] == [f"msg_0-{n}" for n in range(250)]


def test_order_holds_while_older_ones_are_parked() -> None:
    """The worker does not know yet that a user's older one left memory, and hands over a later one."""
    rig = ordered_rig(
        luck=0.9, retry=RetrySettings(min_delay_secs=1000, max_delay_secs=1000), concurrency=500
    )
    rig.client.script["w"] = [(422, {})]
    users = 900
    for user in range(users):
        rig.client.by_message[f"msg_{user}-0"] = [(408, {}), 200]
        rig.client.by_message[f"msg_{user}-1"] = [200]
    lane = rig.core.lane("w")
    sequence = 0
    for user in range(users):
        sequence += 1
        rig.give(
            ordered(user, 0, sequence),
            *(
                delivery(f"good-{user}-{n}", user=f"g{user}-{n}", row=f"w\0g{user}-{n}".encode())
                for n in range(3)
            ),
        )
        rig.run(0.1)
    assert len(lane.waiting) <= MAX_ENTRIES // 2
    for user in range(users):
        sequence += 1
        rig.give(ordered(user, 1, sequence))
    rig.run(1)
    assert not any(each.endswith("-1") and "good" not in each for each in rig.sent())
    for _ in range(150):
        rig.commit()
        rig.run(10)
    rig.commit()
    assert rig.core.is_empty()
    assert order_of(rig) == {f"u{user:03d}": [f"msg_{user}-0", f"msg_{user}-1"] for user in range(users)}


def test_after_a_kill_later_ones_wait_for_a_retry_that_only_the_journal_knows() -> None:
    rig = ordered_rig()
    rows = [ordered(0, n, n + 1) for n in range(3)]
    rig.disk.add(*rows, ordered(1, 0, 9))
    port = rig.disk.port
    port.settling, port.stale = {rows[0].row}, frozenset({rows[0].row})
    rig.core.on_disk(port, "w", 3)
    rig.run(5)
    assert rig.sent() == ["msg_1-0"]
    port.settled([rows[0].row])
    port.stale = frozenset()
    rig.core.on_disk(port, "w", 1)
    rig.run(10)
    assert rig.sent()[1:] == [f"msg_0-{n}" for n in range(3)]


def test_what_is_remembered_of_parked_users_is_forgotten_after_two_commits() -> None:
    rig = ordered_rig()
    lane = rig.core.lane("w")
    entry = ordered(0, 0, 1)
    entry.port = rig.disk.port
    lane.note_parked(entry)
    assert not lane.push(ordered(0, 1, 2), 0.0)
    lane.parked.committed(rig.disk.port)
    assert not lane.push(ordered(0, 2, 3), 0.0)
    lane.parked.committed(rig.disk.port)
    assert lane.push(ordered(0, 3, 4), 0.0)


def test_commits_of_other_shards_do_not_tell_that_a_parked_one_is_on_disk() -> None:
    rig = ordered_rig()
    lane = rig.core.lane("w")
    entry = ordered(0, 0, 1)
    entry.port = rig.disk.port
    lane.note_parked(entry)
    for _ in range(3):
        lane.parked.committed(Disk().port)
    assert not lane.push(ordered(0, 1, 2), 0.0), "its shard does not know of the older one yet"


def test_a_parked_one_that_is_dropped_holds_up_nobody() -> None:
    rig = ordered_rig()
    lane = rig.core.lane("w")
    entry = ordered(0, 0, 1)
    lane.note_parked(entry)
    assert not lane.is_at_rest()
    rig.core.drop(rig.disk.port, [entry.row], deque())
    assert lane.is_at_rest()
    assert lane.push(ordered(0, 1, 2), 0.0)


def test_rows_keep_their_time_where_the_receiver_has_asked_for_it() -> None:
    rig = rig_with(luck=0.9, retry=RetrySettings(min_delay_secs=3000))
    rig.disk.add(*(delivery(f"d{n}", attempt=3, due_ms=START_MS + 1_000_000) for n in range(100)))
    rig.core.on_disk(rig.disk.port, "w", 100)
    rig.client.script["w"] = [(503, {"retry_after": "1000"})] + [500] * 11 + [200]
    rig.give(*(delivery(n) for n in range(12)))
    rig.run(1)
    rig.give(delivery("p1"), delivery("p2"))
    rig.run(900)
    assert not any(each.startswith("msg_d") for each in rig.sent())
    rig.run(200)
    assert sum(each.startswith("msg_d") for each in rig.sent()) == 100


@pytest.mark.parametrize("how", ["the receiver heals", "a person asks"])
def test_what_a_pass_under_way_has_left_on_disk_is_due_too(how: str) -> None:
    rig = rig_with(luck=0.9, retry=RetrySettings(min_delay_secs=3000))
    lane = rig.core.lane("w")
    later = [delivery(f"a{n}", attempt=3, due_ms=START_MS + 3_000_000) for n in range(150)]
    rig.disk.add(*later, *(delivery(f"b{n:04d}") for n in range(2000)))
    rig.client.script["w"] = ["hold"]
    rig.core.on_disk(rig.disk.port, "w", 2150)
    rig.run(1)
    [disk] = lane.disk.values()
    assert disk.running, "the lane is full, in the middle of the rows"
    if how == "a person asks":
        rig.core.retry_now("w")
    else:
        hurry(lane, rig.clock.at, lambda: 0.5)
    rig.client.script["w"] = [200]
    rig.client.release()
    rig.run(60)
    rig.commit()
    assert rig.core.is_empty()
