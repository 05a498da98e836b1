"""Pages of stored rows: how long one may take to read, and the cursor where the next one begins."""

from __future__ import annotations

import time
from typing import Final

from pipeline.model.errors import UsageError

PAGE_SECS: Final = 0.5
"""How long a page may read the stores."""
PAGE: Final = 50
_LOOKS: Final = 256
"""Rows between two looks at the clock."""


class Deadline:
    """Passes after ``secs`` seconds; None: never."""

    def __init__(self, secs: float | None) -> None:
        self._until = None if secs is None else time.monotonic() + secs

    def is_up(self, looked_at: int = 0) -> bool:
        """Return whether it has passed. looked_at: rows read so far; the clock is asked at every 256th."""
        return self._until is not None and not looked_at % _LOOKS and time.monotonic() > self._until


def place_of_cursor(cursor: str, size: int) -> bytes:
    """Return the row key, of ``size`` bytes, that a cursor names. Raises UsageError for anything else."""
    try:
        place = bytes.fromhex(cursor)
    except ValueError:
        place = b""
    if len(place) != size:
        raise UsageError(f"`{cursor[:100]}` is no cursor: take it from the page before, or leave it out")
    return place
