"""Copies dead letters when it is told to."""

from __future__ import annotations

from collections import deque

from pipeline.outbox.codec import DeadLetter


class HandCopier:
    """Keeps what it is given, with whom to tell; ``is_done`` at once, or when `copy_all` is called."""

    def __init__(self, *, is_done: bool = False, room: int = 1_000) -> None:
        self.fails = False
        self.room = room
        self.taken: list[DeadLetter] = []
        """All that it was ever given."""
        self._is_done = is_done
        self._way: list[tuple[bytes, deque[bytes]]] = []

    @property
    def has_room(self) -> bool:
        return len(self._way) < self.room

    def take(self, letter: DeadLetter, size: int, done: deque[bytes]) -> None:
        self.taken.append(letter)
        self._way.append((letter.key, done))
        if self._is_done:
            self.copy_all()

    def copy_all(self) -> None:
        for key, done in self._way:
            done.append(key)
        self._way.clear()

    def wait(self, secs: float) -> bool:
        if not self.fails:
            self.copy_all()
        return not self._way

    @property
    def keys(self) -> list[bytes]:
        return [letter.key for letter in self.taken]
