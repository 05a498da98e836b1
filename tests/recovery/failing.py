"""Failpoints: named functions kill the process, or parts of the protocol are switched off.

    {"kills": [["pipeline.store.store:Store.commit", "after", 3]], "off": ["undo"]}

Nothing in the product knows of this.
"""

from __future__ import annotations

import importlib
import os
import signal
import threading
from collections.abc import Callable
from itertools import count
from typing import Any

KILLED = -signal.SIGKILL


def find(place: str) -> tuple[Any, str]:
    """Return the holder and the name of ``module:Class.function``."""
    module, _, path = place.partition(":")
    holder: Any = importlib.import_module(module)
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    return holder, name


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def await_results() -> None:
    """Return when the engine has written to a journal once more, or has nothing to write."""
    from pipeline.outbox.journal import Journal

    holder: Any = Journal
    append, written = Journal.append, threading.Event()

    def noting(*args: Any) -> None:
        append(*args)
        written.set()

    holder.append = noting
    written.wait(2)


def kill_at(place: str, when: str, nth: int) -> None:
    """Let the nth call of a function be the last thing that this process does, or the results after it."""
    holder, name = find(place)
    original = getattr(holder, name)
    numbers = count(1)

    def failing(*args: Any, **more: Any) -> Any:
        number = next(numbers)  # several threads may call it at the same time
        if when == "before" and number == nth:
            die()
        result = original(*args, **more)
        if when == "after" and number == nth:
            die()
        if when == "posted" and number == nth:
            await_results()
            die()
        return result

    setattr(holder, name, failing)


def kill_after_snapshot(nth: int) -> None:
    """Die in the first call of the source after its nth snapshot: the epoch has just become durable."""
    from pipeline.job.steps.source import SourcePartition

    advance = SourcePartition.advance
    seen = 0

    def failing(self: Any) -> Any:
        nonlocal seen
        seen += self.snapped is not None
        if seen == nth + 1:  # the first one is no snapshot: it is the position of the start
            die()
        return advance(self)

    SourcePartition.advance = failing  # type: ignore[method-assign]  # it is to fail here


def without_undo() -> None:
    """Believe the store, whatever epoch Bytewax resumes."""
    from pipeline.store.meta import put_epoch
    from pipeline.store.store import Store

    def resume(self: Any, seq: int, run: str = "") -> bool:
        ahead = self.seq == seq + 1
        if ahead:
            with self._env.begin(write=True) as txn:
                put_epoch(txn, self._meta, seq, (self._runs[1], ""))
            self._renew()
            self.seq = seq
        return bool(ahead)

    Store.resume = resume  # type: ignore[method-assign]  # it is to fail here


def without_journal() -> None:
    """Keep results in memory only."""
    from pipeline.outbox.journal import Journal

    Journal.append = lambda self, results, now_ms: None  # type: ignore[method-assign]  # it is to fail here


def without_hello() -> None:
    """Let the source begin with its first chunk: a shard without input is never built."""
    from pipeline.job.steps.source import SourcePartition

    advance = SourcePartition.advance

    def begin(self: Any) -> Any:
        batch = advance(self)
        if batch and batch[0].raw is None:
            return advance(self)
        return batch

    SourcePartition.advance = begin  # type: ignore[method-assign]  # it is to fail here
    # The last chunk would build the shards as well.
    SourcePartition.end = lambda self: None  # type: ignore[method-assign]  # it is to fail here


def without_purge() -> None:
    """Leave the rows of unfinished epochs in Bytewax' store."""
    recovery: Any = importlib.import_module("pipeline.runtime.state.recovery")
    recovery.delete_ghosts = lambda parts: 0


OFF: dict[str, Callable[[], None]] = {
    "undo": without_undo,
    "journal": without_journal,
    "hello": without_hello,
    "purge": without_purge,
}


def send_elsewhere(places: dict[str, str]) -> None:
    """Send to other places what a config or a row addresses to these."""
    holder, name = find("pipeline.deliver.requests.sender:build_target")
    build = getattr(holder, name)

    def build_elsewhere(method: str, url: str, *more: Any) -> Any:
        for place, instead in places.items():
            url = url.replace(place, instead)
        return build(method, url, *more)

    setattr(holder, name, build_elsewhere)


def settle_at_once() -> None:
    """Write each success down in the turn that it came in: some may wait a moment, and be sent again."""
    engine: Any = importlib.import_module("pipeline.deliver.engine")
    engine.is_at_ease = lambda attempt: False


def fail(given: dict[str, Any]) -> None:
    """Let this process die at these points, and be without these parts."""
    settle_at_once()
    for name in given["off"]:
        OFF[name]()
    for place, when, nth in given["kills"]:
        if place == "durable":
            kill_after_snapshot(nth)
        else:
            kill_at(place, when, nth)
