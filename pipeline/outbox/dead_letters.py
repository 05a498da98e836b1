"""The dead letters of one shard, and which of them are still to be copied elsewhere."""

from __future__ import annotations

from msgspec.structs import replace

from pipeline.model.words import without_addresses
from pipeline.outbox.codec import DeadLetter, pack_dead, unpack_dead
from pipeline.store.rows import Table
from pipeline.store.store import Store
from pipeline.telemetry.metrics import count


class DeadLetters:
    """The tables `dead` and `copies`.

    copies: whether the job copies dead letters somewhere (DESIGN 10).
    """

    def __init__(self, store: Store, *, copies: bool) -> None:
        self._store = store
        self._copies = copies
        self._to_copy = [key for key, _ in store.items(Table.COPIES)] if copies else []

    def add(self, letter: DeadLetter) -> None:
        """Keep a dead letter, and note that its copy is due."""
        reason = without_addresses(letter.reason)
        if reason != letter.reason:
            letter = replace(letter, reason=reason)
        count("dead_letters_total", webhook=letter.request.webhook_id, reason=_class_of(letter))
        self._store.put(Table.DEAD, letter.key, pack_dead(letter))
        if self._copies:
            # A row, not a list: what died at an epoch's end is copied in the next one.
            self._store.put(Table.COPIES, letter.key, b"")
            self._to_copy.append(letter.key)

    def remove(self, key: bytes) -> None:
        """Forget a dead letter: it is sent again."""
        self._store.delete(Table.DEAD, key)

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
