"""Notice changes of a config directory and read it anew; a broken edit keeps what runs.

Polling compares what `stat` says of every file: it sees editors that write through a temporary file,
removed files, list files, and directories that are swapped by a symlink (Kubernetes mounts), where a
change notification of the kernel would need a watch per directory and still miss the swap.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from pipeline.config.files import ConfigText, config_files, read_config, wanted_lists
from pipeline.config.job import FILE, load_pipeline
from pipeline.model.errors import ConfigError

Signature: TypeAlias = tuple[tuple[str, int, int, int, int], ...]
"""Name, device and inode, size, time of change of every file that matters."""

SETTLE_SECS = 0.2
"""A change counts once nothing has changed for so long: editors and `rsync` write several times."""
PATIENCE_SECS = 0.8
"""A directory that never comes to rest is read anyway after this long."""


def read_directory(directory: Path) -> ConfigText:
    """Return the texts of a directory with the defaults of its pipeline.yaml. Raises ConfigError."""
    return read_config(directory, defaults=load_pipeline(directory).require().defaults)


class Watcher:
    """Tells when a config directory has really changed.

    running: hash of the version in use. clock: monotonic seconds. Call `poll` a few times per second; it
    costs one `stat` per file.
    """

    def __init__(
        self,
        directory: str | Path,
        running: str,
        *,
        clock: Callable[[], float],
        read: Callable[[Path], ConfigText] = read_directory,
    ) -> None:
        self._directory = Path(directory)
        self._clock = clock
        self._read = read
        self._told = running
        self._lists: tuple[str, ...] = ()
        # Nothing is known yet of what the running version was read from: the first poll reads once.
        self._seen: Signature | None = None
        self._pending: tuple[Signature, float, float] | None = None

    def poll(self) -> ConfigText | ConfigError | None:
        """Return what is new since the last report, once it has come to rest; None if nothing is.

        An error says why the directory cannot be read as a config; what runs goes on.
        """
        now = self._clock()
        signature = self._signature()
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
        if now - since < SETTLE_SECS and now - first_seen < PATIENCE_SECS:
            return None
        return self._report(signature)

    def _report(self, signature: Signature) -> ConfigText | ConfigError | None:
        self._pending = None
        try:
            text = self._read(self._directory)
        except ConfigError as error:
            self._seen = signature
            if str(error) == self._told:
                return None
            self._told = str(error)
            return error
        self._lists = tuple(wanted_lists(text))
        # Taken before reading: a change in between shows as another signature at the next poll.
        known = {entry[0] for entry in signature}
        self._seen = signature + tuple(self._stat(name) for name in self._lists if name not in known)
        if text.hash == self._told:
            return None
        self._told = text.hash
        return text

    def _signature(self) -> Signature:
        names = [FILE, *config_files(self._directory)]
        return tuple(self._stat(name) for name in (*names, *self._lists))

    def _stat(self, name: str) -> tuple[str, int, int, int, int]:
        try:
            found = os.stat(self._directory / name)
        except OSError:
            return (name, 0, 0, -1, 0)
        return (name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
