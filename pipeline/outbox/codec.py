"""Keys and rows as bytes: delivery keys, outbox rows, dead letters, results."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from pipeline.model.records import Origin
from pipeline.outbox.handover import Delivery, Headers, Outcome, Result
from pipeline.store.store import bounded

_POSITION = struct.Struct(">QI")
_RESULT = struct.Struct("<BIHqHHH")
_PLACE = struct.Struct(">Q")
_DELIVERED = Outcome.DELIVERED
PLACE_BYTES = _PLACE.size
"""How many bytes end the outbox key of an ordered delivery."""

MAX_NAME = 300
"""Longer names of sources and users are hashed: a webhook's id and a place must fit beside them."""


def source_key(source: str) -> bytes:
    """Return a source's name as it stands in delivery keys; file names need not be UTF-8."""
    return bounded(source.encode("utf-8", "surrogateescape"), MAX_NAME)


def delivery_key(webhook_id: str, origin: Origin) -> bytes:
    """Return webhook id and origin as bytes that sort by webhook, source, offset and item."""
    return _place_prefix(webhook_id, origin.source) + _POSITION.pack(origin.offset, origin.item)


@lru_cache(65_536)
def _place_prefix(webhook_id: str, source: str) -> bytes:
    return b"%b\0%b\0" % (webhook_id.encode(), source_key(source))


def key_origin(key: bytes) -> tuple[str, bytes, int, int]:
    """Return webhook id, source, offset and item of a delivery key (a replay's suffix is ignored)."""
    webhook, source, rest = key.split(b"\0", 2)
    offset, item = _POSITION.unpack_from(rest)
    return webhook.decode(), source, offset, item


def replay_key(key: bytes, number: int) -> bytes:
    """Return the delivery key of the ``number``-th replay of a dead letter: a journal never mixes them up."""
    webhook, source, rest = key.split(b"\0", 2)
    return b"%b\0%b\0%b%b" % (webhook, source, rest[: _POSITION.size], _PLACE.pack(number))


def replay_number(key: bytes) -> int:
    """Return the number that `replay_key` was given; 0 for the key of no replay."""
    rest = key.split(b"\0", 2)[2][_POSITION.size :]
    return int(_PLACE.unpack(rest)[0]) if rest else 0


def ordered_row(webhook_id: str, user: str, sequence: int) -> bytes:
    """Return the outbox key of a delivery whose webhook keeps the order per user."""
    name = bounded(user.encode("utf-8", "surrogatepass"), MAX_NAME)
    return b"%b\0%b\0%b" % (webhook_id.encode(), name, _PLACE.pack(sequence))


def webhook_prefix(webhook_id: str) -> bytes:
    """Return what the rows of one webhook start with."""
    return webhook_id.encode() + b"\0"


class _Row(msgspec.Struct, array_like=True):
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


_encode = msgspec.msgpack.Encoder().encode
_decode_row = msgspec.msgpack.Decoder(_Row).decode


def pack_row(d: Delivery) -> bytes:
    """Return the outbox row of a delivery."""
    return _encode((
        1, d.key, d.webhook_id, d.message_id, d.config, d.method, d.url, d.headers, d.body, d.user,
        d.sequence, d.created_ms, d.replay, d.attempt, d.due_ms, d.status, d.excerpt,
    ))  # fmt: skip


def unpack_row(row: bytes, value: bytes) -> Delivery:
    """Return the delivery that an outbox row holds."""
    r = _decode_row(value)
    return Delivery(
        r.key, row, r.webhook_id, r.message_id, r.config, r.method, r.url, r.headers, r.body, r.user,
        r.sequence, r.created_ms, r.replay, r.attempt, r.due_ms, r.status, r.excerpt, stored=True,
    )  # fmt: skip


class DeadLetter(msgspec.Struct, array_like=True):
    """Why something could not be delivered, with all that is needed to look at it and to send it again.

    ``kind``: ``delivery`` (url, headers, body are the request, secrets as slots), ``render`` (body is
    ``{"event", "user"}`` as JSON: what the template saw), ``record`` (body is the raw input record).
    """

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
    attempts: int
    status: int
    excerpt: str
    created_ms: int
    dead_ms: int


_decode_dead = msgspec.msgpack.Decoder(DeadLetter).decode


def pack_dead(dead: DeadLetter) -> bytes:
    """Return the row of a dead letter."""
    return _encode(dead)


def unpack_dead(value: bytes) -> DeadLetter:
    """Return the dead letter of a row."""
    return _decode_dead(value)


def dead_delivery(d: Delivery, reason: str, origin: Origin, dead_ms: int) -> DeadLetter:
    """Return the dead letter of a delivery."""
    return DeadLetter(
        1, "delivery", d.key, d.webhook_id, d.message_id, d.config, reason, origin.source, origin.offset,
        origin.item, d.method, d.url, d.headers, d.body, d.user, d.attempt, d.status, d.excerpt,
        d.created_ms, dead_ms,
    )  # fmt: skip


class Finished(NamedTuple):
    """A result as the journal keeps it."""

    key: bytes
    row: bytes
    outcome: Outcome
    attempt: int
    status: int
    due_ms: int
    reason: str
    excerpt: str


def pack_result(result: Result) -> bytes:
    """Return a result as the journal and the table of finished requests keep it."""
    d = result.delivery
    if result.outcome is _DELIVERED and not result.reason and d.row == d.key:
        return _RESULT.pack(1, d.attempt, d.status, d.due_ms, len(d.key), 0, 0) + d.key
    reason = result.reason.encode()[:500]
    excerpt = b"" if result.outcome is Outcome.DELIVERED else d.excerpt.encode()
    row = b"" if d.row == d.key else d.row
    head = _RESULT.pack(result.outcome, d.attempt, d.status, d.due_ms, len(d.key), len(row), len(reason))
    return b"%b%b%b%b%b" % (head, d.key, row, reason, excerpt)


def unpack_result(data: bytes) -> Finished:
    """Return the result that `pack_result` wrote."""
    outcome, attempt, status, due_ms, key_length, row_length, reason_length = _RESULT.unpack_from(data)
    key_end = _RESULT.size + key_length
    row_end = key_end + row_length
    reason_end = row_end + reason_length
    key = data[_RESULT.size : key_end]
    return Finished(
        key,
        data[key_end:row_end] or key,
        Outcome(outcome),
        attempt,
        status,
        due_ms,
        data[row_end:reason_end].decode("utf-8", "replace"),
        data[reason_end:].decode("utf-8", "replace"),
    )


def pack_number(number: int) -> bytes:
    """Return a counter's bytes."""
    return b"%d" % number


def unpack_number(value: Any) -> int:
    """Return a counter's value; 0 for a missing row."""
    return int(value) if value is not None else 0
