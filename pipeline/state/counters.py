"""Counters as rows of a store: an epoch that is undone is uncounted (DESIGN 6, rule 8)."""

from __future__ import annotations

from pipeline.state.codec import pack_number, unpack_number
from pipeline.state.store import Store, Table

RECORDS = ("read", "events", "updates", "links", "invalid")
"""What a source has seen; kept by the identity step, which sees every chunk of its partition."""

WEBHOOK = ("matched", "delivered", "dead", "pending", "suppressed")
"""What a shard keeps per webhook: matched = delivered + dead + pending + suppressed."""


class Counters:
    """Named numbers of one store. A name is ``record/<field>`` or ``<webhook id>/<field>``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._values = read_counters(store)
        self._changed: set[str] = set()

    def add(self, name: str, number: int = 1) -> None:
        """Add to a counter; it is written with the epoch."""
        self._values[name] = self._values.get(name, 0) + number
        self._changed.add(name)

    def get(self, name: str) -> int:
        """Return a counter's value, this epoch included; 0 where it was never touched."""
        return self._values.get(name, 0)

    @property
    def dirty(self) -> bool:
        """True where something was counted since the last flush."""
        return bool(self._changed)

    def flush(self) -> None:
        """Write what changed to the store's open epoch."""
        for name in self._changed:
            self._store.put(Table.COUNTERS, name.encode(), pack_number(self._values[name]))
        self._changed.clear()

    def copy(self) -> dict[str, int]:
        """Return all values."""
        return dict(self._values)


def read_counters(store: Store) -> dict[str, int]:
    """Return the committed counters of a store."""
    rows = store.committed(Table.COUNTERS, b"", b"")
    return {key.decode(): unpack_number(value) for key, value in rows}
