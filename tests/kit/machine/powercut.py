"""A disk that loses its power: what of a folder is there afterwards, whichever step was the last one.

The files are real ones. What is on disk is noted when a file or a folder is synced; so a promise that forgets
to sync something is found, whatever it was written with.

`cuts` tries every step of one act. A schedule of its own goes on like this:

    disk = Disk(root)                  what is there now is on disk
    with disk.working_until(steps):    after so many changes every further one raises PowerCut
        ...                            journal, history, trail, halts, commands, versions, recording, ...
    disk.leave("what was synced", place)   what the next start finds; `disk.close()` at the end

What syncs without Python (LMDB, SQLite) is not seen: say `disk.on_disk(path)` where it has committed. With
`root` in /dev/shm and the fixture `unfsynced` no real disk is waited for.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Literal

import pytest

Left = Literal["what was synced", "every name", "everything"]
"""After a power cut, of a system that writes nothing unasked, or one that writes names and not what the files
hold (ext4 does so with new files for half a minute); and after a kill."""
LEFT: tuple[Left, ...] = ("what was synced", "every name", "everything")

CHANGES = ("open", "mkdir", "replace", "rename", "unlink", "rmdir", "write", "pwrite", "ftruncate")


class PowerCut(BaseException):
    """Nothing happens any more."""


class Disk:
    """What of a folder is on disk. All that is there at the beginning is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps_left = -1
        """Changes before the power is cut; below zero: it is not."""
        self._files: dict[int, bytes] = {}
        self._folders: dict[int, dict[str, int]] = {}
        self._pins: dict[int, int] = {}
        """Open files, so that no other one gets their number."""
        for folder, _, files in os.walk(root):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                self._on_disk(path)

    @contextmanager
    def working_until(self, steps: int) -> Iterator[None]:
        """Cut the power after so many changes; below zero: never. The block then ends without an error."""
        self.steps_left = steps
        patch = self.working()
        try:
            yield
        except PowerCut:
            pass
        finally:
            patch.undo()

    def on_disk(self, path: Path) -> None:
        """Take a file, or the names in a folder, to be on disk as they are now."""
        self._on_disk(str(path))

    def _on_disk(self, path: str) -> None:
        found = os.stat(path)
        if not stat.S_ISDIR(found.st_mode):
            self._files[self._pin(path)] = Path(path).read_bytes()
        else:
            names = os.listdir(path)
            self._folders[self._pin(path)] = {name: self._pin(os.path.join(path, name)) for name in names}

    def _pin(self, path: str) -> int:
        number = os.stat(path).st_ino
        if number not in self._pins:
            self._pins[number] = OPEN(path, os.O_RDONLY)
        return number

    def working(self) -> pytest.MonkeyPatch:
        """Listen to what is done with files, until the patch is undone."""
        patch = pytest.MonkeyPatch()
        for name in CHANGES:
            patch.setattr(os, name, self._counted(getattr(os, name)))
        for name in ("fsync", "fdatasync"):
            patch.setattr(os, name, self._counted(self._synced))
        patch.setattr(threading, "excepthook", _unless_cut(threading.excepthook))
        return patch

    def _counted(self, do: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **more: Any) -> Any:
            if self.steps_left == 0:
                raise PowerCut
            self.steps_left -= 1
            return do(*args, **more)

        return step

    def _synced(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_nlink == 0:
            return  # a file without a name: nothing is left of it
        self._on_disk(os.readlink(f"/proc/self/fd/{descriptor}"))

    def leave(self, left: Left, place: Path) -> None:
        """Put what is left into an empty folder."""
        if left == "everything":
            shutil.copytree(self.root, place)
        elif left == "every name":
            self._leave_names(self.root, place)
        else:
            self._leave_synced(os.stat(self.root).st_ino, place)

    def _leave_names(self, folder: Path, place: Path) -> None:
        place.mkdir()
        for path in folder.iterdir():
            if path.is_dir():
                self._leave_names(path, place / path.name)
            else:
                (place / path.name).write_bytes(self._files.get(path.stat().st_ino, b""))

    def _leave_synced(self, number: int, place: Path) -> None:
        place.mkdir()
        for name, inside in self._folders.get(number, {}).items():
            if stat.S_ISDIR(os.fstat(self._pins[inside]).st_mode):
                self._leave_synced(inside, place / name)
            else:
                (place / name).write_bytes(self._files.get(inside, b""))

    def close(self) -> None:
        for descriptor in self._pins.values():
            os.close(descriptor)


OPEN = os.open


@pytest.fixture
def unfsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the machine's own disk: the one whose power is cut keeps its own account."""
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda descriptor: None)


def _unless_cut(told: Callable[[Any], object]) -> Callable[[Any], object]:
    """Let a thread end silently where the power was cut, as all of them do."""
    return lambda failed: None if failed.exc_type is PowerCut else told(failed)


def cuts(
    work: Path, begin: Callable[[Path], object], act: Callable[[Path], object]
) -> Iterator[tuple[Path, bool]]:
    """Do something again and again, each time with the power cut one step later, until it is never cut.

    Yields, for every way in which things may be left, the folder and whether the act was over.
    """
    for steps in count():
        root = work / f"{steps}"
        root.mkdir()
        begin(root)
        disk, over = Disk(root), False
        with disk.working_until(steps):
            act(root)
            over = True
        for number, left in enumerate(LEFT):
            place = work / f"{steps}-{number}"
            disk.leave(left, place)
            yield place, over
        disk.close()
        if over:
            assert steps > 0, "nothing was done"
            return
