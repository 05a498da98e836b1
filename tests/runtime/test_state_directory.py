"""The state directory: one owner, one format, one number of shards."""

from __future__ import annotations

import errno
import fcntl
import json
import mmap
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from pipeline.model.errors import Fatal, StateError
from pipeline.runtime.state.directory import META, StateDirectory
from pipeline.runtime.state.fit import require_fit


def test_a_directory_has_one_owner_until_he_lets_go(tmp_path: Path) -> None:
    first = StateDirectory(tmp_path / "state", shards=8)
    with pytest.raises(StateError, match="in use by another job"):
        StateDirectory(tmp_path / "state", shards=8)
    with pytest.raises(StateError, match="in use by another job"):
        StateDirectory(tmp_path / "state", shards=8, job="b")
    first.close()
    StateDirectory(tmp_path / "state", shards=8).close()


def test_a_disk_without_an_inode_left_is_a_full_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: object, *rest: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(Fatal, match=r"the disk of .* is full"):
        StateDirectory(tmp_path, shards=8)


@pytest.mark.parametrize(
    ("module", "call", "number", "cannot"),
    [
        (os, "fchmod", errno.EPERM, "give files to one user alone"),
        (fcntl, "flock", errno.ENOLCK, "lock files"),
        (fcntl, "lockf", errno.EOPNOTSUPP, "lock parts of files"),
        (mmap, "mmap", errno.ENODEV, "share files through memory"),
        (os, "fsync", errno.EINVAL, "write folders to the disk at once"),
    ],
)
def test_a_file_system_that_cannot_hold_it_is_refused_with_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: object, call: str, number: int, cannot: str
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(module, call, Mock(side_effect=OSError(number, os.strerror(number))))
        with pytest.raises(StateError, match=rf"state: its file system cannot {cannot} \("):
            StateDirectory(state, shards=8)
    assert not list(state.iterdir())
    StateDirectory(state, shards=8).close()


def test_a_share_that_keeps_both_kinds_of_locks_as_one_can_hold_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = set()

    def flock(file: int, how: int) -> None:
        locked.discard(file) if how & fcntl.LOCK_UN else locked.add(file)

    def lockf(file: int, how: int) -> None:
        if file in locked:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(fcntl, "flock", flock)
    monkeypatch.setattr(fcntl, "lockf", lockf)
    require_fit(tmp_path)


def test_a_disk_that_fails_at_the_first_start_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", Mock(side_effect=OSError(errno.EIO, "")))
    with pytest.raises(Fatal, match="a disk does not read or write"):
        StateDirectory(tmp_path / "state", shards=8)


def test_processes_of_one_job_share_it_and_another_job_may_not(tmp_path: Path) -> None:
    members = [StateDirectory(tmp_path, shards=8, job="a") for _ in range(2)]
    for other in ("", "b"):
        with pytest.raises(StateError, match="in use by another job"):
            StateDirectory(tmp_path, shards=8, job=other)
    for member in members:
        member.close()


@pytest.mark.parametrize("job", ["", "a"])
def test_what_kills_have_left_of_replaced_files_goes_with_the_next_start(tmp_path: Path, job: str) -> None:
    places = ["halted/w.json", "versions/abc.config", "shards/000/journal/000000000001.journal"]
    for place in places:
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_bytes(b"whole")
        old, young = (tmp_path / f"{place}.{number}.partial" for number in (1, 2))
        old.write_bytes(b"wh")
        young.write_bytes(b"wh")
        os.utime(old, (0, 0))
    StateDirectory(tmp_path, shards=8, job=job).close()
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*") if path.is_file()}
    assert found == {META, *places, *(f"{place}.2.partial" for place in places)}


def test_the_number_of_shards_is_fixed_and_the_message_says_what_to_set(tmp_path: Path) -> None:
    StateDirectory(tmp_path, shards=8).close()
    with pytest.raises(StateError, match="set `shards: 8`"):
        StateDirectory(tmp_path, shards=4)
    StateDirectory(tmp_path, shards=8).close()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": "x", "shards": 8}'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / META).write_text(text)
    with pytest.raises(StateError, match="not readable as a state directory"):
        StateDirectory(tmp_path, shards=8)


def test_a_directory_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / META).write_text(json.dumps({"format": 99, "shards": 8}))
    with pytest.raises(StateError, match="format 99"):
        StateDirectory(tmp_path, shards=8)


def test_a_refused_directory_can_be_opened_once_it_is_right(tmp_path: Path) -> None:
    StateDirectory(tmp_path, shards=8).close()
    for _ in range(3):
        with pytest.raises(StateError):
            StateDirectory(tmp_path, shards=4)
        StateDirectory(tmp_path, shards=8).close()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        StateDirectory(tmp_path / "file" / "state", shards=8)


def test_a_part_that_belongs_to_another_user_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    StateDirectory(tmp_path, shards=8).close()
    for closed in (tmp_path / "shards", tmp_path / "versions" / "a.config"):
        closed.parent.mkdir(exist_ok=True)
        closed.touch()
        # root may read whatever there is, so it is the system's answer that is changed
        monkeypatch.setattr(os, "access", lambda path, mode, closed=closed: Path(path) != closed)
        with pytest.raises(StateError, match=f"{closed}: this user may not .*chown -R"):
            StateDirectory(tmp_path, shards=8)
        monkeypatch.undo()
    StateDirectory(tmp_path, shards=8).close()


def test_a_description_that_is_gone_beside_stores_is_asked_for(tmp_path: Path) -> None:
    for shard in range(3):
        (tmp_path / f"shards/{shard:03}").mkdir(parents=True)
        (tmp_path / f"shards/{shard:03}/data.mdb").write_bytes(b"")
    with pytest.raises(StateError, match=r"hookline.json: is gone.*shards/ holds 3"):
        StateDirectory(tmp_path, shards=2)
    assert not (tmp_path / META).exists()


def _replaced(state: Path) -> None:
    copy = state.with_name("copy")
    shutil.copytree(state, copy)
    state.rename(state.with_name("moved"))
    copy.rename(state)


@pytest.mark.parametrize(
    ("do", "said"),
    [
        (lambda state: state.rename(state.with_name("moved")), "the state directory was moved, removed"),
        (shutil.rmtree, "the state directory was moved, removed"),
        (_replaced, "the state directory was moved, removed"),
        (lambda state: (state / "lock").unlink(), "the state directory was moved, removed"),
        (lambda state: shutil.rmtree(state / "recovery"), "recovery: this, or the folder that it was in"),
    ],
    ids=["moved", "removed", "replaced", "without its lock", "without a folder"],
)
def test_what_is_taken_away_is_seen_and_told(tmp_path: Path, do: Callable[[Path], None], said: str) -> None:
    state = tmp_path / "state"
    directory = StateDirectory(state, shards=8)
    assert directory.taken_away(None) is None
    (state / "recovery").mkdir()
    (state / "dlq.jsonl").touch()
    assert directory.taken_away(None) is None
    do(state)
    assert said in str(directory.taken_away(None))
    directory.close()


def test_an_error_that_misses_a_file_of_the_directory_is_explained_by_it_and_no_other(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "state", shards=8)
    missed = FileNotFoundError(2, "No such file", str(tmp_path / "state/shards/003/journal/1.journal"))
    wrapped = RuntimeError("the engine failed")
    wrapped.__cause__ = missed
    for error in (missed, wrapped):
        assert "003/journal/1.journal: this, or the folder" in str(directory.taken_away(error))
    for other in (FileNotFoundError(2, "No such file", "/elsewhere"), PermissionError(13, "no"), KeyError()):
        assert directory.taken_away(other) is None
    directory.close()
