"""The outbox of one shard: what its webhooks owe, in memory, on disk and in the journal.

The worker thread calls everything but `refill`, which the engine's thread calls on committed rows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial

from msgspec.structs import replace

from pipeline.outbox.applied import Applied, FinishedRequests
from pipeline.outbox.codec import DeadLetter, Finished, ordered_row, queue_of
from pipeline.outbox.counters import Counters, Ended
from pipeline.outbox.dead_letters import Copying, DeadLetters
from pipeline.outbox.handover import Delivery, Engine, Outcome, Port, Progress, Request, Result, Room
from pipeline.outbox.journal import Journal, read_journal
from pipeline.outbox.owed_rows import OwedRows
from pipeline.outbox.quota import USUAL_QUOTA, Quota, doubted_secs
from pipeline.store.store import Store
from pipeline.telemetry.metrics import count

ABSORB = 25
"""From this many results on it pays to take them before the epoch's end."""
REFILL_BYTES = 4 << 20
"""Rows are brought back at a time until they have this much to send."""
OFTEN = 4
"""So many deliveries to one failed attempt: of who fails less, nearly all is taken before it is stored."""
_LONG = Room.LONG  # a member look-up takes 0.1 us


class Outbox:
    """What one shard has handed to the engine and what waits on disk.

    clock: returns unix milliseconds; for ``dead_ms`` only, never for a decision about events.
    """

    def __init__(
        self,
        store: Store,
        counters: Counters,
        engine: Engine,
        shard: int,
        clock: Callable[[], int],
        *,
        copier: Copying | None = None,
        quota: Quota = USUAL_QUOTA,
    ) -> None:
        self._store = store
        self._counters = counters
        self._engine = engine
        self._clock = clock
        self._began_ms = clock() - int(time.monotonic() * 1000)
        self.dead_letters = DeadLetters(store, counters, copier=copier, quota=quota)
        self._rows = OwedRows(store, counters)
        self.ended = Ended()
        self._live: dict[bytes, Delivery] = {}
        self._unstored: dict[bytes, Delivery] = {}
        self._retried: dict[bytes, Delivery] = {}
        """Stored ones that failed in this epoch: most of them end before it does."""
        self._finished = FinishedRequests(store)
        self._in_memory: dict[str, int] = {}
        self._settled: list[bytes] = []
        self._dropping: set[bytes] = set()
        self._new_on_disk: dict[str, int] = {}
        self._fresh_queues: set[bytes] = set()
        """Queues of ordered deliveries of which this epoch has put one on disk that is not in memory."""
        self._handing: list[Delivery] = []
        self._room: dict[str, Room] = {}
        self._applied = Applied(store)
        folder = store.path / "journal"
        self._ages_from = time.monotonic() + doubted_secs(folder, clock())
        journal = read_journal(folder, store.seq)
        count("journal_results_total", len(journal))
        self._journal = Journal(folder, store.seq)
        self.port = Port(shard, self._journal, self.refill)
        self._recover(journal)
        self.port.settling.update(self._settled)
        for webhook_id, counts in counters.webhooks():
            rows = counts.pending - self._new_on_disk.get(webhook_id, 0)
            if rows > 0:
                engine.on_disk(self.port, webhook_id, rows)

    # --- the worker, while it works through a chunk

    def pending(self, webhook_id: str) -> int:
        """Return how many requests of the webhook are owed: rows and live requests."""
        return self._counters.of(webhook_id).pending

    def admit(self, request: Request, *, ordered: bool) -> None:
        """Take over a new request: it will be sent, or its outcome is known from before a crash."""
        webhook_id = request.webhook_id
        if request.key in self._live:
            # Its reader has forgotten that it yielded it before. Replacing the first would leave that owed
            # for ever.
            count("source_twice_total")
            return
        counts = self._counters.change(webhook_id)
        counts.matched += 1
        progress = Progress()
        if self._finished.known:
            before = self._finished.known.get(request.key)
            if before is not None:
                progress = before.progress
                if before.outcome is not Outcome.RETRY:
                    self._has_ended(request, before)
                    return
        room = self._room.get(webhook_id)
        if room is None:
            # Until the next hand-over the engine does not count what it is about to get.
            room = self._room[webhook_id] = self._engine.accepts(webhook_id)
        # Without room it goes to disk in any case, whatever is there.
        to_disk = not room or (ordered and self._is_behind(request))
        counts.pending += 1
        row = self._applied.next_row(webhook_id, request.user) if ordered else request.key
        if to_disk:
            self._rows.add(row, request, progress)
            self._count_on_disk(webhook_id)
            if ordered:
                self._fresh_queues.add(queue_of(row))
            return
        if room is _LONG:
            # A result of orjson holds 4 to 8 KiB more than its length.
            request = replace(request, body=bytes(memoryview(request.body)))
        delivery = Delivery(port=self.port, request=request, progress=progress, row=row)
        self._live[row] = self._unstored[row] = delivery
        self._in_memory[webhook_id] = self._in_memory.get(webhook_id, 0) + 1
        self._handing.append(delivery)

    def give_up(self, letter: DeadLetter) -> None:
        """Take over something that can never be sent: a record, or a request that could not be rendered."""
        webhook_id = letter.request.webhook_id
        if webhook_id:
            counts = self._counters.change(webhook_id)
            counts.matched += 1
            counts.dead += 1
        self.dead_letters.add(letter)

    def suppress(self, webhook_id: str) -> None:
        """Count a match that `limit` or `dedupe` suppressed."""
        counts = self._counters.change(webhook_id)
        counts.matched += 1
        counts.suppressed += 1

    # --- the worker, for commands (DESIGN 6, rule 8)

    def replay(self, letter: DeadLetter, request: Request) -> None:
        """Owe a dead letter's request again: dead - 1, pending + 1. It goes by way of the disk."""
        webhook_id = request.webhook_id
        self.dead_letters.remove(letter)
        counts = self._counters.change(webhook_id)
        counts.dead -= 1
        counts.pending += 1
        self._rows.add(request.key, request, Progress())
        self._count_on_disk(webhook_id)

    def drop(self, rows: list[bytes]) -> int:
        """Give up these rows, as soon as the engine releases them; return how many there are."""
        rows = [row for row in rows if row in self._rows]
        if rows:
            self._dropping.update(rows)
            self.port.settling.update(rows)
            self._engine.drop(self.port, rows)
        return len(rows)

    def lets_go(self, rows: Collection[bytes]) -> bool:
        """Return whether some of these rows are still to be given up: the engine has them."""
        return not self._dropping.isdisjoint(rows)

    def _drop_released(self, released: list[tuple[list[bytes], list[bytes]]]) -> None:
        for asked, free in released:
            for row in free:
                owed = self._rows.get(row)
                if owed is None or row not in self._dropping:
                    continue
                delivery = self._live.get(row) or self._stored(row, *owed)
                delivery.stored = True
                self._settle(Result(delivery, Outcome.DEAD, "dropped"))
            self._dropping.difference_update(asked)
            # What was being sent is requested again: it ends, or the engine releases it later.
            held = [row for row in set(asked).difference(free) if row in self._rows]
            self.drop(held)
            self._settled += set(asked).difference(held)

    @property
    def waits_for_commit(self) -> bool:
        """True where something can be read by the engine only after the epoch's end."""
        return self.port.parked or bool(self._new_on_disk)

    @property
    def is_quiet(self) -> bool:
        """True where nothing is owed, and no dead letter is still to be copied."""
        is_owed = any(counts.pending for _, counts in self._counters.webhooks())
        return not is_owed and not self.dead_letters.are_due

    def hand_over(self) -> None:
        """Give the engine what was admitted since the last call."""
        self._room.clear()
        if self._handing:
            handing, self._handing = self._handing, []
            self._engine.submit(handing)

    def absorb(self, least: int = ABSORB) -> None:
        """Take results into the epoch as they come: the less is left for its end, while the source waits."""
        results = self.port.take_some(least)
        if results:
            self._settle_all(results)

    def prepare(self) -> None:
        """Take the results so far into the epoch, and write the sources' progress."""
        self.absorb(1)
        self._store_waiting()
        self._applied.write(self._finished)

    def _store_waiting(self) -> None:
        """Store what receivers that fail often will hardly take before the epoch's end."""
        delivered = self.ended.delivered
        failed = {name for name, times in self.ended.failed.items() if times * OFTEN >= delivered[name]}
        if failed:
            for deliveries in (self._unstored, self._retried):
                waiting = [one for one in deliveries.values() if one.request.webhook_id in failed]
                for delivery in waiting:
                    self._store_row(delivery)
                    del deliveries[delivery.row]

    def passed(self, offsets: Mapping[str, int]) -> None:
        """Note that this shard has seen everything of these sources up to and including these offsets."""
        self._applied.passed(offsets)

    # --- the worker, at the epoch's end (DESIGN 6, rules 3 and 4)

    def collect(self) -> None:
        """Take what the engine finished into the epoch and store what is still owed."""
        # Before the results: what ended before it could be dropped is then among them, and is not dropped.
        released = self.port.take_released()
        kept = self._unstored or self._retried
        dirty = self._store.dirty or self._counters.dirty or bool(kept or released)
        results = self.port.take(self._store.seq + 1, always=dirty)
        self._settle_all(results)
        self._drop_released(released)
        for kept in (self._unstored, self._retried):
            for delivery in kept.values():
                self._store_row(delivery)
            kept.clear()
        # By the clock that makes them younger: a jump ahead by years must not drop all of them.
        now = time.monotonic()
        self.dead_letters.let_go(
            min(self._clock(), self._began_ms + int(now * 1000)) if now >= self._ages_from else None
        )
        if self._store.dirty or self._counters.dirty:
            self._applied.write(self._finished)

    def committed(self) -> None:
        """The epoch is written: allow rows to be read again and drop journals of durable epochs."""
        if self._settled:
            self.port.settled(self._settled)
            self._settled = []
            self.port.stale = frozenset()
        for webhook_id, rows in self._new_on_disk.items():
            self._engine.on_disk(self.port, webhook_id, rows)
        self._new_on_disk.clear()
        self._fresh_queues.clear()

    def old_journals(self) -> Callable[[], None]:
        """Return a function that deletes the generations before the store's present epoch.

        Any thread may call it, once that epoch is durable.
        """
        return partial(self._journal.forget_before, self._store.seq)

    # --- the engine's thread

    def refill(
        self, webhook_id: str, cursor: bytes | None, limit: int
    ) -> tuple[list[Delivery], bytes | None]:
        """Return committed rows after the cursor; see `Port`."""
        found: list[Delivery] = []
        size = 0
        for row, owed in self._rows.committed(webhook_id, cursor):
            found.append(self._stored(row, *owed))
            size += len(owed[0].body)
            if len(found) >= limit or size >= REFILL_BYTES:
                return found, row
        return found, None

    # --- inside

    def _settle_all(self, results: list[Result]) -> None:
        delivered, retry, live, unstored = Outcome.DELIVERED, Outcome.RETRY, self._live, self._unstored
        failed = self.ended.failed
        sent: dict[str, int] = {}
        for result in results:
            row = result.delivery.row
            if result.outcome is delivered and not result.delivery.stored and live.pop(row, None) is not None:
                # Nearly all: delivered within the epoch they came in, so that no row knows of them.
                webhook_id = result.delivery.request.webhook_id
                sent[webhook_id] = sent.get(webhook_id, 0) + 1
                unstored.pop(row, None)
            elif result.outcome is retry:
                failed[result.delivery.request.webhook_id] += 1
                if result.delivery.stored:
                    self._retried[row] = result.delivery
            else:
                self._settle(result)
        self.ended.delivered.update(sent)
        for webhook_id, number in sent.items():
            self._in_memory[webhook_id] -= number
            counts = self._counters.change(webhook_id)
            counts.pending -= number
            counts.delivered += number
        self._settled += [result.delivery.row for result in results if result.outcome is not retry]

    def _settle(self, result: Result) -> None:
        delivery, outcome = result.delivery, result.outcome
        row, webhook_id = delivery.row, delivery.request.webhook_id
        if outcome is Outcome.RETRY:
            self.ended.failed[webhook_id] += 1
            if delivery.stored:
                self._store_row(delivery)
            return
        if self._live.pop(row, None) is not None:
            self._in_memory[webhook_id] -= 1
        self._unstored.pop(row, None)
        self._retried.pop(row, None)
        if outcome is Outcome.PARKED:
            self._store_row(delivery)
            self._count_on_disk(webhook_id)
            self._fresh_queues.add(queue_of(row))
            return
        if delivery.stored:
            self._rows.remove(row, delivery.request)
        counts = self._counters.change(webhook_id)
        counts.pending -= 1
        if outcome is Outcome.DELIVERED:
            self.ended.delivered[webhook_id] += 1
            counts.delivered += 1
            return
        self.ended.failed[webhook_id] += 1
        counts.dead += 1
        self._add_dead(delivery.request, delivery.progress, result.reason)

    def _add_dead(self, request: Request, progress: Progress, reason: str) -> None:
        self.dead_letters.add(
            DeadLetter(
                kind="delivery", reason=reason, dead_ms=self._clock(), request=request, progress=progress
            )
        )

    def _stored(self, row: bytes, request: Request, progress: Progress) -> Delivery:
        return Delivery(port=self.port, request=request, progress=progress, row=row, stored=True)

    def _store_row(self, delivery: Delivery) -> None:
        write = self._rows.change if delivery.stored else self._rows.add
        write(delivery.row, delivery.request, delivery.progress)
        delivery.stored = True

    def _count_on_disk(self, webhook_id: str) -> None:
        self._new_on_disk[webhook_id] = self._new_on_disk.get(webhook_id, 0) + 1

    def _has_ended(self, request: Request, before: Finished) -> None:
        """Count a regenerated request by its outcome before the crash."""
        counts = self._counters.change(request.webhook_id)
        if before.outcome is Outcome.DELIVERED:
            counts.delivered += 1
        else:
            counts.dead += 1
            self._add_dead(request, before.progress, before.reason)

    def _is_behind(self, request: Request) -> bool:
        """True where an older request of the same user and webhook is on disk and not in memory here."""
        webhook_id = request.webhook_id
        if self.pending(webhook_id) == self._in_memory.get(webhook_id, 0):
            return False
        queue = queue_of(ordered_row(webhook_id, request.user, 0))
        if queue in self._fresh_queues:
            return True
        # What was committed and is still there: a scan of the epoch's own rows, too, would write them first.
        return any(row not in self._live and row in self._rows for row in self._rows.committed_of(queue))

    def _recover(self, journal: list[Finished]) -> None:
        """Apply the journal to the outbox (rule 6)."""
        stale: list[bytes] = []
        for result in journal:
            owed = self._rows.get(result.row)
            if owed is None:
                self._finished.add(result)
                continue
            delivery = self._stored(result.row, *owed)
            delivery.progress = result.progress
            self._settle(Result(delivery, result.outcome, result.reason))
            # Until the next commit the row on disk shows the state before this result.
            self._settled.append(result.row)
            if result.outcome is Outcome.RETRY:
                stale.append(result.row)
                self._count_on_disk(delivery.request.webhook_id)
        self.port.stale = frozenset(stale)
