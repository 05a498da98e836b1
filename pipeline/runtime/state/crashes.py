"""Marks a process killed by a signal, such as liblmdb's abort on a damaged page.

The process itself cannot catch that. It leaves a file with Python's stacks, and the next start reads all
stores in another process before it opens one.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.model.errors import StateError
from pipeline.model.files.disk import holding
from pipeline.model.process.private import NEVER_FOLLOWED
from pipeline.outbox.reading.apart import check_stores
from pipeline.store.folders import store_folders
from pipeline.telemetry import log

MARKS = "crash-*.txt"
LOCK_SECS = 24 * 3600.0
"""One process of a job checks; the others wait for it, however large the stores are."""

_log = log.get("job")


@contextmanager
def crashes_noted(state: Path, process: int) -> Iterator[None]:
    """Check what an earlier crash has left, then leave a mark if a signal kills this process.

    Raises StateError for a damaged store. If somebody else uses Python's fault handler (a debugger,
    ``PYTHONFAULTHANDLER``), it is left alone, and no mark is made.
    """
    with holding(state / "crash.lock", LOCK_SECS):
        _look_into(sorted(state.glob(MARKS)), state)
    if faulthandler.is_enabled():
        yield
        return
    path = state / MARKS.replace("*", str(process))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | NEVER_FOLLOWED
    with open(os.open(path, flags, 0o600), "ab") as mark:
        faulthandler.enable(mark)
        try:
            yield
        finally:
            faulthandler.disable()
            if not os.fstat(mark.fileno()).st_size:
                path.unlink(missing_ok=True)


def _look_into(marks: list[Path], state: Path) -> None:
    """Read the stores if a signal has killed a process; delete the marks if all of them are sound."""
    if not any(_size(mark) for mark in marks):
        return
    _log.warning("a signal ended the last run: reading all stores before they are opened", mark=str(marks[0]))
    problems = [problem for found in check_stores(store_folders(state)) for problem in found.problems]
    if problems:
        more = f" ({len(problems) - 1} more: `hookline state check`)" if len(problems) > 1 else ""
        raise StateError(f"{problems[0]}{more}")
    for mark in marks:
        if _size(mark):
            mark.unlink(missing_ok=True)


def _size(mark: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return mark.stat().st_size
    return 0
