"""Dead letters, newest first, through their index, so that a page costs no more than a page."""

from __future__ import annotations

import heapq
from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from pipeline.outbox.codec import DeadLetter, unpack_dead, webhook_prefix
from pipeline.outbox.quota import key_in, place_of
from pipeline.outbox.reading.view import stores
from pipeline.store.reading import Reader, reading
from pipeline.store.rows import Table

PLACE_BYTES: Final = 24
"""A time, and the hash of a key: what follows the webhook's name in the index."""
_MOST_AT_ONCE: Final = 256

Feed: TypeAlias = "Generator[Dated, None, None]"


class Dated(NamedTuple):
    """A dead letter and its place in time."""

    store: Path
    place: bytes
    """Letters before it are older; across all stores and webhooks."""
    letter: DeadLetter


def newest(state: Path, webhook: str | None = None, before: bytes | None = None) -> Iterator[Dated]:
    """Yield dead letters, newest first; of one webhook ("": of records), or of all.

    before: the place of the last one already known. No snapshot is held in between. Raises StateError.
    """
    with ExitStack() as stack:
        feeds = []
        for path in stores(state):
            store = stack.enter_context(reading(path))
            feeds += [
                stack.enter_context(closing(feed)) for feed in _feeds(path, store, webhook, before or b"")
            ]
        yield from heapq.merge(*feeds, key=_by_place, reverse=True)


def _by_place(dated: Dated) -> bytes:
    return dated.place


def _feeds(path: Path, store: Reader, webhook: str | None, before: bytes) -> list[Feed]:
    """Return the dead letters of one store as streams, each newest first."""
    if store.count(Table.DEAD_ORDER) < store.count(Table.DEAD):
        return [_sorted(path, store, webhook, before)]  # by an older version, which had no index
    prefixes = _prefixes(store) if webhook is None else iter((webhook_prefix(webhook),))
    return [_indexed(path, store, prefix, before) for prefix in prefixes]


def _prefixes(store: Reader) -> Iterator[bytes]:
    """Yield the prefix of each webhook's rows in the index."""
    start = b""
    while found := store.part(Table.DEAD_ORDER, b"", start, 1).rows:
        webhook = found[0][0].partition(b"\0")[0]
        yield webhook + b"\0"
        start = webhook + b"\1"


def _indexed(path: Path, store: Reader, prefix: bytes, before: bytes) -> Feed:
    at, most = prefix + (before or b"\xff" * PLACE_BYTES), 1
    while True:
        part = store.back(Table.DEAD_ORDER, at, prefix, most)
        for place, value in part:
            row = store.get(Table.DEAD, key_in(value))
            if row is None:
                continue  # replayed or dropped a moment ago
            letter = unpack_dead(row)
            if place_of(letter) == place:
                yield Dated(path, place[len(prefix) :], letter)
        if len(part) < most:
            return
        at, most = part[-1][0], min(2 * most, _MOST_AT_ONCE)


def _sorted(path: Path, store: Reader, webhook: str | None, before: bytes) -> Feed:
    prefix = b"" if webhook is None else webhook_prefix(webhook)
    places = []
    for key, row in store.rows(Table.DEAD, prefix):
        place = place_of(unpack_dead(row))[-PLACE_BYTES:]
        if not before or place < before:
            places.append((place, key))
    for place, key in sorted(places, reverse=True):
        found = store.get(Table.DEAD, key)
        if found is not None:
            yield Dated(path, place, unpack_dead(found))
