"""Records in one line: what comes in, and what is owed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pipeline.model.records import Event, IdentityLink, Origin, PropertyUpdate
from pipeline.outbox.codec import delivery_key
from pipeline.outbox.handover import Delivery

NOW_MS = 1_750_000_000_000


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
