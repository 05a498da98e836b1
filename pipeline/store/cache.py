"""What was read from a store lately, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Generations(Generic[K, V]):
    """A cache of two generations: what is used stays, and nothing is reordered when it is.

    When the young are as many as ``capacity``, or weigh ``most`` together, they become the old, and the old
    are forgotten; an old one that is asked for again is young again. So it holds twice ``most``, or the two
    heaviest values where these are more.

    weigh: how many bytes of memory a key and its value take; what they weighed when they were put counts.
    """

    __slots__ = ("_capacity", "_most", "_old", "_weigh", "weight", "young")

    def __init__(self, capacity: int, most: int, weigh: Callable[[K, V], int]) -> None:
        self.young: dict[K, V] = {}
        """To be asked first, without a call: it has nearly everything. A `put` may make it another dict."""
        self.weight = 0
        """Of the young; grows with those who make a value in it heavier."""
        self._old: dict[K, V] = {}
        self._capacity = capacity
        self._most = most
        self._weigh = weigh

    def again(self, key: K, read: Callable[[K], V]) -> V:
        """Return what is not among the young: an old one, or what ``read`` finds; it is young now."""
        found = self._old.pop(key) if key in self._old else read(key)
        self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep a value; it is young."""
        weight = self._weigh(key, value)
        if len(self.young) >= self._capacity or (self.weight + weight > self._most and self.young):
            self._old, self.young, self.weight = self.young, {}, 0
        self.young[key] = value
        self.weight += weight
