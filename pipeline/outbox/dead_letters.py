"""The dead letters of one shard, and which of them are still to be copied elsewhere."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from msgspec.structs import replace

from pipeline.model.words import without_addresses
from pipeline.outbox.codec import DeadLetter, pack_dead, unpack_dead
from pipeline.outbox.counters import Counters
from pipeline.outbox.quota import USUAL_QUOTA, Cause, Index, Quota
from pipeline.store.rows import Table
from pipeline.store.store import Store
from pipeline.telemetry import log
from pipeline.telemetry.happenings import DEAD_LETTERS_DROPPED
from pipeline.telemetry.metrics import count

_log = log.get("outbox")

MOST_FORGOTTEN = 1_000
"""Keys of dropped letters that may wait for the copier: there it is noticed that they are gone."""


class Copying(Protocol):
    """What has dead letters copied."""

    fails: bool
    """True while nothing is copied."""

    @property
    def has_room(self) -> bool:
        """True where another letter may be given."""

    def take(self, letter: DeadLetter, size: int, done: deque[bytes]) -> None:
        """Have a letter copied, whose row is so long; then its key is put into ``done``. Never waits."""

    def wait(self, secs: float) -> bool:
        """Return whether all is copied that was given; at the latest ``secs`` after the first such call."""


class DeadLetters:
    """The tables `dead` and `copies`.

    copier: copies dead letters somewhere (DESIGN 10). quota: what this shard's may take.
    """

    def __init__(
        self, store: Store, counters: Counters, *, copier: Copying | None = None, quota: Quota = USUAL_QUOTA
    ) -> None:
        self._store = store
        self._counters = counters
        self._index = Index(store, counters, quota)
        self._copier = copier
        self.onlooker: Callable[[DeadLetter], None] | None = None
        """Is told of each as it is kept."""
        self._due = dict.fromkeys(key for key, _ in store.items(Table.COPIES)) if copier is not None else {}
        """Keys of those that are to be copied, ..."""
        self._next = deque(self._due)
        """... of those among them that the copier was not given, ..."""
        self._copied: deque[bytes] = deque()
        """... and of those that it has copied."""

    def add(self, letter: DeadLetter) -> None:
        """Keep a dead letter, and note that its copy is due."""
        reason = without_addresses(letter.reason)
        if reason != letter.reason:
            letter = replace(letter, reason=reason)
        if self.onlooker is not None:
            self.onlooker(letter)
        count("dead_letters_total", webhook=letter.request.webhook_id, reason=_class_of(letter))
        row = pack_dead(letter)
        self._store.put(Table.DEAD, letter.key, row)
        self._index.add(letter, row)
        if self._copier is not None:
            # A row, not a list: it is due until an epoch after its copy is durable.
            self._store.put(Table.COPIES, letter.key, b"")
            self._due[letter.key] = None
            self._next.append(letter.key)

    @property
    def are_due(self) -> bool:
        """True where some are still to be copied."""
        return bool(self._due)

    def remove(self, letter: DeadLetter) -> None:
        """Forget a dead letter: it is sent again, or was deleted by a command."""
        self._store.delete(Table.DEAD, letter.key)
        self._index.remove(letter)

    def let_go(self, now_ms: int | None) -> None:
        """Drop what is too old or too much, and count it; what is still to be copied only where it cannot be.

        now_ms: None while the clock may be wrong.
        """
        kept = () if self._copier is None or self._copier.fails else self._due
        dropped: Counter[tuple[str, Cause]] = Counter()
        for webhook_id, key, cause in self._index.surplus(now_ms, kept):
            self._store.delete(Table.DEAD, key)
            if key in self._due:
                self._forget_due(key)
            self._counters.change(webhook_id).dropped += 1
            dropped[webhook_id, cause] += 1
        for (webhook_id, cause), number in dropped.items():
            DEAD_LETTERS_DROPPED.happened(_log, number, webhook=webhook_id, reason=cause, number=number)
        if len(self._next) > MOST_FORGOTTEN + 2 * len(self._due):
            self._next = deque(key for key in self._next if key in self._due)

    def copy(self) -> None:
        """Give the copier what it has room for; what it has copied is due no more. Never waits."""
        if self._copier is None or not self._due:
            return
        while self._copied:
            self._forget_due(self._copied.popleft())
        while self._next and self._copier.has_room:
            key = self._next.popleft()
            row = self._store.get(Table.DEAD, key)
            if row is None:
                self._forget_due(key)
            else:
                self._copier.take(unpack_dead(row), len(row), self._copied)

    def copy_all(self, secs: float) -> None:
        """Do so until all are copied: for so long, and not where they cannot be. The rest is due at the next
        start.
        """
        self.copy()
        while self._due and self._copier is not None and self._copier.wait(secs):
            self.copy()

    def _forget_due(self, key: bytes) -> None:
        self._store.delete(Table.COPIES, key)
        self._due.pop(key, None)


def _class_of(letter: DeadLetter) -> str:
    """Return a reason of few possible values: what a template or a record said is not one."""
    if letter.kind != "delivery" and letter.reason.startswith("too-expensive"):
        return "too-expensive"
    return letter.reason if letter.kind == "delivery" else letter.kind
