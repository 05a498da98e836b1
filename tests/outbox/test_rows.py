"""Rows on disk: what does not end in its epoch, what a full lane leaves, what a restart finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.records import Origin
from pipeline.outbox import outbox as outbox_module
from pipeline.outbox.codec import delivery_key, unpack_owed
from pipeline.outbox.handover import Outcome
from pipeline.outbox.outbox import ABSORB, OFTEN
from pipeline.store.rows import Table
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.streams.records import NOW_MS
from tests.outbox.bench import Bench, counts

pytestmark = pytest.mark.usefixtures("unsynced")


def test_a_full_lane_gets_rows_on_disk_and_is_told_after_the_commit(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    for offset in range(5):
        bench.admit("w", offset)
    bench.outbox.hand_over()
    assert bench.engine.held == {}
    assert bench.engine.disk == {}
    bench.end_epoch()
    assert bench.engine.disk == {"w": 5}
    assert bench.engine.refill("w", limit=2) == 5
    assert bench.engine.refill("w", limit=2) == 0
    bench.engine.end_all()
    assert bench.engine.refill("w") == 0, "their end is not committed: they must not be read again"
    bench.end_epoch()
    assert bench.engine.refill("w") == 0
    assert bench.numbers() == counts(matched=5, delivered=5)


def test_of_large_rows_fewer_are_read_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    for offset in range(5):
        bench.admit("w", offset)
    bench.end_epoch()
    [one], _ = bench.outbox.refill("w", None, 1)
    monkeypatch.setattr(outbox_module, "REFILL_BYTES", len(one.request.body) + 1)
    rows, cursor = bench.outbox.refill("w", None, 100)
    assert (len(rows), cursor) == (2, rows[1].row)
    assert bench.engine.refill("w", limit=100) == 5


def test_rows_of_another_webhook_whose_name_begins_alike_are_not_read(tmp_path: Path) -> None:
    bench = Bench(tmp_path, ScriptedEngine(room=0))
    bench.admit("w", 1)
    bench.admit("w-2", 1)
    bench.end_epoch()
    assert bench.engine.refill("w") == 1
    assert [d.request.webhook_id for d in bench.engine.held.values()] == ["w"]


def test_what_a_failing_receiver_has_not_taken_is_written_before_the_epochs_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rows = [bench.hand_over(webhook, offset).row for webhook in ("ill", "well") for offset in (1, 2)]
    bench.engine.end(rows[0], Outcome.RETRY)
    bench.outbox.prepare()
    assert [row for row in rows if row in bench.outbox._rows] == rows[:2]
    for row in (rows[0], rows[2]):
        bench.engine.end(row, Outcome.DELIVERED)
    bench.end_epoch()
    assert sorted(bench.table(Table.OUTBOX)) == [rows[1], rows[3]]
    assert bench.numbers("ill") == bench.numbers("well") == counts(matched=2, delivered=1, pending=1)


def test_what_a_receiver_that_seldom_fails_has_not_taken_is_written_at_the_epochs_end(tmp_path: Path) -> None:
    """A row for each that is in memory would take milliseconds, and nearly all are taken by then."""
    bench = Bench(tmp_path)
    rows = [bench.hand_over("w", offset).row for offset in range(OFTEN + 3)]
    bench.engine.end(rows[0], Outcome.DEAD)
    for row in rows[1 : OFTEN + 2]:
        bench.engine.end(row, Outcome.DELIVERED)
    bench.outbox.prepare()
    assert rows[-1] not in bench.outbox._rows
    bench.end_epoch()
    assert list(bench.table(Table.OUTBOX)) == rows[-1:]


def test_a_parked_delivery_goes_to_disk_and_comes_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    assert not bench.outbox.waits_for_commit
    bench.engine.end(made.row, Outcome.PARKED)
    assert bench.engine.refill("w") == 0
    assert bench.outbox.waits_for_commit, "the job must not end: the engine has forgotten it"
    bench.end_epoch()
    assert not bench.outbox.waits_for_commit
    assert bench.engine.disk == {"w": 1}
    assert bench.numbers() == counts(matched=1, pending=1)
    assert bench.engine.refill("w") == 1
    bench.engine.end_all()
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, delivered=1)


def test_a_result_that_comes_while_rows_are_being_written_hides_the_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    take = bench.outbox.port.take

    def take_and_post(generation: int, *, always: bool = True) -> list:
        taken = take(generation, always=always)
        if bench.engine.held:
            bench.engine.end(made.row, Outcome.DELIVERED)
        return taken

    monkeypatch.setattr(bench.outbox.port, "take", take_and_post)
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, pending=1)
    assert bench.engine.refill("w") == 0
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, delivered=1)
    assert bench.table(Table.OUTBOX) == {}


def test_deliveries_of_sources_with_long_names_stay_apart(tmp_path: Path) -> None:
    keys = {delivery_key("w", Origin("x" * 600 + end, 1)) for end in "abc"}
    assert len(keys) == 3
    assert max(map(len, keys)) <= 400


def test_a_restart_tells_the_engine_what_waits_on_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for webhook_id, rows in (("a", 2), ("b", 1)):
        for offset in range(rows):
            bench.admit(webhook_id, offset)
    done = bench.admit("c", 1)
    bench.outbox.hand_over()
    bench.engine.end(done.row, Outcome.DELIVERED)
    bench.end_epoch()
    bench.crash()
    assert Bench(tmp_path, seq=1).engine.disk == {"a": 2, "b": 1}


def test_what_is_tried_again_and_again_is_written_once_an_epoch_as_it_stands_then(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    rows = [bench.hand_over("w", offset).row for offset in range(ABSORB)]
    bench.end_epoch()
    for _ in range(3):
        bench.engine.end_all(Outcome.RETRY, status=503, due_ms=NOW_MS + 5)
        bench.outbox.absorb()
        assert bench.store.to_commit == 0
    bench.engine.end(rows[0], Outcome.DELIVERED, status=200)
    bench.end_epoch()
    stored = bench.table(Table.OUTBOX)
    assert list(stored) == rows[1:]
    assert {unpack_owed(row)[1].attempt for row in stored.values()} == {3}
    assert bench.numbers() == counts(matched=ABSORB, delivered=1, pending=ABSORB - 1)


def test_an_epoch_that_only_fails_keeps_what_it_tried(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    before = bench.end_epoch()
    bench.engine.end(made.row, Outcome.RETRY, status=503, due_ms=NOW_MS + 5)
    assert bench.end_epoch() == before + 1
    assert unpack_owed(bench.table(Table.OUTBOX)[made.row])[1].attempt == 1
    assert bench.end_epoch() == before + 1, "nothing has changed"
