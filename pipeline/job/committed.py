"""The accounting of this process as of its last commits, for metrics and the progress line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipeline.outbox.counters import by_webhook, records_in


class Committed:
    """Copies of the accounting, made at each commit; it lives in the stores (DESIGN 6, rule 8)."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, int]] = {}
        """By source partition."""
        self.webhooks: dict[int, dict[str, int]] = {}
        """By shard."""

    def totals(self, configured: Iterable[str] = ()) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
        """Return the records read by kind, and the counters per webhook, configured ones in any case."""
        summed: Counter[str] = Counter()
        for counters in [*self.records.values(), *self.webhooks.values()]:
            summed.update(counters)
        return records_in(summed), by_webhook(summed, configured)
