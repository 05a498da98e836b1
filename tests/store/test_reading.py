"""Reading a store beside its owner, while that one goes on writing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.store.reading import reading
from pipeline.store.rows import Table

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
