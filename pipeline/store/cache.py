"""What was read from a store lately, within a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Generations(Generic[K, V]):
    """A cache of two generations: what is used stays, and nothing is reordered when it is.

    When the young are as many as ``capacity`` they become the old, and the old are forgotten; an old one
    that is asked for again is young again.
    """

    __slots__ = ("_capacity", "_old", "young")

    def __init__(self, capacity: int) -> None:
        self.young: dict[K, V] = {}
        """To be asked first, without a call: it has nearly everything. A `put` may make it another dict."""
        self._old: dict[K, V] = {}
        self._capacity = capacity

    def again(self, key: K, read: Callable[[K], V]) -> V:
        """Return what is not among the young: an old one, or what ``read`` finds; it is young now."""
        found = self._old.pop(key) if key in self._old else read(key)
        self.put(key, found)
        return found

    def put(self, key: K, value: V) -> None:
        """Keep a value; it is young."""
        if len(self.young) >= self._capacity:
            self._old, self.young = self.young, {}
        self.young[key] = value
