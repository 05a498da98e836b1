"""Faults put into the product on purpose: a simulation that does not find each of them is worth nothing."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeAlias

import pytest

from pipeline.compile import versions
from pipeline.compile.versions import Versions
from pipeline.deliver import halts
from pipeline.deliver.core import Core
from pipeline.deliver.halts import Halts
from pipeline.deliver.lanes.results import Results
from pipeline.job.steps import history
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.steps.history import History
from pipeline.model.files import disk
from pipeline.outbox import journal, outbox
from pipeline.outbox.applied import FinishedRequests
from pipeline.outbox.handover import Port
from pipeline.outbox.journal import Journal
from pipeline.outbox.outbox import Outbox
from pipeline.runtime.state import directory
from pipeline.sources.topics import kafka_reader
from pipeline.sources.topics.merging.merge import Alignment
from pipeline.sources.topics.merging.trail import Trail
from pipeline.store import store as store_module
from pipeline.store.meta import put_epoch
from pipeline.store.pending import Pending
from pipeline.store.rows import Table
from pipeline.store.store import Store

Patch: TypeAlias = pytest.MonkeyPatch
Mutant: TypeAlias = Callable[[Patch], None]


def undo_is_off(patch: Patch) -> None:
    def only_number(store: Store, seq: int) -> None:
        with store._env.begin(write=True) as txn:
            put_epoch(txn, store._meta, seq, (store._runs[1], ""))

    patch.setattr(Store, "_undo_epoch", only_number)


def undo_is_not_emptied(patch: Patch) -> None:
    patch.setattr(Store, "_begin", lambda store: store._env.begin(write=True))


def undo_is_emptied_in_mid_epoch(patch: Patch) -> None:
    begin = Store._begin

    def forgetful(store: Store) -> Any:
        store._in_part = False
        return begin(store)

    patch.setattr(Store, "_begin", forgetful)


def counters_are_not_undone(patch: Patch) -> None:
    put = Pending._put_before

    def without(pending: Pending, txn: Any) -> None:
        for mark in [mark for mark in pending.before if mark[0] == Table.COUNTERS]:
            del pending.before[mark]
        put(pending, txn)

    patch.setattr(Pending, "_put_before", without)


def journal_is_forgotten_one_epoch_early(patch: Patch) -> None:
    forget = Journal.forget_before
    patch.setattr(Journal, "forget_before", lambda own, number: forget(own, number + 1))


def journal_is_not_written(patch: Patch) -> None:
    patch.setattr(Journal, "append", lambda *_, **__: None)


def results_are_queued_and_then_journalled(patch: Patch) -> None:
    """The slot is freed, and a result taken, before the journal has it."""
    post = Results.post

    def late(results: Results, now_ms: int) -> None:
        if results.waiting and now_ms % 3:
            return
        post(results, now_ms)

    patch.setattr(Results, "post", late)


def torn_tail_is_not_rewritten(patch: Patch) -> None:
    entries = journal._entries
    patch.setattr(journal, "_entries", lambda data: (entries(data)[0], True))


def later_generations_stay_after_an_undo(patch: Patch) -> None:
    read = journal.read_journal

    def leaving(folder: Any, since: int) -> Any:
        kept = {path: path.read_bytes() for path in folder.glob("*.journal") if int(path.stem) > since}
        found = read(folder, since)
        for path, data in kept.items():
            path.write_bytes(data)
        return found

    patch.setattr(outbox, "read_journal", leaving)


def finished_expires_at_once(patch: Patch) -> None:
    def all_gone(requests: FinishedRequests, applied: Any) -> None:
        for key in list(requests.known):
            del requests.known[key]
            requests._store.delete(Table.FINISHED, key)

    patch.setattr(FinishedRequests, "expire", all_gone)


def settled_rows_are_read_again(patch: Patch) -> None:
    """Rows whose result is not committed yet are taken for rows that wait."""
    post = Port.post

    def posted(port: Port, results: Any, now_ms: int) -> None:
        post(port, results, now_ms)
        port.settling.clear()

    patch.setattr(Port, "post", posted)


def high_water_is_written_too_late(patch: Patch) -> None:
    """A chunk leaves first; the high water follows with the epoch."""
    emitting, durable = History.emitting, History.durable
    at: dict[int, int] = {}

    def later(own: History, line: int) -> None:
        at[id(own)] = line

    def now(own: History, line: int) -> None:
        if id(own) in at:
            emitting(own, at.pop(id(own)))
        durable(own, line)

    patch.setattr(History, "emitting", later)
    patch.setattr(History, "durable", now)


def high_water_is_not_synced(patch: Patch) -> None:
    patch.setattr(history, "_sync", lambda *_, **__: None)


def switch_is_not_stored(patch: Patch) -> None:
    def in_memory(own: History, line: int, version: str) -> None:
        own._switches = [known for known in own._switches if known[0] < line] + [(line, version)]

    patch.setattr(History, "switch", in_memory)


def version_is_not_stored(patch: Patch) -> None:
    patch.setattr(Versions, "_save", lambda *_, **__: None)


def halt_is_not_stored(patch: Patch) -> None:
    patch.setattr(Halts, "set", lambda *_, **__: None)


def replaced_files_are_not_synced(patch: Patch) -> None:
    def careless(path: Any, data: bytes) -> None:
        partial = path.with_name(path.name + ".partial")
        partial.write_bytes(data)
        os.replace(partial, path)

    for module in (disk, history, versions, halts, directory):
        patch.setattr(module, "replace_durably", careless)


def request_waits_for_no_row(patch: Patch) -> None:
    """What the engine holds at an epoch's end is not stored."""
    collect = Outbox.collect

    def forgetful(own: Outbox) -> None:
        for row in list(own._unstored)[:1]:
            del own._unstored[row]
        collect(own)

    patch.setattr(Outbox, "collect", forgetful)


