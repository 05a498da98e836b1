"""Durable files: replacing in one step, folders, appends, locks, room for them (DESIGN 11, 4).

After a power cut a file holds what was synced, and a folder the entries it had when it was synced. After a
kill everything that was written is there.
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
from glob import has_magic
from pathlib import Path
from typing import BinaryIO

from pipeline.model.process.private import NEVER_FOLLOWED

POLL_SECS = 0.02
"""Pause between two attempts to take a lock that somebody else holds."""

PARTIAL_SECS = 60.0
"""A ``.partial`` file older than this is a leftover: no replacement takes that long."""
LEAST_FILES = 100
"""Files that a disk must still take: a job or collector makes a few dozen at once at most."""
_PARTIAL = re.compile(r".+\.ya?ml\.\d+\.partial")


def free_bytes(folder: Path) -> int:
    """Return the room on the folder's disk; 0 where it has hardly any for another file, whatever its size."""
    found = os.statvfs(folder)
    # Some file systems have no fixed number of files, and say 0.
    return 0 if found.f_files and found.f_favail < LEAST_FILES else found.f_bavail * found.f_frsize


def allocate(path: Path, size: int) -> None:
    """Give a file, new or not, this size and the blocks for it. Raises OSError, with its name.

    For what is written through memory: where there is no room then, a signal ends the process.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NEVER_FOLLOWED, 0o600)
    try:
        with naming(path):
            os.posix_fallocate(descriptor, 0, size)
    finally:
        os.close(descriptor)


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
    """Make OS errors raised in the block name this file where they name none, as those of writes do not."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def replacing(path: Path, *, anew: bool = False) -> Iterator[BinaryIO]:
    """Yield a file that replaces another one at the end of the block, as in `replace_durably`.

    anew: it replaces none, and is open as the umask says. Raises FileExistsError where there is one of this
    name, even one created at this very moment.
    """
    partial = path.with_name(f"{path.name}.{threading.get_native_id()}.partial")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NEVER_FOLLOWED
        with naming(path), open(os.open(partial, flags, 0o666 if anew else 0o600), "wb") as file:
            yield file
            file.flush()
            _synced(file.fileno(), path)
        if anew:
            os.link(partial, path, follow_symlinks=False)
            partial.unlink()
        else:
            partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync(path.parent)


def create_durably(path: Path, data: bytes) -> None:
    """Create a file with this content; it is on disk, complete, when this returns. See `replacing`."""
    with replacing(path, anew=True) as file:
        file.write(data)


def _make_like(descriptor: int, like: os.stat_result) -> None:
    found = os.fstat(descriptor)
    if (found.st_uid, found.st_gid) != (like.st_uid, like.st_gid):
        os.fchown(descriptor, like.st_uid, like.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(like.st_mode))


def remove_partials(folder: Path) -> None:
    """Delete leftovers of interrupted replacements, at any depth.

    Recent ones stay: a command beside a stopped job may be writing right now. Files that another process
    renames or removes meanwhile are skipped.
    """
    for left in below(folder):
        if left.suffix == ".partial":
            with contextlib.suppress(FileNotFoundError):
                if time.time() - left.stat().st_mtime > PARTIAL_SECS:
                    left.unlink()


def folder_of(pattern: str) -> str:
    """Return the folder in which, or below which, what a path or pattern names is."""
    folder = os.path.dirname(pattern)
    while has_magic(folder):
        folder = os.path.dirname(folder)
    return folder or "."


def below(folder: Path) -> Iterator[Path]:
    """Yield the contents of a folder, at any depth; symbolic links to folders are not followed.

    Unlike `Path.rglob` it does not raise where somebody renames or removes a folder meanwhile.
    """
    for inside, folders, files in os.walk(folder):
        yield from (Path(inside, name) for name in (*folders, *files))


def remove_own_partials(folder: Path) -> None:
    """Delete leftovers of interrupted replacements in a folder that also holds people's own files.

    Only of YAML files, only names made here, and only plain files that are old and ours.
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
    """Write a user's file, open as the umask says; errors name it. Not synced.

    anew: raise FileExistsError where it exists.
    """
    with path.open("xb" if anew else "wb") as file, wholly(path), file:
        file.write(text.encode())


@contextlib.contextmanager
def wholly(path: Path) -> Iterator[None]:
    """Write an open file within the block, then close it; if that fails, remove it.

    A truncated file would be mistaken for a complete one. Errors name it.
    """
    try:
        with naming(path):
            yield
    except BaseException:
        # special files and the targets of links are named by their real path
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
    """Make a folder and its missing parents, private to their owner; on disk when this returns."""
    if path.is_dir():
        # A kill may have come before the sync. Somebody who may not read the parent did not create it.
        with contextlib.suppress(PermissionError):
            sync(path.parent)
        return
    make_folder(path.parent)
    path.mkdir(0o700, exist_ok=True)
    sync(path.parent)


def sync(path: Path) -> None:
    """Sync a file's content, or the entries of a folder; on disk when this returns."""
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
    """Sync an open file's content and length; on disk when this returns."""
    # Looked up at each call: tests substitute a disk that loses power.
    (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(descriptor)


def append_all(descriptor: int, data: bytes) -> None:
    """Write all of the data at the file's position, in as many writes as it takes. Not synced."""
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
    except OSError as error:
        with contextlib.suppress(OSError):  # a system without /proc
            error.filename = os.readlink(f"/proc/self/fd/{descriptor}")
        raise


def is_in_place(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one that its path leads to.

    Writes to a moved or deleted file succeed, but nobody finds them.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


@contextlib.contextmanager
def holding(path: Path, wait_secs: float = 0.0) -> Iterator[None]:
    """Hold a file's lock, as of `locked`, until the end of the block."""
    lock = locked(path, wait_secs)
    try:
        yield
    finally:
        os.close(lock)


def locked(path: Path, wait_secs: float = 0.0) -> int:
    """Return a descriptor that holds a file's lock until it is closed or the process ends.

    Raises BlockingIOError where somebody else holds the lock for longer than ``wait_secs``.
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
    """Lock an open file, or change the kind of its lock; False where another lock is in the way."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True
