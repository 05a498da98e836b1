"""A bounded cache of what was recently read from a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_MARKS = 8
"""Bytes of marks for each key that a generation holds: where two keys share one, one is kept in vain."""
_LATELY = 4
"""When the marks of every fourth byte are set, all are forgotten."""
_PART = 64
"""Marks take at most this part of what a generation may."""


class Generations(Generic[K, V]):
    """A cache of two generations: what is used stays, and nothing is reordered when it is.

    When the young are as many as ``capacity``, or weigh ``most`` together, they become the old, and the old
    are forgotten; an old one that is asked for again is young again. So it holds twice ``most``, or the two
    heaviest values where these are more.

    Once something is old, what is read is kept only if it was read not long ago, too: of ten million users
    most are seen once in a while, and to keep and forget them costs nearly as much as to read them.

    weigh: how many bytes of memory a key and its value take; what they weighed when they were put counts.
    """

    __slots__ = ("_capacity", "_marked", "_marks", "_most", "_old", "_weigh", "weight", "young")

    def __init__(self, capacity: int, most: int, weigh: Callable[[K, V], int]) -> None:
        self.young: dict[K, V] = {}
        """To be asked first, without a call: it has nearly everything. A `put` may make it another dict."""
        self.weight = 0
        """Of the young; grows with those who make a value in it heavier."""
        self._old: dict[K, V] = {}
        self._capacity = capacity
        self._most = most
        self._weigh = weigh
        self._marks = bytearray()
        """By hash: a 1 for what was read lately."""
        self._marked = 0

    def again(self, key: K, read: Callable[[K], V]) -> V:
        """Return what is not among the young: an old one, which is young now, or what ``read`` finds."""
        if key in self._old:
            found = self._old.pop(key)
            self.put(key, found)
        else:
            found = read(key)
            if not self._old or self._read_before(key):
                self.put(key, found)
        return found

    def _read_before(self, key: K) -> bool:
        """Return whether a key was read lately, and note that it is now."""
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
        """Keep a value; it is young."""
        weight = self._weigh(key, value)
        if len(self.young) >= self._capacity or (self.weight + weight > self._most and self.young):
            self._old, self.young, self.weight = self.young, {}, 0
        self.young[key] = value
        self.weight += weight
