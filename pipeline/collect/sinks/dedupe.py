"""What was kept lately, so that what is sent twice is kept once."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, KeysView

_SLICES = 64
_ENTRY_BYTES = 160
"""Of a digest of 16 bytes: itself, its place in the table and in its slice (measured, CPython 3.11)."""


class Ring:
    """The digests of the last ``secs`` seconds, and of up to a 64th more.

    It holds about ``max_bytes`` at most: where more comes than fits, the oldest are forgotten sooner, and
    a repeat of those is kept again (``forgotten`` counts them).
    """

    def __init__(self, secs: float, max_bytes: int = 256 << 20) -> None:
        self._secs = secs
        self._slice_secs = secs / _SLICES
        self._slices: deque[tuple[float, list[bytes]]] = deque()
        self._known: dict[bytes, None] = {}
        self.max_entries = max_bytes // _ENTRY_BYTES
        self._slice_entries = max(1, self.max_entries // _SLICES)
        self.forgotten = 0
        """Digests that had to go before their time."""

    def __len__(self) -> int:
        return len(self._known)

    @property
    def known(self) -> KeysView[bytes]:
        """What counts as a repeat."""
        return self._known.keys()

    def add(self, digests: Iterable[bytes], now: float) -> None:
        """Take what was kept at ``now``, in seconds of a clock that never goes back."""
        if self._secs <= 0:
            return
        known, slices = self._known, self._slices
        fresh = [digest for digest in digests if digest not in known]
        if not slices or now >= slices[-1][0] + self._slice_secs or len(slices[-1][1]) >= self._slice_entries:
            slices.append((now, []))
        known.update(dict.fromkeys(fresh))
        slices[-1][1].extend(fresh)
        while len(known) > self.max_entries and len(slices) > 1:
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
