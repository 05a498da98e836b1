"""The dead letters of one shard, and which of them are still to be copied elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

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


class DeadLetters:
    """The tables `dead` and `copies`.

    copies: whether the job copies dead letters somewhere (DESIGN 10). quota: what this shard's may take.
    """

    def __init__(self, store: Store, counters: Counters, *, copies: bool, quota: Quota = USUAL_QUOTA) -> None:
        self._store = store
        self._counters = counters
        self._index = Index(store, counters, quota)
        self._copies = copies
        self.onlooker: Callable[[DeadLetter], None] | None = None
        """Is told of each as it is kept."""
        self._to_copy = [key for key, _ in store.items(Table.COPIES)] if copies else []

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
        if self._copies:
            # A row, not a list: what died at an epoch's end is copied in the next one.
            self._store.put(Table.COPIES, letter.key, b"")
            self._to_copy.append(letter.key)

    def remove(self, letter: DeadLetter) -> None:
        """Forget a dead letter: it is sent again, or was deleted by a command."""
        self._store.delete(Table.DEAD, letter.key)
        self._index.remove(letter)

    def let_go(self, now_ms: int | None) -> None:
        """Drop what is too old or too much, and count it; never what is still to be copied.

        now_ms: None while the clock may be wrong.
        """
        dropped: Counter[tuple[str, Cause]] = Counter()
        for webhook_id, key, cause in self._index.surplus(now_ms, frozenset(self._to_copy)):
            self._store.delete(Table.DEAD, key)
            self._counters.change(webhook_id).dropped += 1
            dropped[webhook_id, cause] += 1
        for (webhook_id, cause), number in dropped.items():
            DEAD_LETTERS_DROPPED.happened(_log, number, webhook=webhook_id, reason=cause, number=number)

    @property
    def are_to_copy(self) -> bool:
        """True where the copies of some may be due."""
        return bool(self._to_copy)

    def to_copy(self) -> list[DeadLetter]:
        """Return the dead letters whose copy is due; with this epoch they count as copied."""
        keys, self._to_copy = self._to_copy, []
        found = []
        for key in keys:
            self._store.delete(Table.COPIES, key)
            value = self._store.get(Table.DEAD, key)
            if value is not None:
                found.append(unpack_dead(value))
        return found


def _class_of(letter: DeadLetter) -> str:
    """Return a reason of few possible values: what a template or a record said is not one."""
    if letter.kind != "delivery" and letter.reason.startswith("too-expensive"):
        return "too-expensive"
    return letter.reason if letter.kind == "delivery" else letter.kind
