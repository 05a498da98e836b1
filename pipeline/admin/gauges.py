"""Brings the metrics up to what the job has committed, just before they are read.

The accounting lives in the shards' stores (DESIGN 6, rule 8): it survives crashes and is counted once, so it
is not counted a second time here.
"""

from __future__ import annotations

import shutil
from collections import Counter

from pipeline.job.context import Job
from pipeline.outbox.counters import RECORDS, WEBHOOK
from pipeline.telemetry import metrics

KINDS = {"events": "event", "updates": "update", "links": "link", "invalid": "invalid"}


def totals(job: Job) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Return what the shards of this process have committed: records read, and the counters per webhook."""
    records = dict.fromkeys(RECORDS, 0)
    for counters in list(job.records.values()):
        for name in RECORDS:
            records[name] += counters.get(f"record/{name}", 0)
    summed: Counter[str] = Counter()
    for account in list(job.accounts.values()):
        summed.update(account)
    webhooks: dict[str, dict[str, int]] = {}
    for name, number in summed.items():
        webhook_id, _, counter = name.rpartition("/")
        if counter in WEBHOOK:
            webhooks.setdefault(webhook_id, dict.fromkeys(WEBHOOK, 0))[counter] = number
    return records, webhooks


def collect(job: Job) -> None:
    """Set the metrics that are read off the job."""
    records, webhooks = totals(job)
    for field, kind in KINDS.items():
        metrics.gauge("records_total", records[field], kind=kind)
    for webhook, counts in webhooks.items():
        metrics.gauge("webhook_matched_total", counts["matched"], webhook=webhook)
        metrics.gauge("webhook_delivered_total", counts["delivered"], webhook=webhook)
        metrics.gauge("webhook_dead_total", counts["dead"], webhook=webhook)
        metrics.gauge("webhook_suppressed_total", counts["suppressed"], webhook=webhook)
        metrics.gauge("webhook_pending", counts["pending"], webhook=webhook)
    metrics.gauge("bytes_read_total", sum(read for read, _ in list(job.source_bytes.values())))
    metrics.gauge("state_disk_free_bytes", shutil.disk_usage(job.state).free)
    metrics.gauge("source_paused", float(job.engine.busy()), reason="engine")
    metrics.gauge("source_paused", float(bool(job.full)), reason="webhook")
