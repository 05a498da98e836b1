"""The state directory: its owner, the version that wrote it, its number of shards."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from shlex import quote

import orjson

from pipeline.config.places import STATE_META
from pipeline.model.errors import StateError, machine_fault
from pipeline.model.files.disk import (
    POLL_SECS,
    below,
    is_in_place,
    make_folder,
    remove_partials,
    replace_durably,
    try_lock,
)
from pipeline.model.process.private import NEVER_FOLLOWED, require_sight, tighten, wrong_hands
from pipeline.runtime.state.fit import SYNC_FOLDERS, require_fit, unfit

FORMAT = 1
META = STATE_META
ENTRIES = frozenset(
    (
        *("lock", META.partition(".")[0], "shards", "identity", "source", "versions", "recovery", "halted"),
        *("peers", "crash", "control", "rebuilding", "reader"),
    )
)
"""The entries of a state directory, by name up to the first dot or dash."""
FOLDERS = frozenset(("shards", "identity", "source", "versions", "recovery"))
"""Those of them that a job needs once they exist."""
READER = "reader"
"""The file with the job's name in the folders of collectors."""
SHARDS = "shards/[0-9][0-9][0-9]"


_READER_NAME = re.compile(r"[0-9a-f]{16}")


class StateDirectory:
    """A state directory owned by this process until it exits.

    job: identifies a multi-process job: its processes share the directory, and each shard's own lock keeps
    them apart. "": this process is the job. waits: called repeatedly while another job owns it: whether to
    keep waiting; it may raise. Raises StateError where another job owns it, another version wrote it, or it
    is not writable, Fatal where its disk has no room (or inode) left.
    """

    def __init__(
        self, path: Path, *, shards: int, job: str = "", waits: Callable[[], bool] = lambda: False
    ) -> None:
        self.path = path
        self._waits = waits
        self._folders: set[str] = set()
        """The folders that existed at the last check."""
        try:
            make_folder(path)
            _take_root(path)
            if not (path / META).exists():
                require_fit(path)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | NEVER_FOLLOWED, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise StateError(
                f"{path}: the state directory cannot be written: a file is in its place. "
                "Name another one with --state."
            ) from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _not_ours(path / "lock", "is a symbolic link") from None
            if error.errno == errno.EINVAL:
                raise unfit(path, SYNC_FOLDERS, error) from error
            # A disk that was mounted read-only need not be at fault.
            fault = None if error.errno == errno.EROFS else machine_fault(error)
            raise fault or StateError(
                f"{path}: the state directory cannot be written ({error.strerror}). "
                "Fix its permissions, or name another one with --state."
            ) from error
        try:
            self._check_hands()
            self._own(job)
            self._check(shards)
            self._check_access()
            remove_partials(path)
        except BaseException:
            self.close()
            raise

    def _check_hands(self) -> None:
        """Refuse what may be somebody else's doing, and close to others what was left open to them.

        From the top down: nobody can exchange the contents of a folder that only we may write.
        """
        if not (self.path / META).exists():
            # Perhaps an unrelated folder in which a state directory is to be created.
            _check_each(path for name in ENTRIES if (path := self.path / name).is_symlink())
            return
        for name in sorted(os.listdir(self.path)):
            top = self.path / name
            if name.partition("-")[0].partition(".")[0] not in ENTRIES:
                continue
            _check_each([top])
            _check_each(below(top))

    def _check_access(self) -> None:
        """Refuse now what a run as another user has left: each part would report it in its own words."""
        for folder, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                path = os.path.join(folder, name)
                wanted = os.R_OK | os.W_OK | (os.X_OK if name in folders else 0)
                # Files that another process of the job removes meanwhile need no closing.
                if not os.access(path, wanted) and os.path.lexists(path):
                    raise StateError(
                        f"{path}: this user may not read and write it. Run as the user that owns the state "
                        "directory, or give all of it to this one (chown -R)."
                    )

    def taken_away(self, error: BaseException | None) -> StateError | None:
        """Return the message if the directory, or something in it that an error misses, was moved.

        None where everything is in place. Moving a directory moves its open files with it: the job would
        write one half there, and the other half to what stands here now.
        """
        try:
            is_ours = is_in_place(self._lock, self.path / "lock")
            names = set(os.listdir(self.path)) & FOLDERS
        except FileNotFoundError:
            is_ours, names = False, set()
        except OSError:  # closed to us by now: open files still work
            return None
        if not is_ours:
            return StateError(
                f"{self.path}: the state directory was moved, removed or replaced while the job ran. Put the "
                "one that it ran on back in its place, as a whole, or name where it is now with --state, and "
                "start again: it goes on from its last epoch. Where it is lost, take a backup of all of it."
            )
        gone = [self.path / name for name in sorted(self._folders - names)]
        self._folders = names
        for cause in (error, error.__cause__) if error is not None else ():
            if isinstance(cause, FileNotFoundError) and cause.filename:
                gone.append(Path(os.fsdecode(cause.filename)))
        for path in gone:
            if path.is_relative_to(self.path):
                return StateError(
                    f"{path}: this, or the folder that it was in, was moved or removed while the job ran. "
                    "Put it back in its place, or a backup of the whole state directory, and start again."
                )
        return None

    def close(self) -> None:
        """Release the directory."""
        os.close(self._lock)

    def _own(self, job: str) -> None:
        while not (self._shared(job) if job else try_lock(self._lock)):
            if not self._waits():
                raise StateError(
                    f"{self.path} is in use by another job. Stop that job (`hookline status --state "
                    f"{quote(str(self.path))}` shows it), or give this one another --state."
                )
            time.sleep(POLL_SECS)

    def _shared(self, job: str) -> bool:
        """Share the directory with the processes of one job; False where another job owns it.

        The first process writes the job's name before it admits others.
        """
        name = job.encode()
        if try_lock(self._lock):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, name, 0)
        if not try_lock(self._lock, fcntl.LOCK_SH):
            return False
        if os.pread(self._lock, len(name) + 1, 0) == name:
            return True
        # If kept open, it would keep out the next job.
        fcntl.flock(self._lock, fcntl.LOCK_UN)
        return False

    def _check(self, shards: int) -> None:
        meta = self.path / META
        described = describe(self.path)
        if described is None:
            replace_durably(meta, orjson.dumps({"format": FORMAT, "shards": shards}) + b"\n")
            described = FORMAT, shards
        known_format, known_shards = described
        if known_format != FORMAT:
            raise StateError(
                f"{self.path} is in format {known_format}, this version reads format {FORMAT}; run the "
                "version that wrote it, or start with an empty directory."
            )
        if known_shards != shards:
            raise StateError(
                f"{self.path} was made for {known_shards} shards, the config says {shards}. The number is "
                f"fixed for the life of a state directory: set `shards: {known_shards}`, or start with an "
                "empty one."
            )


