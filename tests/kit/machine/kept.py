"""State directories that hold what a test wants to be kept: dead letters and what is owed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.model.records import Origin
from pipeline.outbox.codec import DeadLetter, delivery_key
from pipeline.outbox.counters import Counters
from pipeline.outbox.dead_letters import DeadLetters
from pipeline.outbox.handover import Progress, Request
from pipeline.outbox.owed_rows import OwedRows
from pipeline.runtime.state.recovery import prepare_recovery
from pipeline.store.folders import shard_folder
from pipeline.store.store import Store

T0 = 1_764_000_000_000


def letter(
    webhook: str,
    number: int,
    *,
    reason: str = "max-age",
    status: int = 503,
    excerpt: str = "busy",
    kind: str = "delivery",
    at: int | None = None,
    user: str = "u1",
    body: bytes = b'{"n":1}',
) -> DeadLetter:
    """Return a dead letter; its number is its origin's offset and, in seconds, its time."""
    dead_ms = T0 + 1000 * number if at is None else at
    return DeadLetter(
        kind=kind,
        reason=reason,
        dead_ms=dead_ms,
        request=_request(webhook, number, user, body, dead_ms),
        progress=Progress(attempt=0 if kind != "delivery" else 3, status=status, excerpt=excerpt),
    )


def _request(webhook: str, number: int, user: str, body: bytes, at: int) -> Request:
    return Request(
        key=delivery_key(webhook, Origin("shop.jsonl", number)),
        webhook_id=webhook,
        message_id=f"msg_{number}" if webhook else "",
        config="c0ffee",
        method="POST" if webhook else "",
        url="https://example.com/\x01TOKEN\x02" if webhook else "",
        headers=(("authorization", "Bearer \x01TOKEN\x02"),) if webhook else (),
        body=body,
        user=f"u:{user}" if webhook else "",
        created_ms=at - 1000,
    )


def keep(
    state: Path,
    letters: Iterable[DeadLetter] = (),
    owed: Iterable[tuple[str, int, Progress]] = (),
    shards: int = 2,
) -> Path:
    """Write them into a state directory as a job does, spread over its shards; return it."""
    prepare_recovery(state / "recovery", process=1)
    letters, owed = list(letters), list(owed)
    for shard in range(shards):
        store = Store(shard_folder(state, shard))
        counters = Counters(store)
        dead = DeadLetters(store, counters)
        for one in letters[shard::shards]:
            dead.add(one)
            if one.request.webhook_id:
                counts = counters.change(one.request.webhook_id)
                counts.matched += 1
                counts.dead += 1
        rows = OwedRows(store, counters)
        for webhook, number, progress in owed[shard::shards]:
            request = _request(webhook, number, f"u{number}", b"{}", T0 + 1000 * number)
            rows.add(request.key, request, progress)
            counts = counters.change(webhook)
            counts.matched += 1
            counts.pending += 1
        counters.flush()
        store.commit()
        store.close()
    return state
