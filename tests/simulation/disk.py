"""The machine's disk, and its end: after a kill everything is there, after a power cut what was synced.

The files are real ones, in memory (/dev/shm: numbers of files are never given twice there). Every change of
a file, every sync and every commit is one operation, and the machine may end before any of them. LMDB's own
files keep what was committed: its commits sync.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal

import lmdb
import pytest

Left = Literal["everything", "what was synced", "every name", "anything"]
"""How a power cut treats what was not synced: written all the same, lost, lost but for names, each as luck
has it: cut, torn, ended with zeros, renamed or not."""
LEFT: tuple[Left, ...] = ("everything", "what was synced", "every name", "anything", "anything", "anything")

CHANGES = ("mkdir", "replace", "rename", "unlink", "rmdir", "write", "pwrite", "ftruncate")
OF_LMDB = {"data.mdb", "lock.mdb", "owner.lock"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
MAP_SIZE = 1 << 24


class Ended(BaseException):
    """The process is gone; nothing happens any more."""


class Disk:
    """The files below a folder, and the process that changes them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.left = -1
        """Operations before the end; below zero: it does not come."""
        self.kind = ""
        """Which operations count; empty: all do."""
        self.ended = False
        self.operations = 0
        """How many there were."""
        self.said: Callable[[str], None] = lambda what: None
        """Told the last operation before the end."""
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, int]] = {}
        self._open: dict[int, tuple[int, int]] = {}
        """What each was opened on: a descriptor that a file object has closed may be another's by now."""
        self._environments: list[Any] = []
        self._all_is_on_disk()

    # --- the process

    def step(self, what: str) -> None:
        """An operation is about to be done; raises Ended where the process ends instead."""
        if self.left == 0 and (self.ended or self.kind in ("", what)):
            if not self.ended:
                self.said(what)
            self.ended = True
            raise Ended
        self.operations += 1
        if self.kind in ("", what):
            self.left -= 1

    def release(self) -> None:
        """Take back what the process held: its files, its stores."""
        while self._environments:
            self._environments.pop().close()
        for file, opened_on in self._open.items():
            if place_of(file) == opened_on:
                CLOSE(file)
        self._open.clear()
        self.left, self.kind, self.ended = -1, "", False

    def opened(self, file: int) -> None:
        self._open[file] = place_of(file)

    def closed(self, file: int) -> None:
        self._open.pop(file, None)

    def mapped(self, environment: Any) -> None:
        self._environments.append(environment)

    # --- what is on disk

    def synced(self, file: int) -> None:
        path = os.readlink(f"/proc/self/fd/{file}")
        if os.path.exists(path):
            self._on_disk(path)

    def _on_disk(self, path: str) -> None:
        if os.path.isdir(path):
            with os.scandir(path) as entries:
                self._folders[os.stat(path).st_ino] = {entry.name: entry.inode() for entry in entries}
        else:
            self._files[os.stat(path).st_ino] = Path(path).read_bytes()

    def _all_is_on_disk(self) -> None:
        self._files.clear()
        self._folders.clear()
        for folder, _, files in os.walk(self.root):
            self._on_disk(folder)
            for name in files:
                if name not in OF_LMDB:
                    self._on_disk(os.path.join(folder, name))

    def lose_power(self, luck: Random) -> Left:
        """Leave of the files what a power cut leaves; return how it went about it."""
        left = luck.choice(LEFT)
        if left != "everything":
            self._cut_folder(self.root, left, luck)
        self._all_is_on_disk()
        return left

    def _cut_folder(self, folder: Path, left: Left, luck: Random) -> None:
        now = {entry.name: entry for entry in os.scandir(folder)}
        before = self._folders.get(folder.stat().st_ino, {})
        for name in sorted(now.keys() | before.keys()):
            entry, old = now.get(name), before.get(name)
            path = folder / name
            if entry is not None and (entry.inode() == old or stays(left, luck)):
                if entry.is_dir():
                    self._cut_folder(path, left, luck)
                elif name not in OF_LMDB:
                    self._cut_file(path, entry.inode(), left, luck)
                continue
            if entry is not None:
                remove(path)
            if old is not None and not (entry is None and left != "what was synced" and stays(left, luck)):
                # The old entry is back. No folder is ever removed by the job.
                path.write_bytes(self._files.get(old, b""))

    def _cut_file(self, path: Path, number: int, left: Left, luck: Random) -> None:
        now, synced = path.read_bytes(), self._files.get(number, b"")
        if now == synced:
            return
        if left == "anything":
            synced = luck.choice((synced, now, torn(synced, now, luck), torn(synced, now, luck)))
        path.write_bytes(synced)


def place_of(file: int) -> tuple[int, int]:
    """Return what names the file behind a descriptor; (0, 0) where it is closed."""
    try:
        found = os.fstat(file)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def stays(left: Left, luck: Random) -> bool:
    """Return whether a change of a folder that was not synced is there."""
    return left == "every name" or (left == "anything" and luck.random() < 0.5)


def torn(synced: bytes, now: bytes, luck: Random) -> bytes:
    """Return what may be there of an append: a part of it, perhaps with zeros in place of the rest."""
    if not now.startswith(synced):
        return now
    part = now[: luck.randint(len(synced), len(now))]
    return part + bytes(luck.randint(0, len(now) - len(part)))


def remove(path: Path) -> None:
    if path.is_dir():
        for inside in path.iterdir():
            remove(inside)
        path.rmdir()
    else:
        path.unlink()


CLOSE = os.close


@contextmanager
def observed(disk: Callable[[], Disk | None]) -> Iterator[pytest.MonkeyPatch]:
    """Let the disk that is there at the time see every operation of this process."""
    opened, mapped = os.open, lmdb.open

    def counted(name: str) -> Callable[..., Any]:
        do: Callable[..., Any] = getattr(os, name)

        def step(*args: Any, **more: Any) -> Any:
            of = disk()
            if of is not None:
                of.step(name)
            return do(*args, **more)

        return step

    def synced(file: int) -> None:
        of = disk()
        if of is not None:
            of.step("sync")
            of.synced(file)

    def open_file(path: Any, flags: int, *args: Any, **more: Any) -> int:
        of = disk()
        if of is not None and flags & WRITING:
            of.step("open")
        file = opened(path, flags, *args, **more)
        if of is not None:
            of.opened(file)
        return file

    def close(file: int) -> None:
        of = disk()
        if of is not None:
            of.closed(file)
        CLOSE(file)

    def open_store(*args: Any, **more: Any) -> Any:
        found = mapped(*args, **{**more, "sync": False, "map_size": MAP_SIZE})
        of = disk()
        if of is not None:
            of.mapped(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, counted(name))
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "fdatasync", synced)
        patch.setattr(os, "open", open_file)
        patch.setattr(os, "close", close)
        patch.setattr(lmdb, "open", open_store)
        yield patch
