"""Rows on disk: damage of any bit is found, and rows of format 1 are told from damaged ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import lmdb
import pytest

from pipeline.model.errors import Fatal, StateError
from pipeline.outbox.reading.apart import check_store
from pipeline.store import store as store_module
from pipeline.store.environment import writing
from pipeline.store.meta import FORMAT_KEY, SEQ_KEY
from pipeline.store.reading import reading
from pipeline.store.rows import Table
from pipeline.store.sealing import Seals, seal
from pipeline.store.store import Store

TABLES = [table for table in Table if table not in (Table.UNDO, Table.META)]

OLD: dict[Table, list[bytes]] = {
    Table.USERS: [b'["p",{"plan":"pro"}]'],
    Table.CAPS: [
        (1_750_000_000_000).to_bytes(8, "big") + b"1",
        (1 << 62).to_bytes(8, "big"),
        (-5).to_bytes(8, "big", signed=True),
    ],
    Table.OUTBOX: [b"\xdc\x00\x11\x01"],
    Table.FINISHED: [b"\1" + bytes(20), b"\2" + bytes(20), b"\3" + bytes(20)],
    Table.DEAD: [b"\xdc\x00\x14\x01"],
    Table.COUNTERS: [b"0", b"12", b"-3"],
    Table.APPLIED: [b"7"],
    Table.ALIASES: ["Ärger".encode(), b"A1234567", b"", b"u1"],
    Table.MERGED: [b'["a","b"]'],
    Table.PROFILES: [b'{"seen":1}'],
    Table.COPIES: [b""],
    Table.DEAD_ORDER: [],
}
"""How rows of format 1 look; a later table has none."""


def key_of(number: int) -> bytes:
    return b"some-key-%04d" % number


def value_of(number: int) -> bytes:
    return b"some value %04d, and more of it" % number


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shards" / "000"


@pytest.fixture
def written(path: Path) -> Path:
    """A store with 300 rows in each table: several pages of each."""
    with_rows(path, 300)
    return path


def with_rows(path: Path, rows: int, *, few: int | None = None, but: Table | None = None) -> None:
    """Write so many rows into each table; few: only so many where it is another one than `but`."""
    store = Store(path, map_size=1 << 26)
    for table in TABLES:
        many = rows if few is None or table is but else few
        for number in range(0, many * 2, 2):
            store.put(table, key_of(number), value_of(number))
    store.commit()
    store.close()


def flip(path: Path, what: bytes, bit: int) -> None:
    """Flip one bit of these bytes wherever they stand in the store's file."""
    data = bytearray((path / "data.mdb").read_bytes())
    at = data.find(what)
    assert at >= 0
    while at >= 0:
        data[at + bit // 8] ^= 1 << bit % 8
        at = data.find(what, at + 1)
    (path / "data.mdb").write_bytes(data)


@pytest.mark.parametrize("number", [0, 300, 598])
@pytest.mark.parametrize("table", TABLES)
def test_a_flipped_bit_of_a_key_or_a_stored_value_is_found_where_the_row_is_looked_for(
    path: Path, table: Table, number: int
) -> None:
    with_rows(path, 300, few=10, but=table)
    key, stored = key_of(number), seal(table, key_of(number), value_of(number))
    whole = (path / "data.mdb").read_bytes()
    bits = [0, 3, 7, 8, 39, 40, len(stored) * 8 - 1]
    for what, places in ((stored, bits), (key + stored, [0, 5, len(key) * 8 - 1, len(key) * 8 - 8])):
        for bit in places:
            (path / "data.mdb").write_bytes(whole)
            flip(path, what, bit)
            store = Store(path, map_size=1 << 26)
            for look in looks(
                store, table, key, by_key=what is stored or table in (Table.USERS, Table.ALIASES)
            ):
                with pytest.raises(StateError, match=f"{path}: a row of table `{table.name.lower()}`"):
                    look()
            store.close()
            problems = [each for each in check_store(path).problems if each.endswith(": damaged")]
            assert len(problems) == 1
            assert f"table {table.name.lower()}" in problems[0]


def looks(store: Store, table: Table, key: bytes, *, by_key: bool) -> list[Callable[[], object]]:
    """Return the ways in which a row is looked for; by its key it is not met where the key is damaged."""
    return [
        *([lambda: store.get(table, key)] if by_key else []),
        lambda: list(store.items(table)),
        lambda: list(store.items(table, key)),
        lambda: list(store.committed(table, key, b"")),
    ]


def test_rows_that_are_not_there_are_no_damage(written: Path) -> None:
    store = Store(written, map_size=1 << 26)
    for number in (-1, 1, 299, 599, 5000):
        assert store.get(Table.USERS, b"some-key-%04d" % number) is None
    assert store.get(Table.USERS, b"a") is None
    assert store.get(Table.USERS, b"z") is None
    assert list(store.items(Table.USERS, b"z")) == []
    assert [key for key, _ in store.items(Table.USERS, b"some-key-00")] == [
        key_of(n) for n in range(0, 100, 2)
    ]
    store.close()


def test_a_damaged_undo_is_not_applied(path: Path) -> None:
    store = Store(path, map_size=1 << 26)
    store.put(Table.USERS, b"u", b"before")
    store.commit()
    store.put(Table.USERS, b"u", b"after")
    store.commit()
    store.close()
    mark = bytes((Table.USERS,)) + b"u"
    flip(path, seal(Table.UNDO, mark, b"\1" + seal(Table.USERS, b"u", b"before")), 45)
    store = Store(path, map_size=1 << 26)
    with pytest.raises(StateError, match="a row of table `undo` is damaged"):
        store.resume(1)
    store.close()


def zero_pages(path: Path, what: bytes) -> None:
    """Fill every page with zeros on which these bytes stand."""
    data = bytearray((path / "data.mdb").read_bytes())
    while (at := data.find(what)) >= 0:
        page = at // 4096 * 4096
        data[page : page + 4096] = bytes(4096)
    (path / "data.mdb").write_bytes(data)


@pytest.mark.parametrize(
    ("table", "act"),
    [
        (Table.USERS, Store.commit),
        (Table.USERS, lambda store: store.commit_as(7)),
        (Table.USERS, lambda store: store.seal_all(lambda table, value: value)),
        (Table.UNDO, lambda store: store.resume(0)),
    ],
)
def test_a_damaged_page_is_not_taken_for_a_full_disk(
    path: Path, table: Table, act: Callable[[Store], object]
) -> None:
    store = Store(path, map_size=1 << 26)
    store.put(Table.USERS, b"u1", b"before")
    store.commit()
    store.close()
    key, value = (b"u1", b"before") if table is Table.USERS else (bytes((Table.USERS,)) + b"u1", b"\0")
    zero_pages(path, seal(table, key, value))
    store = Store(path, map_size=1 << 26)
    store.put(Table.USERS, b"u1", b"after")
    with pytest.raises(StateError, match=f"{path}: the store cannot be read .* `hookline state rebuild`"):
        act(store)
    store.close()


@pytest.mark.parametrize(
    "error",
    [lmdb.MapFullError("mdb_put: MDB_MAP_FULL"), lmdb.Error("mdb_txn_commit: Disk quota exceeded"),
     lmdb.DiskError("mdb_txn_commit: No space left on device"),
     lmdb.Error("mdb_txn_commit: Input/output error"), lmdb.ReadonlyError("Permission denied")],
)  # fmt: skip
def test_only_what_room_or_permissions_mend_is_said_to_be_no_loss(path: Path, error: lmdb.Error) -> None:
    with pytest.raises(Fatal, match="Nothing is lost"), writing(path):
        raise error
    for damage in (
        lmdb.CorruptedError("mdb_get"),
        lmdb.PanicError("mdb_put"),
        lmdb.Error("mdb_get: Input/output error"),
    ):
        with pytest.raises(StateError), writing(path):
            raise damage


def put_meta(path: Path, key: bytes, value: bytes) -> None:
    with lmdb.open(str(path), max_dbs=16) as env, env.begin(write=True) as txn:
        txn.put(key, value, db=env.open_db(b"meta", txn))


@pytest.mark.parametrize("bit", range(8))
def test_a_flipped_bit_of_the_format_is_damage_or_another_format(written: Path, bit: int) -> None:
    value = bytes((ord("2") ^ 1 << bit,))
    put_meta(written, FORMAT_KEY, value)
    if value == b"0":
        Store(written, map_size=1 << 26).close()
        return
    with pytest.raises(StateError, match=f"{written}: (the store cannot be read|written in format)"):
        Store(written, map_size=1 << 26)
    assert check_store(written).problems


def test_a_damaged_sequence_number_is_found_at_the_start(written: Path) -> None:
    flip(written, seal(Table.META, SEQ_KEY, b"1"), 41)
    with pytest.raises(StateError, match="a row of table `meta` is damaged"):
        Store(written, map_size=1 << 26)


# --- rows of format 1


@pytest.fixture
def old(path: Path) -> Path:
    """A store of format 1, one epoch ahead of what may be resumed."""
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=1 << 26, max_dbs=16) as env:
        meta, undo = env.open_db(b"meta"), env.open_db(b"undo")
        with env.begin(write=True) as txn:
            txn.put(b"format", b"1", db=meta)
            txn.put(b"seq", b"2", db=meta)
            for table, values in OLD.items():
                db = env.open_db(table.name.lower().encode(), txn)
                for number, value in enumerate(values):
                    txn.put(key_of(number), value, db=db)
            txn.put(bytes((Table.USERS,)) + key_of(0), b"\1" + b'["p",{"plan":"free"}]', db=undo)
            txn.put(bytes((Table.COUNTERS,)) + key_of(0), b"\0", db=undo)
    return path


