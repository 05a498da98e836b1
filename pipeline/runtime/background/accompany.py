"""What accompanies a running job: the admin socket, the HTTP views, the progress line."""

from __future__ import annotations

import os
from collections.abc import Callable

from pipeline.admin.command_routes import command_routes
from pipeline.admin.look_routes import look_routes
from pipeline.admin.service import AdminService
from pipeline.admin.try_routes import try_routes
from pipeline.admin.view_routes import view_routes
from pipeline.job.assembly import Job
from pipeline.runtime.background.progress import JobProgress, look_at

TOKEN = "HOOKLINE_METRICS_TOKEN"


def accompany(
    job: Job, process: int, address: str | None = None, *, progress: bool = True
) -> Callable[[], None]:
    """Start what accompanies a job; returns a function that stops it.

    address: where the HTTP views listen (``PORT`` or ``HOST:PORT``, then accepted Host names, after commas);
    None: nowhere. If HOOKLINE_METRICS_TOKEN is set, they require it.
    """
    routes = [
        *command_routes(job),
        *look_routes(job, process),
        *try_routes(job, process),
        *view_routes(job, process),
    ]
    admin = AdminService(
        state=job.settings.state,
        routes=routes,
        process=process,
        address=address,
        token=os.environ.get(TOKEN) or None,
    )
    admin.start()
    shown = JobProgress(look_at(job)) if progress else None

    def done() -> None:
        if shown is not None:
            shown.stop()
        admin.stop()

    return done
