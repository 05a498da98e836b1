"""Keeps a process's files, folders and memory private to its user."""

from __future__ import annotations

import contextlib
import os
import resource
import stat
from pathlib import Path

from pipeline.model.errors import ClosedState

UMASK = 0o077
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
NEVER_FOLLOWED = os.O_NOFOLLOW | os.O_CLOEXEC
"""Flags for every file in a folder of ours: a symbolic link in its place is an error."""


CORES = "HOOKLINE_CORE_DUMPS"
"""Environment variable; where it is 1, core dumps stay as the system has them."""


def keep_private() -> None:
    """From now on files of this process and its children are private, and no crash dumps core."""
    os.umask(UMASK)
    leave_no_memory()


def leave_no_memory() -> None:
    """From now on no crash of this process and its children dumps core: it could contain secrets.

    Debuggers and profilers of the same user still work; that user can read the secrets anyway.
    """
    if os.environ.get(CORES) == "1":
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # RLIMIT_CORE does not apply where cores are piped to a program (`core_pattern`); not being dumpable does.
    with contextlib.suppress(OSError):
        Path("/proc/self/coredump_filter").write_text("0")


def write_private(path: Path) -> int:
    """Return a descriptor of a file, created or emptied, that only its owner can read.

    A symbolic link is followed, and a device is left as it is: the path is the user's choice.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_sight(folder: Path) -> None:
    """Raise ClosedState where this user may not list a folder: there globs silently find nothing."""
    try:
        os.listdir(folder)
    except PermissionError:
        owner = ""
        with contextlib.suppress(OSError):
            owner = f" (user {folder.stat().st_uid})"
        raise ClosedState(
            f"{folder}: this user ({os.geteuid()}) may not look into it: run as the one that owns the state "
            f"directory{owner}"
        ) from None
    except OSError:
        pass  # missing, or not a folder: the caller reports it


def wrong_hands(path: Path, found: os.stat_result) -> str | None:
    """Return why a file in a folder of ours may be somebody else's doing, else None. found: its lstat."""
    if stat.S_ISLNK(found.st_mode):
        return f"is a symbolic link to {os.readlink(path)}: put the real thing there"
    if found.st_uid != os.geteuid():
        return (
            f"belongs to user {found.st_uid}, this process runs as user {os.geteuid()}: run as the user that "
            "owns the state directory, or give all of it to this one (chown -R)"
        )
    if found.st_mode & OTHERS_WRITE and not stat.S_ISSOCK(found.st_mode):
        return (
            "may be written by others than its owner. Where nobody else has written there: chmod -R go-w "
            f"{path}"
        )
    return None


def require_own(state: Path) -> None:
    """Raise ClosedState where a state directory is another user's: a job cannot use what is made in it here.

    Root may write there, and the next start of the job would be refused.
    """
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(state)
        if found.st_uid != os.geteuid():
            raise ClosedState(f"{state} {wrong_hands(state, found)}.")


def tighten(path: Path, found: os.stat_result) -> None:
    """Remove others' permissions that an older version or another umask left on a file or folder of ours."""
    if found.st_mode & 0o077 and not stat.S_ISLNK(found.st_mode):
        os.chmod(path, found.st_mode & 0o700, follow_symlinks=False)
