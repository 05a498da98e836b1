"""The admin service of a running job: what it shows, and what it can be asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from pipeline.admin.gauges import collect
from pipeline.admin.service import AdminService
from pipeline.admin.views import Views
from pipeline.job.flow import Job


def admin_service(
    job: Job, commands: Mapping[str, Callable[..., Any]], *, address: str | None, process: int = 0
) -> AdminService:
    """Return the service, not started."""
    begun = time.monotonic()

    def status() -> dict[str, Any]:
        # From memory: a store can be open only once in a process. `hookline status` reads the stores of all.
        records, webhooks = job.committed.totals()
        stats = job.engine.stats()
        return {
            "records": records,
            "webhooks": webhooks,
            "latency_ms": {"p50": stats.p50_ms, "p99": stats.p99_ms},
            "elapsed_secs": round(time.monotonic() - begun, 3),
            "lanes": {name: asdict(lane) for name, lane in stats.lanes.items()},
            "process": process,
            "config": {"version": job.versions.latest.hash, "problems": job.config_problems()},
        }

    views = Views(
        status=status,
        unhealthy=lambda: f"stopping: {job.failure.first}" if job.failure.first is not None else None,
        unready=lambda: None if len(job.shards) else "opening the state",
        refresh=lambda: collect(job),
    )
    return AdminService(
        state=job.settings.state,
        commands={**commands, "status": status},
        views=views,
        process=process,
        address=address,
    )
