"""The state directory is its user's alone: nobody reads it, nobody else has made it, no link is followed."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.model.errors import StateError
from pipeline.receiver.server import Receiver
from pipeline.runtime.state.directory import StateDirectory
from tests.kit.programs.run import Bench

NOBODY = 65534
ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")


def everything(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")


def open_to_others(folder: Path) -> list[str]:
    return [f"{path} {path.lstat().st_mode:o}" for path in everything(folder) if path.lstat().st_mode & 0o077]


@pytest.fixture
def loose() -> Iterator[None]:
    """Have the umask that most systems have."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("loose")
def test_nothing_that_a_job_makes_is_open_to_others_and_an_old_directory_is_tightened(
    bench: Bench, receiver: Receiver
) -> None:
    bench.webhook("w", receiver.url("/w"))
    bench.webhook("broken", receiver.url("/{{ event.properties.nowhere }}"))
    bench.append({"id": "e1", "user_id": "u1", "properties": {"a": 1}})
    bench.run()
    assert open_to_others(bench.state) == []
    exported = bench.folder / "letters.jsonl"
    exported.touch(0o644)
    bench.hookline("dlq", "export", "--state", bench.state, "-o", exported)
    assert exported.stat().st_size
    assert open_to_others(exported) == []
    for path in everything(bench.state):
        path.chmod(0o755 if path.is_dir() else 0o644)
    bench.append({"id": "e2", "user_id": "u1"})
    bench.run()
    assert open_to_others(bench.state) == []
    assert len(receiver.requests) == 2


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Return a state directory that somebody has used."""
    made = tmp_path / "state"
    StateDirectory(made, shards=2).close()
    (made / "shards" / "000").mkdir(parents=True, mode=0o700)
    (made / "shards").chmod(0o700)
    (made / "shards/000/data.mdb").touch(0o600)
    return made


def link(path: Path, victim: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(victim)


def exchange(path: Path, victim: Path) -> None:
    moved = path.with_name("moved")
    path.rename(moved)
    path.symlink_to(moved)


TRICKS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "the lock is a link": (lambda state, victim: link(state / "lock", victim), "symbolic link"),
    "the meta is a link": (lambda state, victim: link(state / "hookline.json", victim), "symbolic link"),
    "a store is a link": (
        lambda state, victim: link(state / "shards/000/data.mdb", victim),
        "symbolic link",
    ),
    "a folder is a link": (lambda state, victim: exchange(state / "shards/000", victim), "symbolic link"),
    "a dangling link": (
        lambda state, victim: (state / "peers").symlink_to(victim.with_name("nowhere")),
        "symbolic link",
    ),
    "all may write": (lambda state, victim: state.chmod(0o777), "may be written by others"),
    "the group may write": (lambda state, victim: state.chmod(0o770), "chmod -R go-w"),
    "all may write within": (
        lambda state, victim: (state / "shards").chmod(0o703),
        "may be written by others",
    ),
    "all may write a file": (
        lambda state, victim: (state / "shards/000/data.mdb").chmod(0o666),
        "may be written by others",
    ),
}
FOREIGN: dict[str, Callable[[Path], object]] = {
    "the directory": lambda state: os.chown(state, NOBODY, NOBODY),
    "a file": lambda state: os.chown(state / "shards/000/data.mdb", NOBODY, NOBODY),
    "a folder": lambda state: os.chown(state / "shards", NOBODY, NOBODY),
    "the lock": lambda state: os.chown(state / "lock", NOBODY, NOBODY),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_what_may_be_somebody_elses_doing_is_refused_and_left_alone(state: Path, trick: str) -> None:
    victim = state.with_name("victim")
    victim.write_text('{"format": 1, "shards": 2}\n')
    before = victim.stat()
    play, told = TRICKS[trick]
    play(state, victim)
    for job in ("", "127.0.0.1:1;127.0.0.1:2"):
        with pytest.raises(StateError, match=told):
            StateDirectory(state, shards=2, job=job)
    after = victim.stat()
    assert (after.st_mtime_ns, after.st_mode, after.st_size) == (
        before.st_mtime_ns,
        before.st_mode,
        before.st_size,
    )
    assert not victim.with_name("nowhere").exists()


@ROOT
@pytest.mark.parametrize("what", FOREIGN)
def test_a_directory_of_another_user_is_refused(state: Path, what: str) -> None:
    FOREIGN[what](state)
    with pytest.raises(StateError, match=r"belongs to user 65534.*chown -R"):
        StateDirectory(state, shards=2)


@ROOT
def test_roots_commands_leave_nothing_in_a_stopped_jobs_directory_that_its_start_would_refuse(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    with Receiver({"*": 400}) as receiver:
        bench.webhook("w", receiver.url("/w"))
        bench.append({"id": "1"})
        assert bench.run()["webhooks"]["w"]["dead"] == 1
    for path in everything(bench.state):
        os.chown(path, NOBODY, NOBODY)
    for words in ("webhook pause w", "dlq replay --all", "console --listen 127.0.0.1:0"):
        said = bench.hookline(*words.split(), code=1)
        assert "belongs to user 65534, this process runs as user 0: run as the user that owns" in said
    assert {path.stat().st_uid for path in everything(bench.state)} == {NOBODY}
    assert bench.status()["webhooks"]["w"]["dead"] == 1, "who only looks may"


@ROOT
def test_a_path_through_somebody_elses_link_is_refused(state: Path) -> None:
    given = state.with_name("given")
    given.symlink_to(state)
    StateDirectory(given, shards=2).close()
    os.lchown(given, NOBODY, NOBODY)
    with pytest.raises(StateError, match="symbolic link of user 65534"):
        StateDirectory(given, shards=2)


def test_other_things_in_the_folder_are_left_as_they_are(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    other = home / "mine.txt"
    other.touch(0o644)
    (home / "link").symlink_to(other)
    for _ in range(2):
        StateDirectory(home, shards=2).close()
    assert stat.S_IMODE(other.stat().st_mode) == 0o644
    shutil.rmtree(home)
