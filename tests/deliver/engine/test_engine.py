"""The engine in its thread, against a real receiver on loopback: nothing lost, nothing counted twice."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.model.errors import Fatal
from pipeline.outbox.handover import Port, Result
from pipeline.receiver.server import Receiver
from pipeline.telemetry import metrics
from tests.deliver.engine.engines import D, R, lane, now_ms, sends
from tests.kit.delivery.rig import Disk, Journal, delivery, submit
from tests.kit.programs.run import until
from tests.kit.receivers.receiver import read_records


def test_what_is_handed_over_arrives_and_is_reported(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 1000))
    assert engine.drain(10)
    assert Counter(each.outcome for each in disk.take()) == {D: 1000}
    assert len({request.message_id for request in receiver.requests}) == 1000
    stats = engine.stats()
    assert stats.lanes["w"].delivered == 1000
    assert 0 <= stats.p50_ms <= stats.p99_ms


def test_threads_that_switch_at_every_turn_lose_nothing_and_count_nothing_twice(
    receiver: Receiver, start: Any
) -> None:
    engine = start(LaneSpec("a"), LaneSpec("b"))
    disks = [Disk(shard) for shard in range(4)]
    taken: list[Result] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(5e-5)
    try:
        for number in range(60):
            for shard, disk in enumerate(disks):
                made = [
                    delivery(f"{number}-{shard}-{n}", "ab"[n % 2], url=receiver.url(), created_ms=now_ms())
                    for n in range(20)
                ]
                submit(engine, disk.port, made)
                if number % 3 == 0:
                    taken += disk.take()
                engine.busy()
                engine.accepts("a")
                engine.stats()
        assert engine.drain(20)
    finally:
        sys.setswitchinterval(interval)
    for disk in disks:
        taken += disk.take()
    sent = Counter(request.message_id for request in receiver.requests)
    assert len(sent) == 60 * 4 * 20
    assert set(sent.values()) == {1}
    assert Counter(each.delivery.request.message_id for each in taken) == sent
    assert sum(len(disk.journal.written) for disk in disks) == len(sent)


def test_workers_in_several_threads_may_hand_over(receiver: Receiver, start: Any) -> None:
    engine = start(LaneSpec("w"))
    disks = [Disk(shard) for shard in range(4)]

    def work(shard: int) -> None:
        for n in range(50):
            made = [delivery(f"{shard}-{n}-{i}", url=receiver.url(), created_ms=now_ms()) for i in range(10)]
            submit(engine, disks[shard].port, made)

    threads = [threading.Thread(target=work, args=(shard,)) for shard in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert engine.drain(20)
    assert [len(disk.take()) for disk in disks] == [500] * 4


def test_a_sick_receiver_does_not_slow_the_others_down(receiver: Receiver, start: Any) -> None:
    receiver.answer(
        {
            "/hang": ["hang"],
            "/slow": [{"status": 200, "delay_secs": 2}],
            "/bad": [500],
            "/reset": ["reset"],
            "*": [200],
        }
    )
    names = ["hang", "slow", "bad", "reset"]
    engine, disk = start(*(LaneSpec(name) for name in [*names, "well"])), Disk()
    for name in names:
        submit(engine, disk.port, sends(receiver, 300, name, f"/{name}"))
    for _ in range(10):
        submit(engine, disk.port, [
            delivery(f"well-{time.monotonic_ns()}", "well", url=receiver.url("/well"), created_ms=now_ms())
            for _ in range(100)
        ])  # fmt: skip
    until(lambda: lane(engine, "well").delivered == 1000, secs=5)
    until(lambda: not engine.busy(), secs=2)
    assert lane(engine, "hang").in_flight > 0
    assert lane(engine, "well").p99_ms < 2000
    assert lane(engine, "hang").delivered == 0


def test_draining_returns_at_once_where_nothing_can_complete_in_time(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": [500]})
    spec = LaneSpec("w", delivery=DeliverySettings(retry=RetrySettings(min_delay_secs=3600)))
    engine, disk = start(spec), Disk()
    submit(engine, disk.port, sends(receiver, 3))
    begin = time.monotonic()
    assert not engine.drain(20)
    assert time.monotonic() - begin < 5
    assert Counter(each.outcome for each in disk.take()) == {R: 3}


def test_draining_waits_for_what_is_in_flight_but_not_beyond_its_deadline(
    receiver: Receiver, start: Any
) -> None:
    receiver.answer({"/slow": [{"status": 200, "delay_secs": 0.3}], "/hang": ["hang"]})
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 3, path="/slow"))
    assert engine.drain(5)
    assert len(disk.take()) == 3
    submit(engine, disk.port, [delivery("h", url=receiver.url("/hang"), created_ms=now_ms())])
    begin = time.monotonic()
    assert not engine.drain(0.3)
    assert 0.25 < time.monotonic() - begin < 3


def test_stopping_ends_what_is_in_flight_without_a_result(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": ["hang"]})
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 5))
    until(lambda: len(receiver.requests) == 5)
    engine.stop()
    assert disk.take() == []
    assert disk.journal.written == []
    until(lambda: not receiver.connections)
    engine.stop()


def test_rows_on_disk_are_brought_in_and_sent(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w")), Disk()
    disk.add(*sends(receiver, 2500))
    engine.on_disk(disk.port, "w", 2500)
    until(lambda: lane(engine, "w").delivered == 2500)
    disk.commit(disk.take())
    assert disk.rows == {}
    assert engine.drain(5)


def test_memory_has_a_limit_per_lane(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": ["hang"]})
    engine, disk = start(LaneSpec("w"), LaneSpec("other")), Disk()
    assert engine.accepts("w")
    assert engine.accepts("never heard of")
    submit(engine, disk.port, sends(receiver, 1000))
    until(lambda: not engine.accepts("w"))
    assert engine.accepts("other")
    big = [
        delivery(f"b{n}", "other", url=receiver.url(), body=bytes(9 << 20), created_ms=now_ms())
        for n in range(4)
    ]
    submit(engine, disk.port, big)
    until(lambda: not engine.accepts("other"))


def test_a_failed_journal_stops_the_job(receiver: Receiver, start: Any) -> None:
    class Full(Journal):
        def append(self, results: list[Result], now_ms: int) -> None:
            raise OSError(28, "No space left on device")

    engine = start(LaneSpec("w"))
    port = Port(0, Full(), lambda webhook, cursor, limit: ([], None))
    submit(engine, port, sends(receiver, 1))

    def failed() -> bool:
        try:
            engine.busy()
        except Fatal as error:
            return "No space left" in str(error)
        return False

    until(failed)
    with pytest.raises(Fatal):
        submit(engine, port, [])
    with pytest.raises(Fatal):
        engine.drain(5)


def test_a_webhook_that_answers_410_is_disabled_and_can_be_enabled(receiver: Receiver, start: Any) -> None:
    gone: list[tuple[str, str]] = []
    engine = start(LaneSpec("w", definition="v1"), on_gone=lambda *what: gone.append(what))
    disk = Disk()
    receiver.answer({"*": [410]})
    submit(engine, disk.port, sends(receiver, 1))
    until(lambda: gone == [("w", "v1")])
    assert lane(engine, "w").state == "gone"
    receiver.answer({"*": [200]})
    engine.orders.obey("w", "enable")
    until(lambda: lane(engine, "w").delivered == 1)


def test_pausing_and_disabling_hold_deliveries_back(receiver: Receiver, start: Any) -> None:
    engine, disk = start(LaneSpec("w")), Disk()
    engine.orders.obey("w", "pause")
    submit(engine, disk.port, sends(receiver, 3))
    assert not engine.drain(1)
    assert lane(engine, "w").state == "paused"
    assert receiver.requests == []
    engine.orders.obey("w", "resume")
    until(lambda: len(receiver.requests) == 3)
    engine.orders.obey("w", "disable")
    engine.orders.obey("w", "resume")
    until(lambda: lane(engine, "w").state == "disabled")


def test_counts_reach_the_metrics(receiver: Receiver, start: Any) -> None:
    before = metrics.read("attempts_total", webhook="metered", outcome="200")
    engine, disk = start(LaneSpec("metered")), Disk()
    submit(engine, disk.port, sends(receiver, 50, "metered"))
    assert engine.drain(5)
    engine.stop()
    assert metrics.read("attempts_total", webhook="metered", outcome="200") == before + 50


def test_a_recording_receiver_has_the_same_requests_on_disk(tmp_path: Path, start: Any) -> None:
    with Receiver(record=tmp_path / "requests.jsonl") as receiver:
        engine, disk = start(LaneSpec("w")), Disk()
        submit(engine, disk.port, sends(receiver, 100))
        assert engine.drain(5)
        assert [row["id"] for row in read_records(tmp_path / "requests.jsonl")] == [
            request.message_id for request in receiver.requests
        ]


def test_a_drain_that_is_past_its_deadline_does_not_spin(receiver: Receiver, start: Any) -> None:
    receiver.answer({"*": ["hang"]})
    engine, disk = start(LaneSpec("w")), Disk()
    submit(engine, disk.port, sends(receiver, 3))
    until(lambda: len(receiver.requests) == 3)
    engine.begin_drain(0.05)
    until(engine.is_drained)
    turns = 0
    core = engine._core
    turn = core.turn

    def counted() -> None:
        nonlocal turns
        turns += 1
        turn()

    core.turn = counted
    until(lambda: turns >= 3)  # the tick, ten times a second
    begin = time.monotonic()
    before = turns
    until(lambda: time.monotonic() - begin > 0.3)
    assert turns - before < 20