@pytest.fixture
def opened(old: Path) -> Iterator[Store]:
    store = Store(old, map_size=1 << 26)
    yield store
    store.close()


def test_rows_of_format_1_are_read_and_sealed_when_they_are_touched(old: Path, opened: Store) -> None:
    for table, values in OLD.items():
        assert [value for _, value in opened.items(table)] == values
        assert [opened.get(table, key_of(number)) for number in range(len(values))] == values
    opened.put(Table.USERS, key_of(0), b"new")
    opened.commit()
    assert opened.seq == 3
    assert opened.get(Table.USERS, key_of(0)) == b"new"
    assert opened.resume(2)
    assert opened.get(Table.USERS, key_of(0)) == OLD[Table.USERS][0]


def test_an_epoch_that_format_1_wrote_is_undone(opened: Store) -> None:
    assert opened.resume(1)
    assert opened.get(Table.USERS, key_of(0)) == b'["p",{"plan":"free"}]'
    assert opened.get(Table.COUNTERS, key_of(0)) is None
    assert opened.get(Table.COUNTERS, key_of(1)) == b"12"


def test_an_older_version_can_say_that_it_cannot_read_the_store_and_its_rows_stay(old: Path) -> None:
    store = Store(old, map_size=1 << 26)
    store.put(Table.USERS, b"u", b"new")
    store.commit()
    store.close()
    with lmdb.open(str(old), max_dbs=16) as env, env.begin() as txn:
        meta = env.open_db(b"meta", txn, create=False)
        assert (txn.get(FORMAT_KEY, db=meta), txn.get(b"seq", db=meta)) == (b"2", b"3")
    store = Store(old, map_size=1 << 26)
    assert store.get(Table.USERS, key_of(0)) == OLD[Table.USERS][0], "rows of format 1 are read ever after"
    store.close()


