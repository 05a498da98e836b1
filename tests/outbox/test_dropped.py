"""Deliveries that a person drops, wherever they are just then."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.outbox.codec import (
    unpack_dead,
)
from pipeline.outbox.handover import Outcome
from pipeline.store.rows import Table
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.streams.records import NOW_MS
from tests.outbox.bench import Bench, counts

pytestmark = pytest.mark.usefixtures("unsynced")


def test_a_dropped_delivery_is_dead_once_the_engine_lets_go_of_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    idle, sending = bench.admit("w", 1), bench.admit("w", 2)
    bench.outbox.hand_over()
    bench.end_epoch()
    bench.engine.sending = {sending.row}
    assert bench.outbox.drop([idle.row, sending.row, b"unknown"]) == 2
    assert bench.engine.refill("w") == 0
    bench.end_epoch()
    assert bench.numbers() == counts(matched=2, dead=1, pending=1)
    (letter,) = (unpack_dead(value) for value in bench.table(Table.DEAD).values())
    assert (letter.key, letter.reason) == (idle.row, "dropped")
    bench.engine.end(sending.row, Outcome.DELIVERED)
    bench.end_epoch()
    assert bench.numbers() == counts(matched=2, delivered=1, dead=1)


def test_what_is_being_sent_is_dropped_where_its_attempt_fails(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.end_epoch()
    bench.engine.sending = {made.row}
    bench.outbox.drop([made.row])
    bench.end_epoch()
    assert bench.outbox.lets_go([made.row]), "it is asked for again, and whoever wants it dropped still waits"
    bench.engine.end(made.row, Outcome.RETRY, due_ms=NOW_MS + 1)
    bench.engine.sending.clear()
    bench.end_epoch()
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, dead=1)
    assert not bench.outbox.lets_go([made.row])
    assert bench.engine.held == {}


def test_a_row_that_waits_on_disk_alone_is_dropped(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    made = bench.admit("w", 1)
    bench.end_epoch()
    assert bench.outbox.drop([made.row]) == 1
    bench.end_epoch()
    assert (bench.numbers(), bench.table(Table.OUTBOX)) == (counts(matched=1, dead=1), {})
    assert not bench.outbox.lets_go([made.row])


def test_a_delivery_that_ends_just_before_it_is_dropped_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.end_epoch()
    take = bench.outbox.port.take

    def end_and_drop_after_the_take(generation: int, *, always: bool = True) -> list:
        taken = take(generation, always=always)
        if bench.engine.held:
            bench.engine.end(made.row, Outcome.DELIVERED)
            bench.outbox.drop([made.row])
        return taken

    monkeypatch.setattr(bench.outbox.port, "take", end_and_drop_after_the_take)
    bench.end_epoch()
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, delivered=1)


def test_what_was_dropped_and_is_replayed_is_owed_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.end_epoch()
    bench.outbox.drop([made.row])
    bench.end_epoch()
    (letter,) = (unpack_dead(value) for value in bench.table(Table.DEAD).values())
    bench.outbox.replay(letter, made.request)
    bench.end_epoch()
    assert bench.engine.refill("w") == 1
    assert bench.numbers() == counts(matched=1, pending=1)


def test_an_epoch_that_only_drops_begins_a_generation_of_the_journal(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first, second = bench.admit("w", 1), bench.admit("w", 2)
    bench.outbox.hand_over()
    bench.end_epoch()
    bench.outbox.drop([first.row])
    assert bench.end_epoch() == 2
    bench.engine.end(second.row, Outcome.DELIVERED)
    bench.crash()
    bench = Bench(tmp_path, seq=2)
    assert bench.numbers() == counts(matched=2, delivered=1, dead=1)
