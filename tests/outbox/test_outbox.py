"""The outbox: every request ends once, whatever the engine does and whenever the process dies."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from pipeline.model.records import Origin
from pipeline.outbox import outbox as outbox_module
from pipeline.outbox.codec import (
    DeadLetter,
    delivery_key,
    ordered_row,
    pack_owed,
    unpack_dead,
    unpack_number,
    unpack_owed,
)
from pipeline.outbox.counters import WEBHOOK, Counters
from pipeline.outbox.handover import Outcome, Progress, Request
from pipeline.outbox.outbox import ABSORB, Outbox
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.streams.records import NOW_MS, clock, place, request

pytestmark = pytest.mark.usefixtures("unsynced")


class Admitted(NamedTuple):
    """A request that the outbox has taken over."""

    request: Request
    row: bytes


class Bench:
    """A shard without its join: a store, its outbox and an engine, with the epoch's end of shard.py."""

    def __init__(
        self, path: Path, engine: ScriptedEngine | None = None, seq: int = 0, *, copies: bool = False
    ):
        self.store = Store(path, map_size=1 << 26)
        self.store.resume(seq)
        self.counters = Counters(self.store)
        self.engine = engine if engine is not None else ScriptedEngine()
        self.outbox = Outbox(self.store, self.counters, self.engine, 0, clock, copies=copies)

    def admit(self, webhook_id: str, offset: int, *, ordered: bool = False, user: str = "u:1") -> Admitted:
        made = request(webhook_id, offset, user=user)
        self.outbox.admit(made, ordered=ordered)
        self.outbox.passed({"r.jsonl": offset})
        if not ordered:
            return Admitted(made, made.key)
        latest = unpack_number(self.store.get(Table.APPLIED, b"\0sequence"))
        return Admitted(made, ordered_row(webhook_id, user, latest))

    def hand_over(self, webhook_id: str, offset: int, *, ordered: bool = False) -> Admitted:
        made = self.admit(webhook_id, offset, ordered=ordered)
        self.outbox.hand_over()
        return made

    def end_epoch(self) -> int:
        self.outbox.old_journals()()
        self.outbox.collect()
        self.counters.flush()
        seq = self.store.commit()
        self.outbox.committed()
        for webhook_id in {name.rpartition("/")[0] for name in self.counters.written()}:
            self.check(webhook_id)
        return seq

    def check(self, webhook_id: str) -> None:
        numbers = self.numbers(webhook_id)
        assert numbers["matched"] == sum(numbers.values()) - numbers["matched"], numbers
        rows = list(
            self.store.committed(Table.OUTBOX, webhook_id.encode() + b"\0", webhook_id.encode() + b"\0")
        )
        assert numbers["pending"] == len(rows)

    def numbers(self, webhook_id: str = "w") -> dict[str, int]:
        counts = self.counters.of(webhook_id)
        return {name: getattr(counts, name) for name in WEBHOOK}

    def table(self, table: Table) -> dict[bytes, bytes]:
        return dict(self.store.committed(table, b"", b""))

    def crash(self) -> None:
        """Die: what was not committed is gone, what was journaled stays."""
        self.outbox.port.journal.close()  # type: ignore[attr-defined]  # only to spare descriptors
        self.store.close()


def counts(**given: int) -> dict[str, int]:
    return dict.fromkeys(WEBHOOK, 0) | given


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
def test_a_journaled_result_of_a_stored_row_is_applied_to_it(tmp_path: Path, outcome: Outcome) -> None:
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
    assert (bench.outbox.ended.delivered, bench.outbox.ended.failed) == (set(), set())
    bench.engine.end(made.row, outcome)
    bench.end_epoch()
    good = outcome is Outcome.DELIVERED
    ended = bench.outbox.ended
    assert (ended.delivered, ended.failed) == (({"w"}, set()) if good else (set(), {"w"}))


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


def test_deliveries_of_sources_with_long_names_stay_apart(tmp_path: Path) -> None:
    keys = {delivery_key("w", Origin("x" * 600 + end, 1)) for end in "abc"}
    assert len(keys) == 3
    assert max(map(len, keys)) <= 400


def test_copies_are_due_until_the_epoch_that_copied_them_is_committed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, copies=True)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    assert [letter.key for letter in bench.outbox.dead_letters.to_copy()] == [made.request.key]
    assert bench.outbox.dead_letters.to_copy() == []
    bench.crash()
    bench = Bench(tmp_path, seq=1, copies=True)
    assert [letter.key for letter in bench.outbox.dead_letters.to_copy()] == [made.request.key], (
        "the copying epoch was lost"
    )
    bench.end_epoch()
    bench.crash()
    assert Bench(tmp_path, seq=2, copies=True).outbox.dead_letters.to_copy() == []


def test_without_copies_nothing_is_kept_for_them(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = bench.hand_over("w", 1)
    bench.engine.end(made.row, Outcome.DEAD, reason="status-400")
    bench.end_epoch()
    assert bench.table(Table.COPIES) == {}
    assert bench.outbox.dead_letters.to_copy() == []


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


def test_each_epoch_has_a_journal_until_the_next_one_shows_it_durable(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    for offset in range(3):
        made = bench.hand_over("w", offset)
        bench.engine.end(made.row, Outcome.DELIVERED)
        assert bench.end_epoch() == offset + 1
    kept = [int(path.stem) for path in sorted((tmp_path / "journal").iterdir())]
    assert kept == [2], "what epoch 3 has committed, which nobody knows to be durable yet"


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
