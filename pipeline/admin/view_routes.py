"""What a job shows of itself: health, readiness, Prometheus metrics, the accounting as JSON.

The accounting lives in the shards' stores (DESIGN 6, rule 8): it survives crashes and counts everything once,
so the metrics copy it just before they are read.
"""

from __future__ import annotations

import time
from dataclasses import asdict

from pipeline.admin.routes import Route
from pipeline.job.assembly import Job
from pipeline.job.control.pressure import REASONS
from pipeline.model.errors import Refused
from pipeline.model.files.disk import free_bytes
from pipeline.model.json import Value
from pipeline.model.process.lifeline import is_let_go
from pipeline.telemetry import metrics
from pipeline.telemetry.names import MetricName
from pipeline.telemetry.process import PROMETHEUS, measure_process, resident_bytes

WAITS: dict[MetricName, str] = {
    "source_unreachable": "records wait for Kafka, which does not answer or refuses us: the log says why",
    "source_unanswered": "records wait for a topic partition for which no broker answers: the log names it",
    "source_undecided_records": "records wait for a transaction that is open: the log names its topic",
    "source_unreadable_records": "records wait behind a batch that cannot be read: the log names its place",
}
"""Why records wait, while a gauge is above 0."""
KINDS = {"events": "event", "updates": "update", "links": "link", "invalid": "invalid"}


def view_routes(job: Job, process: int) -> list[Route]:
    """Return the public routes of one process of a job."""
    begun = time.monotonic()

    def healthz() -> str:
        if job.failure.first is not None:
            raise Refused(f"stopping: {job.failure.first}")
        if job.pulse.is_stuck():
            raise Refused(standstill())
        return "ok\n"

    def standstill() -> str:
        return f"the worker has been stuck for {job.pulse.still_secs():.0f} s: nothing is read or committed"

    def readyz() -> str:
        healthz()
        if job.drain.stopping:
            raise Refused("stopping: what is on its way is sent")
        if not len(job.shards):
            raise Refused("opening the state")
        if job.pulse.is_still():
            raise Refused(standstill())
        if waits := job.waits():
            raise Refused(waits)
        return "ok\n"

    def scrape() -> str:
        measure_process()
        measure_job(job)
        return metrics.render_prometheus()

    def status() -> Value:
        # From memory: a process can open a store only once. `hookline status` reads all stores.
        records, webhooks = job.committed.totals(job.versions.configured)
        stats = job.engine.stats()
        return {
            "records": records,
            "webhooks": webhooks,
            "events_seen": job.event_names.all(),
            "latency_ms": {"p50": stats.p50_ms, "p99": stats.p99_ms},
            "elapsed_secs": round(time.monotonic() - begun, 3),
            "running": True,
            "state": str(job.settings.state),
            "halted": job.halts.all(),
            "lanes": {name: asdict(lane) for name, lane in stats.lanes.items()},
            "process": process,
            "stopping": job.drain.stopping or is_let_go(),
            "still_secs": round(job.pulse.still_secs(), 3) if job.pulse.is_still() else 0.0,
            "waits": job.waits() or _waits(),
            "paused": job.pressure.paused(),
            "bytes": [sum(one) for one in zip(*list(job.bytes_read.values()), strict=True)] or [0, 0],
            "lag": int(metrics.total("source_lag")),
            "resident_bytes": resident_bytes(),
            "disk_free_bytes": free_bytes(job.settings.state),
            "config": {"version": job.versions.in_use, "problems": job.config_problems()},
        }

    return [
        Route("healthz", healthz, public=True),
        Route("readyz", readyz, public=True),
        Route("metrics", scrape, public=True, content_type=PROMETHEUS),
        Route("status", status, public=True),
    ]


def _waits() -> str:
    return next((told for name, told in WAITS.items() if metrics.total(name)), "")


def measure_job(job: Job) -> None:
    """Set the metrics that are derived from the job's state."""
    records, webhooks = job.committed.totals(job.versions.configured)
    for field, kind in KINDS.items():
        metrics.gauge("records_total", records[field], kind=kind)
    for webhook, counts in webhooks.items():
        metrics.gauge("webhook_matched_total", counts["matched"], webhook=webhook)
        metrics.gauge("webhook_delivered_total", counts["delivered"], webhook=webhook)
        metrics.gauge("webhook_dead_total", counts["dead"], webhook=webhook)
        metrics.gauge("webhook_suppressed_total", counts["suppressed"], webhook=webhook)
        metrics.gauge("webhook_pending", counts["pending"], webhook=webhook)
    metrics.gauge("bytes_read_total", sum(read for read, _ in list(job.bytes_read.values())))
    metrics.gauge("state_disk_free_bytes", free_bytes(job.settings.state))
    metrics.gauge("epoch_commit_seconds", job.pace.commit_secs)
    metrics.gauge("worker_still_seconds", job.pulse.still_secs())
    paused = job.pressure.paused()
    for reason in REASONS:
        metrics.gauge("source_paused", float(reason == paused), reason=reason)
