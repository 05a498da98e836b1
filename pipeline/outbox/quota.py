"""Which dead letters are dropped: those too old and, where all together are too large, the oldest of the
webhook that has most. So a flood from one webhook displaces nothing of another that keeps to its share.

An index beside the dead letters sorts them by webhook and time. It is written with them, and undone with
them.
"""

from __future__ import annotations

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from pipeline.outbox.codec import DeadLetter, unpack_dead, webhook_prefix
from pipeline.outbox.counters import Counters
from pipeline.store.rows import Table
from pipeline.store.store import Store

ROW_BYTES = 400
"""Size of a dead letter on disk besides its row: its key twice, its index entry, its undo."""
SLICE = 256
"""Letters of one webhook that are examined together."""
MOST = 5_000
"""Letters dropped in one epoch, or twice as many as were added in it: a lowered quota takes some epochs."""
AGE_EVERY_MS = 60_000
"""How often the oldest of each webhook are checked."""
AWAY_SECS, DOUBT_SECS = 24 * 3600.0, 600.0
"""After this long without a run, the clock may be wrong: a machine that has just booted is given this much
time to set it."""

Cause: TypeAlias = Literal["quota", "age"]

_TIME = struct.Struct(">q")
_SIZE = struct.Struct(">I")


@dataclass(slots=True, frozen=True)
class Quota:
    """Limits on dead letters: `dead_letters` of pipeline.yaml, or a shard's part of it."""

    max_bytes: int = 4 << 30
    max_age_ms: int | None = None
    """None: none is dropped for its age."""

    def of_shard(self, shards: int) -> Quota:
        """Return the part of one of this many shards."""
        return Quota(self.max_bytes // shards, self.max_age_ms)


USUAL_QUOTA = Quota()


class Oldest(NamedTuple):
    """One dead letter, as the index has it."""

    place: bytes
    key: bytes
    dead_ms: int


class Index:
    """The table `dead_order`, and the bytes of dead letters by webhook; "" for records."""

    def __init__(self, store: Store, counters: Counters, quota: Quota) -> None:
        self._store = store
        self._counters = counters
        self._quota = quota
        self._added = 0
        self._looked_ms = 0
        self._total = sum(counts.dead_bytes for _, counts in counters.webhooks())
        if not self._total:
            self._make()

    def add(self, letter: DeadLetter, row: bytes) -> None:
        """Add a dead letter with its row."""
        size = ROW_BYTES + len(row)
        value = _SIZE.pack(size) + letter.key
        self._store.put(Table.DEAD_ORDER, place_of(letter), value)
        self._counters.change(letter.request.webhook_id).dead_bytes += size
        self._total += size
        self._added += 1

    def remove(self, letter: DeadLetter) -> None:
        """Remove a deleted dead letter from the index."""
        self._forget(letter.request.webhook_id, place_of(letter))

    def surplus(self, now_ms: int | None, kept: Container[bytes]) -> Iterator[tuple[str, bytes, Cause]]:
        """Yield webhook, key and cause of each letter to be dropped, already removed from the index.

        now_ms: None: none is dropped for its age. kept: keys of those that must stay for now. The caller
        removes each letter.
        """
        most, self._added = max(MOST, 2 * self._added), 0
        gone = 0
        max_age_ms = self._quota.max_age_ms
        if max_age_ms is not None and now_ms is not None and now_ms - self._looked_ms >= AGE_EVERY_MS:
            self._looked_ms = now_ms
            before = now_ms - max_age_ms
            for webhook_id in self._webhooks():
                if gone >= most:
                    break  # the others are examined in the next epoch
                for oldest in self._oldest(webhook_id, most - gone):
                    if oldest.dead_ms >= before:
                        break
                    if oldest.key not in kept:
                        gone += 1
                        self._forget(webhook_id, oldest.place)
                        yield webhook_id, oldest.key, "age"
            if gone >= most:
                self._looked_ms = 0
        while self._total > self._quota.max_bytes and gone < most:
            first, *others = self._webhooks()
            least = self._bytes(others[0]) if others else 0
            before_slice = gone
            for oldest in self._oldest(first, min(SLICE, most - gone)):
                if self._total <= self._quota.max_bytes or self._bytes(first) < least:
                    break
                if oldest.key not in kept:
                    gone += 1
                    self._forget(first, oldest.place)
                    yield first, oldest.key, "quota"
            if gone == before_slice:
                return

    def _webhooks(self) -> list[str]:
        """Return those that have dead letters, the one with most first."""
        found = [(counts.dead_bytes, name) for name, counts in self._counters.webhooks()]
        return [name for size, name in sorted(found, reverse=True) if size]

    def _bytes(self, webhook_id: str) -> int:
        return self._counters.of(webhook_id).dead_bytes

    def _oldest(self, webhook_id: str, most: int) -> list[Oldest]:
        prefix = webhook_prefix(webhook_id)
        found = [
            Oldest(place, key_in(value), _TIME.unpack_from(place, len(prefix))[0])
            for place, value in islice(self._store.items(Table.DEAD_ORDER, prefix), most)
        ]
        if not found:
            # Nothing is left, whatever the counter says.
            self._take_off(webhook_id, self._bytes(webhook_id))
        return found

    def _forget(self, webhook_id: str, place: bytes) -> None:
        value = self._store.get(Table.DEAD_ORDER, place)
        if value is not None:
            self._store.delete(Table.DEAD_ORDER, place)
            self._take_off(webhook_id, _SIZE.unpack_from(value)[0])

    def _take_off(self, webhook_id: str, size: int) -> None:
        counts = self._counters.change(webhook_id)
        size = min(size, counts.dead_bytes)
        counts.dead_bytes -= size
        self._total -= size

    def _make(self) -> None:
        """Build the index of a store whose dead letters an older version wrote."""
        start = b""
        while True:
            part = list(islice(self._store.items(Table.DEAD, start=start), SLICE))
            for _, row in part:
                self.add(unpack_dead(row), row)
            if len(part) < SLICE:
                break
            start = part[-1][0] + b"\0"
        self._added = 0


def doubted_secs(folder: Path, now_ms: int) -> float:
    """Return for how long nothing is dropped for its age. folder: where each run writes."""
    try:
        away_secs = now_ms / 1000 - folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0
    return DOUBT_SECS if away_secs > AWAY_SECS else 0.0


def key_in(value: bytes) -> bytes:
    """Return the dead letter's key in a row of the index."""
    return value[_SIZE.size :]


def place_of(letter: DeadLetter) -> bytes:
    """Return a dead letter's index key: after its webhook, by time."""
    digest = blake2b(letter.key, digest_size=16).digest()
    return webhook_prefix(letter.request.webhook_id) + _TIME.pack(letter.dead_ms) + digest