def reader_name(state: Path) -> str:
    """Return the job's name in the folders of collectors; created once."""
    path = state / READER
    try:
        name = path.read_text("ascii", "replace").strip()
    except FileNotFoundError:
        name = ""
    if not _READER_NAME.fullmatch(name):
        # A damaged one too: the collector forgets a reader that does not return.
        name = secrets.token_hex(8)
        replace_durably(path, name.encode() + b"\n")
    return name


def _take_root(path: Path) -> None:
    """Refuse a directory that others may write; a path through somebody else's symbolic link is theirs."""
    given = path.lstat()
    if stat.S_ISLNK(given.st_mode) and given.st_uid not in (0, os.geteuid()):
        raise _not_ours(path, f"is a symbolic link of user {given.st_uid}")
    found = path.stat()
    # One that is not writable at all is reported where that is tested.
    if os.access(path, os.W_OK | os.X_OK):
        if wrong := wrong_hands(path.resolve(), found):
            raise _not_ours(path, wrong)
        if (path / META).exists() or not os.listdir(path):
            tighten(path.resolve(), found)


def _check_each(paths: Iterable[Path]) -> None:
    for path in paths:
        # A file that another process of the job removes meanwhile is fine.
        with contextlib.suppress(FileNotFoundError):
            found = path.lstat()
            if wrong := wrong_hands(path, found):
                raise _not_ours(path, wrong)
            tighten(path, found)


def _not_ours(path: Path, wrong: str) -> StateError:
    return StateError(f"{path} {wrong}. A state directory must be its user's alone: it is not used.")


def describe(state: Path) -> tuple[int, int] | None:
    """Return a state directory's format and number of shards, None where it is still empty.

    Raises StateError where its description is damaged, or missing although there are stores.
    """
    require_sight(state)
    meta = state / META
    stores = len(list(state.glob(f"{SHARDS}/data.mdb")))
    try:
        found = orjson.loads(meta.read_bytes())
        return int(found["format"]), int(found["shards"])
    except FileNotFoundError:
        if not stores:
            return None
        wrong = "is gone"
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        wrong = f"not readable as a state directory's description ({error})"
    raise StateError(
        f"{meta}: {wrong}. Put the file back from a backup, or write "
        f'{{"format": {FORMAT}, "shards": N}} into it: as many as it was made for (shards/ holds {stores}).'
    )
