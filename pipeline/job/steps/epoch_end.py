"""The end of an epoch: the stores of a worker commit at the same time.

Bytewax asks each key that it has called in an epoch for its snapshot, one after the other and with no other
call in between (tests/job/test_epoch_end.py). So the first one that is asked commits all of them, and the
others answer with what is on disk already. Were one of them not asked, its store would be ahead of what
Bytewax keeps, and after the next commit too far ahead to go back. Then the job ends instead, at the first
call that shows it: nothing of the next epoch is committed.

Where one worker has all shards of the job and all partitions of its source, they need not wait until they are
asked. A partition that was asked for its snapshot is not polled before the epoch is durable, so once all were
and the last chunk has arrived nothing but timers calls a shard. So they begin to commit then, and wait for
the disk while Bytewax writes into its own store; a shard whose timer rings meanwhile does nothing.

The keys of identity are asked before them, and before the last of the epoch's chunks has reached its shard.
Their commit begins then and is awaited with those of the shards: until the last snapshot of a worker has
returned, Bytewax takes nothing of its epoch for durable. Where no shard was called yet none may be asked, and
a commit of identity's is awaited at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn, Protocol

from pipeline.model.errors import Fatal


class Ahead(Protocol):
    """A key of identity, at an epoch's end."""

    def begin_commit(self) -> int:
        """Begin to commit the epoch, and return the sequence number that the store will have then."""

    def end_commit(self) -> None:
        """Return when it is durable in the key's store."""


class Ending(Protocol):
    """A shard, at an epoch's end."""

    number: int

    def collect(self) -> None:
        """Take into the epoch what belongs to it, and put it into the store's transaction."""

    def begin_commit(self) -> None:
        """Begin to commit it."""

    def end_commit(self) -> None:
        """Return when it is durable in the shard's store."""


class Arriving(Protocol):
    """Knows the chunks in flight between the source and the shards."""

    @property
    def all_arrived(self) -> bool:
        """True where the worker has all shards of the job, and no chunk is in flight to them."""

    def release(self) -> None:
        """Send what was handed over: it does not wait for the disk."""


class EpochEnd(threading.local):
    """One per worker: each thread that uses it has its own.

    A thread that Bytewax has started must `stay_known`. Otherwise each shard commits by itself. partitions:
    those of the whole job, once the source has listed them.
    """

    def __init__(self, rest: Arriving, partitions: Sequence[str]) -> None:
        self._rest = rest
        self._partitions = partitions
        self._ends: Counter[str] = Counter()
        """How many epochs each partition of this worker has ended."""
        self._closed = False
        """True where all partitions have ended the present epoch, and it is not durable yet."""
        self._called: dict[int, Ending] = {}
        """The shards that were called in this epoch."""
        self._committed: set[int] = set()
        """Those whose epoch is committed, and whose snapshot was not requested yet."""
        self._begun: dict[int, Ending] = {}
        """Those whose commit has begun."""
        self._ahead: list[Ahead] = []
        """Keys of identity whose commit has begun."""

    def closes(self, partition: str) -> bool:
        """A source partition is asked for its snapshot; return whether nothing more is read in this epoch.

        Not to be told of one that is read no more: what the job's last epoch calls is not known before.
        """
        self._ends[partition] += 1
        # Each ends every epoch once: where all have ended the same number, it was the same epoch.
        same = len(set(self._ends.values())) == 1
        self._closed = same and len(self._ends) == len(self._partitions)
        return self._closed

    def opens(self) -> None:
        """A partition is polled for the first time since its snapshot: that epoch is durable."""
        self._closed = False

    def arrived(self) -> bool:
        """Begin to commit where all has arrived that will be read in this epoch, and return whether it is so.

        What was handed over is sent before.
        """
        if not self._closed or not self._rest.all_arrived:
            return False
        self._rest.release()
        self.begin()
        return True

    def calls(self, shard: Ending) -> None:
        """Bytewax calls a shard. Raises Fatal where it has left out a snapshot."""
        if self._committed or self._begun:
            self._left_out()
        self._called[shard.number] = shard

    def wakes(self, shard: Ending) -> bool:
        """A timer calls a shard; False where shards have begun to commit: then it must do nothing.

        Bytewax asks it for a snapshot all the same. Raises Fatal as `calls` does.
        """
        if not self._begun:
            self.calls(shard)
            return True
        if shard.number not in self._begun:
            self._called[shard.number] = shard
        return False

    def ahead(self, key: Ahead) -> int:
        """A key of identity is asked for its snapshot: return the sequence number of its epoch.

        Raises Fatal where Bytewax has left out the snapshots of an epoch's shards.
        """
        if self._committed or key in self._ahead:
            self._left_out()
        seq = key.begin_commit()
        if self._called or self._begun:
            self._ahead.append(key)
        else:
            key.end_commit()
        return seq

    def snapshot(self, shard: Ending) -> None:
        """Return when the shard's epoch is committed, and that of all others that were called in it."""
        if shard.number in self._committed:
            self._committed.remove(shard.number)
            return
        if self._committed:
            self._left_out()
        if shard.number not in self._begun:
            self._called[shard.number] = shard
        self.begin()
        ending, self._begun = self._begun, {}
        ahead, self._ahead = self._ahead, []
        for key in ahead:
            key.end_commit()
        for one in ending.values():
            one.end_commit()
        self._committed = ending.keys() - {shard.number}

    def begin(self) -> None:
        """Begin to commit the shards that were called in this epoch: nothing is on its way to them any more.

        They must not be called before Bytewax has asked them for their snapshots.
        """
        self._closed = False
        called, self._called = self._called, {}
        # None begins before all have collected: the thread of one would want the interpreter's lock whenever
        # the rows of another let go of it.
        for one in called.values():
            one.collect()
        for one in called.values():
            one.begin_commit()
        self._begun.update(called)

    def _left_out(self) -> NoReturn:
        shards = ", ".join(map(str, sorted(self._committed or self._begun or self._called)))
        raise Fatal(
            f"Bytewax ended an epoch without a snapshot of the shards {shards}, which it had called in it. "
            "Start again with the version of Bytewax that Hookline requires."
        )
