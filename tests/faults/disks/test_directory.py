"""State directories that cannot be used: what is wrong and what to do is said, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from pathlib import Path
from tempfile import gettempdir
from types import SimpleNamespace

import lmdb
import pytest

from pipeline.model.errors import ClosedState, Fatal
from pipeline.receiver.server import Receiver
from pipeline.runtime.state.recovery import reading
from pipeline.store.environment import unreadable, writing
from tests.kit.programs.jobs import ADDRESS_SPACE, Job, accounted, event_of, ready
from tests.kit.programs.run import Bench, until

FIRST, SECOND = 40, 60
NOBODY = 65534


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Return a bench of a job that has delivered some events and has more to read."""
    bench.append(*rows(0, FIRST))
    with Job(bench, follow=False) as job:
        assert job.ended()["webhooks"]["w"]["delivered"] == FIRST
    bench.append(*rows(FIRST, SECOND))
    return bench


def rows(first: int, last: int) -> list[dict[str, object]]:
    return [{"id": f"e{n}", "user_id": f"u{n}", "properties": {"n": n}} for n in range(first, last)]


def refused(
    bench: Bench, code: int, *words: str, flags: tuple[object, ...] = (), uid: int | None = None
) -> str:
    """Run the job; check its exit code and that it says all of this, at once and in one message."""
    said = bench.folder / "stderr"
    said.unlink(missing_ok=True)
    with Job(bench, *flags, follow=False, uid=uid) as job:
        # Well under the time for which a store's next owner waits.
        job.ended(code, secs=20)
        for word in words:
            assert word in job.said
        assert "Traceback" not in job.said
        assert "bug of Hookline" not in job.said
        assert job.out.read_text() == ""
        return job.said


def goes_on(bench: Bench, receiver: Receiver) -> None:
    """What was refused has broken nothing: the rest arrives, once, and the accounting is exact."""
    with Job(bench, follow=False) as job:
        assert job.ended()["webhooks"]["w"]["delivered"] == SECOND
    assert accounted(bench)["w"]["matched"] == SECOND
    assert sorted(event_of(request)["n"] for request in receiver.requests) == list(range(SECOND))


def test_two_jobs_on_one_state_directory(bench: Bench, receiver: Receiver):
    with Job(bench) as job:
        ready(bench, job)
        said = refused(bench, 3, "is in use by another job", "--state")
        assert said.count("error") == 1
        assert job.runs()
        until(lambda: bench.counts("w")["delivered"] == SECOND)
        job.stop()
    goes_on(bench, receiver)


def test_a_state_directory_that_is_moved_while_the_job_runs(bench: Bench, receiver: Receiver):
    """The job would write one half of an epoch there, and the other into what stands in its place by then."""
    older = shutil.copytree(bench.state, bench.folder / "older")
    with Job(bench) as job:
        ready(bench, job)
        until(lambda: bench.counts("w")["delivered"] == SECOND)
        bench.state.rename(bench.folder / "moved")
        older.rename(bench.state)
        job.ended(3)
        assert "the state directory was moved, removed or replaced while the job ran. Put the one" in job.said
        assert "unexpected" not in job.said
    bench.state.rename(older)
    (bench.folder / "moved").rename(bench.state)
    goes_on(bench, receiver)


def test_a_state_directory_without_permission_to_write(bench: Bench, receiver: Receiver):
    if os.geteuid():
        pytest.skip("only root can become another user here")
    # Up to the system's folder for temporary files: one more level where tests run in several processes.
    above = [
        path
        for path in bench.folder.parents
        if path.is_relative_to(gettempdir()) and path != Path(gettempdir())
    ]
    for path in [bench.folder, *above]:
        path.chmod(path.stat().st_mode | 0o055)
    said = refused(bench, 3, "cannot be written", "--state", uid=NOBODY)
    assert "Permission denied" in said
    goes_on(bench, receiver)


