"""Whenever the process dies, what was sent and journalled counts once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.outbox.codec import (
    unpack_dead,
)
from pipeline.outbox.handover import Outcome, Progress
from pipeline.outbox.outbox import ABSORB
from pipeline.store.rows import Table
from tests.kit.streams.records import request
from tests.outbox.bench import Bench, counts

pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.mark.parametrize("undone", [False, True])
def test_a_finished_request_that_a_replay_brings_again_is_not_sent_again(
    tmp_path: Path, undone: bool
) -> None:
    bench = Bench(tmp_path)
    bench.hand_over("w", 0)
    bench.engine.end_all()
    bench.end_epoch()
    ends = {
        1: (Outcome.DELIVERED, 200, ""),
        2: (Outcome.DEAD, 400, "status-400"),
        3: (Outcome.RETRY, 503, ""),
    }
    for offset, (outcome, status, reason) in ends.items():
        made = bench.hand_over("w", offset)
        bench.engine.end(made.row, outcome, status=status, reason=reason, due_ms=77)
    if undone:
        assert bench.end_epoch() == 2
    bench.crash()

    bench = Bench(tmp_path, seq=1)
    assert bench.numbers() == counts(matched=1, delivered=1)
    for offset in ends:
        bench.admit("w", offset)
    bench.outbox.hand_over()
    (again,) = bench.engine.held.values()
    assert again.progress == Progress(attempt=1, due_ms=77, status=503, excerpt="status 503")
    assert again.request.key == request("w", 3).key
    bench.end_epoch()
    assert bench.numbers() == counts(matched=4, delivered=2, dead=1, pending=1)
    (letter,) = (unpack_dead(value) for value in bench.table(Table.DEAD).values())
    assert (letter.origin.offset, letter.reason) == (2, "status-400")
    assert (letter.progress.status, letter.progress.attempt) == (400, 1)
    assert letter.request.body == b"{}", "the replay has brought the request again"


def test_finished_rows_live_until_their_origin_has_passed_durably(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for offset in (1, 2):
        bench.admit("w", offset)
    bench.outbox.hand_over()
    bench.engine.end_all()
    bench.crash()

    bench = Bench(tmp_path)
    bench.outbox.suppress("x")
    bench.end_epoch()
    assert len(bench.table(Table.FINISHED)) == 2
    bench.crash()

    bench = Bench(tmp_path, seq=1)
    bench.admit("w", 1)
    bench.end_epoch()
    assert len(bench.table(Table.FINISHED)) == 1
    bench.crash()

    bench = Bench(tmp_path, seq=1)
    assert len(bench.table(Table.FINISHED)) == 2, "the undo has brought it back"
    bench.admit("w", 1)
    bench.hand_over("w", 2)
    assert bench.engine.held == {}
    bench.end_epoch()
    bench.admit("w", 3)
    bench.end_epoch()
    assert bench.table(Table.FINISHED) == {}
    assert bench.numbers() == counts(matched=3, delivered=2, pending=1)


@pytest.mark.parametrize("outcome", [Outcome.DELIVERED, Outcome.DEAD, Outcome.RETRY])
def test_a_journalled_result_of_a_stored_row_is_applied_to_it(tmp_path: Path, outcome: Outcome) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.end_epoch()
    bench.engine.end(made.row, outcome, status=503, reason="why", due_ms=77)
    bench.crash()

    bench = Bench(tmp_path, seq=1)
    assert bench.engine.disk == {}
    assert bench.engine.refill("w") == 0, "until the next commit the row says what was true before the result"
    assert bench.outbox.waits_for_commit == (outcome is Outcome.RETRY)
    # Nobody may overtake it meanwhile.
    assert bench.outbox.port.stale == (frozenset({made.row}) if outcome is Outcome.RETRY else frozenset())
    bench.end_epoch()
    assert bench.outbox.port.stale == frozenset()
    assert bench.engine.disk == ({"w": 1} if outcome is Outcome.RETRY else {}), "told when it can be read"
    assert bench.engine.refill("w") == (outcome is Outcome.RETRY)
    for again in bench.engine.held.values():
        assert (again.progress.attempt, again.progress.status, again.progress.due_ms) == (1, 503, 77)
    ended = {Outcome.DELIVERED: "delivered", Outcome.DEAD: "dead", Outcome.RETRY: "pending"}[outcome]
    assert bench.numbers() == counts(matched=1, **{ended: 1})


def test_results_of_a_run_after_an_undo_win_over_those_of_the_undone_epoch(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.admit("w", 0)
    bench.end_epoch()
    made = bench.hand_over("w", 1)
    bench.end_epoch()
    bench.engine.end(made.row, Outcome.RETRY, status=503)
    bench.crash()
    bench = Bench(tmp_path, seq=1)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DELIVERED)
    bench.crash()
    bench = Bench(tmp_path, seq=1)
    bench.hand_over("w", 1)
    assert bench.engine.held == {}


def test_an_undone_result_is_not_applied_to_the_delivery_that_got_its_place(tmp_path: Path) -> None:
    # Ordered rows are named by a running number. What a replay takes over as finished needs none, so the
    # next delivery gets the number that the finished one had before the crash.
    bench = Bench(tmp_path)
    bench.hand_over("w", 0, ordered=True)
    bench.engine.end_all()
    bench.end_epoch()
    first = bench.hand_over("w", 1, ordered=True)
    bench.end_epoch()
    bench.engine.end(first.row, Outcome.DELIVERED)
    bench.crash()

    bench = Bench(tmp_path, seq=1)
    bench.admit("w", 1, ordered=True)
    second = bench.admit("w", 2, ordered=True)
    assert second.row == first.row
    bench.outbox.hand_over()
    bench.end_epoch()
    bench.crash()

    bench = Bench(tmp_path, seq=2)
    assert bench.numbers() == counts(matched=3, delivered=2, pending=1)
    bench.end_epoch()
    assert bench.engine.refill("w") == 1


def test_each_epoch_has_a_journal_until_the_next_one_shows_it_durable(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for offset in range(3):
        made = bench.hand_over("w", offset)
        bench.engine.end(made.row, Outcome.DELIVERED)
        assert bench.end_epoch() == offset + 1
    kept = [int(path.stem) for path in sorted((tmp_path / "journal").iterdir())]
    assert kept == [2], "what epoch 3 has committed, which nobody knows to be durable yet"


def test_results_are_taken_into_the_epoch_before_its_end_and_survive_a_death_before_it(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    for offset in range(ABSORB + 1):
        bench.admit("w", offset)
    bench.outbox.hand_over()
    for row in list(bench.engine.held)[1:]:
        bench.engine.end(row, Outcome.DELIVERED, status=200)
    bench.outbox.absorb()
    assert bench.numbers() == counts(matched=ABSORB + 1, delivered=ABSORB, pending=1)
    assert bench.store.seq == 0
    bench.crash()
    again = Bench(tmp_path)
    for offset in range(ABSORB + 1):
        again.admit("w", offset)
    again.outbox.hand_over()
    assert len(again.engine.held) == 1
    again.end_epoch()
    assert again.numbers() == counts(matched=ABSORB + 1, delivered=ABSORB, pending=1)


def test_a_few_results_wait_for_the_epochs_end(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DELIVERED, status=200)
    bench.outbox.absorb()
    assert bench.numbers() == counts(matched=1, pending=1)
    bench.end_epoch()
    assert bench.numbers() == counts(matched=1, delivered=1)
