"""What a record does, written once: `choose` who may want it, `resolve` its user, `tell` what it fires.

Each part works on its own rows, so that the flow can run them in three places (job/steps); `Rehearsal` runs
them in one (job/trials/rehearse.py). Only these two know the order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import TypeAlias

import msgspec

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.webhook import Webhook
from pipeline.job.replay import Replay
from pipeline.join.caps import Caps
from pipeline.join.limits import Verdict
from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.language.work import TooExpensive
from pipeline.match.index import CostlyExclude, TriggerIndex
from pipeline.model.errors import RenderError
from pipeline.model.json import Value, canonical
from pipeline.model.records import MISSING, Event, Invalid, PropertyUpdate, Record, User
from pipeline.model.sizes import USUAL, Sizes
from pipeline.render.request import Rendered
from pipeline.store.rows import Rows

Candidates: TypeAlias = tuple[int, ...]
"""Indexes of the webhooks whose event side holds; ``~index`` where that is too expensive to know."""
Chosen: TypeAlias = tuple[Record, Candidates]
Owned: TypeAlias = tuple[str, Record, Candidates]
"""A record with the key of its user."""
Moment: TypeAlias = tuple[Event, User]
"""What conditions and templates see: an event, or a property change as an event, and its user at
that time."""
NotFired: TypeAlias = Callable[[Webhook, Event, User], None]
"""Called when a candidate does not fire: the user's side fails, or `repeat` waits for more."""

CACHE_BYTES = 64 << 20
"""Memory for decoded users of all shards, in each of two generations."""

_NONE: Candidates = ()
_NOBODY = User(None, None, identified=False)


class Match(msgspec.Struct, gc=False):
    """A webhook whose trigger holds: the request it makes, or why there is none."""

    user_key: str
    webhook: Webhook
    event: Event
    user: User
    request: Rendered | None
    reason: str = ""
    """Why it cannot be rendered."""
    undecided: bool = False
    """True where the conditions exceed their budget: whether it fires is unknown."""
    suppressed: bool = False
    """True where `limit` or `dedupe` suppresses it; there is no request then."""

    @property
    def message_id(self) -> str:
        """The ``webhook-id``: the same in every attempt, crash and replay."""
        return message_name(self.webhook, self.event)


def _no_bytes(event: Event) -> bytes:
    return b""


def choose(
    records: Iterable[Record], triggers: TriggerIndex, raw_of: Callable[[Event], bytes] = _no_bytes
) -> list[Chosen]:
    """Return the records that go on: events with the webhooks that may want them, and everything else.

    An event for which an excluded label is too expensive goes on once as an Invalid, and as itself to the
    webhooks that ignore the label. raw_of: returns the bytes that such an event was read from.
    """
    chosen: list[Chosen] = []
    for record in records:
        if type(record) is Event:
            try:
                candidates = triggers.select(record)
            except CostlyExclude as error:
                chosen.append((Invalid(raw_of(record), str(error), record.origin), _NONE))
                candidates = error.found
            if candidates:
                chosen.append((record, candidates))
        else:
            chosen.append((record, _NONE))
    return chosen


def resolve(chosen: Iterable[Chosen], identity: Identity) -> list[Owned]:
    """Return the records under their users' keys, in order; a link becomes the profile that it brings."""
    owned: list[Owned] = []
    for record, candidates in chosen:
        if type(record) is Event:  # the usual case: it only gets its user
            owned.append((identity.own(record), record, candidates))
        else:
            for key, own in identity.resolve(record):
                owned.append((key, own, candidates))
    return owned


