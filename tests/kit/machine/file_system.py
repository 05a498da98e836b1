"""A real file system whose power can be cut: ext4 on a loop device, for those who may mount one."""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2


class FileSystem:
    """ext4 in a file, mounted on a folder."""

    def __init__(self, image: Path, folder: Path) -> None:
        self.image, self.folder = image, folder

    def make(self, megabytes: int) -> None:
        """Make it, and mount it. Raises CalledProcessError or OSError where that is not allowed."""
        with self.image.open("wb") as file:
            file.truncate(megabytes << 20)
        self._run("mkfs.ext4", "-q", "-F", self.image)
        self.folder.mkdir(exist_ok=True)
        self.mount()

    def mount(self) -> None:
        self._run("mount", "-o", "loop", self.image, self.folder)

    def shut_down(self) -> None:
        """Cut its power: what is not on disk by now never will be."""
        place = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(place)

    def restart(self) -> None:
        """Mount it again; nobody may have a file of it open any more."""
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        self._run("umount", self.folder)

    def _run(self, *words: object) -> None:
        subprocess.run([*map(str, words)], check=True, capture_output=True, timeout=60)


@contextmanager
def file_system(folder: Path, megabytes: int = 64) -> Iterator[FileSystem | str]:
    """Give a file system of one's own, or the reason why there is none here."""
    if os.geteuid():
        yield "mounting needs root; CI runs as root"
        return
    if shutil.which("mkfs.ext4") is None:
        yield "there is no mkfs.ext4"
        return
    made = FileSystem(folder / "image", folder / "mounted")
    try:
        made.make(megabytes)
    except (subprocess.CalledProcessError, OSError) as error:
        yield f"this machine does not let root mount an image ({error})"
        return
    try:
        yield made
    finally:
        subprocess.run(["umount", "-l", made.folder], check=False, capture_output=True, timeout=60)
