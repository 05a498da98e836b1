"""What is brought back from disk keeps to the bounds of memory, and nobody is held up by them."""

from __future__ import annotations

from collections import Counter

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.lanes.disk.refill import SLICE
from pipeline.deliver.lanes.lane import MAX_BYTES, MAX_ENTRIES, Lane, Quota
from pipeline.deliver.lanes.limits import room as room_module
from pipeline.deliver.lanes.limits.room import (
    ALWAYS,
    ALWAYS_BYTES,
    LOW_WATER,
    MANY,
    MAX_TOTAL,
    MAX_TOTAL_BYTES,
    reads_rows,
    room,
)
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Room
from tests.kit.delivery.rig import Rig, delivery


def rig_of(*webhooks: str, rows: int, body: bytes = b"1", luck: float = 0.5) -> Rig:
    """Return webhooks with so many rows each on disk."""
    retry = RetrySettings(min_delay_secs=3000, max_delay_secs=3000)
    rig = Rig(*(LaneSpec(name, delivery=DeliverySettings(retry=retry)) for name in webhooks), luck=luck)
    for name in webhooks:
        rig.disk.add(*(delivery(f"{name}-{n:04d}", name, body=body) for n in range(rows)))
        rig.core.on_disk(rig.disk.port, name, rows)
    return rig


def lanes(rig: Rig) -> list[Lane]:
    return list(rig.core.lanes.values())


def test_large_rows_that_a_receiver_does_not_take_stay_on_disk() -> None:
    body = bytes(200_000)
    rig = rig_of("w", rows=600, body=body)
    rig.client.script["w"] = ["hold"]
    rig.run(1)
    assert rig.core.lane("w").held_bytes < MAX_BYTES + SLICE * 201_500
    rig.client.script["w"] = [200]
    rig.client.release()
    rig.run(1)
    assert Counter(rig.sent()) == Counter(f"msg_w-{n:04d}" for n in range(600))


def test_large_retries_wait_on_disk_and_leave_room_for_others() -> None:
    rig = rig_of("w", rows=200, body=bytes(1_000_000), luck=0.99)
    rig.client.script["w"] = [200]
    for n in range(0, 200, 2):
        rig.client.by_message[f"msg_w-{n:04d}"] = [(408, {"retry_after": "3000"}), 200]
    rig.run(100)
    lane = rig.core.lane("w")
    assert set(rig.sent()) == {f"msg_w-{n:04d}" for n in range(200)}
    assert lane.held_bytes <= MAX_BYTES / 2 + 1_000_000
    rig.commit()
    rig.run(7000)
    rig.commit()
    assert rig.core.is_empty()


@pytest.mark.parametrize("bound", ["deliveries", "bytes"])
def test_many_webhooks_whose_receivers_hang_share_the_memory(
    monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    names = [f"w{n}" for n in range(10)]
    if bound == "deliveries":
        monkeypatch.setattr(room_module, "MAX_TOTAL", 500)
    else:
        monkeypatch.setattr(room_module, "MAX_TOTAL_BYTES", 500 * 1501)
    rig = rig_of(*names, rows=400)
    for name in names:
        rig.client.script[name] = ["hold"]
    rig.run(1)
    assert sum(len(lane.held) for lane in lanes(rig)) <= 500 + len(names) * SLICE
    assert all(len(lane.held) >= ALWAYS for lane in lanes(rig)), "each has what keeps it at work"
    for name in names:
        rig.client.script[name] = [200]
    rig.client.release()
    rig.run(5)
    assert Counter(rig.sent()) == Counter(f"msg_{name}-{n:04d}" for name in names for n in range(400))


def test_retries_that_wait_keep_no_rows_on_disk_while_the_memory_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_module, "MAX_TOTAL", 50)
    rig = rig_of("w", rows=0)
    rig.client.script["w"] = [200]
    for n in range(0, 4 * ALWAYS, 2):  # every other one: the receiver is well
        rig.client.by_message[f"msg_{n}"] = [(408, {"retry_after": "3000"})]
    rig.give(*(delivery(n) for n in range(4 * ALWAYS)))
    rig.run(100)
    assert len(rig.core.lane("w").waiting) == 2 * ALWAYS
    rig.disk.add(delivery("new"))
    rig.core.on_disk(rig.disk.port, "w", 1)
    rig.run(1)
    assert "msg_new" in rig.sent()


def test_what_waits_for_the_place_of_before_an_edit_takes_no_room_of_what_is_new() -> None:
    rig = Rig(LaneSpec("w", "old", place="http://x.example/wrong"))
    rig.client.script["w"] = ["hang"]
    rig.give(*(delivery(n, url="http://x.example/wrong") for n in range(MAX_ENTRIES)))
    rig.core.turn()
    lane = rig.core.lane("w")
    assert not room(lane, 0, 0)
    rig.core.configure({"w": LaneSpec("w", "new", place="http://x.example/right")})
    assert room(lane, 0, 0)


