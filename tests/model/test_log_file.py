"""A log that nobody waits for: a kill loses nothing of it, a power cut no more than its last moment."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pipeline.model.files.log_file import LogFile
from tests.kit.programs.run import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


class Slow:
    """A disk whose syncs take as long as the test likes; it knows what was on it at each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
        self.path = path
        self.begun, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.threads: set[str] = set()
        self.safe = b""
        for name in ("fsync", "fdatasync"):
            monkeypatch.setattr(os, name, self._sync)

    def _sync(self, descriptor: int) -> None:
        at_once = os.readlink(f"/proc/self/fd/{descriptor}") != str(self.path)
        content = b"" if at_once else self.path.read_bytes()
        self.threads.add(threading.current_thread().name)
        if not at_once:
            self.begun.release()
            assert self.may_end.acquire(timeout=20)
            self.safe = content

    def let(self, syncs: int = 1) -> None:
        self.may_end.release(syncs)


def test_who_appends_does_not_wait_and_what_was_appended_is_synced_soon(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogFile(path, b"head ")
    disk = Slow(monkeypatch, path)
    log.append(b"one ")
    assert disk.begun.acquire(timeout=20)
    log.append(b"two ")
    assert path.read_bytes() == b"head one two ", "a kill would leave all of it"
    disk.let()
    assert disk.begun.acquire(timeout=20)
    assert disk.safe == b"head one "
    disk.let(2)
    until(lambda: disk.safe == b"head one two ")
    log.close()
    assert "MainThread" in disk.threads, "at its end all of it is on disk"


def test_what_comes_while_the_file_is_renewed_stands_behind_the_new_content(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogFile(path, b"old")
    renewing, go_on = threading.Event(), threading.Event()
    fsync = os.fsync

    def held(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".partial"):
            renewing.set()
            assert go_on.wait(20)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", held)
    log.renew(b"new")
    assert renewing.wait(20)
    log.append(b"+1")
    log.renew(b"never")
    log.append(b"+2")
    assert path.read_bytes() == b"old+1+2", "until it is renewed the old file is whole"
    go_on.set()
    until(lambda: path.read_bytes() == b"new+1+2")
    log.append(b"+3")
    log.close()
    assert path.read_bytes() == b"new+1+2+3"
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_disk_that_cannot_sync_loses_nothing_that_a_kill_would_leave(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogFile(path, b"old")

    def broken(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, broken)
    log.append(b"+1")
    log.renew(b"new")
    log.append(b"+2")
    log.close()
    assert path.read_bytes() == b"old+1+2"
    assert [one.name for one in path.parent.iterdir()] == [path.name]
