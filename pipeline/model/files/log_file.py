"""A log file: appends return at once and are synced soon after, so that no caller waits for the disk."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from pipeline.model.files.disk import append_all, replace_durably, sync, sync_data
from pipeline.model.process.private import NEVER_FOLLOWED

REST_SECS = 0.01
"""Pause between two syncs: without it they would compete with the commits for the disk."""


class LogFile:
    """A log written by one thread. Its initial bytes are on disk when the constructor returns.

    A kill loses nothing that was appended. A power cut loses what was appended since the last sync began: a
    hundredth of a second and two syncs at most.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        replace_durably(path, data)
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | NEVER_FOLLOWED)
        self.bytes = len(data)
        """How long the file is, or will be when it is renewed."""
        self._lock = threading.Lock()
        """Guards which file is appended to, and what has come since the new one was requested."""
        self._fresh: bytes | None = None
        self._since: list[bytes] = []
        self._work = threading.Event()
        self._closing = threading.Event()
        self._syncing: threading.Thread | None = None

    def append(self, data: bytes) -> None:
        """Add to the file."""
        with self._lock:
            append_all(self._file, data)
            if self._fresh is not None:
                self._since.append(data)
        self.bytes += len(data)
        self._wake()

    def renew(self, data: bytes) -> None:
        """Soon replace the file by other content, in one step; later appends come after it.

        Does nothing while an earlier replacement is in progress.
        """
        with self._lock:
            if self._fresh is not None:
                return
            self._fresh, self._since = data, []
        self.bytes = len(data)
        self._wake()

    def close(self, data: bytes | None = None) -> None:
        """Sync and close the file, as far as the disk allows. May be called twice.

        data: its final content.
        """
        if self._file < 0:
            return
        self._closing.set()
        self._work.set()
        if self._syncing is not None:
            self._syncing.join()
        if data is not None:
            self._fresh, self._since = data, []
        self._sync()
        os.close(self._file)
        self._file = -1

    def _wake(self) -> None:
        self._work.set()
        if self._syncing is None:
            self._syncing = threading.Thread(target=self._keep_up, name="hookline-log-file", daemon=True)
            self._syncing.start()

    def _keep_up(self) -> None:
        while self._work.wait() and not self._closing.is_set():
            self._work.clear()
            self._sync()
            self._closing.wait(REST_SECS)

    def _sync(self) -> None:
        # The next commit meets the same fault of the disk, and is the one that must report it.
        with contextlib.suppress(OSError):
            with self._lock:
                fresh = self._fresh
            if fresh is not None:
                self._replace(fresh)
            sync_data(self._file)

    def _replace(self, fresh: bytes) -> None:
        partial = self._path.with_name(f"{self._path.name}.{threading.get_native_id()}.partial")
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | NEVER_FOLLOWED, 0o600)
        try:
            append_all(file, fresh)
            os.fsync(file)
            with self._lock:
                append_all(file, b"".join(self._since))
                partial.replace(self._path)
                self._file, file = file, self._file
        finally:
            with self._lock:
                self._fresh, self._since = None, []
            os.close(file)
            partial.unlink(missing_ok=True)
        sync(self._path.parent)
