"""Records in one line: what comes in, and what is owed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.model.json import Value
from pipeline.model.records import Event, IdentityLink, Origin, PropertyUpdate, User
from pipeline.outbox.codec import delivery_key
from pipeline.outbox.handover import Delivery

NOW_MS = 1_750_000_000_000
NOON = 1_795_435_200_000
"""2026-11-23T12:00:00Z, a Monday."""


def clock() -> int:
    return NOW_MS


def delivery(
    webhook_id: str, offset: int, *, user: str = "", body: bytes = b"{}", source: str = "r.jsonl"
) -> tuple[Delivery, Origin]:
    """Return a new delivery and its origin."""
    origin = Origin(source, offset)
    key = delivery_key(webhook_id, origin)
    made = Delivery(
        key, key, webhook_id, f"msg_{webhook_id}_{offset}", "c0", "POST", f"http://h/{webhook_id}",
        (("content-type", "application/json"),), body, user, created_ms=NOW_MS,
    )  # fmt: skip
    return made, origin


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
