"""The shard step: join, match, limit, render, hand over, collect. One step, one store, one transaction."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from bytewax.operators import StatefulBatchLogic

from pipeline.compile.snapshot import Snapshot, Webhook
from pipeline.job.context import Job
from pipeline.job.steps.chunks import Candidates, Routed
from pipeline.join.caps import Caps
from pipeline.join.limits import Verdict
from pipeline.join.users import Users
from pipeline.model.errors import RenderError
from pipeline.model.records import MISSING, Event, Invalid, Json, PropertyUpdate, User
from pipeline.outbox.codec import DeadLetter, delivery_key
from pipeline.outbox.counters import Counters
from pipeline.outbox.handover import Request
from pipeline.outbox.outbox import Outbox
from pipeline.outbox.seen import seen_of
from pipeline.store.folders import shard_folder
from pipeline.store.store import Store
from pipeline.telemetry.metrics import count, observe

Token = tuple[str, int, int]
"""What Bytewax keeps of a shard: ("v1", shard, the store's sequence number)."""


class Shard:
    """What one shard does with its records, in order."""

    def __init__(self, job: Job, shard: int, seq: int) -> None:
        self.store = Store(shard_folder(job.state, shard))
        job.stores.append(self.store)
        if self.store.resume(seq):
            count("state_undone_total")
        self.shard = shard
        self.job = job
        self.now = 0
        """Wall clock (unix ms) at the beginning of the present chunk."""
        self.users = Users(self.store)
        self.caps = Caps(self.store, job.clock)
        self.counters = Counters(self.store)
        job.versions.learn(owed_or_dead(self.counters))
        self.after_commit: list[Callable[[], None]] = []
        """Called once the present epoch is written."""
        self.left: list[Path] = []
        self.done: list[Path] = []
        """Requests left for the stopped job, done in this epoch and in the last one."""
        self.outbox = Outbox(
            self.store, self.counters, job.engine, shard, job.clock, copies=job.copies is not None
        )

    def work(self, chunk: Routed) -> None:
        """Take one chunk: every record of it, then note how far the sources have come."""
        snapshot = self.job.versions.get(chunk.config, chunk.text)
        self.now = self.job.clock()
        for key, record, candidates in chunk.items:
            if type(record) is Event:
                self.event(key, record, candidates, snapshot)
            elif type(record) is PropertyUpdate:
                self.update(key, record, chunk.partition, snapshot)
            elif type(record) is Invalid:
                self.invalid(record)
        for source, offset in chunk.passed.items():
            self.outbox.passed(source, offset)

    def event(self, key: str, event: Event, candidates: Candidates, snapshot: Snapshot) -> None:
        """Join an event to what is known of its user and fire the webhooks that may want it."""
        user = User(event.user_id, event.anonymous_id, event.user_id is not None, self.users.get(key))
        for index in candidates:
            self.fire(key, snapshot.webhooks[index], event, user, snapshot)

    def update(self, key: str, update: PropertyUpdate, partition: str, snapshot: Snapshot) -> None:
        """Write an update, and fire the webhooks that wait for what it really changed."""
        before = self.users.apply(key, update, partition)
        if not before or update.delete or not snapshot.triggers.changes_wanted:
            return
        candidates = snapshot.triggers.on_change(before)
        if not candidates:
            return
        event, user = change_of(update, before, self.users.get(key))
        for index in candidates:
            self.fire(key, snapshot.webhooks[index], event, user, snapshot)

    def fire(self, key: str, webhook: Webhook, event: Event, user: User, snapshot: Snapshot) -> None:
        """Match the user's side, apply the limits, render and hand over."""
        replay = self.job.replay
        if replay is not None and not (replay.fires(webhook.id) and replay.wants(event)):
            return
        webhook_id = webhook.id
        if webhook.asks_user:
            if webhook.trigger.limits is not None:
                self.caps.seen(event.time or 0)
            verdict = webhook.judge(self.caps, key, event, user)
            if verdict is not Verdict.FIRE:
                if verdict is Verdict.SUPPRESS:
                    self.outbox.suppress(webhook_id)
                return
        key_of = delivery_key(webhook_id, event.origin)
        message_id = message_name(webhook_id, event)
        now = self.now
        try:
            rendered = webhook.request.render(event, user)
        except RenderError as error:
            seen = Request(
                key=key_of,
                webhook_id=webhook_id,
                message_id=message_id,
                config=snapshot.hash,
                body=seen_of(event, user),
                user=key,
                created_ms=now,
            )
            self.outbox.give_up(DeadLetter(kind="render", reason=str(error), dead_ms=now, request=seen))
            return
        request = Request(
            key=key_of,
            webhook_id=webhook_id,
            message_id=message_id,
            config=snapshot.hash,
            method=rendered.method,
            url=rendered.url if replay is None else replay.redirect(rendered.url),
            headers=rendered.headers,
            body=rendered.body,
            user=key,
            created_ms=now,
            replay=replay is not None,
        )
        settings = webhook.delivery
        if self.counters.pending(webhook_id) * self.job.shards >= settings.max_pending and self.full(
            webhook, request
        ):
            return
        self.outbox.admit(request, ordered=settings.ordering == "per_user")

    def full(self, webhook: Webhook, request: Request) -> bool:
        """Too much is pending: True where the request was dead-lettered, False where the source pauses."""
        policy = webhook.delivery.on_full or ("pause" if self.job.finite else "dead_letter")
        if policy == "pause":
            self.job.full.add((self.shard, webhook.id))
            return False
        now = self.job.clock()
        self.outbox.give_up(DeadLetter(kind="delivery", reason="max-pending", dead_ms=now, request=request))
        return True

    def invalid(self, record: Invalid) -> None:
        """Keep a record that nobody can understand, with its reason."""
        now = self.job.clock()
        request = Request(key=delivery_key("", record.origin), body=record.raw, created_ms=now)
        self.outbox.give_up(DeadLetter(kind="record", reason=record.reason, dead_ms=now, request=request))

    def end_epoch(self) -> int:
        """Collect what the engine finished, commit the epoch, and return the store's sequence number."""
        self.outbox.forget_journals()
        self.users.flush()
        self.caps.sweep()
        self.outbox.collect()
        self.counters.flush()
        begun = time.perf_counter()
        before, seq = self.store.seq, self.store.commit()
        if seq != before:
            observe("state_commit_seconds", time.perf_counter() - begun)
        self.outbox.committed()
        for path in self.done:
            path.unlink(missing_ok=True)
        self.done, self.left = self.left, []
        for tell in self.after_commit:
            tell()
        self.after_commit.clear()
        if self.users.misrouted:
            count("join_misrouted_total", self.users.misrouted)
            self.users.misrouted = 0
            self.job.warn_misrouted()
        self.job.accounts[self.shard] = self.counters.copy()
        self.job.full.difference_update(
            [pair for pair in tuple(self.job.full) if pair[0] == self.shard and self.has_room(pair[1])]
        )
        return seq

    def has_room(self, webhook_id: str) -> bool:
        """Return whether a webhook that paused the source has come down to nine tenths of its limit."""
        webhook = self.job.versions.latest.by_id.get(webhook_id)
        if webhook is None:
            return True
        return self.outbox.pending(webhook_id) * self.job.shards < webhook.delivery.max_pending * 0.9


class ShardStep(StatefulBatchLogic[Routed, list[DeadLetter], Token]):
    """The Bytewax side of a shard: built by its hello, one commit per epoch."""

    def __init__(self, job: Job, token: Token | None) -> None:
        self.job = job
        self.token = token
        self.shard: Shard | None = None
        self.eof = False
        self.wakes_at = datetime.now(UTC)

    def on_batch(self, values: list[Routed]) -> tuple[Iterable[list[DeadLetter]], bool]:
        """Work through the chunks in order, then hand over what they owe."""
        with self.job.guard():
            shard = self.shard or self.build(values[0].shard)
            for chunk in values:
                shard.work(chunk)
            shard.outbox.hand_over()
            shard.outbox.absorb()
            self.job.ended.update((shard.shard, chunk.partition) for chunk in values if chunk.is_last)
            return self.copies()

    def on_notify(self) -> tuple[Iterable[list[DeadLetter]], bool]:
        """Wake up without input: results of the engine and commands of the admin socket go on."""
        with self.job.guard():
            self.wakes_at = datetime.now(UTC) + timedelta(seconds=self.job.epoch_secs)
            if self.shard is not None:
                for command in self.job.take_commands(self.shard.shard):
                    command(self.shard)
                self.shard.outbox.hand_over()
            return self.copies()

    def on_eof(self) -> tuple[Iterable[list[DeadLetter]], bool]:
        """The input has ended: send what can be sent before the last epoch."""
        with self.job.guard():
            self.eof = True
            self.job.drain()
            if self.shard is not None:
                self.shard.outbox.collect()
            return self.copies()

    def notify_at(self) -> datetime | None:
        """Wake up once per epoch, so that results are committed also while no input comes."""
        return None if self.eof else self.wakes_at

    def snapshot(self) -> Token:
        """Commit the epoch; see DESIGN 6, rule 3."""
        with self.job.guard():
            if self.shard is None:
                return self.token or ("v1", -1, 0)
            return ("v1", self.shard.shard, self.shard.end_epoch())

    def build(self, shard: int) -> Shard:
        """Open the store at the epoch that Bytewax resumed; the shard's number comes with the hello."""
        seq = self.token[2] if self.token is not None else 0
        self.shard = Shard(self.job, shard, seq)
        self.job.workers.add(threading.get_ident())
        self.job.shards_here[shard] = self.shard
        self.shard.left = self.job.on_build(self.shard)
        return self.shard

    def copies(self) -> tuple[Iterable[list[DeadLetter]], bool]:
        """Return the dead letters to copy since the last call."""
        dead = self.shard.outbox.to_copy() if self.shard is not None else []
        return ([dead] if dead else ()), self.RETAIN


def owed_or_dead(counters: Counters) -> set[str]:
    """Return the webhooks of which something is still to be sent, or may be sent again."""
    names = (name.rpartition("/") for name, number in counters.copy().items() if number)
    return {webhook_id for webhook_id, _, field in names if field in ("pending", "dead")}


def change_of(
    update: PropertyUpdate, before: dict[str, Any], properties: dict[str, Json]
) -> tuple[Event, User]:
    """Return what a `changes` trigger sees: an event with the changed values (null for what was unset), and
    the user with the values before.
    """
    changed = {name: properties.get(name) for name in before}
    known = {name: value for name, value in before.items() if value is not MISSING}
    user = User(update.user_id, update.anonymous_id, update.user_id is not None, properties, known)
    event = Event(
        update.id, "User updated", "update", update.user_id, update.anonymous_id,
        update.time if update.time is not None else update.received_at, update.received_at, update.source,
        changed, {}, update.origin,
    )  # fmt: skip
    return event, user


@lru_cache(65_536)
def _message_hash(webhook_id: str) -> hashlib.blake2b:
    """Return the hash that every ``webhook-id`` of a webhook begins with; only ever copied."""
    return hashlib.blake2b(f"{webhook_id}\0".encode(), digest_size=16, person=b"hookline-message")


def message_name(webhook_id: str, event: Event) -> str:
    """Return the ``webhook-id``: a hash of the webhook and the event's id, or its origin where it has none.

    The same in every attempt, crash and replay, so that a receiver can drop what it has seen.
    """
    name = _message_hash(webhook_id).copy()
    of = event.id if event.id is not None else f"\0{event.origin}"
    name.update(of.encode("utf-8", "surrogatepass"))
    return "msg_" + name.hexdigest()
