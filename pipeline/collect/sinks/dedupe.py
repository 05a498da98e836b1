"""Remembers what was kept recently, so that a repeated record is kept once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, KeysView

_SLICES = 64
MOST = 1_000_000
"""Some 150 MB, with digests of 16 bytes."""


class Ring:
    """The digests of the last ``secs`` seconds, and of up to a 64th more.

    It holds ``most`` of them: where more come, the oldest are forgotten sooner, and a repeat of those is kept
    again (``forgotten`` counts them).
    """

    def __init__(self, secs: float, most: int = MOST) -> None:
        self._secs = secs
        self._slice_secs = secs / _SLICES
        self._slices: deque[tuple[float, list[bytes]]] = deque()
        self._known: dict[bytes, None] = {}
        self.known: KeysView[bytes] = self._known.keys()
        """What counts as a repeat."""
        self.most = most
        self._slice_entries = max(1, most // _SLICES)
        self.forgotten = 0
        """Digests that had to go before their time."""

    def __len__(self) -> int:
        return len(self._known)

    def add(self, digests: Iterable[bytes], now: float) -> None:
        """Take what was kept at ``now``, in seconds of a clock that never goes back."""
        if self._secs <= 0:
            return
        known, slices = self._known, self._slices
        fresh = list(digests)
        if not self.known.isdisjoint(fresh):
            fresh = [digest for digest in fresh if digest not in known]
        if not slices or now >= slices[-1][0] + self._slice_secs or len(slices[-1][1]) >= self._slice_entries:
            slices.append((now, []))
        known.update(dict.fromkeys(fresh))
        slices[-1][1].extend(fresh)
        while len(known) > self.most and len(slices) > 1:
            self.forgotten += self._drop()

    def expire(self, now: float) -> None:
        """Forget what is older than the ring's time; cheap where nothing is."""
        slices = self._slices
        while slices and now >= slices[0][0] + self._secs + self._slice_secs:
            self._drop()

    def _drop(self) -> int:
        digests = self._slices.popleft()[1]
        for digest in digests:
            del self._known[digest]
        return len(digests)
