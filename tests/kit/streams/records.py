"""Records in one line: what comes in, and what is owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.model.json import Value
from pipeline.model.records import Event, IdentityLink, Origin, PropertyUpdate, User
from pipeline.outbox.codec import delivery_key, queue_of
from pipeline.outbox.handover import Delivery, Port, Progress, Request, Result

NOW_MS = 1_750_000_000_000
NOON = 1_795_435_200_000
"""2026-11-23T12:00:00Z, a Monday."""


def clock() -> int:
    return NOW_MS


class NoJournal:
    """Keeps nothing."""

    def append(self, results: list[Result], now_ms: int) -> None: ...

    def switch(self, generation: int) -> None: ...


NOBODY = Port(-1, NoJournal(), lambda *_: ([], None))
"""Where results of deliveries go that belong to no shard."""


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
    return 0 if of.row == of.request.key else int.from_bytes(of.row.removeprefix(queue_of(of.row)), "big")


def event(name: str = "Purchase", properties: Mapping[str, Value] | None = None, **fields: Any) -> Event:
    """Return what u1 did at noon."""
    known: dict[str, Any] = {
        "id": "e1",
        "kind": "track",
        "user_id": "u1",
        "anonymous_id": None,
        "time": NOON,
        "received_at": None,
        "source": "web",
        "context": {},
        "origin": Origin("test", 0),
    }
    return Event(name=name, properties=dict(properties or {}), **{**known, **fields})


def user(properties: Mapping[str, Value] | None = None, **fields: Any) -> User:
    """Return u1 with these properties."""
    known: dict[str, Any] = {"id": "u1", "anonymous_id": None, "identified": True}
    return User(properties=dict(properties or {}), **{**known, **fields})


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
