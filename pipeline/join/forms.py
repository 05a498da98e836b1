"""The sets of columns that tables had over time, as rows of users arrived with them.

Users store a form's number, not its columns; so when the next row of a user is written, the columns that the
table has lost since are known. The forms of a shard are one row; a table has one per change of its columns.
"""

from __future__ import annotations

import orjson

from pipeline.store.rows import Rows, Table

ROW = b"columns"
"""The row's key among the users', which begin differently."""
MOST_BYTES = 1 << 20
"""Limit on the column names of all forms of a shard. Tables have a few forms; messages whose fields differ
every time would add one each, and all forms are rewritten when one is added."""


class Forms:
    """The forms of one shard, numbered in order of arrival."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._known: list[tuple[str, ...]] | None = None
        self._numbers: dict[tuple[str, ...], int] = {}
        self._is_new = False
        self._size = 0
        """The size of all known forms, for the limit; the same after a restart."""

    def number(self, columns: tuple[str, ...]) -> int | None:
        """Return the number of a form, a table and its columns; new forms get a new one.

        None where that would exceed the limit: with so many forms no column is ever really lost.
        """
        found = self._numbers.get(columns)
        if found is None:
            known = self._load()
            found = self._numbers.get(columns)
            size = self._size + _size(columns)
            if found is None and size <= MOST_BYTES:
                found = self._numbers[columns] = len(known)
                known.append(columns)
                self._size, self._is_new = size, True
        return found

    def less(self, before: int, number: int) -> tuple[str, ...]:
        """Return the columns of one form that another form of the table lacks."""
        known = self._load()
        now = {*known[number][1:]}
        return tuple(name for name in known[before][1:] if name not in now)

    def flush(self) -> None:
        """Write new forms to the open epoch."""
        if self._is_new:
            self._rows.put(Table.USERS, ROW, orjson.dumps(self._known))
            self._is_new = False

    def _load(self) -> list[tuple[str, ...]]:
        if self._known is None:
            value = self._rows.get(Table.USERS, ROW)
            self._known = [] if value is None else [tuple(form) for form in orjson.loads(value)]
            self._numbers = {form: number for number, form in enumerate(self._known)}
            self._size = sum(map(_size, self._known))
        return self._known


def _size(columns: tuple[str, ...]) -> int:
    return sum(map(len, columns)) + 8 * len(columns)
