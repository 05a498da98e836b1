"""The end of an epoch: the shards of a worker commit at the same time.

Bytewax asks each key that it has called in an epoch for its snapshot, one after the other and with no other
call in between (tests/job/test_epoch_end.py). So the first one that is asked commits all of them, and the
others answer with what is on disk already. Were one of them not asked, its store would be ahead of what
Bytewax keeps, and after the next commit too far ahead to go back. Then the job ends instead, at the first
call that shows it: nothing of the next epoch is committed.
"""

from __future__ import annotations

import threading
from typing import NoReturn, Protocol

from pipeline.model.errors import Fatal


class Ending(Protocol):
    """A shard, at an epoch's end."""

    number: int

    def begin_commit(self) -> None:
        """Take into the epoch what belongs to it, and begin to commit it."""

    def end_commit(self) -> None:
        """Return when it is durable in the shard's store."""


class EpochEnd(threading.local):
    """One per worker: each thread that uses it has its own.

    A thread that Bytewax has begun must `stay_known`. Where it does not, each shard commits by itself.
    """

    def __init__(self) -> None:
        self._called: dict[int, Ending] = {}
        """The shards that were called in this epoch."""
        self._committed: set[int] = set()
        """Those whose epoch is committed, and whose snapshot is not asked for yet."""

    def calls(self, shard: Ending) -> None:
        """Bytewax calls a shard. Raises Fatal where it has left out a snapshot."""
        if self._committed:
            self._left_out()
        self._called[shard.number] = shard

    def snapshot(self, shard: Ending) -> None:
        """Return when the shard's epoch is committed, and that of all others that were called in it."""
        if shard.number in self._committed:
            self._committed.remove(shard.number)
            return
        if self._committed:
            self._left_out()
        ending = {**self._called, shard.number: shard}
        self._called.clear()
        for one in ending.values():
            one.begin_commit()
        for one in ending.values():
            one.end_commit()
        self._committed = ending.keys() - {shard.number}

    def _left_out(self) -> NoReturn:
        shards = ", ".join(map(str, sorted(self._committed)))
        raise Fatal(
            f"Bytewax ended an epoch without a snapshot of the shards {shards}, which it had called in it. "
            "Start again with the version of Bytewax that Hookline requires."
        )
