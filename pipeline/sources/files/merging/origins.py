"""Which lines of a recording were already yielded: some are in it twice.

`hookline record` writes each message at least once, and overlapping recordings are read together. A message
is identified by source and offset. What was seen is part of the position, so that the same lines are left out
when a stretch is read again.
"""

from __future__ import annotations

from bisect import bisect_right

from pipeline.sources.chunk import Place

SEEN = "\0origins"
"""The first field of a place that is not a file's."""
SPANS = 4096
"""Contiguous ranges remembered per source; beyond that the lowest are forgotten. No line is left out unless
it is known to be a duplicate: at worst one is yielded twice."""
SOURCES = 10_000


class Origins:
    """The offsets that were seen, as contiguous ranges, by source."""

    def __init__(self) -> None:
        self._by_source: dict[str, tuple[list[int], list[int]]] = {}
        """The first and the last offset of each range."""

    def is_new(self, source: str, offset: int) -> bool:
        """Return whether the offset occurs for the first time, and remember it."""
        spans = self._by_source.get(source)
        if spans is None:
            if len(self._by_source) >= SOURCES:
                del self._by_source[next(iter(self._by_source))]
            self._by_source[source] = ([offset], [offset])
            return True
        firsts, lasts = spans
        if offset == lasts[-1] + 1:  # nearly always
            lasts[-1] = offset
            return True
        at = bisect_right(firsts, offset) - 1
        if at >= 0 and offset <= lasts[at]:
            return False
        if at >= 0 and lasts[at] + 1 == offset:
            lasts[at] = offset
        else:
            at += 1
            firsts.insert(at, offset)
            lasts.insert(at, offset)
        if at + 1 < len(firsts) and firsts[at + 1] == offset + 1:
            lasts[at] = lasts.pop(at + 1)
            del firsts[at + 1]
        elif len(firsts) > SPANS:
            del firsts[0], lasts[0]
        return True

    def places(self) -> tuple[Place, ...]:
        """Return what was seen, for a position."""
        return tuple((SEEN, source, (*firsts, *lasts)) for source, (firsts, lasts) in self._by_source.items())

    def resume(self, place: Place) -> None:
        """Restore from a place in a position."""
        _, source, spans = place
        assert isinstance(source, str)  # written by us
        assert isinstance(spans, tuple)
        offsets = [offset for offset in spans if offset is not None]
        half = len(offsets) // 2
        self._by_source[source] = (offsets[:half], offsets[half:])
