"""Ordered deliveries wait behind the older ones of their user, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.outbox.codec import (
    unpack_owed,
)
from pipeline.outbox.counters import Ended
from pipeline.outbox.handover import Outcome
from pipeline.outbox.owed_rows import OwedRows
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.streams.records import place
from tests.outbox.bench import Bench

pytestmark = pytest.mark.usefixtures("unsynced")


def test_an_ordered_delivery_follows_an_older_one_of_its_user_to_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    bench.admit("w", 1, ordered=True, user="u:1")
    bench.outbox.hand_over()
    bench.engine.room = 100
    bench.admit("w", 2, ordered=True, user="u:1")
    bench.admit("w", 3, ordered=True, user="u:2")
    bench.admit("w", 4, ordered=False, user="u:1")
    bench.outbox.hand_over()
    assert sorted(d.request.message_id for d in bench.engine.held.values()) == ["msg_w_3", "msg_w_4"]
    bench.end_epoch()
    rows = {row: unpack_owed(value)[0] for row, value in bench.table(Table.OUTBOX).items()}
    behind = [made.message_id for row, made in rows.items() if row != made.key and made.user == "u:1"]
    assert behind == ["msg_w_1", "msg_w_2"]
    assert bench.engine.disk == {"w": 2}


@pytest.fixture
def _unflushed(monkeypatch: pytest.MonkeyPatch) -> None:
    def flushed(store: Store) -> None:
        raise AssertionError("a look for older deliveries would write what the epoch has gathered, each time")

    monkeypatch.setattr(Store, "flush", flushed)


def test_what_goes_to_disk_for_want_of_room_asks_for_no_older_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))

    def looked(rows: OwedRows, queue: bytes) -> None:
        raise AssertionError("it goes to disk in any case")

    monkeypatch.setattr(OwedRows, "committed_of", looked)
    for offset in range(1, 4):
        bench.admit("w", offset, ordered=True)
    bench.outbox.hand_over()
    bench.end_epoch()
    assert bench.engine.refill("w") == 3
    assert [one.request.message_id for one in bench.engine.held.values()] == ["msg_w_1", "msg_w_2", "msg_w_3"]


@pytest.mark.usefixtures("_unflushed")
@pytest.mark.parametrize("committed", [False, True])
@pytest.mark.parametrize("parked", [False, True])
def test_an_older_one_on_disk_is_found_without_writing_the_epochs_rows(
    tmp_path: Path, parked: bool, committed: bool
) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=100 if parked else 0))
    first = bench.hand_over("w", 1, ordered=True)
    if parked:
        bench.engine.end(first.row, Outcome.PARKED)
        bench.outbox.absorb(1)
    if committed:
        bench.end_epoch()
    bench.engine.room = 100
    bench.admit("w", 2, ordered=True, user="u:2")
    bench.admit("w", 3, ordered=True)
    bench.outbox.hand_over()
    assert [one.request.message_id for one in bench.engine.held.values()] == ["msg_w_2"]


@pytest.mark.usefixtures("_unflushed")
def test_a_row_that_has_ended_in_this_epoch_holds_up_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    first = bench.admit("w", 1, ordered=True)
    bench.admit("w", 2, ordered=True, user="u:2")
    bench.outbox.hand_over()
    bench.end_epoch()
    bench.engine.room = 100
    bench.engine.refill("w")
    bench.engine.end(first.row, Outcome.DELIVERED)
    bench.outbox.absorb(1)
    third = bench.hand_over("w", 3, ordered=True)
    assert third.row in bench.engine.held


def test_an_ordered_delivery_follows_one_that_the_engine_has_parked(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = bench.hand_over("w", 1, ordered=True)
    bench.engine.end(first.row, Outcome.PARKED)
    bench.end_epoch()
    bench.hand_over("w", 2, ordered=True)
    assert bench.engine.held == {}, "the first is on disk alone: what comes now lies behind it"
    bench.end_epoch()
    assert bench.engine.refill("w") == 2
    assert [one.request.message_id for one in bench.engine.held.values()] == ["msg_w_1", "msg_w_2"]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD])
def test_whose_attempts_have_ended_is_known(tmp_path: Path, outcome: Outcome, stored: bool) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    if stored:
        bench.end_epoch()
    assert bench.outbox.ended == Ended()
    bench.engine.end(made.row, outcome)
    bench.end_epoch()
    good = outcome is Outcome.DELIVERED
    ended = bench.outbox.ended
    assert (ended.delivered, ended.failed) == (({"w": 1}, {}) if good else ({}, {"w": 1}))


def test_an_ordered_delivery_stays_in_memory_behind_those_that_are_there(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = bench.hand_over("w", 1, ordered=True)
    bench.end_epoch()
    assert bench.engine.held[first.row].stored
    second = bench.hand_over("w", 2, ordered=True)
    assert second.row in bench.engine.held


def test_after_a_restart_ordered_deliveries_wait_behind_the_rows_of_before(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.hand_over("w", 1, ordered=True)
    bench.end_epoch()
    bench.crash()
    bench = Bench(tmp_path, seq=1)
    bench.hand_over("w", 2, ordered=True)
    assert bench.engine.held == {}
    bench.end_epoch()
    bench.engine.refill("w")
    assert [d.request.message_id for d in bench.engine.held.values()] == ["msg_w_1", "msg_w_2"]


def test_ordered_rows_of_users_with_long_names_stay_apart_and_sort_by_sequence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    for offset in range(300):
        bench.admit("w", offset, ordered=True, user="u:" + "ü" * 400 + str(offset % 2))
    bench.end_epoch()
    bench.engine.refill("w", limit=7)
    found = list(bench.engine.held.values())
    assert len(found) == 300
    for user in {d.request.user for d in found}:
        own = [place(d) for d in found if d.request.user == user]
        assert own == sorted(own)
        assert len(own) == 150
