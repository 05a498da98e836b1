"""Whether a file system can hold a state directory: those of some shares and virtual machines cannot."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from pipeline.model.errors import StateError, machine_fault
from pipeline.model.files.disk import sync

SYNC_FOLDERS: Final = "write folders to the disk at once"


def require_fit(folder: Path) -> None:
    """Raise StateError where a file system lacks what the state rests on; OSError where it has no room.

    Asked once, before anything is in the directory: later on each part would report it in its own words, as a
    broken disk, a lack of permissions or a bug.
    """
    with TemporaryFile(dir=folder) as file:
        file.truncate(mmap.PAGESIZE)
        held = file.fileno()
        needs: dict[str, Callable[[], object]] = {
            "give files to one user alone": lambda: os.fchmod(held, 0o600),
            "lock files": lambda: fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB),
            # Shares (NFS, SMB) keep both kinds of locks as one: the first would be in the way of the second.
            "unlock files": lambda: fcntl.flock(held, fcntl.LOCK_UN),
            "lock parts of files": lambda: fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB),
            "share files through memory": lambda: mmap.mmap(held, mmap.PAGESIZE).close(),
            "write files to the disk at once": lambda: os.fsync(held),
            SYNC_FOLDERS: lambda: sync(folder),
        }
        for what, attempt in needs.items():
            try:
                attempt()
            except OSError as error:
                # A file that cannot be mapped is told as a device that is gone.
                fault = None if error.errno == errno.ENODEV else machine_fault(error)
                raise fault or unfit(folder, what, error) from error


def unfit(folder: Path, what: str, error: OSError) -> StateError:
    """Return the message about a file system that lacks something."""
    return StateError(
        f"{folder}: its file system cannot {what} ({error.strerror}), so it cannot hold a state directory. "
        "Name one on a local disk (ext4, XFS or the like) with --state: shares, and folders of another "
        "system in a container or virtual machine, often lack this."
    )
