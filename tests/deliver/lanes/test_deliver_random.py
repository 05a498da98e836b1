"""Random receivers, commits and times: every delivery ends once, and in order where that was asked for."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.models.webhooks.delivery import BatchSettings, DeliverySettings, RetrySettings
from pipeline.deliver.lanes.limits.concurrency import Concurrency
from pipeline.deliver.lanes.limits.throttle import Throttle
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Delivery, Outcome, Result
from tests.kit.delivery.rig import Rig, copied, delivery
from tests.kit.examples import examples

ROOM = 160
COUNT = 1200
D = Outcome.DELIVERED
KINDS = ("plain", "ordered", "batched")


class Worker:
    """The shard's side, as outbox/outbox.py does it: rows, what is live, what is behind."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.live: dict[bytes, Delivery] = {}
        self.unstored: dict[bytes, Delivery] = {}
        self.ends: Counter[tuple[str, Outcome]] = Counter()
        self.new: Counter[str] = Counter()
        self.visible: dict[bytes, Delivery] = {}
        """Committed rows; `rig.disk.rows` is what the engine may read."""

    def admit(self, given_: Delivery, *, ordered: bool) -> None:
        rows, lane = self.visible, self.rig.core.lane(given_.request.webhook_id)
        prefix = given_.row[:-8]
        behind = ordered and any(row.startswith(prefix) and row not in self.live for row in rows)
        if behind or len(lane.held) >= ROOM:
            given_.stored = True
            rows[given_.row] = copied(given_)
            self.new[given_.request.webhook_id] += 1
            return
        self.live[given_.row] = self.unstored[given_.row] = given_
        self.rig.give(given_)

    def commit(self) -> None:
        results = self.rig.results()
        for result in results:
            self._settle(result)
        for row, each in self.unstored.items():
            each.stored = True
            self.visible[row] = copied(each)
        self.unstored.clear()
        self.rig.disk.rows = {row: copied(each) for row, each in self.visible.items()}
        self.rig.disk.port.settled(
            [each.delivery.row for each in results if each.outcome is not Outcome.RETRY]
        )
        new, self.new = self.new, Counter()
        for webhook, rows in new.items():
            self.rig.core.on_disk(self.rig.disk.port, webhook, rows)

    def _settle(self, result: Result) -> None:
        each = result.delivery
        if result.outcome is Outcome.RETRY:
            if each.stored:
                self.visible[each.row] = copied(each)
            return
        self.live.pop(each.row, None)
        self.unstored.pop(each.row, None)
        if result.outcome is Outcome.PARKED:
            each.stored = True
            self.visible[each.row] = copied(each)
            self.new[each.request.webhook_id] += 1
            return
        self.visible.pop(each.row, None)
        self.ends[each.request.message_id, result.outcome] += 1


def spec(kind: str) -> LaneSpec:
    batch = BatchSettings(max_events=7, max_wait_secs=0.5) if kind == "batched" else None
    retry = RetrySettings(min_delay_secs=5.0, max_delay_secs=60.0)
    ordering: Any = "per_user" if kind == "ordered" else "none"
    return LaneSpec(
        kind, delivery=DeliverySettings(batch=batch, retry=retry, ordering=ordering, timeout_secs=3.0)
    )


class Patient(Throttle):
    """A throttle that never opens: more fails, waits and is parked."""

    def failed(self, now: float, count: int = 1, asked_secs: float = 0.0, *, slow_down: bool = False) -> bool:
        return False

    def missed(self, now: float, count: int, *, slow_down: bool = False) -> None: ...


class Stubborn(Concurrency):
    """A concurrency that never shrinks."""

    def ended(self, now: float, good: int, bad: int) -> None: ...


@settings(max_examples=examples(25), deadline=None)
@given(
    seed=st.integers(0, 2**32),
    sickness=st.sampled_from([0.05, 0.3, 0.9, 1.0]),
    patient=st.booleans(),
    users=st.sampled_from([3, 200]),
)
def test_every_delivery_ends_exactly_once(seed: int, sickness: float, patient: bool, users: int) -> None:
    luck = random.Random(seed)
    rig = Rig(*(spec(kind) for kind in KINDS), luck=-1)
    worker = Worker(rig)
    for kind in KINDS:
        rig.core.lane(kind).max_entries = ROOM
        if patient:
            rig.core.lane(kind).throttle, rig.core.lane(kind).limit = Patient(), Stubborn(64)
    delivered: dict[str, list[int]] = {}
    ill = True

    def answer(attempt: Any) -> Any:
        bad = [500, 503, "timeout", "reset", "hang", 400, 413, 408, (207, {"answer": b'{"failed": [0, 2]}'})]
        status = luck.choice(bad) if ill and luck.random() < sickness else 200
        if status == 200:
            for each in attempt.items:
                place = int.from_bytes(each.row[-8:], "big")
                delivered.setdefault(each.request.user, []).append(place)
        return status

    rig.client.script = {kind: [answer] for kind in KINDS}
    for n in range(COUNT):
        kind = KINDS[n % 3]
        user = f"u{luck.randrange(users):03d}" if kind == "ordered" else ""
        row = f"{kind}\0{user}\0".encode() + n.to_bytes(8, "big")
        now_ms = int(rig.clock.wall() * 1000)
        made = delivery(n, kind, row=row, user=user, created_ms=now_ms)
        worker.admit(made, ordered=kind == "ordered")
        if luck.random() < 0.1:
            rig.run(luck.choice([0.0, 0.1, 0.5]))
        if luck.random() < 0.05:
            worker.commit()
    for _ in range(10):
        rig.run(luck.choice([0.5, 30.0]))
        worker.commit()
    ill = False
    for _ in range(60):
        rig.run(30.0)
        worker.commit()
    assert rig.core.is_empty()
    assert worker.visible == {}
    assert worker.live == {}
    assert sorted(message for message, _ in worker.ends) == sorted(f"msg_{n}" for n in range(COUNT))
    assert set(worker.ends.values()) == {1}
    for user, sequences in delivered.items():
        if user:
            assert sequences == sorted(set(sequences)), f"the order of {user} is broken"


