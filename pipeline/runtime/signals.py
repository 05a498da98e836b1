"""Clean stop: the first SIGTERM or SIGINT ends the input, the second one ends the process."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.job.context import Job
from pipeline.model.stop import forget, handled_by, note, requested
from pipeline.telemetry import log

_log = log.get("job")


@contextmanager
def stop_on_signals(job: Job) -> Iterator[None]:
    """Set the job's stop flag on a signal; the old handlers are back afterwards.

    A second signal ends the process at once, as a kill would: the next start goes on from the last epoch.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        if job.stopping:
            os._exit(128 + number)
        job.stopping = True
        note(number)
        _log.info("stopping", signal=signal.Signals(number).name, drain_secs=job.stop_drain_secs)

    try:
        with handled_by(stop):
            if requested():
                job.stopping = True
            yield
    finally:
        forget()
