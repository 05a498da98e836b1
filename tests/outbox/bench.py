"""What tests of the outbox stand on: a shard without its join."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pipeline.outbox.codec import (
    ordered_row,
    unpack_number,
)
from pipeline.outbox.counters import WEBHOOK, Counters
from pipeline.outbox.handover import Request
from pipeline.outbox.outbox import Outbox
from pipeline.store.rows import Table
from pipeline.store.store import Store
from tests.kit.delivery.copying import HandCopier
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.streams.records import clock, request


class Admitted(NamedTuple):
    """A request that the outbox has taken over."""

    request: Request
    row: bytes


class Bench:
    """A shard without its join: a store, its outbox and an engine, with the epoch's end of shard.py."""

    def __init__(
        self,
        path: Path,
        engine: ScriptedEngine | None = None,
        seq: int = 0,
        *,
        copier: HandCopier | None = None,
    ):
        self.store = Store(path, map_size=1 << 26)
        self.store.resume(seq)
        self.counters = Counters(self.store)
        self.engine = engine if engine is not None else ScriptedEngine()
        self.outbox = Outbox(self.store, self.counters, self.engine, 0, clock, copier=copier)

    def admit(self, webhook_id: str, offset: int, *, ordered: bool = False, user: str = "u:1") -> Admitted:
        made = request(webhook_id, offset, user=user)
        self.outbox.admit(made, ordered=ordered)
        self.outbox.passed({"r.jsonl": offset})
        if not ordered:
            return Admitted(made, made.key)
        latest = unpack_number(self.store.get(Table.APPLIED, b"\0sequence"))
        return Admitted(made, ordered_row(webhook_id, user, latest))

    def hand_over(self, webhook_id: str, offset: int, *, ordered: bool = False) -> Admitted:
        made = self.admit(webhook_id, offset, ordered=ordered)
        self.outbox.hand_over()
        return made

    def end_epoch(self) -> int:
        self.outbox.old_journals()()
        self.outbox.collect()
        self.counters.flush()
        seq = self.store.commit()
        self.outbox.committed()
        for webhook_id in {name.rpartition("/")[0] for name in self.counters.written()}:
            self.check(webhook_id)
        return seq

    def check(self, webhook_id: str) -> None:
        numbers = self.numbers(webhook_id)
        assert numbers["matched"] == sum(numbers.values()) - numbers["matched"], numbers
        rows = list(
            self.store.committed(Table.OUTBOX, webhook_id.encode() + b"\0", webhook_id.encode() + b"\0")
        )
        assert numbers["pending"] == len(rows)

    def numbers(self, webhook_id: str = "w") -> dict[str, int]:
        counts = self.counters.of(webhook_id)
        return {name: getattr(counts, name) for name in WEBHOOK}

    def table(self, table: Table) -> dict[bytes, bytes]:
        return dict(self.store.committed(table, b"", b""))

    def crash(self) -> None:
        """Die: what was not committed is gone, what was journalled stays."""
        self.outbox.port.journal.close()  # type: ignore[attr-defined]  # only to spare descriptors
        self.store.close()


def counts(**given: int) -> dict[str, int]:
    return dict.fromkeys(WEBHOOK, 0) | given
