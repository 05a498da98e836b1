"""Rows of format 1: one flat array of 17 or 20 fields, where today's are nested and shorter."""

from __future__ import annotations

import msgspec

from pipeline.outbox.handover import Headers, Progress, Request

OLD = 0xDC
"""Their first byte: MessagePack's array of 16 and more items. No row of today's has so many."""


class _OldOwed(msgspec.Struct, array_like=True):
    version: int
    key: bytes
    webhook_id: str
    message_id: str
    config: str
    method: str
    url: str
    headers: Headers
    body: bytes
    user: str
    sequence: int
    created_ms: int
    replay: bool
    attempt: int
    due_ms: int
    status: int
    excerpt: str


class OldDead(msgspec.Struct, array_like=True):
    """A dead letter; its origin is in the key too."""

    version: int
    kind: str
    key: bytes
    webhook_id: str
    message_id: str
    config: str
    reason: str
    source: str
    offset: int
    item: int
    method: str
    url: str
    headers: Headers
    body: bytes
    user: str
    attempt: int
    status: int
    excerpt: str
    created_ms: int
    dead_ms: int


_decode_owed = msgspec.msgpack.Decoder(_OldOwed).decode
decode_dead = msgspec.msgpack.Decoder(OldDead).decode


def old_owed(value: bytes) -> tuple[Request, Progress]:
    """Return the request in an old row of the outbox."""
    return split(_decode_owed(value))


def split(old: _OldOwed | OldDead) -> tuple[Request, Progress]:
    """Map the fields to the names of today's structs."""
    return (
        msgspec.convert(old, Request, from_attributes=True),
        msgspec.convert(old, Progress, from_attributes=True),
    )