def test_who_yields_holds_what_it_may_send_soon_beside_what_waits() -> None:
    rig = Rig(LaneSpec("w"))
    lane = rig.core.lane("w")
    lane.quota = Quota(50, rig.clock.at)
    for n in range(50 + SLICE):
        assert room(lane, 0, 0)
        lane.held[b"%d" % n] = delivery(n)
    assert not room(lane, 0, 0)
    assert not reads_rows(lane, 0, 0)
    lane.wait((lane.held[b"0"],), rig.clock.at + 60.0)
    assert room(lane, 0, 0)
    lane.quota = None
    assert room(lane, 0, 0)
    assert reads_rows(lane, 0, 0)


def lane_with(
    *, held: int = 0, size: int = 0, ready: int = 0, flying: int = 0, configured: bool = True
) -> Lane:
    """Return a lane that holds so many deliveries and bytes."""
    lane = Rig(*([LaneSpec("w")] if configured else [])).core.lane("w")
    lane.held = {b"%d" % n: delivery(n) for n in range(held)}
    lane.held_bytes = size
    lane.fresh.extend([(delivery(0),)] * ready)
    lane.flying = {Attempt(NOWHERE, b"", b""): None for _ in range(flying)}
    return lane


FULL = (MAX_TOTAL, 0)
HEAVY = (0, MAX_TOTAL_BYTES)


@pytest.mark.parametrize(
    ("held", "size", "in_all", "expected"),
    [
        (0, 0, (0, 0), Room.SOME),
        (0, 0, (MANY, 0), Room.SOME),
        (0, 0, (MANY + 1, 0), Room.LONG),
        (MAX_ENTRIES - 1, MAX_BYTES - 1, (0, 0), Room.SOME),
        (MAX_ENTRIES, 0, (0, 0), Room.NONE),
        (0, MAX_BYTES, (0, 0), Room.NONE),
        (ALWAYS - 1, ALWAYS_BYTES - 1, FULL, Room.LONG),
        (ALWAYS, 0, FULL, Room.NONE),
        (0, ALWAYS_BYTES, FULL, Room.NONE),
        (ALWAYS, 0, HEAVY, Room.NONE),
        (ALWAYS, 0, (0, MAX_TOTAL_BYTES - 1), Room.SOME),
        (100, 0, (MAX_TOTAL - 101, 0), Room.LONG),
        (100, 0, (MAX_TOTAL - 100, 0), Room.NONE),
    ],
)
def test_the_nearer_the_bounds_the_fewer_a_lane_may_add(
    held: int, size: int, in_all: tuple[int, int], expected: Room
) -> None:
    assert room(lane_with(held=held, size=size), *in_all) is expected


@pytest.mark.parametrize(
    ("lane", "in_all", "expected"),
    [
        (lane_with(), (0, 0), True),
        (lane_with(configured=False), (0, 0), False),
        (lane_with(ready=LOW_WATER - 1), (0, 0), True),
        (lane_with(ready=LOW_WATER), (0, 0), False),
        (lane_with(held=MAX_ENTRIES - SLICE - 1, size=MAX_BYTES - 1), (0, 0), True),
        (lane_with(held=MAX_ENTRIES - SLICE), (0, 0), False),
        (lane_with(size=MAX_BYTES), (0, 0), False),
        (lane_with(held=500, ready=ALWAYS - 2, flying=1), FULL, True),
        (lane_with(held=500, ready=ALWAYS - 1, flying=1), FULL, False),
        (lane_with(held=500, ready=ALWAYS - 1, flying=1), HEAVY, False),
        (lane_with(held=500, ready=ALWAYS), (MAX_TOTAL - 501, MAX_TOTAL_BYTES - 1), True),
    ],
)
def test_rows_are_read_where_little_is_left_to_send_and_there_is_room(
    lane: Lane, in_all: tuple[int, int], expected: bool
) -> None:
    assert reads_rows(lane, *in_all) is expected


@pytest.mark.parametrize(
    ("ready", "left", "reads"), [(30, 50, True), (30, 20, False), (1, 0, False), (0, 0, True)]
)
def test_who_yields_reads_rows_where_it_has_less_than_it_may_send(ready: int, left: int, reads: bool) -> None:
    rig = Rig(LaneSpec("w"))
    lane = rig.core.lane("w")
    lane.quota = Quota(50, rig.clock.at, sent=50 - left)
    lane.fresh.extend((delivery(n),) for n in range(ready))
    assert reads_rows(lane, 0, 0) is reads
