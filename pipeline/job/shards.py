"""What this process has open: its shards, the commands for them, and its stores."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from pipeline.store.store import Store, commit_thread


class LiveShard(Protocol):
    """An open shard; only its worker thread changes it."""

    number: int


S = TypeVar("S", bound=LiveShard)


class Shards(Generic[S]):
    """The open shards, and the commands for each; every method may be called by any thread."""

    def __init__(self) -> None:
        self._live: dict[int, S] = {}
        self._asked: dict[int, deque[Callable[[S], None]]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def opened(self, shard: S) -> None:
        """Register a shard."""
        self._live[shard.number] = shard

    def all(self) -> list[S]:
        """Return them."""
        return list(self._live.values())

    def ask(self, command: Callable[[S], None]) -> int:
        """Have every shard run this soon, each on its own thread; return how many there are."""
        shards = list(self._live)
        for number in shards:
            self._asked.setdefault(number, deque()).append(command)
        return len(shards)

    def are_asked(self) -> bool:
        """Return whether commands wait."""
        return any(self._asked.values())

    def commands(self, shard: S) -> Iterator[Callable[[S], None]]:
        """Yield the commands that wait for a shard."""
        waiting = self._asked.get(shard.number)
        while waiting:
            yield waiting.popleft()


class Stores:
    """The open stores of this process. threads: makes the one in which a store commits."""

    def __init__(self, *, threads: Callable[[], Executor] = commit_thread) -> None:
        self._open: list[Store] = []
        self._threads = threads
        self._turn = threading.Lock()

    def open(self, folder: Path) -> Store:
        """Return the store of a folder, one of several that commit at the same time."""
        store = Store(folder, thread=self._threads(), turn=self._turn)
        self._open.append(store)
        return store

    def close(self) -> None:
        """Close them all."""
        while self._open:
            self._open.pop().close()