class Story:
    """Users and limits over the rows of one shard, and what its records fire.

    clock: unix milliseconds; only to reject event times in the future. replay: what fires; None: everything.
    shards: how many share the memory for users.
    """

    def __init__(
        self,
        rows: Rows,
        clock: Callable[[], int],
        replay: Replay | None = None,
        sizes: Sizes = USUAL,
        shards: int = 8,
    ) -> None:
        self.users = Users(rows, sizes=sizes, cache_bytes=CACHE_BYTES // shards)
        self._caps = Caps(rows, clock)
        self._replay = replay

    def tell(
        self,
        owned: Iterable[Owned],
        snapshot: Snapshot,
        partition: str,
        seen: list[Moment] | None = None,
        unmatched: NotFired | None = None,
    ) -> Iterator[Match | Invalid]:
        """Yield what becomes of a chunk's records, in the order of the stream and of the config.

        seen: called with what conditions see of every event and change, even if nobody wants it. unmatched:
        called with the candidates that do not fire.
        """
        ask = self.match if unmatched is None else partial(self._ask, unmatched)
        users, webhooks, triggers = self.users, snapshot.webhooks, snapshot.triggers
        for key, record, candidates in owned:
            if type(record) is Event:
                event, user = record, User.of(record, users.get(key))
            elif type(record) is PropertyUpdate:
                before = users.apply(key, record, partition)
                if not before or record.delete:
                    continue
                candidates = triggers.on_change(before) if triggers.changes_wanted else ()
                if not candidates and seen is None:
                    continue
                event, user = change_of(record, before, users.get(key))
            else:
                assert type(record) is Invalid  # links are already resolved
                yield record
                continue
            if seen is not None:
                seen.append((event, user))
            for index in candidates:
                if index < 0:
                    match = self.undecided(key, webhooks[~index], event, user)
                else:
                    match = ask(key, webhooks[index], event, user)
                if match is not None:
                    yield match

    def match(self, key: str, webhook: Webhook, event: Event, user: User) -> Match | None:
        """Evaluate the user's side of a candidate and its limits, and render; None where it does not fire."""
        replay = self._replay
        if replay is not None and not (replay.fires(webhook.id) and replay.wants(event)):
            return None
        if webhook.asks_user:
            if webhook.trigger.limits is not None:
                self._caps.seen(event.time or 0)
            try:
                verdict = webhook.judge(self._caps, key, event, user)
            except TooExpensive:
                return _undecided(key, webhook, event, user)
            if verdict is not Verdict.FIRE:
                if verdict is Verdict.NOT_YET:
                    return None
                return Match(key, webhook, event, user, None, suppressed=True)
        try:
            return Match(key, webhook, event, user, webhook.request.render(event, user))
        except RenderError as error:
            return Match(key, webhook, event, user, None, str(error))

    def _ask(self, unmatched: NotFired, key: str, webhook: Webhook, event: Event, user: User) -> Match | None:
        match, replay = self.match(key, webhook, event, user), self._replay
        if match is None and (replay is None or (replay.fires(webhook.id) and replay.wants(event))):
            unmatched(webhook, event, user)
        return match

    def undecided(self, key: str, webhook: Webhook, event: Event, user: User) -> Match | None:
        """Return a match without a request, for a webhook whose conditions could not be evaluated."""
        replay = self._replay
        if replay is not None and not (replay.fires(webhook.id) and replay.wants(event)):
            return None
        return _undecided(key, webhook, event, user)

    def prepare(self) -> None:
        """Write some of the changes before the epoch's end."""
        self.users.write_some()

    def flush(self) -> None:
        """Write all changes to the rows."""
        self.users.flush()

    def end_epoch(self) -> None:
        """Write all changes to the rows, and delete some of what has expired."""
        self.flush()
        self._caps.sweep()


def _undecided(key: str, webhook: Webhook, event: Event, user: User) -> Match:
    costly = webhook.trigger.costly(event, user)
    reason = TooExpensive(f"{webhook.file}, trigger: {costly.place}", for_all=costly.for_all)
    return Match(key, webhook, event, user, None, str(reason), undecided=True)


def change_of(
    update: PropertyUpdate, before: dict[str, Value], properties: dict[str, Value]
) -> tuple[Event, User]:
    """Return what a `changes` trigger sees: an event with the changed values (null for unset ones), and the
    user with the values before.
    """
    changed = {name: properties.get(name) for name in before}
    known = {name: value for name, value in before.items() if value is not MISSING}
    event = Event(
        update.id, "User updated", "update", update.user_id, update.anonymous_id,
        update.time if update.time is not None else update.received_at, update.received_at, update.source,
        changed, {}, update.origin,
    )  # fmt: skip
    return event, User.of(update, properties, known)


@lru_cache(65_536)
def _message_hash(webhook_id: str, person: bytes) -> hashlib.blake2b:
    """Return the hash with which every ``webhook-id`` of a webhook begins; only ever copied."""
    return hashlib.blake2b(f"{webhook_id}\0".encode(), digest_size=16, person=person)


_BY_ID, _BY_VALUES = b"hookline-message", b"hookline-values"
"""Two domains of hashes: no text that an upstream puts into an id can collide with a list of values."""


def message_name(webhook: Webhook, event: Event) -> str:
    """Return the ``webhook-id``: a hash of the webhook and of the event's identity.

    That is its id, with its scope where it has one, or the values that the webhook's `idempotency` names;
    without these, its origin. The same in every attempt, crash and replay, so that a receiver can drop what
    it has already seen.
    """
    value = event.identity() if webhook.idempotency is None else webhook.idempotency(event, _NOBODY, None)
    if value is None or value is MISSING:
        value = f"\0{event.origin}"
    if type(value) is str:
        name = _message_hash(webhook.id, _BY_ID).copy()
        name.update(value.encode("utf-8", "surrogatepass"))
    else:
        name = _message_hash(webhook.id, _BY_VALUES).copy()
        name.update(canonical(value))
    return "msg_" + name.hexdigest()
