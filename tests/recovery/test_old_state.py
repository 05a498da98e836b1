"""A state directory of version 6dbd548 (rows of format 1), killed in mid-epoch, is taken over as it is.

What it holds and how it was made: old_state/make.py. What is compared with is a job of this version on the
same stream and config that never dies.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import lmdb
import pytest

from pipeline.model.times import format_iso
from pipeline.outbox.reading.view import accounting, dead_letters, owed, stores
from pipeline.outbox.seen import event_and_user
from pipeline.store.reading import reading
from pipeline.store.rows import Table
from pipeline.store.sealing import VERSION
from tests.kit.programs.run import Bench
from tests.kit.receivers.receiver import Arrival, Arrivals, Chosen
from tests.recovery.failing import KILLED
from tests.recovery.killing import COMMIT, STORE, Kill, Outcome, Trial, check, flat, name, trial

pytestmark = pytest.mark.usefixtures("unsynced")

ARCHIVE = Path(__file__).parent / "old_state" / "state.tar.gz"

AGAIN: list[Kill] = [
    ("pipeline.store.store:take_meta", "after", 2),
    (STORE + "_undo_epoch", "after", 1),
    (COMMIT, "before", 2),
    (COMMIT, "after", 3),
    (COMMIT, "after", 9),
    ("durable", "", 2),
    ("pipeline.outbox.handover:Port.post", "after", 5),
]


@pytest.fixture(scope="module")
def undisturbed(receiver: Arrivals) -> Outcome:
    with trial(receiver) as one:
        unpack(one)
        one.state.rename(one.folder / "unused")
        receiver.arrivals.clear()
        assert one.run() == 0, one.said()
        return one.outcome()


@pytest.fixture
def one(receiver: Arrivals) -> Iterator[Trial]:
    with trial(receiver) as found:
        unpack(found)
        yield found


def unpack(one: Trial) -> None:
    """Place the old job's files, and note what had arrived before it died."""
    with tarfile.open(ARCHIVE) as tar:
        tar.extractall(one.folder, filter="data")
    noted = json.loads((one.folder / "arrived.json").read_text())
    for each in noted["arrivals"]:
        body = each.pop("body").encode()
        one.receiver.arrivals.append(Arrival(body=body, **each))
    one.elsewhere = {noted["url"]: one.receiver.url("")}
    one.unsettled = {(id, attempt) for id, attempt in noted["unsettled"]}


def on_disk(state: Path) -> Counter[str]:
    """Count the rows that have a seal, and those that have none."""
    found: Counter[str] = Counter()
    for path in stores(state):
        with lmdb.open(str(path), readonly=True, max_dbs=16) as env, env.begin() as txn:
            for table in Table:
                # A table that came later is not there until a job has opened the store.
                if table not in (Table.META, Table.DEAD_ORDER):
                    db = env.open_db(table.name.lower().encode(), txn, create=False)
                    for _, stored in txn.cursor(db):
                        found["sealed" if stored[:1] == bytes((VERSION,)) else "old"] += 1
    return found


def bench_of(one: Trial) -> Bench:
    return Bench(one.folder)


def test_the_archive_holds_what_is_asked_for(one: Trial) -> None:
    waiting = list(owed(one.state))
    assert {each.row == each.request.key for each in waiting} == {True, False}
    assert {each.progress.attempt for each in waiting} >= {0, 1}
    assert {letter.kind for _, letter in dead_letters(one.state)} == {"delivery", "render", "record"}
    rows: Counter[Table] = Counter()
    for path in stores(one.state):
        with reading(path) as store:
            rows.update({table: len(list(store.rows(table))) for table in Table})
    for table in set(Table) - {Table.COPIES, Table.MERGED, Table.META, Table.DEAD_ORDER}:
        assert rows[table], table
    assert sum(path.stat().st_size for path in one.state.rglob("*.journal")) > 10_000
    assert on_disk(one.state)["sealed"] == 0


def test_a_job_goes_on_from_it_as_if_nothing_had_happened(one: Trial, undisturbed: Outcome) -> None:
    assert one.run() == 0, one.said()
    check(one, undisturbed)


@pytest.mark.parametrize("kill", AGAIN, ids=name)
def test_and_so_it_does_after_another_kill(one: Trial, undisturbed: Outcome, kill: Kill) -> None:
    assert one.run(kill) == KILLED
    assert on_disk(one.state)["old"], "rows of both formats"
    assert one.run() == 0, one.said()
    check(one, undisturbed)


def test_it_is_read_beside_without_a_change(one: Trial) -> None:
    before = {path: path.read_bytes() for path in one.state.rglob("data.mdb")}
    bench = bench_of(one)
    letters = bench.hookline("dlq", "list", "--limit", "1000", "--json")
    assert len(letters) == len(list(dead_letters(one.state)))
    shown = {each["kind"]: each for each in letters}
    assert set(json.loads(shown["render"]["request"]["body"])) == {"event", "user"}
    assert shown["delivery"]["request"]["url"].endswith("/refused")
    assert shown["record"]["origin"]["source"] == "stream.jsonl"
    waiting = bench.hookline("outbox", "list", "--limit", "1000", "--json")
    assert {each["attempts"] for each in waiting} >= {0, 1}
    status = flat(accounting(one.state))
    assert sum(n for key, n in status.items() if key.endswith("/pending")) == len(waiting)
    assert "no problems" in bench.hookline("state", "check")
    assert {path: path.read_bytes() for path in before} == before


def test_all_rows_can_be_rewritten_before_it_goes_on(one: Trial, undisturbed: Outcome) -> None:
    rows = on_disk(one.state)["old"]
    bench = bench_of(one)
    assert bench.hookline("state", "check", "--rewrite", "--json")["rewritten"] == rows
    assert on_disk(one.state) == {"sealed": rows}
    assert bench.hookline("state", "check", "--rewrite", "--json")["rewritten"] == 0
    assert one.run() == 0, one.said()
    check(one, undisturbed)


def test_its_dead_letters_are_replayed(one: Trial, receiver: Arrivals) -> None:
    assert one.run() == 0, one.said()
    letters = [letter for _, letter in dead_letters(one.state)]
    assert any(letter.request.body.startswith(b"{") for letter in letters if letter.kind == "render")
    before = len(receiver.arrivals)
    receiver.answer(Chosen(lambda path, attempt, body: 200))
    broken = one.folder / "config" / "webhooks" / "unrenderable.yaml"
    mended = broken.read_text().replace("coupon: '{{ event.properties.coupon }}'", "at: '{{ event.time }}'")
    broken.write_text(mended)
    bench_of(one).hookline("dlq", "replay", "--all")
    assert one.run() == 0, one.said()
    sent = {each.id: each.body for each in receiver.arrivals[before:]}
    for letter in letters:
        if letter.kind == "delivery":
            assert sent[letter.request.message_id] == letter.request.body
        elif letter.kind == "render":
            event, _ = event_and_user(letter)
            assert json.loads(sent[letter.request.message_id]) == {"at": format_iso(event.time or 0)}
    assert {letter.kind for _, letter in dead_letters(one.state)} == {"record"}
    for webhook, numbers in accounting(one.state)["webhooks"].items():
        assert numbers["pending"] == numbers["dead"] == 0, webhook
        assert numbers["matched"] == numbers["delivered"] + numbers["suppressed"], webhook
