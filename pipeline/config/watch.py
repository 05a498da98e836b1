"""Watches a config directory and reloads it; after a broken edit the running version stays.

It polls and compares the `stat` of every file: that notices editors that write through a temporary file,
removed files, list files, and directories swapped by a symlink (Kubernetes mounts), where kernel
notifications would need a watch per directory and still miss the swap.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias, TypeVar

from pipeline.config.files import ConfigText, JobDefaults, config_files, read_config, watched_files
from pipeline.config.job import load_pipeline
from pipeline.config.places import FILE
from pipeline.model.errors import ConfigError
from pipeline.model.files.plain_file import Sign, sign_at

T = TypeVar("T")
Signature: TypeAlias = tuple[tuple[str, Sign], ...]
"""Of every relevant file, by name."""

SETTLE_SECS = 0.2
"""A change counts once nothing has changed for this long: editors and `rsync` write several times."""
PATIENCE_SECS = 0.8
"""A directory that never settles is read anyway after this long, and one from which a file has vanished: some
programs replace a file by deleting it first."""


class Reading(NamedTuple):
    """The contents of a directory."""

    found: ConfigText | ConfigError
    """The texts, or why they are not a config."""
    beside: tuple[str, ...] | None
    """What `watched_files` says of them; None where unknown."""


def read_directory(directory: Path, defaults: JobDefaults | None = None) -> Reading:
    """Return the texts of a directory; defaults: None: those of its pipeline.yaml."""
    try:
        if defaults is None:
            defaults = load_pipeline(directory).require().defaults
        text = read_config(directory, defaults=defaults)
    except ConfigError as error:
        return Reading(error, None)
    return Reading(text, watched_files(text))


def look(directory: Path, beside: Iterable[str] = ()) -> Signature:
    """Return the signature of a directory's files, and of these list files."""
    names = dict.fromkeys([FILE, *config_files(directory), *beside])
    base = str(directory)
    return tuple([_stat(base, name) for name in names])


def second_look(directory: Path, read: Callable[[], T], is_good: Callable[[T], bool]) -> T:
    """Return what is read of a directory; what is not good is read again if files have changed a moment
    later: an editor may have written half of one.
    """
    seen = look(directory)
    found = read()
    if not is_good(found):
        time.sleep(SETTLE_SECS)
        if look(directory) != seen:
            return read()
    return found


def _stat(directory: str, name: str) -> tuple[str, Sign]:
    return name, sign_at(os.path.join(directory, name))  # creating a Path takes four times as long


class Watcher:
    """Reports real changes of a config directory.

    running: hash of the version in use; seen: the files' signature before they were read, beside: what
    `watched_files` says of them. Where these are unknown the first poll reads once. clock: monotonic seconds.
    Call `poll` a few times per second; it costs one `stat` per file.
    """

    def __init__(
        self,
        directory: str | Path,
        running: str,
        *,
        clock: Callable[[], float],
        read: Callable[[Path], Reading] = read_directory,
        seen: Signature | None = None,
        beside: Iterable[str] = (),
    ) -> None:
        self._directory = Path(directory)
        self._clock = clock
        self._read = read
        self._told = running
        self._beside = tuple(beside)
        self._seen = None if seen is None else self._with_beside(seen)
        self._pending: tuple[Signature, float, float] | None = None

    @property
    def is_pending(self) -> bool:
        """True while a change is settling."""
        return self._pending is not None

    def poll(self) -> ConfigText | ConfigError | None:
        """Return the changes since the last report, once they have settled; None if there are none.

        An error says why the directory cannot be read as a config; the running version stays.
        """
        now = self._clock()
        signature = look(self._directory, self._beside)
        if self._seen is None:
            return self._report(signature)
        if signature == self._seen:
            self._pending = None
            return None
        if self._pending is None:
            self._pending = (signature, now, now)
            return None
        last, first_seen, since = self._pending
        if signature != last:
            self._pending = (signature, first_seen, now)
            since = now
        is_gone = not {name for name, _ in self._seen} <= {name for name, _ in signature}
        if (is_gone or now - since < SETTLE_SECS) and now - first_seen < PATIENCE_SECS:
            return None
        return self._report(signature)

    def _report(self, signature: Signature) -> ConfigText | ConfigError | None:
        self._pending = None
        found, beside = self._read(self._directory)
        before = self._beside
        if beside is not None:
            self._beside = beside
        # Taken before reading: a change in between shows as another signature at the next poll.
        self._seen = self._with_beside(signature, before)
        told = str(found) if isinstance(found, ConfigError) else found.hash
        if told == self._told:
            return None
        self._told = told
        return found

    def _with_beside(self, signature: Signature, before: Iterable[str] = ()) -> Signature:
        """Return a signature with the present files beside the config in place of the earlier ones."""
        known = {entry[0]: entry for entry in signature}
        names = dict.fromkeys([*(name for name in known if name not in before), *self._beside])
        return tuple(known.get(name) or _stat(str(self._directory), name) for name in names)
