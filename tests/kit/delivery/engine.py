"""Engines that do what a test says, and engines that deliver at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pipeline.deliver.orders import Orders
from pipeline.deliver.stats import EngineStats
from pipeline.outbox.handover import Delivery, Outcome, Port, Result, Room
from tests.kit.streams.records import NOW_MS


class ScriptedEngine:
    """Holds what it is given until the test says how it ends. Keeps the contract of `handover.Engine`."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.ports: dict[Port, None] = {}
        self.held: dict[bytes, Delivery] = {}
        self.sent: list[bytes] = []
        """Delivery keys in the order in which requests were sent."""
        self.disk: Counter[str] = Counter()
        self.sending: set[bytes] = set()
        """Rows that await a response: they cannot be dropped."""

    def accepts(self, webhook_id: str) -> Room:
        return Room(sum(d.request.webhook_id == webhook_id for d in self.held.values()) < self.room)

    def submit(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            assert delivery.row not in self.held, "handed over twice"
            self.held[delivery.row] = delivery

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        self.ports[port] = None
        self.disk[webhook_id] += rows

    def drop(self, port: Port, rows: list[bytes]) -> None:
        free = [row for row in rows if row not in self.sending]
        for row in free:
            self.held.pop(row, None)
        port.released(rows, free)

    # --- what a test says

    def end(
        self, row: bytes, outcome: Outcome, *, status: int = 0, reason: str = "", due_ms: int = 0
    ) -> None:
        """End an attempt of a held delivery."""
        delivery = self.held[row]
        if outcome is not Outcome.PARKED:
            self.sent.append(delivery.request.key)
            progress = delivery.progress
            progress.attempt += 1
            progress.status, progress.due_ms, progress.excerpt = status, due_ms, f"status {status}"
        delivery.port.post([Result(delivery, outcome, reason)], NOW_MS)
        if outcome is not Outcome.RETRY:
            del self.held[row]

    def end_all(self, outcome: Outcome = Outcome.DELIVERED, **more: Any) -> None:
        """End one attempt of everything that is held."""
        for row in list(self.held):
            self.end(row, outcome, **more)

    def refill(self, webhook_id: str, limit: int = 3) -> int:
        """Take every committed row that is neither held nor settling into memory; return how many."""
        taken = 0
        for port in self.ports:
            cursor: bytes | None = None
            while True:
                settling = port.settling.copy()
                deliveries, cursor = port.refill(webhook_id, cursor, limit)
                assert len(deliveries) <= limit
                for delivery in deliveries:
                    if delivery.row not in self.held and delivery.row not in settling:
                        self.held[delivery.row] = delivery
                        taken += 1
                if cursor is None:
                    break
        return taken


class RecordingEngine:
    """Delivers everything at once, on the caller's thread, and notes it: an engine for whole flows."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        """(webhook-id, url, body) in the order of sending."""
        self.stopped = False
        self.orders = Orders(lambda order: None)

    def renew_secrets(self) -> bool:
        return False

    def accepts(self, webhook_id: str) -> Room:
        return Room.SOME

    def submit(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self.requests.append((delivery.request.message_id, delivery.request.url, delivery.request.body))
            delivery.progress.attempt += 1
            delivery.progress.status = 200
        results = [Result(delivery, Outcome.DELIVERED) for delivery in deliveries]
        deliveries[0].port.post(results, NOW_MS)

    def hold(self, *, few: bool) -> None:
        pass

    def release(self) -> None:
        pass

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        pass

    def drop(self, port: Port, rows: list[bytes]) -> None:
        pass

    def start(self) -> None:
        pass

    def begin_drain(self, deadline_secs: float) -> None:
        pass

    def is_drained(self) -> bool:
        return True

    def stats(self) -> EngineStats:
        return EngineStats({}, 0, 0.0, 0.0)

    def busy(self) -> bool:
        return False

    def drain(self, deadline_secs: float) -> bool:
        return True

    def stop(self) -> None:
        self.stopped = True
