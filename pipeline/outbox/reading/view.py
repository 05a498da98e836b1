"""The committed state of a job, read from outside: beside a running job, or after one.

Nothing here writes and nothing takes the state's lock; each store is read in one consistent snapshot.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypedDict

from pipeline.model.errors import StateError
from pipeline.outbox.codec import (
    DeadLetter,
    unpack_dead,
    unpack_number,
    unpack_owed,
    webhook_prefix,
)
from pipeline.outbox.counters import ORDER, RECORDS, WEBHOOK
from pipeline.outbox.handover import Progress, Request
from pipeline.store.reading import reading
from pipeline.store.rows import Table


class Owed(NamedTuple):
    """A request that waits on disk."""

    store: Path
    row: bytes
    request: Request
    progress: Progress


def stores(state: Path) -> list[Path]:
    """Return the folders of all stores of a state directory; raises StateError where there is none."""
    found = sorted(path.parent for path in state.rglob("data.mdb"))
    if not found:
        raise StateError(
            f"{state} holds no state: no job has run on it yet, or --state names another folder."
        )
    return found


def rows(state: Path, table: Table, prefix: bytes = b"") -> Iterator[tuple[Path, bytes, bytes]]:
    """Yield (store, key, value) of one table over all stores, keys in order within a store."""
    for path in stores(state):
        with reading(path) as store:
            for key, value in store.rows(table, prefix):
                yield path, key, value


class Accounting(TypedDict):
    """The counts of DESIGN 10, cumulative over a state directory's life."""

    records: dict[str, int]
    """`RECORDS`, and of `ORDER` what there was."""
    webhooks: dict[str, dict[str, int]]


def accounting(state: Path) -> Accounting:
    """Return what was read, and what became of each webhook's matches."""
    total: Counter[str] = Counter()
    for _, key, value in rows(state, Table.COUNTERS):
        total[key.decode()] += unpack_number(value)
    records = {name: total.pop(f"record/{name}", 0) for name in RECORDS}
    records |= {name: number for name in ORDER if (number := total.pop(f"record/{name}", 0))}
    webhooks: dict[str, dict[str, int]] = {}
    for name, number in sorted(total.items()):
        webhook_id, _, counter = name.rpartition("/")
        if counter in WEBHOOK:
            webhooks.setdefault(webhook_id, dict.fromkeys(WEBHOOK, 0))[counter] = number
    return {"records": records, "webhooks": webhooks}


def dead_letters(state: Path) -> Iterator[tuple[Path, DeadLetter]]:
    """Yield every dead letter with the folder of its store, invalid records included."""
    for store, _, value in rows(state, Table.DEAD):
        yield store, unpack_dead(value)


def owed(state: Path, webhook_id: str | None = None) -> Iterator[Owed]:
    """Yield the requests that wait on disk, of one webhook or of all."""
    prefix = webhook_prefix(webhook_id) if webhook_id else b""
    for store, row, value in rows(state, Table.OUTBOX, prefix):
        yield Owed(store, row, *unpack_owed(value))