@pytest.mark.parametrize("at_once", [1, 10_000])
def test_rewriting_seals_all_rows_and_what_would_be_undone(
    old: Path, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "REWRITE_ROWS", at_once)
    rows = sum(len(values) for values in OLD.values()) + 2
    store = Store(old, map_size=1 << 26)
    assert store.seal_all(lambda table, value: value) == rows
    assert store.get(Table.USERS, key_of(0)) == OLD[Table.USERS][0]
    assert store.seal_all(lambda table, value: value) == 0
    store.close()
    with lmdb.open(str(old), map_size=1 << 26, max_dbs=16) as env, env.begin(write=True) as txn:
        txn.put(key_of(0), OLD[Table.MERGED][0], db=env.open_db(b"merged", txn))
    store = Store(old, map_size=1 << 26)
    with pytest.raises(StateError, match="table `merged` is damaged"):
        list(store.items(Table.MERGED))
    assert store.resume(1)
    assert store.get(Table.USERS, key_of(0)) == b'["p",{"plan":"free"}]'
    store.close()
    with reading(old) as found:
        assert dict(found.rows(Table.ALIASES))[key_of(1)] == b"A1234567"


@pytest.mark.parametrize("table", TABLES)
def test_a_sealed_row_with_a_damaged_version_byte_is_not_taken_for_one_of_format_1(table: Table) -> None:
    seals = Seals(Path("shards/000"), old_rows=True)
    for value in (*OLD[table], value_of(1)):
        stored = seal(table, b"k", value)
        assert seals.open(table, b"k", stored) == value
        for bit in range(8):
            with pytest.raises(StateError):
                seals.open(table, b"k", bytes((stored[0] ^ 1 << bit,)) + stored[1:])


def test_a_row_without_a_value_is_of_format_1_only_where_there_were_such() -> None:
    seals = Seals(Path("shards/000"), old_rows=True)
    assert seals.open(Table.ALIASES, b"k", b"") == seals.open(Table.COPIES, b"k", b"") == b""
    with pytest.raises(StateError, match="table `users` is damaged"):
        seals.open(Table.USERS, b"k", b"")


def test_a_new_store_never_holds_rows_of_format_1(written: Path) -> None:
    store = Store(written, map_size=1 << 26)
    store.close()
    with lmdb.open(str(written), map_size=1 << 26, max_dbs=16) as env, env.begin(write=True) as txn:
        for table, values in OLD.items():
            value = values[0] if values else b"as it was"
            txn.put(key_of(0), value, db=env.open_db(table.name.lower().encode(), txn))
    with reading(written) as found:
        for table in TABLES:
            with pytest.raises(StateError):
                dict(found.rows(table))
