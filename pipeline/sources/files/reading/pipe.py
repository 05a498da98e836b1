"""Standard input or another pipe: named after its first line, recognised by all that was read from it."""

from __future__ import annotations

import hashlib

from pipeline.model.errors import StateError
from pipeline.sources.files.finding.inputs import Input
from pipeline.sources.files.reading.beginning import digest
from pipeline.sources.files.reading.block_cursor import BlockCursor
from pipeline.sources.files.reading.entry import Entry

_FIRST_LINE_BYTES = 1 << 16


def another(name: str) -> StateError:
    """Return what to raise for a stream that has only its first line in common with one that was read."""
    return StateError(
        f"standard input begins with the line that a stream had which was read before ({name}), but is "
        "another one: save it to a file and give that, or let it begin with a line of its own"
    )


class PipeCursor(BlockCursor):
    """Reads a pipe to its end. It ends when its writer is gone, also where files are followed.

    The same stream given again goes on where it stopped.
    """

    is_pipe = True

    def __init__(self, source: Input, fd: int, entries: dict[str, Entry], *, max_line_bytes: int) -> None:
        super().__init__(source, fd, entries, max_line_bytes=max_line_bytes)
        self._blocks.is_stream = True  # standard input may be a file
        self._passed = _Passed()
        self._first = b""
        """The beginning, while its first line is not complete."""
        self._is_named = False

    @property
    def _has_open_line(self) -> bool:
        return bool(self._first) or super()._has_open_line

    def _take(self, block: bytes) -> bool:
        if not self._is_named:
            block = self._name(block)
            if not block:
                return False
        if self._to_skip:
            self._passed.skip(block[: self._to_skip], len(block) >= self._to_skip, self.name)
        self._passed.keep(block[self._to_skip :])
        return super()._take(block)

    def _ends_early(self) -> StateError:
        return another(self.name)

    def _name(self, block: bytes) -> bytes:
        """Name the pipe after its first line.

        Returns what is to be split: nothing before the first line is complete.
        """
        self._first += block
        cut = self._first.find(b"\n")
        if cut < 0 and len(self._first) < _FIRST_LINE_BYTES:
            return b""
        block, self._first = self._first, b""
        self._is_named = True
        self.name = f"stdin-{digest(block[:cut] if cut >= 0 else block[:_FIRST_LINE_BYTES])[:8]}"
        entry = self._entries.get(self.name)
        if entry is not None:
            self._content.resume(entry)
            self.time = entry.time
            self._to_skip = entry.offset
            self._passed.expected = entry.digest
            self._split_from(entry.offset)
        return block

    def entry(self) -> Entry | None:
        """Return what the recovery state has to remember; None before anything was read."""
        if not self._is_named:
            return None
        offset = self.buffer.starts[self.index]
        return self._entry(0, self._passed.digest_at(offset), offset, 0, 0)


class _Passed:
    """The digest of everything handed out of a pipe, each byte hashed once."""

    def __init__(self) -> None:
        self.expected = ""
        self._hash = hashlib.blake2b(digest_size=8)
        self._at = 0
        self._data = b""

    def skip(self, data: bytes, is_last: bool, name: str) -> None:
        """Hash bytes that were handed out in an earlier run. Raises StateError when they were others."""
        self._hash.update(data)
        self._at += len(data)
        if is_last and self._hash.hexdigest() != self.expected:
            raise another(name)

    def keep(self, data: bytes) -> None:
        """Keep what was read until ``digest_at`` is asked for a place in it."""
        self._data += data

    def digest_at(self, offset: int) -> str:
        """Return the digest of all bytes before ``offset``, which only grows."""
        passed = offset - self._at
        if passed > 0:
            self._hash.update(self._data[:passed])
            self._data = self._data[passed:]
            self._at = offset
        return self._hash.hexdigest()
