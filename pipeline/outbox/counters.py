"""Counters as rows of a store: an epoch that is undone is uncounted (DESIGN 6, rule 8)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipeline.outbox.codec import pack_number, unpack_number
from pipeline.store.rows import Table
from pipeline.store.store import Store

RECORDS = ("read", "events", "updates", "links", "invalid")
"""What a source has read; counted by the identity step, which sees every chunk of its partition."""

ORDER = ("late_updates", "late_events", "ahead", "unordered", "twice")
"""How many of these records came too late for the join's order, were stamped ahead of the clock, or stood in
files that are not in order of time; and lines of recordings that are not among them, since they had been read
before."""

REFUSED = "aliases_refused"
"""Alias calls that merged no users, because `join.max_merged` is reached."""

IGNORED, TIMELESS = "ignored", "timeless"
"""Records that their shape says to ignore, and wanted events without a time."""

OTHERS = (*ORDER, REFUSED, IGNORED, TIMELESS)

WEBHOOK = ("matched", "delivered", "dead", "pending", "suppressed")
"""What a shard keeps per webhook: matched = delivered + dead + pending + suppressed."""

SIZES = ("on_disk", "dead_bytes", "dropped")
"""Also kept, under an empty name for unreadable records: bytes of what is pending on disk, bytes of dead
letters, and how many of these the quota dropped."""

_FIELDS = (*WEBHOOK, *SIZES)


@dataclass(slots=True)
class WebhookCounts:
    """The outcomes of one webhook's matches in one shard."""

    matched: int = 0
    delivered: int = 0
    dead: int = 0
    pending: int = 0
    suppressed: int = 0
    on_disk: int = 0
    dead_bytes: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Ended:
    """How many attempts of each webhook have ended since the last `clear`."""

    delivered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Start again."""
        self.delivered.clear()
        self.failed.clear()


_NONE = WebhookCounts()


class Counters:
    """The numbers of one store. A row's name is ``record/<field>`` or ``<webhook id>/<field>``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._written = read_counters(store)
        self._records: dict[str, int] = {}
        self._webhooks: dict[str, WebhookCounts] = {}
        self._touched: set[str] = set()
        for name, number in self._written.items():
            owner, _, field = name.rpartition("/")
            # By the field: a webhook may be named `record`.
            if field in _FIELDS:
                setattr(self._webhooks.setdefault(owner, WebhookCounts()), field, number)
            else:
                self._records[name] = number

    def add(self, name: str, number: int = 1) -> None:
        """Add to a counter of records, ``record/<field>``; it is written with the epoch."""
        self._records[name] = self._records.get(name, 0) + number

    def change(self, webhook_id: str) -> WebhookCounts:
        """Return a webhook's counts for changing; they are written with the epoch."""
        self._touched.add(webhook_id)
        counts = self._webhooks.get(webhook_id)
        if counts is None:
            counts = self._webhooks[webhook_id] = WebhookCounts()
        return counts

    def of(self, webhook_id: str) -> WebhookCounts:
        """Return a webhook's counts for reading."""
        return self._webhooks.get(webhook_id, _NONE)

    def webhooks(self) -> Iterable[tuple[str, WebhookCounts]]:
        """Return all webhooks' counts for reading."""
        return self._webhooks.items()

    @property
    def touched(self) -> frozenset[str]:
        """The webhooks whose counts have changed since the last flush."""
        return frozenset(self._touched)

    @property
    def dirty(self) -> bool:
        """True where counts have changed since the last flush."""
        return bool(self._touched) or any(
            self._written.get(name) != number for name, number in self._records.items()
        )

    def flush(self) -> None:
        """Write what changed to the store's open epoch."""
        for name, number in self._records.items():
            self._write(name, number)
        for webhook_id in self._touched:
            counts = self._webhooks[webhook_id]
            for name in _FIELDS:
                self._write(f"{webhook_id}/{name}", getattr(counts, name))
        self._touched.clear()

    def _write(self, name: str, number: int) -> None:
        if self._written.get(name, 0) != number:
            self._store.put(Table.COUNTERS, name.encode(), pack_number(number))
            self._written[name] = number

    def written(self) -> dict[str, int]:
        """Return all values as they were at the last flush, by the names of their rows."""
        return self._written.copy()


def read_counters(store: Store) -> dict[str, int]:
    """Return the committed counters of a store."""
    rows = store.committed(Table.COUNTERS, b"", b"")
    return {key.decode(): unpack_number(value) for key, value in rows}


def by_webhook(counts: Mapping[str, int], configured: Iterable[str]) -> dict[str, dict[str, int]]:
    """Return the counters of each webhook, sorted by id; zeros where nothing was counted.

    ``dropped``, the number of dead letters that were dropped, only where there are any.
    """
    found = {webhook_id: dict.fromkeys(WEBHOOK, 0) for webhook_id in configured}
    for name, number in counts.items():
        webhook_id, _, counter = name.rpartition("/")
        if counter in WEBHOOK or (counter == "dropped" and webhook_id and number):
            found.setdefault(webhook_id, dict.fromkeys(WEBHOOK, 0))[counter] = number
    return dict(sorted(found.items()))


def records_in(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the records that were read, by kind; what else is counted of them only where there is any."""
    found = {name: counts.get(f"record/{name}", 0) for name in RECORDS}
    found |= {name: number for name in OTHERS if (number := counts.get(f"record/{name}"))}
    return found | ({"dropped": dropped} if (dropped := counts.get("/dropped")) else {})
