"""Reading a store beside its owner, while that one goes on writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lmdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.store import reading as reading_module
from pipeline.store.reading import Reader, reading
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.examples import examples

pytestmark = pytest.mark.usefixtures("unsynced")

_WRITE = """
import sys
from pathlib import Path

from pipeline.store.rows import Table
from pipeline.store.store import Store

store = Store(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    store.put(Table.USERS, b"%d" % number, bytes(1_000_000))
store.commit()
store.close()
"""


def write(path: Path, rows: int) -> None:
    """Let another process write so many rows of a megabyte each."""
    subprocess.run([sys.executable, "-c", _WRITE, path, str(rows)], check=True)


def test_readers_go_on_and_others_begin_while_the_owner_makes_the_file_longer(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with reading(tmp_path) as first:
        assert first.count(Table.USERS) == 1
        write(tmp_path, 20)
        with reading(tmp_path) as second:
            assert (second.seq, second.count(Table.USERS)) == (2, 20)
        assert first.count(Table.USERS) == 20
    with reading(tmp_path) as first:
        write(tmp_path, 40)
        assert len(list(first.every(Table.USERS))) == 40


# --- what a reader gives


KEYS = st.binary(min_size=1, max_size=3).map(lambda key: bytes(b"ab"[one % 2] for one in key))


def holding(path: Path, rows: dict[bytes, bytes], table: Table = Table.DEAD) -> Path:
    store = Store(path, map_size=1 << 26)
    for key, value in rows.items():
        store.put(table, key, value)
    store.commit()
    store.close()
    return path


@given(
    rows=st.dictionaries(KEYS, st.binary(max_size=3)), prefix=KEYS | st.just(b""), start=KEYS | st.just(b"")
)
@settings(
    max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_reader_gives_what_a_sorted_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[bytes, bytes], prefix: bytes, start: bytes
) -> None:
    path = holding(tmp_path_factory.mktemp("store"), rows)
    with reading(path) as reader:
        wanted = [(key, rows[key]) for key in sorted(rows) if key.startswith(prefix)]
        assert reader.whole(Table.DEAD, prefix) == wanted
        assert reader.count(Table.DEAD) == len(rows)
        assert [reader.get(Table.DEAD, key) for key in sorted(rows)] == [rows[key] for key in sorted(rows)]
        assert reader.get(Table.DEAD, b"c") is None
        assert dict(reader.every(Table.DEAD)) == rows
        later = [row for row in wanted if row[0] >= start]
        assert list(reader.rows(Table.DEAD, prefix, start)) == later
        assert in_parts(reader, prefix, start, 2) == later
        before = max(start, prefix)
        if before.startswith(prefix):
            earlier = [row for row in reversed(wanted) if row[0] < before]
            assert reader.back(Table.DEAD, before, prefix, 100) == earlier
            assert reader.back(Table.DEAD, before, prefix, 1) == earlier[:1]
        assert reader.back(Table.DEAD, b"c", b"", 100) == sorted(rows.items(), reverse=True)


def in_parts(reader: Reader, prefix: bytes, start: bytes, most: int) -> list[tuple[bytes, bytes]]:
    """Read part by part; none may have more rows than it may."""
    found: list[tuple[bytes, bytes]] = []
    at: bytes | None = start
    while at is not None:
        part = reader.part(Table.DEAD, prefix, at, most)
        assert len(part.rows) <= most
        found += part.rows
        at = part.next
    return found


def test_of_a_store_whose_owner_has_not_begun_nothing_is_there(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), max_dbs=1):
        pass
    with reading(tmp_path) as reader:
        assert (reader.seq, reader.count(Table.DEAD), reader.get(Table.DEAD, b"a")) == (0, 0, None)
        assert list(reader.rows(Table.DEAD)) == list(reader.every(Table.DEAD)) == []
        assert reader.back(Table.DEAD, b"z", b"", 1) == reader.whole(Table.DEAD) == []


def test_a_part_holds_no_more_bytes_and_lasts_no_longer_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {b"%04d" % number: bytes(100) for number in range(200)}
    with reading(holding(tmp_path, rows)) as reader:
        assert reader.part(Table.DEAD) == (sorted(rows.items()), None)
        monkeypatch.setattr(reading_module, "PART_BYTES", 1_000)
        assert len(reader.part(Table.DEAD).rows) == 11, "the first that is too much ends it"
        assert [key for key, _ in reader.rows(Table.DEAD)] == sorted(rows)
        monkeypatch.undo()
        monkeypatch.setattr(reading_module, "SNAPSHOT_SECS", -1.0)
        assert len(reader.part(Table.DEAD).rows) == 64
        assert [key for key, _ in reader.rows(Table.DEAD)] == sorted(rows)


def test_who_committed_an_epoch_is_told_beside_it(tmp_path: Path) -> None:
    with reading(holding(tmp_path, {b"a": b"1"})) as reader:
        first, nobody = reader.runs
    with reading(holding(tmp_path, {b"a": b"2"})) as reader:
        assert reader.runs[1] == first
        assert reader.runs[0] not in (first, nobody)
    assert (len(first), nobody) == (16, "")
