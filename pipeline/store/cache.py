"""A bounded cache of what was recently read from a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MARKS = 8
"""Bytes of marks per key that a generation holds: where two keys share one, one is cached in vain."""
_LATELY = 4
"""Once the marks of every fourth byte are set, all are cleared."""
_PART = 64
"""Marks take at most this fraction of a generation's memory."""


class Generations(Generic[K, V]):
    """A cache of two generations: what is used stays, and a hit reorders nothing.

    When the young ones number ``capacity``, or weigh ``most`` together, they become the old, and the old are
    dropped; an old one that is used becomes young again. So it holds twice ``most``, or the two heaviest
    values where these are larger.

    Once there is an old generation, a value that is read is cached only if it was also read recently: of ten
    million users most are seen once in a while, and caching and dropping them costs nearly as much as reading
    them. weigh: memory of a key and its value, in bytes; taken when they are put.
    """

    __slots__ = ("_capacity", "_marked", "_marks", "_most", "_old", "_weigh", "weight", "young")

    def __init__(self, capacity: int, most: int, weigh: Callable[[K, V], int]) -> None:
        self.young: dict[K, V] = {}
        """Look here first, without a call: it has nearly everything. A `put` may replace the dict."""
        self.weight = 0
        """Of the young; callers that grow a value in place add to it."""
        self._old: dict[K, V] = {}
        self._capacity = capacity
        self._most = most
        self._weigh = weigh
        self._marks = bytearray()
        """By hash: 1 for keys that were read recently."""
        self._marked = 0

    def again(self, key: K, read: Callable[[K], V]) -> V:
        """Return what is not among the young: an old value, which becomes young, or the result of
        ``read``.
        """
        if key in self._old:
            found = self._old.pop(key)
            self.put(key, found)
        else:
            found = read(key)
            if not self._old or self._read_before(key):
                self.put(key, found)
        return found

    def _read_before(self, key: K) -> bool:
        """Return whether a key was read recently, and mark it as such."""
        if self._marked * _LATELY >= len(self._marks):
            size = min(_MARKS * self._capacity, self._most // _PART)
            self._marks, self._marked = bytearray(size + 1), 0
        at = hash(key) % len(self._marks)
        if self._marks[at]:
            return True
        self._marks[at] = 1
        self._marked += 1
        return False

    def put(self, key: K, value: V) -> None:
        """Cache a value as young."""
        weight = self._weigh(key, value)
        if len(self.young) >= self._capacity or (self.weight + weight > self._most and self.young):
            self._old, self.young, self.weight = self.young, {}, 0
        self.young[key] = value
        self.weight += weight
