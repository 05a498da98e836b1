"""Cache of request heads: a client repeats the same head, so it is parsed once.

Only heads that the strict parser has read at the beginning of a message are cached, so the same bytes there
mean the same. Only for complete requests with a length, after which others may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_MOST: Final = 1_024
_MOST_BYTES: Final = 2_048
"""Longer heads are parsed each time."""


class Head(msgspec.Struct, frozen=True):
    """The contents of a head."""

    method: str
    target: bytes
    path: str
    query: Mapping[str, str]
    headers: dict[str, str]
    """Read-only: the next request shares it."""
    length: int
    """Bytes of the body."""


class Heads:
    """All cached heads, by their bytes up to the body. When there are too many, the cache is cleared."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self.of = self._known.get
        """Returns a cached head; None where there is none."""

    def learn(self, text: bytes, head: Head) -> None:
        """Cache what the parser has found."""
        if len(text) > _MOST_BYTES:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[text] = head
