"""Dead letters as a person asks for them: pages, counts, exactly what was shown."""

from __future__ import annotations

import threading
from pathlib import Path

import lmdb
import pytest

from pipeline.model.errors import Refused, UsageError
from pipeline.operate.kept.chosen import GROUPS, OTHERS, Moved, ShownSelections
from pipeline.operate.kept.dead_pages import groups, page
from pipeline.operate.kept.dlq import Selection, choose, find
from pipeline.outbox.codec import pack_dead
from pipeline.outbox.reading.dead_letter_json import name_of
from pipeline.outbox.reading.view import dead_letters
from pipeline.store.folders import shard_folder
from pipeline.store.reading import reading
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.machine.kept import T0, keep, letter


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Numbers are times, in seconds."""
    return keep(
        tmp_path / "state",
        [
            letter("crm", 1, reason="status-400", status=400, user="ada", body=b'{"City":"Oslo"}'),
            letter("crm", 2, status=503),
            letter("crm", 3, status=0, excerpt="timeout: no complete answer within 10 s"),
            letter("mail", 4, reason="status-404", status=404, user="ada", body='{"City":"ÅRE"}'.encode()),
            letter("mail", 5, reason="max-attempts", status=429),
            letter("crm-2", 6, reason="dropped", status=0, excerpt=""),
            letter("", 7, kind="record", reason="no JSON", body=b"timeout \xff"),
            letter("crm", 8, kind="render", reason="no such value", status=0, excerpt=""),
        ],
    )


def numbers(letters) -> list[int]:
    return [one.origin.offset for one in letters]


@pytest.mark.parametrize(
    ("selection", "found"),
    [
        (Selection(), [8, 7, 6, 5, 4, 3, 2, 1]),
        (Selection(webhook="crm"), [8, 3, 2, 1]),
        (Selection(webhook="-"), [7]),
        (Selection(kind="records"), [7]),
        (Selection(kind="records", webhook="crm"), []),
        (Selection(kind="requests", webhook="crm"), [8, 3, 2, 1]),
        (Selection(reason="status-4"), [4, 1]),
        (Selection(statuses=("429", "5xx")), [5, 2]),
        (Selection(statuses=("timeout",)), [3]),
        (Selection(statuses=("4xx", "timeout")), [5, 4, 3, 1]),
        (Selection(since=T0 + 4000), [8, 7, 6, 5, 4]),
        (Selection(until=T0 + 3000), [2, 1]),
        (Selection(since=T0 + 3000, until=T0 + 5000), [4, 3]),
        (Selection(user="ada"), [4, 1]),
        (Selection(text="city"), [4, 1]),
        (Selection(text="Åre"), [4]),
        (Selection(text="OSLO", webhook="crm", user="ada"), [1]),
        (Selection(ids=("msg_5", name_of(letter("crm", 2)))), [5, 2]),
    ],
)
def test_what_is_selected_comes_the_newest_first_and_is_counted(state, selection, found):
    assert numbers(page(state, selection).letters) == found
    counted = groups(state, selection)
    assert (counted.counted, counted.to_json()["at_least"]) == (len(found), False)
    chosen = choose(state, "purge", selection)
    assert sorted(key for _, key in chosen.rows) == sorted(one.key for one in page(state, selection).letters)


@pytest.mark.parametrize("indexed", [True, False])
def test_pages_go_on_where_the_last_one_ended_and_miss_nothing_at_one_moment(tmp_path, indexed):
    letters = [letter(f"w{number % 3}", number, at=T0 + number // 10) for number in range(100)]
    state = keep(tmp_path / "state", letters)
    if not indexed:
        for shard in range(2):
            without_index(shard_folder(state, shard))
    found, cursor = [], None
    while True:
        part = page(state, Selection(), cursor, limit=7)
        found += part.letters
        cursor = part.older
        if cursor is None:
            break
    assert sorted(numbers(found)) == list(range(100))
    assert [one.dead_ms for one in found] == sorted((one.dead_ms for one in letters), reverse=True)
    assert len(page(state, Selection(webhook="w1"), limit=100).letters) == 33


def without_index(folder: Path) -> None:
    """As a version wrote it that had none."""
    with lmdb.open(str(folder), max_dbs=20) as env:
        table = env.open_db(b"dead_order")
        with env.begin(write=True) as txn:
            txn.drop(table, delete=False)


def test_a_letter_of_which_the_index_has_an_old_place_comes_once(tmp_path):
    state = keep(tmp_path / "state", [letter("crm", 1), letter("crm", 2)], shards=1)
    store = Store(shard_folder(state, 0))
    again = letter("crm", 1, at=T0 + 9000)
    store.put(Table.DEAD, again.key, pack_dead(again))  # its place in the index is the one of before
    store.commit()
    store.close()
    assert numbers(page(state, Selection()).letters) == [2]


def test_where_time_is_up_the_page_says_how_far_it_looked_and_the_counts_are_the_least(tmp_path):
    state = keep(tmp_path / "state", [letter("crm", number) for number in range(600)])
    part = page(state, Selection(text="not there"), secs=0)
    assert (part.letters, part.looked_to) == ([], T0 + 598_000)
    assert part.older is not None
    assert page(state, Selection(text="not there"), part.older, secs=None).older is None
    counted = groups(state, Selection(), secs=0)
    assert not counted.is_complete
    assert counted.looked_at == counted.counted == 256
    assert counted.there_are == 600
    with pytest.raises(Refused, match="narrow the selection by webhook or time"):
        choose(state, "purge", Selection(), secs=0)


def test_what_is_no_cursor_and_no_webhook_is_wrong_usage(state):
    for cursor in ("", "zz", "00", "0" * 47):
        with pytest.raises(UsageError, match="is no cursor"):
            page(state, Selection(), cursor)
    for look in (page, groups):
        with pytest.raises(UsageError, match="did you mean `mail`"):
            look(state, Selection(webhook="mial"))


def test_reasons_without_end_are_named_up_to_a_bound(tmp_path):
    many = [letter("crm", n, kind="render", reason=f"no value {n}") for n in range(GROUPS + 20)]
    state = keep(tmp_path / "state", [*many, letter("mail", 999), letter("mail", 998)])
    counted = groups(state, Selection())
    assert (counted.groups[0].webhook, counted.groups[0].count) == ("mail", 2)
    assert (counted.groups[-1].reason, counted.groups[-1].count) == (OTHERS, 21)
    assert sum(one.count for one in counted.groups) == counted.counted == GROUPS + 22


def test_what_was_shown_is_what_is_changed_whatever_comes_meanwhile(state, tmp_path):
    selection, shown = Selection(webhook="crm"), ShownSelections()
    first = choose(state, "replay", selection)
    digest = shown.show(first)
    assert first.to_json()["by_reason"][0] == {"webhook": "crm", "reason": "max-age", "count": 2}
    assert shown.exactly(choose(state, "replay", selection), digest).rows == first.rows

    keep(state, [letter("crm", 100), letter("crm", 101)])
    now = choose(state, "replay", selection)
    assert len(now.rows) == len(first.rows) + 2
    assert sorted(shown.exactly(now, digest).rows) == sorted(first.rows)
    with pytest.raises(Moved, match=r"it is 6 now\. Nothing was changed"):
        ShownSelections().exactly(now, digest)  # after a start of the console
    with pytest.raises(Moved):
        shown.exactly(choose(state, "purge", selection), digest)  # what was to be sent again is not deleted


def test_records_that_could_not_be_read_stay_where_others_are_sent_again(state):
    chosen = choose(state, "replay", Selection(since=T0 + 6000))
    assert (len(chosen.rows), chosen.stay) == (2, 1)
    assert chosen.webhooks == ["crm", "crm-2"]


def test_many_threads_read_one_store_at_once(state):
    failures = []

    def look() -> None:
        try:
            for _ in range(20):
                assert len(page(state, Selection(), secs=None).letters) == 8
                assert groups(state, Selection(), secs=None).counted == 8
                find(state, "msg_5")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=look) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_no_snapshot_is_held_while_somebody_works_on_a_row(tmp_path):
    state = keep(tmp_path / "state", [letter("crm", number) for number in range(5)], shards=1)
    found = dead_letters(state)
    next(found)
    with reading(shard_folder(state, 0)) as store:
        line = store.readers().splitlines()[-1]
        assert line.split()[-1:] in (["-"], ["readers)"]), line
