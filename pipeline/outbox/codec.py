"""Keys and rows as bytes: delivery keys, outbox rows, dead letters, results."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

import msgspec

from pipeline.model.records import Envelope, Origin
from pipeline.outbox.handover import Outcome, Progress, Request
from pipeline.outbox.old_rows import OLD, decode_dead, old_owed, split
from pipeline.store.rows import bounded

_POSITION = struct.Struct(">QI")
_RESULT = struct.Struct("<BIHqHHH")
_PLACE = struct.Struct(">Q")
_DELIVERED = Outcome.DELIVERED

MAX_NAME = 300
"""Longer names of sources and users are hashed, so that a webhook's id and a place fit beside them."""


def source_key(source: str) -> bytes:
    """Return a source's name as used in delivery keys; file names need not be UTF-8."""
    return bounded(source.encode("utf-8", "surrogateescape"), MAX_NAME)


def cut_name(source: str) -> bytes:
    """Return a source's whole name where delivery keys hold only its start and a hash; else ""."""
    name = source.encode("utf-8", "surrogateescape")
    return name if len(name) > MAX_NAME else b""


def delivery_key(webhook_id: str, origin: Origin) -> bytes:
    """Return webhook id and origin as bytes that sort by webhook, source, offset and item."""
    return _place_prefix(webhook_id, origin.source) + _POSITION.pack(origin.offset, origin.item)


@lru_cache(65_536)
def _place_prefix(webhook_id: str, source: str) -> bytes:
    return b"%b\0%b\0" % (webhook_id.encode(), source_key(source))


def key_origin(key: bytes) -> tuple[bytes, Origin]:
    """Return source key and origin of a delivery key (a replay's suffix is ignored)."""
    _, source, rest = _parts(key)
    offset, item = _POSITION.unpack_from(rest)
    return source, Origin(source.decode("utf-8", "surrogateescape"), offset, item)


def _parts(key: bytes) -> tuple[bytes, bytes, bytes]:
    """Return webhook, source key, and what follows: the position, and a replay's number."""
    webhook, _, rest = key.partition(b"\0")
    # No name contains a NUL, but the hash that ends a long one may: there the length gives its end.
    long = len(rest) > MAX_NAME + _POSITION.size and rest[MAX_NAME - 17] == 0xFF
    end = MAX_NAME if long else rest.index(b"\0")
    return webhook, rest[:end], rest[end + 1 :]


def replay_key(key: bytes, number: int) -> bytes:
    """Return the delivery key of the ``number``-th replay of a dead letter, distinct in the journal."""
    webhook, source, rest = _parts(key)
    return b"%b\0%b\0%b%b" % (webhook, source, rest[: _POSITION.size], _PLACE.pack(number))


def replay_number(key: bytes) -> int:
    """Return the number given to `replay_key`; 0 for the key of no replay."""
    rest = _parts(key)[2][_POSITION.size :]
    return int(_PLACE.unpack(rest)[0]) if rest else 0


def ordered_row(webhook_id: str, user: str, sequence: int) -> bytes:
    """Return the outbox key of a delivery whose webhook keeps the order per user."""
    name = bounded(user.encode("utf-8", "surrogatepass"), MAX_NAME)
    return b"%b\0%b\0%b" % (webhook_id.encode(), name, _PLACE.pack(sequence))


def queue_of(row: bytes) -> bytes:
    """Return the prefix that the outbox keys of one webhook and user have in common, from one of them."""
    return row[: -_PLACE.size]


def webhook_prefix(webhook_id: str) -> bytes:
    """Return the prefix of one webhook's rows."""
    return webhook_id.encode() + b"\0"


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Why something could not be delivered, with everything needed to examine it and to send it again.

    ``kind``: ``delivery`` (the request as sent, secrets as slots), ``render`` (its body is what the template
    saw, see seen.py), ``condition`` (its body likewise: whether the webhook wants the event is too expensive
    to know), ``record`` (its body is the raw input record).
    """

    kind: str
    reason: str
    dead_ms: int
    request: Request
    progress: Progress = msgspec.field(default_factory=Progress)
    source: bytes = b""
    """See `cut_name`; also empty where a long name was no longer available."""
    message: Envelope | None = None
    """For a record that came as a message: what was around it."""

    @property
    def key(self) -> bytes:
        """The delivery key; names its row."""
        return self.request.key

    @property
    def origin(self) -> Origin:
        """Where the event or the record was read."""
        origin = key_origin(self.key)[1]
        return (
            origin._replace(source=self.source.decode("utf-8", "surrogateescape")) if self.source else origin
        )


_encode = msgspec.msgpack.Encoder().encode
_decode_owed = msgspec.msgpack.Decoder(tuple[Request, Progress]).decode
_decode_dead = msgspec.msgpack.Decoder(DeadLetter).decode


def pack_owed(request: Request, progress: Progress) -> bytes:
    """Return the outbox row of a request."""
    return _encode((request, progress))


def unpack_owed(value: bytes) -> tuple[Request, Progress]:
    """Return what an outbox row holds."""
    return _decode_owed(value) if value[0] != OLD else old_owed(value)


def pack_dead(dead: DeadLetter) -> bytes:
    """Return the row of a dead letter."""
    return _encode(dead)


def unpack_dead(value: bytes) -> DeadLetter:
    """Return the dead letter of a row."""
    if value[0] != OLD:
        return _decode_dead(value)
    old = decode_dead(value)
    request, progress = split(old)
    return DeadLetter(
        kind=old.kind,
        reason=old.reason,
        dead_ms=old.dead_ms,
        request=request,
        progress=progress,
        source=cut_name(old.source),
    )


class Finished(NamedTuple):
    """A result as the journal keeps it."""

    key: bytes
    row: bytes
    outcome: Outcome
    reason: str
    progress: Progress


def pack_result(key: bytes, row: bytes, outcome: Outcome, reason: str, progress: Progress) -> bytes:
    """Return a result as stored in the journal and the table of finished requests: the fields of
    `Finished`.
    """
    if row == key and not reason:
        head = _RESULT.pack(outcome, progress.attempt, progress.status, progress.due_ms, len(key), 0, 0) + key
        return head if outcome is _DELIVERED else head + progress.excerpt.encode()
    said = reason.encode()[:500]
    excerpt = b"" if outcome is _DELIVERED else progress.excerpt.encode()
    row = b"" if row == key else row
    head = _RESULT.pack(
        outcome, progress.attempt, progress.status, progress.due_ms, len(key), len(row), len(said)
    )
    return b"%b%b%b%b%b" % (head, key, row, said, excerpt)


def unpack_result(data: bytes) -> Finished:
    """Return the result that `pack_result` wrote."""
    outcome, attempt, status, due_ms, key_length, row_length, reason_length = _RESULT.unpack_from(data)
    key_end = _RESULT.size + key_length
    row_end = key_end + row_length
    reason_end = row_end + reason_length
    key = data[_RESULT.size : key_end]
    excerpt = data[reason_end:].decode("utf-8", "replace")
    return Finished(
        key=key,
        row=data[key_end:row_end] or key,
        outcome=Outcome(outcome),
        reason=data[row_end:reason_end].decode("utf-8", "replace"),
        progress=Progress(attempt=attempt, due_ms=due_ms, status=status, excerpt=excerpt),
    )


def pack_number(number: int) -> bytes:
    """Return a counter's bytes."""
    return b"%d" % number


def unpack_number(value: bytes | None) -> int:
    """Return a counter's value; 0 for a missing row."""
    return int(value) if value is not None else 0
