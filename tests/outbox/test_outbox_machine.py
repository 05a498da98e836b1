"""The outbox under any order of admissions, results, epochs, undos and deaths, against simple bookkeeping.

What is checked: a request ends once, keeps its attempts over deaths, goes in its user's order where that is
asked for, and the counters balance after every epoch.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pipeline.outbox import outbox
from pipeline.outbox.codec import unpack_dead
from pipeline.outbox.handover import Delivery, Outcome, Room
from pipeline.store.rows import Table
from tests.kit.delivery.engine import ScriptedEngine
from tests.kit.examples import examples
from tests.kit.streams.records import place, request
from tests.outbox.bench import Bench

pytestmark = pytest.mark.usefixtures("unsynced")

WEBHOOKS = ("w", "w-ordered", "other")


class OrderedEngine(ScriptedEngine):
    """Sends ordered deliveries of a user one after the other, as the real lanes do."""

    def __init__(self) -> None:
        super().__init__()
        self.full: set[str] = set()
        self.leaving: dict[bytes, Delivery] = {}
        """Parked and not committed: later ones of the same user must follow."""

    def accepts(self, webhook_id: str) -> Room:
        return Room(webhook_id not in self.full)

    def submit(self, deliveries: list[Delivery]) -> None:
        super().submit(deliveries)
        for made in deliveries:
            if (
                made.row in self.held
                and place(made)
                and any(made.request.user == d.request.user for d in self.leaving.values())
            ):
                self.park(made.row)

    def park(self, row: bytes) -> None:
        """Put a delivery out of memory, an ordered one with all that its user has behind it."""
        parked = self.held[row]
        rows = [row]
        if place(parked):
            user = parked.request.user
            rows = [r for r, d in sorted(self.held.items()) if place(d) and d.request.user == user]
        for each in rows:
            self.leaving[each] = self.held[each]
            self.end(each, Outcome.PARKED)

    def committed(self) -> None:
        self.leaving.clear()

    def heads(self) -> list[bytes]:
        """Return the rows that may be sent now."""
        first: dict[tuple[str, str], int] = {}
        for d in self.held.values():
            if place(d):
                queue = (d.request.webhook_id, d.request.user)
                first[queue] = min(first.get(queue, place(d)), place(d))
        return sorted(
            row
            for row, d in self.held.items()
            if not place(d) or first[d.request.webhook_id, d.request.user] == place(d)
        )

    def refill(self, webhook_id: str, limit: int = 3) -> int:
        before = set(self.held)
        taken = super().refill(webhook_id, limit)
        for row in set(self.held) - before:
            made = self.held[row]
            if place(made) and any(made.request.user == d.request.user for d in self.leaving.values()):
                del self.held[row]
                taken -= 1
        return taken


class OutboxMachine(RuleBasedStateMachine):
    """Input positions stand for what Bytewax replays; a death goes back to the last durable one."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.inputs: list[tuple[str, str]] = []
        self.position = 0
        self.positions = {0: 0}
        """Store sequence to input position."""
        self.durable = 0
        """The last epoch that Bytewax is known to have committed."""
        self.ends: dict[bytes, Outcome] = {}
        self.attempts: dict[bytes, int] = {}
        self.sent: dict[tuple[str, str], list[int]] = {}
        self.bench = Bench(self.path, OrderedEngine())

    @property
    def engine(self) -> OrderedEngine:
        assert isinstance(self.bench.engine, OrderedEngine)
        return self.bench.engine

    @rule(webhook=st.sampled_from(WEBHOOKS), user=st.sampled_from(["u:1", "u:2"]), hand=st.booleans())
    def read(self, webhook: str, user: str, hand: bool) -> None:
        if self.position == len(self.inputs):
            self.inputs.append((webhook, user))
        webhook, user = self.inputs[self.position]
        self.bench.admit(webhook, self.position, ordered=webhook == "w-ordered", user=user)
        self.position += 1
        if hand:
            self.bench.outbox.hand_over()

    @rule(webhook=st.sampled_from(WEBHOOKS))
    def change_room(self, webhook: str) -> None:
        self.engine.full ^= {webhook}

    @precondition(lambda self: self.engine.heads())
    @rule(data=st.data(), outcome=st.sampled_from([Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD]))
    def attempt_ends(self, data: st.DataObject, outcome: Outcome) -> None:
        row = data.draw(st.sampled_from(self.engine.heads()))
        made = self.engine.held[row]
        assert made.request.key not in self.ends, "sent again although its end is in the journal"
        assert made.progress.attempt == self.attempts.get(made.request.key, 0), "attempts are forgotten"
        self.engine.end(row, outcome, status=500, reason="why", due_ms=made.progress.attempt)
        self.attempts[made.request.key] = made.progress.attempt
        if outcome is not Outcome.RETRY:
            self.ends[made.request.key] = outcome
            offset = int(made.request.message_id.rpartition("_")[2])
            self.sent.setdefault((made.request.webhook_id, made.request.user), []).append(offset)

    @precondition(lambda self: self.engine.held)
    @rule(data=st.data())
    def park(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(sorted(self.engine.held)))
        self.engine.park(row)

    @rule(webhook=st.sampled_from(WEBHOOKS))
    def refill(self, webhook: str) -> None:
        self.engine.refill(webhook)

    @rule()
    def absorb(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(outbox, "ABSORB", 1)
            self.bench.outbox.absorb()

    @rule()
    def prepare(self) -> None:
        self.bench.outbox.prepare()

    @rule()
    def end_epoch(self) -> None:
        self.durable = self.bench.store.seq
        # Bytewax hands everything of an epoch to the step before its snapshot.
        self.bench.outbox.hand_over()
        seq = self.bench.end_epoch()
        self.engine.committed()
        self.positions[seq] = self.position

    @rule(last_epoch_is_durable=st.booleans())
    def die(self, last_epoch_is_durable: bool) -> None:
        seq = self.bench.store.seq if last_epoch_is_durable else self.durable
        self.bench.crash()
        self.durable = seq
        self.position = self.positions[seq]
        self.bench = Bench(self.path, OrderedEngine(), seq)

    @invariant()
    def nothing_is_counted_twice(self) -> None:
        if hasattr(self, "bench"):
            for webhook in WEBHOOKS:
                numbers = self.bench.numbers(webhook)
                assert numbers["matched"] == sum(numbers.values()) - numbers["matched"]

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        while self.position < len(self.inputs):
            self.read(*self.inputs[self.position], True)
        for _ in range(3 + len(self.inputs)):
            self.end_epoch()
            for webhook in WEBHOOKS:
                self.engine.refill(webhook)
            while self.engine.heads():
                row = self.engine.heads()[0]
                made = self.engine.held[row]
                assert made.request.key not in self.ends
                self.ends[made.request.key] = Outcome.DELIVERED
                self.sent.setdefault((made.request.webhook_id, made.request.user), []).append(
                    int(made.request.message_id.rpartition("_")[2])
                )
                self.engine.end(row, Outcome.DELIVERED)
        keys = {request(webhook, position).key: webhook for position, (webhook, _) in enumerate(self.inputs)}
        assert self.ends.keys() == keys.keys(), "each request has ended"
        for webhook in WEBHOOKS:
            ends = [self.ends[key] for key, own in keys.items() if own == webhook]
            numbers = self.bench.numbers(webhook)
            assert numbers["pending"] == 0
            assert numbers["delivered"] == ends.count(Outcome.DELIVERED)
            assert numbers["dead"] == ends.count(Outcome.DEAD)
        letters = {unpack_dead(value).key for value in self.bench.table(Table.DEAD).values()}
        assert letters == {key for key, end in self.ends.items() if end is Outcome.DEAD}
        for (webhook, _), offsets in self.sent.items():
            if webhook == "w-ordered":
                assert offsets == sorted(offsets), "out of the user's order"
        assert self.bench.table(Table.OUTBOX) == {}
        self.bench.crash()
        self.folder.cleanup()


OutboxMachine.TestCase.settings = settings(max_examples=examples(80), stateful_step_count=40, deadline=None)
TestOutboxMachine = OutboxMachine.TestCase
