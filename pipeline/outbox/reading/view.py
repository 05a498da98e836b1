"""The committed state of a job, read from outside: while it runs or after it.

Nothing here writes or takes the state's lock; counters are read in one consistent snapshot of each store,
long tables part by part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple, TypedDict

import orjson

from pipeline.model.errors import ClosedState, NoState, UsageError
from pipeline.model.words import no_webhook
from pipeline.outbox.codec import (
    DeadLetter,
    unpack_dead,
    unpack_number,
    unpack_owed,
    webhook_prefix,
)
from pipeline.outbox.counters import by_webhook, records_in
from pipeline.outbox.handover import Progress, Request
from pipeline.store.folders import configured_file, store_folders
from pipeline.store.reading import reading
from pipeline.store.rows import Table


class Owed(NamedTuple):
    """A pending request on disk."""

    store: Path
    row: bytes
    request: Request
    progress: Progress


def stores(state: Path) -> list[Path]:
    """Return the folders of all stores of a state directory; raises NoState where there is none."""
    found = store_folders(state)
    if not found:
        raise NoState.at(state)
    return found


def is_new(state: Path) -> bool:
    """Return whether no job has run on a state directory yet; a missing permission is reported when it is
    opened.
    """
    try:
        return not store_folders(state)
    except ClosedState:
        return False


def rows(state: Path, table: Table, prefix: bytes = b"") -> Iterator[tuple[Path, bytes, bytes]]:
    """Yield (store, key, value) of one table over all stores, keys in order within a store.

    Each row is as it is when reached (`Reader.rows`): concurrent additions and removals may be missed.
    """
    for path in stores(state):
        with reading(path) as store:
            for key, value in store.rows(table, prefix):
                yield path, key, value


class Accounting(TypedDict):
    """The counts of DESIGN 10, cumulative over a state directory's life."""

    records: dict[str, int]
    """`RECORDS`, any of `OTHERS`, and the dead records that were dropped, ``dropped``."""
    webhooks: dict[str, dict[str, int]]


def configured(state: Path) -> dict[str, bool]:
    """Return the webhooks with which a state directory's last job was configured, and whether each was
    enabled; nothing where unknown.
    """
    try:
        found = orjson.loads(configured_file(state).read_bytes())
    except (OSError, ValueError):
        return {}  # not written yet, or damaged: the counts are still shown
    if isinstance(found, list):  # an older version's
        found = {name: True for name in found if isinstance(name, str)}
    return found if isinstance(found, dict) else {}


def accounting(state: Path) -> Accounting:
    """Return what was read, and the outcomes of each webhook's matches; zeros where there were none."""
    total: Counter[str] = Counter()
    for path in stores(state):
        with reading(path) as store:
            for key, value in store.whole(Table.COUNTERS):
                total[key.decode()] += unpack_number(value)
    return {"records": records_in(total), "webhooks": by_webhook(total, configured(state))}


def require_webhook(state: Path, webhook_id: str) -> None:
    """Raise UsageError for an unknown webhook: neither configured nor counted."""
    known = accounting(state)["webhooks"]
    if webhook_id not in known:
        raise UsageError(no_webhook(webhook_id, known))


def dead_letters(state: Path, webhook_id: str | None = None) -> Iterator[tuple[Path, DeadLetter]]:
    """Yield every dead letter with the folder of its store, or those of one webhook ("": invalid records)."""
    prefix = b"" if webhook_id is None else webhook_prefix(webhook_id)
    for store, _, value in rows(state, Table.DEAD, prefix):
        yield store, unpack_dead(value)


def owed(state: Path, webhook_id: str | None = None) -> Iterator[Owed]:
    """Yield the pending requests on disk, of one webhook or of all."""
    prefix = webhook_prefix(webhook_id) if webhook_id else b""
    for store, row, value in rows(state, Table.OUTBOX, prefix):
        yield Owed(store, row, *unpack_owed(value))


@contextmanager
def owed_each(state: Path) -> Iterator[Callable[[str], Iterator[Owed]]]:
    """Yield a function like `owed` for one webhook, for repeated use: stores are opened once."""
    with ExitStack() as stack:
        opened = [(path, stack.enter_context(reading(path))) for path in stores(state)]

        def of(webhook_id: str) -> Iterator[Owed]:
            for path, store in opened:
                for row, value in store.rows(Table.OUTBOX, webhook_prefix(webhook_id)):
                    yield Owed(path, row, *unpack_owed(value))

        yield of
