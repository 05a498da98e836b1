"""The accounting of this process as of its last commits, for metrics and the progress line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipeline.outbox.counters import OTHERS, RECORDS, by_webhook


class Committed:
    """Copies of the accounting, made at each commit; it lives in the stores (DESIGN 6, rule 8)."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, int]] = {}
        """By source partition."""
        self.webhooks: dict[int, dict[str, int]] = {}
        """By shard."""

    def totals(self, configured: Iterable[str] = ()) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """Return the records read by kind, and the counters per webhook, configured ones in any case."""
        records = dict.fromkeys(RECORDS, 0)
        for counters in list(self.records.values()):
            for name in RECORDS:
                records[name] += counters.get(f"record/{name}", 0)
            for name in OTHERS:
                if f"record/{name}" in counters:
                    records[name] = records.get(name, 0) + counters[f"record/{name}"]
        summed: Counter[str] = Counter()
        for counters in list(self.webhooks.values()):
            summed.update(counters)
        if summed["/dropped"]:
            records["dropped"] = summed["/dropped"]
        return records, by_webhook(summed, configured)
