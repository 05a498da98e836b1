"""Durable files: replacing in one step, folders, appends, locks (DESIGN 11, 4).

A power cut leaves of a file what was synced, and of a folder the entries that were there when it was synced.
A kill leaves everything that was written.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.model.process.private import NEVER_FOLLOWED

POLL_SECS = 0.02
"""How often a lock that somebody holds is asked for."""

PARTIAL_SECS = 60.0
"""No file takes so long to be replaced."""
_PARTIAL = re.compile(r".+\.ya?ml\.\d+\.partial")


def replace_durably(path: Path, data: bytes, *, like: os.stat_result | None = None) -> None:
    """Give a file this content in one step; it is on disk when this returns.

    like: whose owner, group and mode it gets; None: it is for its owner alone. Raises PermissionError where
    it cannot be given to that owner.

    A crash at any instant leaves the old file or the new one, whole; perhaps a ``.partial`` beside it, which
    nobody reads (see `remove_partials`). The folder must be there (see `make_folder`).
    """
    with replacing(path) as file:
        if like is not None:
            _make_like(file.fileno(), like)
        file.write(data)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Have errors of the system within the block name this file, where they name none: writes do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give the file that takes a file's place at the end of the block, as in `replace_durably`."""
    partial = path.with_name(f"{path.name}.{threading.get_native_id()}.partial")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NEVER_FOLLOWED
        with naming(path), open(os.open(partial, flags, 0o600), "wb") as file:
            yield file
            file.flush()
            _synced(file.fileno(), path)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create_durably(path: Path, data: bytes) -> None:
    """Make a file with this content, for whom the umask says; it is on disk, whole, when this returns.

    Raises FileExistsError where there is one of this name, also if it has come at this very moment.
    """
    partial = path.with_name(f"{path.name}.{threading.get_native_id()}.partial")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NEVER_FOLLOWED
        with naming(path), open(os.open(partial, flags, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            _synced(file.fileno(), path)
        os.link(partial, path, follow_symlinks=False)
    finally:
        partial.unlink(missing_ok=True)
    sync(path.parent)


def _make_like(descriptor: int, like: os.stat_result) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def remove_partials(folder: Path) -> None:
    """Delete what kills have left of files that were being replaced, at any depth.

    Young ones stay: a command beside a stopped job may be writing at this moment. What another process of
    the job renames or removes meanwhile is passed by.
    """
    for left in below(folder):
        if left.suffix == ".partial":
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > PARTIAL_SECS:
                    left.unlink()


def below(folder: Path) -> Iterator[Path]:
    """Yield what a folder holds, at any depth; links to folders are not followed.

    `Path.rglob` raises FileNotFoundError where somebody renames or removes a folder meanwhile.
    """
    for inside, folders, files in os.walk(folder):
        yield from (Path(inside, name) for name in (*folders, *files))


def remove_own_partials(folder: Path) -> None:
    """Delete what kills have left of files in a folder where people keep files of theirs.

    Only of YAML files, and what is named as it is here, plain, old, and our own.
    """
    with os.scandir(folder) as entries:
        for left in entries:
            if _PARTIAL.fullmatch(left.name) is None or not left.is_file(follow_symlinks=False):
                continue
            with contextlib.suppress(OSError):
                found = left.stat(follow_symlinks=False)
                if found.st_uid == os.geteuid() and time.time() - found.st_mtime > PARTIAL_SECS:
                    os.unlink(left.path)


def write_text(path: Path, text: str, *, anew: bool = False) -> None:
    """Write a file of a person's, as open as the umask says; errors name it. Not synced.

    anew: raise FileExistsError where there is one.
    """
    with path.open("xb" if anew else "wb") as file, wholly(path), file:
        file.write(text.encode())


@contextlib.contextmanager
def wholly(path: Path) -> Iterator[None]:
    """Write a file that is open within the block, which closes it: where that fails none is left.

    A part of it would be taken for all of it. Errors name it.
    """
    try:
        with naming(path):
            yield
    except BaseException:
        # What is no plain file, and what a link leads to, is told by where it really is.
        with contextlib.suppress(OSError):
            if path.is_file():
                path.resolve().unlink()
        raise


def remove_durably(path: Path) -> None:
    """Delete a file, if there is one; no power cut brings it back when this has returned."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and what is missing above it, for its owner alone; they are on disk when this returns."""
    if path.is_dir():
        # A kill may have come before the sync. Whoever may not read the parent has not made it.
        with contextlib.suppress(PermissionError):
            sync(path.parent)
        return
    make_folder(path.parent)
    path.mkdir(0o700, exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Return when a file's content is on disk, or what was made, renamed and deleted in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _synced(descriptor, path)
    finally:
        os.close(descriptor)


def _synced(descriptor: int, path: Path) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def sync_data(descriptor: int, /) -> None:
    """Return when the content of an open file is on disk, and its length."""
    # Looked up here: tests put a disk in its place whose power is cut.
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(descriptor)


def append_all(descriptor: int, data: bytes) -> None:
    """Write all of the data where the file stands: one write may take less than it was given. Not synced."""
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError as error:
        with contextlib.suppress(OSError):  # a system without /proc
            error.filename = os.readlink(f"/proc/self/fd/{descriptor}")
        raise


def is_in_place(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one that its name leads to.

    Moved or removed it takes what is written as before, and nobody finds it.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def locked(path: Path, wait_secs: float = 0.0) -> int:
    """Return a descriptor that holds a file's lock until it is closed or the process ends.

    Raises BlockingIOError where another one holds the lock for longer than ``wait_secs``.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NEVER_FOLLOWED, 0o600)
    deadline = time.monotonic() + wait_secs
    try:
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise BlockingIOError(errno.EWOULDBLOCK, "locked by another process", str(path))
            time.sleep(POLL_SECS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def try_lock(descriptor: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock an open file, or turn its lock into one of another kind; False where another one is in the way."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True
