"""Yields the lines of one or many inputs in order.

A single one is read as it is, without looking at its times. Several are merged by the running maximum of
their record times; ties: update before event, then file name, then offset.

While files are followed, a line is yielded as soon as every other file is known to have nothing before it:
lines appended to one file before others were appended to another are yielded in that order.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heapify, heappop, heapreplace

from pipeline.sources.chunk import CHUNK_BYTES, NOWHERE, RawChunk
from pipeline.sources.files.merging.chunk_builder import ChunkBuilder, add_messages, without
from pipeline.sources.files.merging.line_cursor import LineCursor
from pipeline.sources.files.merging.origins import Origins


class Merge:
    """Reads cursors, which may increase in number. name: of the chunks' partition.

    A duplicate recorded message, by its origin, is left out and noted in the chunk.
    """

    def __init__(
        self, name: str, cursors: Sequence[LineCursor], origins: Origins, *, is_followed: bool
    ) -> None:
        self._name = name
        self._cursors = cursors
        self._origins = origins
        self._is_followed = is_followed
        self.problems: list[str] = []
        """What is damaged, and where."""
        self.has_renamed = False
        """True once a cursor has switched to a file of another name; the caller resets it."""
        self.is_glancing = False
        """Whether files whose status says that they are at rest are not asked for lines."""

    def read(self, limit: int) -> RawChunk | None:
        """Return at most ``limit`` lines, without a position, or None where there is nothing now."""
        # With a single file left there is nothing to merge, and no line need be examined.
        cursors = [cursor for cursor in self._cursors if not (cursor.is_late and cursor.is_still())]
        left = [cursor for cursor in cursors if not (cursor.ended and cursor.is_empty)]
        is_alone = len(left) == 1 and (not self._is_followed or len(cursors) == 1)
        return self._read_one(left[0], limit) if is_alone else self._read_merged(limit)

    def _read_one(self, cursor: LineCursor, limit: int) -> RawChunk | None:
        if cursor.is_empty and not self._fill(cursor):
            cursor.remember()
            return None
        start = cursor.index
        end = min(start + limit, len(cursor.buffer.lines))
        found = cursor.buffer
        chunk = RawChunk(self._name, cursor.name, found.starts[start:end], found.lines[start:end], NOWHERE)
        chunk.parts = cursor.source.part
        if found.messages is not None:
            add_messages(chunk, found.messages[start:end])
        if found.faults:
            faults = {at - start: reason for at, reason in found.faults.items() if start <= at < end}
            chunk.faults = faults or None
        if found.messages is not None:
            twice = [at for at in range(start, end) if not self._is_new(cursor, at)]
            if twice:
                chunk = without(chunk, [at - start for at in twice])
        cursor.advance(end - start)
        cursor.remember()
        return chunk

    def _read_merged(self, limit: int) -> RawChunk | None:
        if not self._fill_all():
            return None
        heap = [(cursor.order(), at) for at, cursor in enumerate(self._cursors) if not cursor.is_empty]
        heapify(heap)
        builder = ChunkBuilder(self._name)
        touched: set[int] = set()
        taken = 0
        while heap and taken < limit and builder.bytes <= CHUNK_BYTES:
            _, at = heap[0]
            cursor = self._cursors[at]
            if self._is_new(cursor, cursor.index):
                builder.add(cursor)
                # Followed files are in the order of arrival, whatever the times.
                builder.unordered += cursor.is_astray and not self._is_followed
            else:
                builder.twice += 1
            taken += 1
            cursor.advance(1)
            touched.add(at)
            if not cursor.is_empty:
                heapreplace(heap, (cursor.order(), at))
                continue
            if self._is_followed:
                cursor.remember()  # the next lines may be of the next file
            got = self._fill(cursor)
            if got and not self._is_followed:
                heapreplace(heap, (cursor.order(), at))
                continue
            heappop(heap)
            # A followed file has more: others may have got lines before it did. If it has none, all that was
            # read of others was there before what it gets next. A pipe: wait for it.
            if got if self._is_followed else not cursor.ended:
                break
        for at in touched:
            self._cursors[at].remember()
        return builder.chunk()

    def _is_new(self, cursor: LineCursor, at: int) -> bool:
        """Return whether to yield a line: unless it is a duplicate recorded message."""
        found = cursor.buffer
        if found.messages is None or at in found.faults:
            return True
        message = found.messages[at]
        return self._origins.is_new(message.source, message.offset)

    def _fill_all(self) -> bool:
        """Get lines of every file; False where one must be waited for, or none has any."""
        empty = [cursor for cursor in self._cursors if cursor.is_empty]
        got = True
        while got:
            # A full round without finding anything: what was found has nothing before it elsewhere.
            asked = [cursor for cursor in empty if not cursor.is_at_rest()] if self.is_glancing else empty
            got = sum(self._fill(cursor) for cursor in asked) > 0
            empty = [cursor for cursor in empty if cursor.is_empty]
            if not self._is_followed:
                break
        for cursor in empty:
            if cursor.ended:
                cursor.remember()
            elif not self._is_followed:
                return False
        return len(empty) < len(self._cursors)

    def _fill(self, cursor: LineCursor) -> bool:
        name = cursor.name
        got = cursor.fill()
        if cursor.name != name:
            self.has_renamed = True
        if cursor.damage is not None and cursor.damage not in self.problems:
            self.problems.append(cursor.damage)
        return got
