"""Brings the metrics up to what the job has committed, just before they are read.

The accounting lives in the shards' stores (DESIGN 6, rule 8): it survives crashes and is counted once, so it
is not counted a second time here.
"""

from __future__ import annotations

import shutil

from pipeline.job.flow import Job
from pipeline.job.pressure import REASONS
from pipeline.telemetry import metrics

KINDS = {"events": "event", "updates": "update", "links": "link", "invalid": "invalid"}


def collect(job: Job) -> None:
    """Set the metrics that are read off the job."""
    records, webhooks = job.committed.totals()
    for field, kind in KINDS.items():
        metrics.gauge("records_total", records[field], kind=kind)
    for webhook, counts in webhooks.items():
        metrics.gauge("webhook_matched_total", counts["matched"], webhook=webhook)
        metrics.gauge("webhook_delivered_total", counts["delivered"], webhook=webhook)
        metrics.gauge("webhook_dead_total", counts["dead"], webhook=webhook)
        metrics.gauge("webhook_suppressed_total", counts["suppressed"], webhook=webhook)
        metrics.gauge("webhook_pending", counts["pending"], webhook=webhook)
    metrics.gauge("bytes_read_total", sum(read for read, _ in list(job.committed.bytes_read.values())))
    metrics.gauge("state_disk_free_bytes", shutil.disk_usage(job.settings.state).free)
    paused = job.pressure.paused()
    for reason in REASONS:
        metrics.gauge("source_paused", float(reason == paused), reason=reason)