def what_is_stored_early_is_not_known_to_be(patch: Patch) -> None:
    """Rows that a failing receiver's requests get before the epoch's end stay after these have ended."""
    store_waiting = Outbox._store_waiting

    def forgetful(own: Outbox) -> None:
        early = [*own._unstored.values()]
        store_waiting(own)
        for delivery in early:
            delivery.stored = False

    patch.setattr(Outbox, "_store_waiting", forgetful)


def order_forgets_the_disk(patch: Patch) -> None:
    """An ordered request is handed over although an older one of its user is on disk."""
    patch.setattr(Outbox, "_is_behind", lambda own, request: False)


def drop_does_not_see_what_was_handed_over(patch: Patch) -> None:
    drop = Core.drop
    patch.setattr(Core, "drop", lambda core, port, rows, handed: drop(core, port, rows, deque()))


def an_epoch_is_closed_by_the_first_partition_that_ends_it(patch: Patch) -> None:
    """Shards commit while others are still read."""

    def hasty(epoch_end: EpochEnd, partition: str) -> bool:
        epoch_end._closed = True
        return True

    patch.setattr(EpochEnd, "closes", hasty)


def store_is_in_its_folder_too_late(patch: Patch) -> None:
    """A kill between a new store's first commit and the sync of its folder is not made up for."""
    patch.setattr(store_module, "sync", lambda *_, **__: None)


def trail_is_not_kept(patch: Patch) -> None:
    patch.setattr(Trail, "note", lambda *_, **__: None)


def stamps_ahead_of_the_clock_are_not_in_the_trail(patch: Patch) -> None:
    note = Trail.note
    patch.setattr(Trail, "note", lambda trail, boundary, clamped=(): note(trail, boundary))


def nothing_settles(patch: Patch) -> None:
    patch.setattr(kafka_reader, "SETTLE_MS", 0)


def nobody_asks_where_the_other_topic_ends(patch: Patch) -> None:
    take = Alignment.take

    def hasty(alignment: Alignment[Any], limit: int, now_ms: int) -> Any:
        for side in alignment.sides:
            for other in alignment.sides:
                side.covers[other.name] = other.position
        return take(alignment, limit, now_ms)

    patch.setattr(Alignment, "take", hasty)


MUTANTS: dict[str, Mutant] = {
    name: one
    for name, one in [*vars().items()]
    if isinstance(one, FunctionType) and one.__module__ == __name__
}
"""Every function of this module."""

RARE = {
    "torn_tail_is_not_rewritten",
    "later_generations_stay_after_an_undo",
    "drop_does_not_see_what_was_handed_over",
    "stamps_ahead_of_the_clock_are_not_in_the_trail",
    "what_is_stored_early_is_not_known_to_be",
}
"""These need more luck than a minute has: two ends close together after a torn journal, say. Each has a test
of its own: tests/outbox/test_journal.py and test_rows.py, tests/deliver/lanes/test_deliver_turns.py,
tests/kafka/reading/test_settle.py."""
