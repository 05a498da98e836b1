"""Tells a collector how far a job's durable state has read, so that older segments can be deleted."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson

from pipeline.model.files.disk import replace_durably
from pipeline.sources.files.finding.inputs import COLLECTORS
from pipeline.telemetry.log import get

log = get(__name__)

FOLDER = ".readers"
EVERY_SECS = 1.0
TOUCHED_SECS = 3600.0
"""How often it shows that it is alive even if it read nothing: the collector forgets idle readers."""


class Passed:
    """Maintains ``.readers/NAME`` in a collector's folder; ``name`` is called when there is something to
    report.

    A file that lags does no harm, so it is written by a thread beside the job, at most once a second.
    """

    def __init__(
        self, folder: str, name: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder = Path(folder) / FOLDER
        self._name = name
        self._clock = clock
        self._said: int | None = None
        self._said_at = 0.0
        self._thread: threading.Thread | None = None
        self._is_refused = False

    def resumed(self, line: int) -> None:
        """Report, before the folder is listed, that lines from this one on are needed. Never raises."""
        if (self._folder.parent / COLLECTORS).exists():
            self._write(line)

    def durable(self, line: int) -> None:
        """Report that no line before this one is needed any more. Never raises, never blocks."""
        now = self._clock()
        due = EVERY_SECS if line != self._said else TOUCHED_SECS
        if self._said is not None and now - self._said_at < due:
            return
        if self._thread is not None and self._thread.is_alive():
            return  # a slow disk: the next epoch reports it
        self._said, self._said_at = line, now
        self._thread = threading.Thread(
            target=self._write, args=(line,), name="collected-passed", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Wait for a write in progress, but not for a disk that hangs."""
        if self._thread is not None:
            self._thread.join(1.0)

    def _write(self, line: int) -> None:
        try:
            self._folder.mkdir(0o700, exist_ok=True)
            replace_durably(self._folder / self._name(), orjson.dumps({"version": 1, "offset": line}) + b"\n")
            self._is_refused = False
        except FileNotFoundError:
            pass  # there is no collector yet, or no longer
        except Exception as error:
            if not self._is_refused:
                self._is_refused = True
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                log.warning(
                    "cannot tell the collector what this job has read: no segment goes",
                    folder=str(self._folder),
                    reason=reason,
                    remedy="let this user write the folder `.readers` (a read-only mount cannot), or remove "
                    "old segments yourself",
                )
