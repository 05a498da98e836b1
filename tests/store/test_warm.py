"""Warming: all of the stores is read, and only where they fit into half of the free memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.store import warm as warming
from pipeline.store.folders import identity_folder, shard_folder
from pipeline.store.rows import Table
from pipeline.store.store import Store
from pipeline.store.warm import fit, free_bytes, start_warming, warm

pytestmark = pytest.mark.usefixtures("unsynced")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for folder in (shard_folder(tmp_path, 0), shard_folder(tmp_path, 1), identity_folder(tmp_path, "p")):
        store = Store(folder)
        store.put(Table.USERS, b"u", b"x" * 100_000)
        store.commit()
        store.close()
    return tmp_path


def size(state: Path) -> int:
    return sum(path.stat().st_size for path in state.rglob("data.mdb"))


def test_every_store_is_read_to_its_end(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "free_bytes", lambda: 2 * size(state))
    monkeypatch.setattr(warming, "PART_BYTES", 10_000)
    assert size(state) > 300_000
    assert warm(state) == size(state)


def test_stores_that_would_take_more_than_half_of_the_free_memory_are_not_read(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warming, "free_bytes", lambda: 2 * size(state) - 1)
    assert warm(state) == 0


def test_a_store_that_goes_away_meanwhile_is_the_jobs_affair(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removing(files: list[Path], free: int) -> bool:
        files[-1].unlink()
        return fit(files[:-1], free)

    monkeypatch.setattr(warming, "fit", removing)
    monkeypatch.setattr(warming, "free_bytes", lambda: 1 << 40)
    assert warm(state) == size(state)


def test_an_empty_state_directory_ends_the_thread_at_once(tmp_path: Path) -> None:
    thread = start_warming(tmp_path)
    thread.join(10)
    assert not thread.is_alive()


def test_free_memory_is_what_the_kernel_says_within_the_containers_limit(tmp_path: Path) -> None:
    meminfo, limit = tmp_path / "meminfo", tmp_path / "memory.max"
    assert free_bytes(meminfo, limit) == 0
    meminfo.write_text("MemTotal:  9000 kB\nMemAvailable:  4000 kB\n")
    assert free_bytes(meminfo, limit) == 4_096_000
    limit.write_text("max\n")
    assert free_bytes(meminfo, limit) == 4_096_000
    limit.write_text("1000000\n")
    assert free_bytes(meminfo, limit) == 1_000_000
