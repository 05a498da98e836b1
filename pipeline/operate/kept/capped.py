"""Pages of what is kept: how long the stores may be read for one, and where the next one begins."""

from __future__ import annotations

import time
from typing import Final

from pipeline.model.errors import UsageError

CAP_SECS: Final = 0.5
"""How long a page may read the stores."""
PAGE: Final = 50
_LOOKS: Final = 256
"""The clock is asked once for so many rows."""


class Cap:
    """A time that ends after so many seconds; None: never."""

    def __init__(self, secs: float | None) -> None:
        self._until = None if secs is None else time.monotonic() + secs

    def is_up(self, looked_at: int = 0) -> bool:
        """Return whether it has ended, for who has looked at so many rows."""
        return self._until is not None and not looked_at % _LOOKS and time.monotonic() > self._until


def place_of_cursor(cursor: str, size: int) -> bytes:
    """Return the place, of so many bytes, that a cursor names. Raises UsageError for what is none."""
    try:
        place = bytes.fromhex(cursor)
    except ValueError:
        place = b""
    if len(place) != size:
        raise UsageError(f"`{cursor[:100]}` is no cursor: take it from the page before, or leave it out")
    return place
