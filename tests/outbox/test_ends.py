"""The outbox: every request ends once, and what is dead says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline.model.records import Origin
from pipeline.outbox.codec import (
    DeadLetter,
    delivery_key,
    pack_owed,
    unpack_dead,
    unpack_owed,
)
from pipeline.outbox.handover import Outcome, Progress, Request
from pipeline.store.rows import Table
from tests.kit.delivery.copying import HandCopier
from tests.kit.streams.records import NOW_MS, request
from tests.outbox.bench import Bench, counts

pytestmark = pytest.mark.usefixtures("unsynced")


def test_a_delivered_request_leaves_a_count_and_no_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.admit("w", 1)
    assert bench.engine.held == {}
    bench.outbox.hand_over()
    bench.engine.end(made.row, Outcome.DELIVERED, status=200)
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, delivered=1)
    assert bench.table(Table.OUTBOX) == {}


def test_what_is_not_finished_at_the_epochs_end_is_stored_and_its_end_removes_the_row(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, pending=1)
    (value,) = bench.table(Table.OUTBOX).values()
    assert unpack_owed(value) == (made.request, Progress())
    bench.engine.end(made.row, Outcome.RETRY, status=503, due_ms=NOW_MS + 5)
    bench.end_epoch()
    (value,) = bench.table(Table.OUTBOX).values()
    _, progress = unpack_owed(value)
    assert (progress.attempt, progress.status, progress.due_ms) == (1, 503, NOW_MS + 5)
    bench.engine.end(made.row, Outcome.DELIVERED)
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, delivered=1)
    assert bench.table(Table.OUTBOX) == {}


def test_a_row_is_all_of_its_request(tmp_path: Path) -> None:
    made = replace(request("w", 1, user="u:ä", body=b"\x01SECRET\x02"), replay=True)
    progress = Progress(attempt=3, due_ms=9, status=503, excerpt="busy")
    assert unpack_owed(pack_owed(made, progress)) == (made, progress)


def test_a_dead_delivery_is_kept_with_its_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 41)
    bench.engine.end(made.row, Outcome.DEAD, status=400, reason="status-400")
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, dead=1)
    dead = unpack_dead(bench.table(Table.DEAD)[made.request.key])
    assert (dead.kind, dead.reason, dead.dead_ms) == ("delivery", "status-400", NOW_MS)
    assert (dead.progress.status, dead.progress.attempt) == (400, 1)
    assert (dead.origin, dead.request) == (Origin("r.jsonl", 41), made.request)


def test_what_can_never_be_sent_is_dead_at_once_and_records_count_for_no_webhook(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    letters = [
        DeadLetter(
            kind=kind,
            reason="why",
            dead_ms=NOW_MS,
            request=Request(
                key=delivery_key(webhook, Origin("r", 1)), webhook_id=webhook, body=b"raw", created_ms=0
            ),
        )
        for kind, webhook in (("record", ""), ("render", "w"))
    ]
    for letter in letters:
        bench.outbox.give_up(letter)
    bench.outbox.suppress("w")
    bench.end_epoch()
    assert bench.numbers() == counts(matched=2, dead=1, suppressed=1)
    assert [unpack_dead(value) for value in bench.table(Table.DEAD).values()] == letters
    sizes = {"/dead_bytes", "w/dead_bytes"}
    assert set(bench.counters.written()) == {"w/matched", "w/dead", "w/suppressed"} | sizes


def test_the_reason_of_a_dead_letter_holds_no_address_of_an_object(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    key = delivery_key("", Origin("r", 1))
    reason = f"cannot read {object()!r}"
    bench.outbox.give_up(
        DeadLetter(kind="record", reason=reason, dead_ms=NOW_MS, request=Request(key=key, created_ms=0))
    )
    bench.end_epoch()
    assert unpack_dead(bench.table(Table.DEAD)[key]).reason == "cannot read <object object>"


def test_copies_are_due_until_the_epoch_that_copied_them_is_committed(tmp_path: Path) -> None:
    copier = HandCopier()
    bench = Bench(tmp_path, copier=copier)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    for _ in range(2):
        bench.outbox.dead_letters.copy()
    assert copier.keys == [made.request.key]
    copier.copy_all()
    bench.outbox.dead_letters.copy()
    bench.crash()
    copier = HandCopier()
    bench = Bench(tmp_path, seq=1, copier=copier)
    bench.outbox.dead_letters.copy()
    assert copier.keys == [made.request.key], "the copying epoch was lost"
    bench.end_epoch()
    assert set(bench.table(Table.COPIES)) == {made.request.key}, "it is on its way"
    copier.copy_all()
    bench.outbox.dead_letters.copy()
    bench.end_epoch()
    assert bench.table(Table.COPIES) == {}
    bench.crash()


def test_no_more_is_on_the_way_to_be_copied_than_there_is_room_for(tmp_path: Path) -> None:
    copier = HandCopier(room=2)
    bench = Bench(tmp_path, copier=copier)
    for offset in range(1, 6):
        bench.engine.end(bench.hand_over("w", offset).row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    bench.outbox.dead_letters.copy()
    assert len(copier.keys) == 2
    bench.outbox.dead_letters.copy_all(1.0)
    bench.end_epoch()
    assert (len(set(copier.keys)), len(copier.keys), bench.table(Table.COPIES)) == (5, 5, {})


def test_what_cannot_be_copied_is_due_at_the_next_start(tmp_path: Path) -> None:
    copier = HandCopier(room=2)
    bench = Bench(tmp_path, copier=copier)
    for offset in range(1, 4):
        bench.engine.end(bench.hand_over("w", offset).row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    copier.fails = True
    bench.outbox.dead_letters.copy_all(1.0)
    seq = bench.end_epoch()
    assert len(bench.table(Table.COPIES)) == 3
    bench.crash()
    copier = HandCopier(is_done=True)
    Bench(tmp_path, seq=seq, copier=copier).outbox.dead_letters.copy()
    assert len(copier.keys) == 3


def test_a_letter_that_is_gone_is_not_copied(tmp_path: Path) -> None:
    copier = HandCopier()
    bench = Bench(tmp_path, copier=copier)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    bench.outbox.dead_letters.remove(unpack_dead(bench.table(Table.DEAD)[made.request.key]))
    bench.outbox.dead_letters.copy()
    bench.end_epoch()
    assert (copier.keys, bench.table(Table.COPIES)) == ([], {})


def test_without_copies_nothing_is_kept_for_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    assert bench.table(Table.COPIES) == {}


def test_a_webhook_may_be_called_as_what_counts_records_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.counters.add("record/read")
    done = bench.admit("record", 1)
    bench.admit("record", 2)
    bench.outbox.hand_over()
    bench.engine.end(done.row, Outcome.DELIVERED)
    bench.end_epoch()
    bench.crash()
    bench = Bench(tmp_path, seq=1)
    assert bench.engine.disk == {"record": 1}
    assert bench.engine.refill("record") == 1
    bench.engine.end_all()
    bench.counters.add("record/read")
    bench.end_epoch()
    assert bench.numbers("record") == counts(matched=2, delivered=2)
    assert bench.counters.written()["record/read"] == 2


def test_an_epoch_without_any_change_commits_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.end_epoch() == 0
    bench.admit("w", 1)
    assert bench.end_epoch() == 1
    assert bench.end_epoch() == 1
