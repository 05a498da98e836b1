"""A job in memory: records in, the requests they would make out. The same code as the job, nothing sent.

For `hookline test`, `explain`, `diff` and dry runs of recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import cast

from pipeline.compile.snapshot import Snapshot, Webhook
from pipeline.job.steps.shard import change_of, message_name
from pipeline.join.limits import Verdict
from pipeline.join.links import Identity
from pipeline.join.users import Users
from pipeline.language.slots import mask
from pipeline.model.errors import RenderError
from pipeline.model.records import Event, Json, PropertyUpdate, Record, User
from pipeline.render.request import Rendered
from pipeline.store.sealing import Table
from pipeline.store.store import Store


@dataclass(slots=True, frozen=True)
class Fired:
    """One match: the request it would send, or the reason why it would be a dead letter."""

    webhook: Webhook
    message_id: str
    request: Rendered | None
    reason: str
    event: Event
    user: User
    suppressed: bool = False
    """True where `limit` or `dedupe` keeps it back; there is no request then."""

    @property
    def url(self) -> str:
        """The URL with ``${NAME}`` for every secret; "" where there is no request."""
        return mask(self.request.url) if self.request is not None else ""

    @property
    def headers(self) -> dict[str, str]:
        """The headers with ``${NAME}`` for every secret."""
        return {name: mask(value) for name, value in self.request.headers} if self.request is not None else {}

    @property
    def body(self) -> bytes:
        """The body with ``${NAME}`` for every secret; where batches are wrapped, that of a batch of one."""
        if self.request is None:
            return b""
        body = self.request.body
        batch = self.webhook.delivery.batch
        if self.webhook.spec.wrap is not None and batch is not None and batch.wrap is not None:
            body = self.webhook.spec.wrap([body])
        return mask(body)


class DryRun:
    """Users, links and limits of one run, kept in memory.

    only: ids of the webhooks that fire; None: all that are enabled. wants: which events may fire.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        only: Collection[str] | None = None,
        wants: Callable[[Event], bool] = lambda event: True,
    ) -> None:
        store = cast(Store, MemoryStore())  # the few methods that users and links call
        self.snapshot = snapshot
        self.users = Users(store)
        self._identity = Identity(store)
        self._caps = MemoryCaps()
        self._only = only
        self._wants = wants

    def feed(self, record: Record) -> Iterator[Fired]:
        """Yield what a record fires, in the order of the config files."""
        for key, candidates, event, user in self.join(record):
            if not self._wants(event):
                continue
            yield from self.fire(key, candidates, event, user)

    def join(self, record: Record) -> Iterator[tuple[str, tuple[int, ...], Event, User]]:
        """Take a record in; yield what conditions see of it: the user's key, candidates, event, user.

        An update gives the event that `changes` triggers see, where it changed something.
        """
        candidates: tuple[int, ...] = ()
        if isinstance(record, Event):
            candidates = self.snapshot.triggers.select(record)
        for key, own in self._identity.resolve(record):
            if isinstance(own, Event):
                user = User(own.user_id, own.anonymous_id, own.user_id is not None, self._properties(key))
                yield key, candidates, own, user
            elif isinstance(own, PropertyUpdate):
                yield from self._join_update(key, own)

    def know(self, update: PropertyUpdate) -> None:
        """Take an update as known from before: it fires nothing."""
        for key, own in self._identity.resolve(update):
            if isinstance(own, PropertyUpdate):
                self.users.apply(key, own, "given")

    def _join_update(
        self, key: str, update: PropertyUpdate
    ) -> Iterator[tuple[str, tuple[int, ...], Event, User]]:
        before = self.users.apply(key, update, "given")
        if not before or update.delete:
            return
        event, user = change_of(update, before, self._properties(key))
        yield key, self.snapshot.triggers.on_change(before), event, user

    def _properties(self, key: str) -> dict[str, Json]:
        # A copy: what was fired keeps showing the user of its moment.
        return dict(self.users.get(key))

    def fire(self, key: str, candidates: tuple[int, ...], event: Event, user: User) -> Iterator[Fired]:
        """Yield what one event fires of these candidates."""
        for index in candidates:
            webhook = self.snapshot.webhooks[index]
            if self._only is not None and webhook.id not in self._only:
                continue
            verdict = webhook.judge(self._caps, key, event, user)
            if verdict is Verdict.NOT_YET:
                continue
            name = message_name(webhook.id, event)
            if verdict is Verdict.SUPPRESS:
                yield Fired(webhook, name, None, "", event, user, suppressed=True)
                continue
            try:
                yield Fired(webhook, name, webhook.request.render(event, user), "", event, user)
            except RenderError as error:
                yield Fired(webhook, name, None, str(error), event, user)


class MemoryCaps:
    """What `limit`, `dedupe` and `repeat` remember, for as long as the run lasts."""

    def __init__(self) -> None:
        self._values: dict[bytes, bytes] = {}

    def get(self, key: bytes) -> bytes | None:
        """Return the value of a key."""
        return self._values.get(key)

    def put(self, key: bytes, value: bytes, expires_ms: int | None) -> None:
        """Set a value; nothing expires in a dry run, the limits judge by event time themselves."""
        self._values[key] = value


class MemoryStore:
    """A shard's store without a disk: what users and links need of it."""

    def __init__(self) -> None:
        self._tables: dict[Table, dict[bytes, bytes]] = {}

    def get(self, table: Table, key: bytes) -> bytes | None:
        """Return a row, or None."""
        return self._tables.get(table, {}).get(key)

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Set a row."""
        self._tables.setdefault(table, {})[key] = value

    def delete(self, table: Table, key: bytes) -> None:
        """Remove a row if it is there."""
        self._tables.get(table, {}).pop(key, None)

    def items(self, table: Table) -> list[tuple[bytes, bytes]]:
        """Return all rows in key order."""
        return sorted(self._tables.get(table, {}).items())
