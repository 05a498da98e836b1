"""The accounting of this process as of its last commits, for the metrics and the progress line."""

from __future__ import annotations

from collections import Counter

from pipeline.outbox.counters import ORDER, RECORDS, WEBHOOK


class Committed:
    """Copies of the accounting, made at each commit; it lives in the stores (DESIGN 6, rule 8)."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, int]] = {}
        """By source partition."""
        self.webhooks: dict[int, dict[str, int]] = {}
        """By shard."""

    def totals(self) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """Return the records read by kind, and the counters per webhook."""
        records = dict.fromkeys(RECORDS, 0)
        for counters in list(self.records.values()):
            for name in RECORDS:
                records[name] += counters.get(f"record/{name}", 0)
            for name in ORDER:
                if f"record/{name}" in counters:
                    records[name] = records.get(name, 0) + counters[f"record/{name}"]
        summed: Counter[str] = Counter()
        for counters in list(self.webhooks.values()):
            summed.update(counters)
        webhooks: dict[str, dict[str, int]] = {}
        for name, number in summed.items():
            webhook_id, _, counter = name.rpartition("/")
            if counter in WEBHOOK:
                webhooks.setdefault(webhook_id, dict.fromkeys(WEBHOOK, 0))[counter] = number
        return records, webhooks