def test_a_state_directory_on_a_read_only_file_system(tmp_path: Path, bench: Bench, receiver: Receiver):
    if os.geteuid():
        pytest.skip("mounting needs root; CI runs as root")
    state = bench.state
    bound = subprocess.run(["mount", "--bind", state, state], capture_output=True, check=False)
    if bound.returncode:
        pytest.skip("this machine does not let root mount (a container without CAP_SYS_ADMIN)")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
        refused(bench, 3, "cannot be written", "Read-only file system")
        # Looking is still possible.
        assert accounted(bench)["w"]["delivered"] == FIRST
    finally:
        subprocess.run(["umount", "-l", state], check=True)
    goes_on(bench, receiver)


@pytest.mark.parametrize("damage", ["garbage", "empty", "half"])
@pytest.mark.parametrize("store", ["shards/000", "identity/recording"])
def test_a_damaged_store(bench: Bench, receiver: Receiver, store: str, damage: str):
    data = bench.state / store / "data.mdb"
    whole = data.read_bytes()
    broken = {"garbage": b"\xa5" * len(whole), "empty": b"", "half": whole[: len(whole) // 2 // 4096 * 4096]}
    data.write_bytes(broken[damage])
    refused(bench, 3, store, "backup")
    data.write_bytes(whole)
    goes_on(bench, receiver)


def test_a_lost_store_is_not_taken_for_an_empty_one(bench: Bench, receiver: Receiver):
    data = bench.state / "shards/000/data.mdb"
    data.rename(data.with_suffix(".lost"))
    refused(bench, 3, "shards/000", "backup")
    data.with_suffix(".lost").rename(data)
    goes_on(bench, receiver)


def test_a_damaged_recovery_store(bench: Bench, receiver: Receiver):
    part = next((bench.state / "recovery").glob("part-*.sqlite3"))
    whole = {path: path.read_bytes() for path in part.parent.glob("part-*")}
    part.write_bytes(b"\xa5" * 8192)
    refused(bench, 3, "recovery store", "backup")
    part.write_bytes(b"")
    refused(bench, 3, "recovery store", "backup")
    for path, data in whole.items():
        path.write_bytes(data)
    goes_on(bench, receiver)


def test_a_recovery_store_of_another_time(bench: Bench, receiver: Receiver):
    """Only half of a backup was put back: the stores are further than the recovery store."""
    part = next((bench.state / "recovery").glob("part-*.sqlite3"))
    with sqlite3.connect(part) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole = part.read_bytes()
    for more in range(2):
        bench.append(*rows(SECOND + more, SECOND + more + 1))
        with Job(bench, follow=False) as job:
            job.ended()
    for path in part.parent.glob("part-*"):
        path.unlink()
    part.write_bytes(whole)
    refused(bench, 3, "do not belong together", "backup")


@pytest.mark.parametrize("of", ["recovery", "shards/001", "identity/recording"])
def test_a_part_of_a_copy_that_went_on_for_as_long(bench: Bench, receiver: Receiver, of: str):
    """Its epochs have the numbers of ours, and its rows are others."""
    begun = shutil.copytree(bench.state, bench.folder / "begun")
    bench.append(*rows(SECOND, SECOND + 1))
    with Job(bench, follow=False) as job:
        job.ended()
    other = bench.state.rename(bench.folder / "other")
    begun.rename(bench.state)
    bench.append(*rows(SECOND + 1, SECOND + 2))
    with Job(bench, follow=False) as job:
        job.ended()
    ours = (bench.state / of).rename(bench.folder / "ours")
    shutil.copytree(other / of, bench.state / of)
    refused(bench, 3, "do not belong together", "backup")
    assert any(
        "do not belong together" in one
        for one in bench.hookline("state", "check", "--json", code=3)["problems"]
    )
    shutil.rmtree(bench.state / of)
    ours.rename(bench.state / of)
    assert bench.hookline("state", "check", "--json", code=None)["problems"] == []
    bench.append(*rows(SECOND + 2, SECOND + 3))
    with Job(bench, follow=False) as job:
        assert job.ended()["webhooks"]["w"]["delivered"] == SECOND + 3


def test_another_number_of_shards(bench: Bench, receiver: Receiver):
    refused(bench, 3, "2 shards", "config says 5", "shards: 2", flags=("--shards", 5))
    goes_on(bench, receiver)


def test_a_directory_of_a_newer_version(bench: Bench, receiver: Receiver):
    meta = bench.state / "hookline.json"
    known = meta.read_text()
    meta.write_text(known.replace('"format":1', '"format":99'))
    refused(bench, 3, "format 99", "reads format 1")
    meta.write_text("not JSON")
    refused(bench, 3, "hookline.json")
    meta.write_text(known)
    goes_on(bench, receiver)


def test_a_recording_that_shrank_is_refused_and_goes_on_when_it_is_whole(bench: Bench, receiver: Receiver):
    whole = bench.stream.read_text()
    bench.stream.write_text("".join(whole.splitlines(True)[:10]))
    refused(bench, 3, "events.jsonl", "put the old file back")
    bench.stream.write_text(whole)
    goes_on(bench, receiver)


def test_an_address_space_that_is_limited_is_shared_by_the_stores(bench: Bench, receiver: Receiver):
    """Seventeen stores open in 4 GB; where not one does, that is said, and it is no damage."""
    bench.settings = "{network: {allow: [127.0.0.0/8]}, epoch: 200ms, shards: 16}"
    bench.webhook("w", receiver.url("/w"))
    shutil.rmtree(bench.state)
    receiver.requests.clear()
    with Job(bench, follow=False, before={ADDRESS_SPACE: 4 << 30}) as job:
        assert job.ended()["webhooks"]["w"]["delivered"] == SECOND
    goes_on(bench, receiver)


def test_a_limit_of_the_process_is_no_damage(tmp_path: Path):
    """Nobody may be told to restore a backup, or to begin anew, for want of a descriptor."""
    for words, flag in (
        ("Too many open files", "-n"),
        ("Too many open files in system", "-n"),
        ("File too large", "-f"),
    ):
        with pytest.raises(Fatal, match=rf"{words}.*Nothing is lost.*ulimit {flag}`"), writing(tmp_path):
            raise lmdb.Error(f"{tmp_path}: {words}")


def test_a_recovery_store_that_cannot_be_opened_is_no_damage(tmp_path: Path):
    (tmp_path / "part-0.sqlite3").mkdir()
    with (
        pytest.raises(Fatal, match=r"cannot be opened.*Nothing is lost"),
        reading(tmp_path / "part-0.sqlite3") as db,
    ):
        db.execute("SELECT 1")


def test_a_recovery_store_on_a_disk_that_takes_no_more_files_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "part-0.sqlite3").mkdir()
    disk = SimpleNamespace(f_files=1_000, f_favail=0, f_bavail=1_000, f_frsize=4_096)
    monkeypatch.setattr(os, "statvfs", lambda folder: disk)
    with pytest.raises(Fatal, match=r"is full.*`df -i`"), reading(tmp_path / "part-0.sqlite3") as db:
        db.execute("SELECT 1")


def test_a_store_that_is_closed_to_this_user_is_no_damage(tmp_path: Path):
    """Nobody may be told to remove a store for want of a permission."""
    told = unreadable(tmp_path, lmdb.Error(f"{tmp_path}: Permission denied"))
    assert isinstance(told, ClosedState)
    assert "chown -R" in str(told)
    assert "rebuild" not in str(told)


def test_memory_that_is_wanting_is_no_damage(tmp_path: Path):
    for error in (lmdb.MemoryError("mdb_txn_begin"), lmdb.Error("mdb_put: Cannot allocate memory")):
        with pytest.raises(Fatal, match=r"not enough memory.*Nothing is lost.*ulimit -v"), writing(tmp_path):
            raise error
