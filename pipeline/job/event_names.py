"""The names of the events this process has seen, for people whose event never fires."""

from __future__ import annotations

from collections.abc import Iterable

MOST = 1_000
OTHERS = "(others)"
LONG_NAME = 200
"""Characters; longer names count as `OTHERS`: names are kept for as long as the process runs."""


class EventNames:
    """Names in order of first appearance. Written by the worker's thread, read by any."""

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def saw(self, names: Iterable[str]) -> None:
        """Add the names of some events; long ones, and new ones beyond `MOST`, are counted as `OTHERS`."""
        seen = self._seen
        for name in names:
            if name not in seen:
                seen[name if len(seen) < MOST and len(name) <= LONG_NAME else OTHERS] = None

    def all(self) -> list[str]:
        """Return them."""
        return list(self._seen)
