"""Rows in memory, for trial runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from pipeline.store.rows import Table


class MemoryRows:
    """Implements `Rows` for as long as the object lives."""

    def __init__(self) -> None:
        self._tables: defaultdict[Table, dict[bytes, bytes]] = defaultdict(dict)

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return the row, or None."""
        return self._tables[table].get(key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Write the row."""
        self._tables[table][key] = value

    def delete(self, table: Table, key: bytes) -> None:
        """Remove the row; a missing row is no error."""
        self._tables[table].pop(key, None)

    def items(self, table: Table, prefix: bytes = b"", start: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Yield the rows whose key begins with the prefix, from key ``start`` on, in key order."""
        for key, value in sorted(self._tables[table].items()):
            if key >= start and key.startswith(prefix):
                yield key, value
