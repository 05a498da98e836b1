"""Cache of request heads: a client repeats the same head, so it is parsed once.

What is known here was read by the strict parser at the beginning of a message; the same bytes there say the
same again. Only of requests that came whole, with a length, and after which others may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

_MOST: Final = 1_024
_MOST_BYTES: Final = 2_048
"""Of one head: a longer one is read again each time."""


class Head(msgspec.Struct, frozen=True):
    """What a head says."""

    method: str
    target: bytes
    path: str
    query: Mapping[str, str]
    headers: dict[str, str]
    """To be read only: the next request has it, too."""
    length: int
    """Bytes of the body."""


class Heads:
    """All that are known, by their bytes up to the body. When there are too many, they are learned anew."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}
        self.of = self._known.get
        """Returns what a head says; None where it is not known."""

    def learn(self, text: bytes, head: Head) -> None:
        """Take what the parser has found."""
        if len(text) > _MOST_BYTES:
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[text] = head
