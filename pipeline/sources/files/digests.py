"""Recognising input again: the beginning of a file, and all of what went through a pipe."""

from __future__ import annotations

import hashlib

from pipeline.model.errors import StateError


def digest(data: bytes) -> str:
    """Return 16 hexadecimal digits that name these bytes."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


class StreamDigest:
    """The digest of everything handed out of a pipe, each byte hashed once."""

    def __init__(self) -> None:
        self.first = b""
        """The beginning, while its first line is not complete."""
        self.expected = ""
        self._hash = hashlib.blake2b(digest_size=8)
        self._at = 0
        self._data = b""

    def skip(self, data: bytes, is_last: bool, name: str) -> None:
        """Hash bytes that were handed out in an earlier run. Raises StateError when they were others."""
        self._hash.update(data)
        self._at += len(data)
        if is_last and self._hash.hexdigest() != self.expected:
            raise StateError(
                f"standard input begins like {name}, which was read before, but goes on differently. "
                "Start with an empty state directory"
            )

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
