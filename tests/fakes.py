"""Stand-ins for the parts around the state: engines that do what a test says, and records in one line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import lmdb
import pytest

from pipeline.deliver.stats import EngineStats
from pipeline.model.records import Event, IdentityLink, Origin, PropertyUpdate
from pipeline.outbox.codec import PLACE_BYTES, delivery_key
from pipeline.outbox.handover import Delivery, Outcome, Port, Progress, Request, Result

NOW_MS = 1_750_000_000_000


class NoJournal:
    """Keeps nothing."""

    def append(self, results: list[Result], now_ms: int) -> None: ...

    def switch(self, generation: int) -> None: ...


NOBODY = Port(-1, NoJournal(), lambda *_: ([], None))
"""Where results of deliveries go that belong to no shard."""


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

    def accepts(self, webhook_id: str) -> bool:
        return sum(d.request.webhook_id == webhook_id for d in self.held.values()) < self.room

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

    def renew_secrets(self) -> bool:
        return False

    def accepts(self, webhook_id: str) -> bool:
        return True

    def submit(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            self.requests.append((delivery.request.message_id, delivery.request.url, delivery.request.body))
            delivery.progress.attempt += 1
            delivery.progress.status = 200
        results = [Result(delivery, Outcome.DELIVERED) for delivery in deliveries]
        deliveries[0].port.post(results, NOW_MS)

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        pass

    def drop(self, port: Port, rows: list[bytes]) -> None:
        pass

    def configure(self, specs: object) -> None:
        pass

    def start(self) -> None:
        pass

    def begin_drain(self, deadline_secs: float) -> None:
        pass

    def is_drained(self) -> bool:
        return True

    def stats(self) -> EngineStats:
        return EngineStats({}, 0, 0.0, 0.0)

    def retry_now(self, webhook_id: str) -> None:
        pass

    def enable(self, webhook_id: str) -> None:
        pass

    def disable(self, webhook_id: str, *, gone: bool = False) -> None:
        pass

    def pause(self, webhook_id: str) -> None:
        pass

    def busy(self) -> bool:
        return False

    def drain(self, deadline_secs: float) -> bool:
        return True

    def stop(self) -> None:
        self.stopped = True


def clock() -> int:
    return NOW_MS


def request(
    webhook_id: str, offset: int, *, user: str = "", body: bytes = b"{}", source: str = "r.jsonl"
) -> Request:
    """Return a new request for the event at this offset."""
    return Request(
        key=delivery_key(webhook_id, Origin(source, offset)),
        webhook_id=webhook_id,
        message_id=f"msg_{webhook_id}_{offset}",
        config="c0",
        method="POST",
        url=f"http://h/{webhook_id}",
        headers=(("content-type", "application/json"),),
        body=body,
        user=user,
        created_ms=NOW_MS,
    )


def delivery(webhook_id: str, offset: int, *, user: str = "") -> Delivery:
    """Return a delivery that no shard has handed over."""
    made = request(webhook_id, offset, user=user)
    return Delivery(port=NOBODY, request=made, progress=Progress(), row=made.key)


def place(of: Delivery) -> int:
    """Return the number that orders a delivery; 0 where none does."""
    return 0 if of.row == of.request.key else int.from_bytes(of.row[-PLACE_BYTES:], "big")


def event(
    name: str = "E", *, user: str | None = None, anonymous: str | None = None, offset: int = 0
) -> Event:
    return Event(
        None,
        name,
        "track",
        user,
        anonymous,
        NOW_MS + offset,
        None,
        None,
        {"n": offset},
        {},
        Origin("r", offset),
    )


def update(
    *,
    user: str | None = None,
    anonymous: str | None = None,
    set: dict[str, Any] | None = None,
    set_once: dict[str, Any] | None = None,
    unset: Iterable[str] = (),
    delete: bool = False,
    offset: int = 0,
) -> PropertyUpdate:
    return PropertyUpdate(
        None, user, anonymous, NOW_MS, None, None, set or {}, set_once or {}, tuple(unset),
        Origin("r", offset), delete,
    )  # fmt: skip


def link(anonymous: str, user: str, *, alias: bool = False, offset: int = 0) -> IdentityLink:
    return IdentityLink(anonymous, user, NOW_MS, Origin("r", offset), alias)


Clock = Callable[[], int]


@pytest.fixture(autouse=True, scope="module")
def unsynced() -> Iterator[None]:
    """Let commits skip the disk's sync: nothing here cuts the power, and a busy disk makes minutes of it."""
    opened = lmdb.open
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lmdb, "open", lambda *args, **more: opened(*args, **{"sync": False} | more))
        yield
