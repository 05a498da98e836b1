"""Dead letters are kept up to a size and an age: whose go, which go first, and that it is counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.model.records import Origin
from pipeline.outbox import dead_letters
from pipeline.outbox.codec import DeadLetter, delivery_key, pack_dead, unpack_dead
from pipeline.outbox.counters import Counters
from pipeline.outbox.dead_letters import DeadLetters
from pipeline.outbox.handover import Request
from pipeline.outbox.outbox import Outbox
from pipeline.outbox.quota import AGE_EVERY_MS, AWAY_SECS, MOST, Quota
from pipeline.store.rows import Table
from pipeline.store.store import Store
from pipeline.telemetry.metrics import read
from tests.kit.delivery.copying import HandCopier
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.streams.records import NOW_MS

pytestmark = pytest.mark.usefixtures("unsynced")

DAY_MS = 24 * 3600 * 1000
LETTER_BYTES = 1_500
"""About what one takes."""


def letter(webhook: str, number: int, *, at: int = NOW_MS, size: int = 1_000) -> DeadLetter:
    # The later ones lie before the earlier ones: what is oldest is not told by the key.
    key = delivery_key(webhook, Origin("r", 1_000_000 - number))
    request = Request(key=key, webhook_id=webhook, body=b"x" * size, created_ms=at)
    return DeadLetter(kind="delivery", reason="status-400", dead_ms=at + number, request=request)


class Shard:
    """A store with its dead letters; reopened where it is made anew."""

    def __init__(self, path: Path, quota: Quota, *, copier: HandCopier | None = None, seq: int = 0) -> None:
        self.store = Store(path, map_size=1 << 28)
        self.store.resume(seq)
        self.counters = Counters(self.store)
        self.letters = DeadLetters(self.store, self.counters, copier=copier, quota=quota)

    def add(self, webhook: str, *numbers: int, at: int = NOW_MS, size: int = 1_000) -> None:
        for number in numbers:
            self.letters.add(letter(webhook, number, at=at, size=size))

    def end_epoch(self, now: int = NOW_MS) -> int:
        self.letters.let_go(now)
        self.counters.flush()
        return self.store.commit()

    def kept(self, webhook: str) -> list[int]:
        found = [unpack_dead(row) for _, row in self.store.items(Table.DEAD)]
        return sorted(1_000_000 - one.origin.offset for one in found if one.request.webhook_id == webhook)

    def dropped(self, webhook: str) -> int:
        return self.counters.written().get(f"{webhook}/dropped", 0)


@pytest.fixture
def shard(tmp_path: Path) -> Shard:
    return Shard(tmp_path, Quota(10 * LETTER_BYTES, DAY_MS))


def test_the_oldest_go_first_and_are_counted(shard: Shard) -> None:
    before = read("dead_letters_dropped_total", webhook="w", reason="quota")
    for number in range(30):
        shard.add("w", number)
        shard.end_epoch()
    kept = shard.kept("w")
    assert kept == list(range(30 - len(kept), 30))
    assert 9 <= len(kept) <= 11
    assert shard.dropped("w") == 30 - len(kept)
    assert read("dead_letters_dropped_total", webhook="w", reason="quota") - before == 30 - len(kept)


@pytest.mark.parametrize("flood", ["flood", ""], ids=["a webhook", "records that nobody could read"])
def test_a_flood_of_one_pushes_out_nothing_of_another(shard: Shard, flood: str) -> None:
    shard.add("old", 1, 2, at=NOW_MS - 1_000_000)
    for start in range(0, 2_000, 100):
        shard.add(flood, *range(start, start + 100))
        shard.add("young", start)
        shard.end_epoch()
    assert shard.kept("old") == [1, 2]
    # Of 10 letters' room each of three has its third, and what another leaves free.
    assert len(shard.kept("young")) >= 3
    assert shard.kept("young")[-1] == 1_900
    assert shard.kept(flood)[-1] == 1_999
    assert len(shard.kept(flood)) >= 3
    assert shard.dropped("old") == 0


def test_one_letter_that_is_larger_than_the_quota_goes_alone(shard: Shard) -> None:
    shard.add("small", 1, 2)
    shard.add("big", 1, size=20 * LETTER_BYTES)
    shard.end_epoch()
    assert (shard.kept("small"), shard.kept("big")) == ([1, 2], [])


def test_what_is_too_old_goes_and_the_rest_stays(shard: Shard) -> None:
    shard.add("w", 1, at=NOW_MS - 2 * DAY_MS)
    shard.add("w", 2)
    shard.add("", 3, at=NOW_MS - 2 * DAY_MS)
    shard.end_epoch()
    assert (shard.kept("w"), shard.kept("")) == ([2], [])
    assert (shard.dropped("w"), shard.dropped("")) == (1, 1)
    shard.end_epoch(NOW_MS + 2 * DAY_MS)
    assert shard.kept("w") == []


def test_ages_are_looked_at_now_and_then(shard: Shard) -> None:
    shard.end_epoch()
    shard.add("w", 1, at=NOW_MS - 2 * DAY_MS)
    shard.end_epoch(NOW_MS + AGE_EVERY_MS - 1)
    assert shard.kept("w") == [1]
    shard.end_epoch(NOW_MS + AGE_EVERY_MS)
    assert shard.kept("w") == []


@pytest.mark.parametrize(
    ("away_secs", "doubt_secs", "left"),
    [(AWAY_SECS + 1, 600, [1]), (AWAY_SECS + 1, 0, []), (AWAY_SECS, 600, []), (-AWAY_SECS, 600, [])],
)
def test_a_start_under_a_clock_that_may_be_wrong_drops_nothing_for_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away_secs: float, doubt_secs: float, left: list[int]
) -> None:
    """A machine may begin with the date of another decade, and set it right within minutes."""
    monkeypatch.setattr("pipeline.outbox.quota.DOUBT_SECS", doubt_secs)
    shard = Shard(tmp_path, Quota())
    shard.add("w", 1, at=NOW_MS - 2 * DAY_MS)
    shard.end_epoch()
    journal = tmp_path / "journal"
    journal.mkdir()
    os.utime(journal, (0, NOW_MS / 1000 - away_secs))
    quota = Quota(max_age_ms=DAY_MS)
    outbox = Outbox(shard.store, shard.counters, ScriptedEngine(), 0, lambda: NOW_MS, quota=quota)
    outbox.collect()
    assert shard.kept("w") == left
    shard.store.close()


def test_what_was_replayed_or_purged_makes_room(shard: Shard) -> None:
    for start in range(0, 50, 5):
        numbers = range(start, start + 5)
        shard.add("w", *numbers)
        shard.end_epoch()
        for number in numbers:
            shard.letters.remove(letter("w", number))
        shard.end_epoch()
    assert shard.dropped("w") == 0
    assert shard.counters.of("w").dead_bytes == 0


def test_what_is_still_to_be_copied_stays(tmp_path: Path) -> None:
    copier = HandCopier(room=5)
    shard = Shard(tmp_path, Quota(2 * LETTER_BYTES, DAY_MS), copier=copier)
    shard.add("w", *range(10))
    shard.letters.copy()
    shard.end_epoch()
    assert len(shard.kept("w")) == 10
    copier.copy_all()
    shard.letters.copy()
    shard.end_epoch()
    assert len(shard.kept("w")) == 5
    shard.letters.copy_all(1.0)
    shard.end_epoch()
    assert (len(shard.kept("w")), len(set(copier.keys))) == (2, 10)


def test_where_nothing_can_be_copied_the_quota_holds_all_the_same(tmp_path: Path) -> None:
    copier = HandCopier()
    shard = Shard(tmp_path, Quota(2 * LETTER_BYTES, DAY_MS), copier=copier)
    shard.add("w", *range(10))
    shard.letters.copy()
    copier.fails = True
    shard.end_epoch()
    assert len(shard.kept("w")) == 2
    assert shard.dropped("w") == 8


def test_a_place_that_is_gone_for_long_lets_nothing_grow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MOST_FORGOTTEN", 20)
    copier = HandCopier(room=5)
    copier.fails = True
    shard = Shard(tmp_path, Quota(2 * LETTER_BYTES, DAY_MS), copier=copier)
    for number in range(200):
        shard.add("w", number)
        shard.letters.copy()
        shard.end_epoch()
    assert len(list(shard.store.items(Table.COPIES))) == 2
    assert len(shard.letters._next) <= 30
    copier.fails = False
    shard.letters.copy_all(1.0)
    shard.end_epoch()
    assert {1_000_000 - one.origin.offset for one in copier.taken} == {*range(5), 198, 199}
    assert not list(shard.store.items(Table.COPIES))


def test_what_is_too_old_and_still_to_be_copied_stays_until_it_is(tmp_path: Path) -> None:
    copier = HandCopier(is_done=True)
    shard = Shard(tmp_path, Quota(1 << 30, DAY_MS), copier=copier)
    shard.add("w", 1, 2, at=NOW_MS - 2 * DAY_MS)
    shard.end_epoch()
    assert len(shard.kept("w")) == 2
    shard.letters.copy_all(1.0)
    assert [one.request.webhook_id for one in copier.taken] == ["w", "w"]
    shard.end_epoch(NOW_MS + AGE_EVERY_MS)
    assert (shard.kept("w"), shard.dropped("w"), shard.counters.of("w").dead_bytes) == ([], 2, 0)


def test_an_epoch_that_is_undone_drops_nothing(tmp_path: Path) -> None:
    quota = Quota(5 * LETTER_BYTES, DAY_MS)
    shard = Shard(tmp_path, quota)
    shard.add("w", *range(4))
    seq = shard.end_epoch()
    shard.add("w", *range(4, 8))
    shard.end_epoch()
    assert shard.dropped("w") > 0
    shard.store.close()
    shard = Shard(tmp_path, quota, seq=seq)
    assert shard.kept("w") == [0, 1, 2, 3]
    assert shard.dropped("w") == 0
    shard.add("w", *range(4, 8))
    shard.end_epoch()
    assert shard.kept("w")[-1] == 7
    assert shard.kept("w")[0] == shard.dropped("w")


def test_dead_letters_of_an_older_version_come_under_the_quota(tmp_path: Path) -> None:
    shard = Shard(tmp_path, Quota())
    for number in range(20):
        old = letter("w", number)
        shard.store.put(Table.DEAD, old.key, pack_dead(old))
    seq = shard.end_epoch()
    shard.store.close()
    shard = Shard(tmp_path, Quota(10 * LETTER_BYTES, DAY_MS), seq=seq)
    shard.end_epoch()
    kept = shard.kept("w")
    assert kept == list(range(20 - len(kept), 20))
    assert 9 <= len(kept) <= 11


def test_a_quota_that_was_lowered_takes_effect_over_some_epochs(tmp_path: Path) -> None:
    shard = Shard(tmp_path, Quota())
    shard.add("w", *range(MOST + 100), size=0)
    seq = shard.end_epoch()
    shard.store.close()
    shard = Shard(tmp_path, Quota(0, DAY_MS), seq=seq)
    shard.end_epoch()
    assert len(shard.kept("w")) == 100
    shard.end_epoch()
    assert shard.kept("w") == []


def test_more_that_are_too_old_than_one_epoch_lets_go_take_some_of_every_webhook(tmp_path: Path) -> None:
    shard = Shard(tmp_path, Quota())
    shard.add("big", *range(MOST + 10), size=0)
    shard.add("small", 1, 2)
    seq = shard.end_epoch()
    shard.store.close()
    shard = Shard(tmp_path, Quota(1 << 40, DAY_MS), seq=seq)
    owed = shard.counters.of("small").dead_bytes
    shard.end_epoch(NOW_MS + 3 * DAY_MS)
    assert (len(shard.kept("big")), shard.kept("small")) == (10, [1, 2])
    assert shard.counters.of("small").dead_bytes == owed, "what was not looked at still counts"
    shard.end_epoch(NOW_MS + 3 * DAY_MS)
    assert (shard.kept("big"), shard.kept("small")) == ([], [])
    assert (shard.dropped("big"), shard.dropped("small")) == (MOST + 10, 2)


def test_a_clock_that_jumps_ahead_lets_nothing_go(tmp_path: Path) -> None:
    now = NOW_MS
    store = Store(tmp_path, map_size=1 << 26)
    store.resume(0)
    counters = Counters(store)
    quota = Quota(1 << 30, DAY_MS)
    outbox = Outbox(store, counters, ScriptedEngine(), 0, lambda: now, quota=quota)
    outbox.dead_letters.add(letter("w", 1, at=NOW_MS, size=10))
    outbox.collect()
    now += 20_000 * DAY_MS
    outbox.collect()
    assert len(list(store.items(Table.DEAD))) == 1