def reloaded(luck: random.Random) -> LaneSpec:
    """Return other settings of the same webhook."""
    batch = BatchSettings(max_events=luck.choice([1, 2, 7, 50]), max_wait_secs=luck.choice([0.1, 60.0]))
    delivery = DeliverySettings(
        batch=luck.choice([None, batch]),
        ordering=luck.choice(["none", "per_user"]),
        retry=RetrySettings(min_delay_secs=5.0, max_delay_secs=60.0),
        timeout_secs=luck.choice([1.0, 10.0]),
        concurrency=luck.choice([1, 8, 64]),
        rate_per_sec=luck.choice([None, None, 50.0]),
    )
    return LaneSpec(
        "w", definition=str(luck.random()), enabled=luck.random() < 0.9, delivery=delivery, fail_when=None
    )


@settings(max_examples=examples(20), deadline=None)
@given(
    seed=st.integers(0, 2**32), sickness=st.sampled_from([0.0, 0.3, 0.9]), often=st.sampled_from([0.02, 0.3])
)
def test_every_delivery_is_sent_and_ends_once_whatever_is_reloaded(
    seed: int, sickness: float, often: float
) -> None:
    luck = random.Random(seed)
    rig = Rig(reloaded(luck), luck=-1)
    worker = Worker(rig)
    lane = rig.core.lane("w")
    lane.max_entries = ROOM
    taken: Counter[int] = Counter()
    ill = True

    def answer(attempt: Any) -> Any:
        members = len(attempt.items)
        failed = luck.randrange(members)
        bad = [500, 503, "timeout", "hang", 400, 413, (200, {"answer": b'{"failed": [%d]}' % failed})]
        status = luck.choice(bad) if ill and luck.random() < sickness else 200
        numbers = [int(each) for each in re.findall(rb"\d+", attempt.body)]
        if isinstance(status, tuple) and attempt.headers_matter:
            del numbers[failed]
        if status == 200 or isinstance(status, tuple):
            taken.update(numbers)
        return status

    rig.client.script = {"w": [answer]}
    for n in range(300):
        ordered = lane.spec is not None and lane.spec.delivery.ordering == "per_user"
        user = f"u{luck.randrange(9)}"
        place = n.to_bytes(8, "big")
        row = f"w\0{user}\0".encode() + place if ordered else b"w\0\1" + place
        now_ms = int(rig.clock.wall() * 1000)
        worker.admit(delivery(n, "w", row=row, user=user, created_ms=now_ms, body=b"%d" % n), ordered=ordered)
        if luck.random() < 0.1:
            rig.run(luck.choice([0.0, 0.1, 0.5]))
        if luck.random() < 0.05:
            worker.commit()
        if luck.random() < often:
            rig.core.configure({"w": reloaded(luck)})
        if luck.random() < 0.02:
            rig.core.retry_now("w")
    ill = False
    rig.core.configure({"w": LaneSpec("w")})
    for _ in range(60):
        rig.run(30.0)
        worker.commit()
    assert rig.core.is_empty()
    assert (worker.visible, worker.live) == ({}, {})
    assert sorted(message for message, _ in worker.ends) == sorted(f"msg_{n}" for n in range(300))
    assert set(worker.ends.values()) == {1}
    assert {f"msg_{n}" for n in taken} == {message for message, outcome in worker.ends if outcome is D}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_same_stream_gives_the_same_requests_whatever_the_chunks(seed: int) -> None:
    def requests(chunk: int) -> Counter[tuple[str, bytes, str]]:
        rig = Rig(spec("plain"), spec("ordered"))
        made = [
            delivery(
                n,
                "plain" if n % 2 else "ordered",
                user=f"u{n % 5}",
                body=b"%d" % (n * seed),
                row=f"{n % 5}".encode() + n.to_bytes(8, "big"),
            )
            for n in range(300)
        ]
        for start in range(0, len(made), chunk):
            rig.give(*made[start : start + chunk])
            rig.run(0.1)
        rig.run(10)
        return Counter(
            (sent.items[0].request.message_id, sent.body, sent.target.path) for sent in rig.client.sent
        )

    assert requests(1) == requests(7) == requests(300)
