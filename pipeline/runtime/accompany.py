"""What goes along with a running job: the admin socket, the HTTP views, the progress line."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.admin.job import admin_service
from pipeline.job.flow import Job
from pipeline.runtime.progress import Progress, look_at
from pipeline.runtime.requests import Control


def accompany(
    job: Job, process: int, address: str | None = None, *, progress: bool = True
) -> Callable[[], None]:
    """Begin to accompany a job; returns what ends that.

    address: where the HTTP views listen (``PORT`` or ``HOST:PORT``); None: nowhere.
    """
    admin = admin_service(job, Control(job).table(), address=address, process=process)
    admin.start()
    shown = Progress(look_at(job)) if progress else None

    def done() -> None:
        if shown is not None:
            shown.stop()
        admin.stop()

    return done
