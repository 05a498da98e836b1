"""What is said to be on disk is there, whenever the power is cut or the process killed."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from pipeline.compile.versions import Versions
from pipeline.config.files import ConfigText
from pipeline.deliver.halts import Halts
from pipeline.job.left_requests import FOLDER, leave
from pipeline.job.steps.history import History
from pipeline.model.errors import StateError
from pipeline.model.files import disk
from pipeline.outbox.handover import Outcome, Result
from pipeline.outbox.journal import Journal, read_journal
from pipeline.runtime.state.directory import META, StateDirectory
from pipeline.runtime.state.recovery import prepare_recovery, resume_epoch
from pipeline.sources.topics.merging.trail import Boundary, Trail
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.machine.powercut import cuts
from tests.kit.streams.records import NOW_MS, delivery

pytestmark = pytest.mark.usefixtures("unfsynced")


def write(path: Path, data: bytes) -> None:
    disk.make_folder(path.parent)
    disk.replace_durably(path, data)


OLD, NEW = b"old" * 10_000, b"new" * 20_000


@pytest.mark.parametrize("old", [None, OLD])
def test_a_replaced_file_is_the_old_one_or_the_new_one_and_new_once_it_is_said(
    tmp_path: Path, old: bytes | None
) -> None:
    def begin(root: Path) -> None:
        if old is not None:
            (root / "a").mkdir()
            (root / "a/file").write_bytes(old)

    for place, over in cuts(tmp_path, begin, lambda root: write(root / "a/file", NEW)):
        found = place / "a/file"
        data = found.read_bytes() if found.exists() else None
        assert data == NEW or (data == old and not over)


def test_a_removed_file_stays_away(tmp_path: Path) -> None:
    def remove(root: Path) -> None:
        disk.remove_durably(root / "file")
        disk.remove_durably(root / "file")

    gone = [
        not (place / "file").exists()
        for place, over in cuts(tmp_path, lambda root: (root / "file").write_bytes(OLD), remove)
        if over
    ]
    assert gone == [True] * 3


def test_a_folder_that_a_kill_left_unsynced_is_on_disk_when_it_is_asked_for_again(tmp_path: Path) -> None:
    def again(root: Path) -> None:
        (root / "a").mkdir()
        disk.make_folder(root / "a")
        (root / "b").mkdir()
        disk.make_folder(root / "b/c")

    for place, over in cuts(tmp_path, lambda root: None, again):
        assert not over or ((place / "a").is_dir() and (place / "b/c").is_dir())


def test_the_disk_of_these_tests_forgets_what_was_not_synced(tmp_path: Path) -> None:
    def careless(root: Path) -> None:
        (root / "partial").write_bytes(NEW)
        (root / "partial").replace(root / "file")

    found = [
        (place / "file").read_bytes() if (place / "file").exists() else None
        for place, over in cuts(tmp_path, lambda root: (root / "file").write_bytes(OLD), careless)
        if over
    ]
    assert found == [OLD, b"", NEW]


def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "file", OLD)

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        disk.replace_durably(tmp_path / "file", NEW)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": OLD}


def test_everything_is_appended_however_little_one_write_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote = os.write
    monkeypatch.setattr(os, "write", lambda file, data: wrote(file, data[:7]))
    file = os.open(tmp_path / "file", os.O_WRONLY | os.O_CREAT)
    disk.append_all(file, NEW)
    os.close(file)
    assert (tmp_path / "file").read_bytes() == NEW


def test_what_is_removed_while_a_folder_is_walked_is_passed_by(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "inside").touch()
    walked = disk.below(tmp_path)
    first = next(walked)
    shutil.rmtree(tmp_path / "a")
    assert {path.name for path in (first, *walked)} == {"a", "b", "inside"}


def test_a_lock_has_one_holder_until_it_is_closed(tmp_path: Path) -> None:
    first = disk.locked(tmp_path / "lock")
    with pytest.raises(BlockingIOError):
        disk.locked(tmp_path / "lock", wait_secs=0.03)
    os.close(first)
    os.close(disk.locked(tmp_path / "lock"))


# --- what promises to be on disk


@dataclass
class Promise:
    """Something that says it is on disk when it returns."""

    keep: Callable[[Path], Any]
    """Does it, in the folder of a job."""
    seen: Callable[[Path], Any]
    """What the next start, or another process, sees of it."""
    before: Any
    after: Any
    begin: Callable[[Path], Any] = lambda folder: None


def snapshot(name: str) -> Any:
    return SimpleNamespace(hash=TEXTS[name].hash, text=TEXTS[name], webhooks=(), by_id={}, says_formats=False)


TEXTS = {name: ConfigText({f"{name}.yaml": name}) for name in ("first", "second")}


def stored_versions(folder: Path) -> set[str]:
    stored = (folder / "versions").glob("*.config")
    return {name for path in stored for name in ConfigText.from_bytes(path.read_bytes()).files}


def history(folder: Path) -> History:
    return History(folder / "source/recording")


def switches(folder: Path) -> list[str | None]:
    one = history(folder)
    found = [one.version_at(line) for line in (1, 7)]
    one.close()
    return found


def shards(folder: Path) -> int | None:
    """Return for how many shards a state directory was made; None: for none yet."""
    if not (folder / META).exists():
        return None
    StateDirectory(folder, shards=8).close()
    return 8


def commands(folder: Path) -> list[Any]:
    return [orjson.loads(path.read_bytes()) for path in (folder / FOLDER).glob("*.json")]


def resumes_at(recovery: Path) -> int | None:
    return resume_epoch([*recovery.iterdir()])


def result(number: int, outcome: Outcome) -> Result:
    return Result(delivery("hook", number), outcome)


def write_generations(folder: Path) -> None:
    """Write a result, another one of the same request, and a third that a power cut has torn."""
    for generation, number in ((4, 1), (5, 2)):
        journal = Journal(folder, generation)
        journal.append([result(number, Outcome.RETRY), result(1, Outcome.DELIVERED)], NOW_MS)
        journal.close()
    with (folder / "000000000005.journal").open("ab") as file:
        file.write(b"\0" * 9)


def outcomes(folder: Path) -> list[Outcome]:
    return [one.outcome for one in read_journal(folder, 4)]


PROMISES = {
    "a disabled webhook": Promise(
        lambda folder: Halts(folder).set("hook", "disabled", "d1"),
        lambda folder: Halts(folder).all(),
        {},
        {"hook": "disabled"},
    ),
    "a webhook that is sent to again": Promise(
        lambda folder: Halts(folder).set("hook", None),
        lambda folder: Halts(folder).all(),
        {"hook": "paused"},
        {},
        begin=lambda folder: Halts(folder).set("hook", "paused"),
    ),
    "a request left for a stopped job": Promise(
        lambda folder: leave(folder, "replay", [b"\x01"]),
        commands,
        [],
        [{"action": "replay", "keys": ["01"]}],
    ),
    "a state directory": Promise(lambda folder: StateDirectory(folder, shards=8).close(), shards, None, 8),
    "a config version": Promise(
        lambda folder: Versions(folder / "versions", snapshot("first"), lambda specs: None).install(
            snapshot("second")
        ),
        lambda folder: stored_versions(folder) - {"first.yaml"},
        set(),
        {"second.yaml"},
    ),
    "a switch of versions": Promise(
        lambda folder: history(folder).switch(5, "v2"),
        switches,
        ["v1", "v1"],
        ["v1", "v2"],
        begin=lambda folder: history(folder).switch(0, "v1"),
    ),
    "a journal of one generation": Promise(
        outcomes,
        outcomes,
        [Outcome.DELIVERED, Outcome.RETRY],
        [Outcome.DELIVERED, Outcome.RETRY],
        begin=write_generations,
    ),
    "a recovery store": Promise(
        lambda folder: prepare_recovery(folder / "recovery"),
        lambda folder: (prepare_recovery(folder / "recovery"), resumes_at(folder / "recovery")),
        (0, None),
        (0, None),
    ),
    "a trail that is written anew": Promise(
        lambda folder: Trail(folder, ["users/0"], [0], 10).close(),
        lambda folder: [boundary.line for boundary in Trail(folder, ["users/0"], [0], 10).ahead],
        [20],
        [20],
        begin=lambda folder: note(Trail(folder, ["users/0"], [0], 0)),
    ),
    "a trail that was closed": Promise(
        lambda folder: note(Trail(folder, ["users/0"], [0], 0), 10),
        lambda folder: [boundary.line for boundary in Trail(folder, ["users/0"], [0], 0).ahead],
        [],
        [10],
    ),
}


def note(trail: Trail, *lines: int) -> None:
    for line in lines or (10, 20):
        trail.note(Boundary(line, (line,)))
    trail.close()


@pytest.mark.parametrize("promise", PROMISES.values(), ids=PROMISES)
def test_what_is_promised_holds_once_it_is_said_and_is_never_half_there(
    tmp_path: Path, promise: Promise
) -> None:
    for place, over in cuts(tmp_path, promise.begin, promise.keep):
        found = promise.seen(place)
        assert found == promise.after or (found == promise.before and not over), place


def first_start(folder: Path) -> None:
    """Do with a state directory what the first start does, but for the stores: LMDB has its own promises."""
    directory = StateDirectory(folder / "state", shards=8)
    prepare_recovery(folder / "state/recovery")
    Versions(folder / "state/versions", snapshot("first"), lambda specs: None)
    one = history(folder / "state")
    one.switch(0, "first")
    one.emitting(200)
    one.close()
    Trail(folder / "state/source/recording", ["users/0"], [0], 0).close()
    Journal(folder / "state/shards/000/journal", 0).close()
    Halts(folder / "state").set("hook", "paused")
    directory.close()


def test_a_first_start_that_is_cut_off_anywhere_leaves_what_the_next_start_takes(tmp_path: Path) -> None:
    for place, _ in cuts(tmp_path, lambda folder: None, first_start):
        first_start(place)
        assert Halts(place / "state").all() == {"hook": "paused"}


def nothing(state: Path) -> None:
    """Leave what a first start finds usually."""


def half_a_store_beside(state: Path) -> None:
    (state / "recovery.new").mkdir(parents=True)
    (state / "recovery.new/part-0.sqlite3").write_bytes(b"SQLite format 3\0" + bytes(80))


def half_a_store_of_an_older_version(state: Path) -> None:
    (state / "recovery").mkdir(parents=True)
    with closing(sqlite3.connect(state / "recovery/part-0.sqlite3")) as db, db:
        db.execute("CREATE TABLE parts (part_index INTEGER, part_count INTEGER)")


def folders_without_anything(state: Path) -> None:
    for name in ("recovery", "versions", "shards", "source", "recovery.new"):
        (state / name).mkdir(parents=True)


@pytest.mark.parametrize(
    "left",
    [nothing, half_a_store_beside, half_a_store_of_an_older_version, folders_without_anything],
)
def test_a_recovery_store_that_was_never_whole_is_made_anew(
    tmp_path: Path, left: Callable[[Path], None]
) -> None:
    left(tmp_path)
    assert prepare_recovery(tmp_path / "recovery") == 0
    assert prepare_recovery(tmp_path / "recovery") == 0
    assert resumes_at(tmp_path / "recovery") is None
    assert not (tmp_path / "recovery.new").exists()


@pytest.mark.parametrize("left", [nothing, half_a_store_of_an_older_version])
def test_a_recovery_store_that_is_lost_is_not_made_anew_beside_what_was_committed(
    tmp_path: Path, left: Callable[[Path], None]
) -> None:
    left(tmp_path)
    store = Store(tmp_path / "shards/000")
    store.put(Table.USERS, b"u1", b"{}")
    store.commit()
    store.close()
    for _ in range(2):
        with pytest.raises(StateError, match=r"recovery store (is gone|cannot be read).*Restore"):
            prepare_recovery(tmp_path / "recovery")
