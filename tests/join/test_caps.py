"""What limits remember: read as it was put, swept long after it has expired."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.join.caps import LATE_MS, SWEEP_ROWS, Caps
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.streams.records import NOW_MS, clock

pytestmark = pytest.mark.usefixtures("unsynced")

DAY = 24 * 3600 * 1000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, map_size=1 << 26)


def rows(store: Store) -> set[bytes]:
    return {key for key, _ in store.committed(Table.CAPS, b"", b"")}


def test_a_value_is_read_as_it_was_put_whether_or_not_it_has_expired(store: Store) -> None:
    caps = Caps(store, clock)
    assert caps.get(b"k") is None
    caps.put(b"k", b"one", NOW_MS - 10 * DAY)
    caps.put(b"x" * 600 + b"1", b"two", None)
    assert caps.get(b"k") == b"one"
    store.commit()
    caps = Caps(store, clock)
    assert caps.get(b"k") == b"one"
    assert caps.get(b"x" * 600 + b"1") == b"two"
    assert caps.get(b"x" * 600 + b"2") is None


def test_a_sweep_drops_what_expired_more_than_the_lateness_ago_and_nothing_else(store: Store) -> None:
    caps = Caps(store, clock)
    caps.put(b"gone", b"", NOW_MS - LATE_MS - 1)
    caps.put(b"late", b"", NOW_MS - LATE_MS)
    caps.put(b"ever", b"", None)
    caps.put(b"huge", b"", 1 << 80)
    store.commit()
    caps.sweep()
    store.commit()
    assert len(rows(store)) == 4, "no event has told the time yet"
    caps.seen(NOW_MS)
    caps.sweep()
    store.commit()
    assert rows(store) == {b"late", b"ever", b"huge"}


def test_a_row_that_this_epoch_renews_is_kept(store: Store) -> None:
    caps = Caps(store, clock)
    caps.put(b"k", b"old", NOW_MS - 30 * DAY)
    store.commit()
    caps.seen(NOW_MS)
    caps.put(b"k", b"new", NOW_MS + DAY)
    caps.sweep()
    store.commit()
    assert caps.get(b"k") == b"new"


def test_one_event_from_the_future_expires_nothing(store: Store) -> None:
    caps = Caps(store, clock)
    caps.put(b"k", b"", NOW_MS)
    store.commit()
    caps.seen(NOW_MS + 1000 * DAY)
    caps.sweep()
    store.commit()
    assert rows(store) == {b"k"}


def test_sweeping_in_small_steps_reaches_every_row(store: Store) -> None:
    caps = Caps(store, clock)
    number = SWEEP_ROWS * 2 + 10
    kept = {
        n for n in range(number) if n % 7 == 0 or 1 < n < SWEEP_ROWS
    }  # a whole step in which nothing goes
    for n in range(number):
        caps.put(b"%06d" % n, b"", NOW_MS if n in kept else NOW_MS - LATE_MS - 1)
    store.commit()
    caps.seen(NOW_MS)
    for _ in range(3):
        caps.sweep()
        store.commit()
    assert rows(store) == {b"%06d" % n for n in kept}
    for _ in range(3):
        caps.put(b"000001", b"", NOW_MS - LATE_MS - 1)
        store.commit()
        caps.sweep()
        caps.sweep()
        store.commit()
        assert b"000001" not in rows(store), "the sweep begins anew at the end"


def test_one_sweep_looks_at_so_many_rows_and_no_more(store: Store) -> None:
    caps = Caps(store, clock)
    for n in range(SWEEP_ROWS + 10):
        caps.put(b"%04d" % n, b"", NOW_MS - LATE_MS - 1)
    store.commit()
    caps.seen(NOW_MS)
    caps.sweep()
    store.commit()
    assert len(rows(store)) == 10
