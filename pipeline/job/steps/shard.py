"""A shard: tells the story of each record, hands requests over, collects results. One store for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.versions import Versions
from pipeline.compile.webhook import Webhook
from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.job.committed import Committed
from pipeline.job.control.departed import Departed, left_of
from pipeline.job.control.pressure import Pressure
from pipeline.job.settings import JobSettings
from pipeline.job.steps.chunks import Routed
from pipeline.job.story import Match, Story, message_name
from pipeline.job.tap.taps import Taps
from pipeline.model.records import Envelope, Invalid, Origin
from pipeline.outbox.codec import DeadLetter, cut_name, delivery_key
from pipeline.outbox.counters import Counters
from pipeline.outbox.dead_letters import Copying
from pipeline.outbox.handover import Engine, Request
from pipeline.outbox.outbox import Outbox
from pipeline.outbox.seen import seen_of
from pipeline.store.store import Store
from pipeline.telemetry import log
from pipeline.telemetry.happenings import JOIN_FORMS_FULL, JOIN_MISROUTED, JOIN_REFUSED
from pipeline.telemetry.metrics import observe

ROOM_AGAIN = 0.9
"""The fraction of `max_pending` below which a full webhook has room again."""

_log = log.get("job")


class Shard:
    """What one shard does with its records, in order."""

    def __init__(
        self,
        number: int,
        store: Store,
        settings: JobSettings,
        versions: Versions,
        engine: Engine,
        pressure: Pressure,
        committed: Committed,
        taps: Taps,
        departed: Departed,
        copier: Copying | None = None,
    ) -> None:
        self.number = number
        self.store = store
        self.settings = settings
        self.versions = versions
        self.pressure = pressure
        self.committed = committed
        self.clock = settings.clock
        self.now = 0
        """Wall clock (unix ms) at the beginning of the present chunk."""
        rows = store if settings.known is None else settings.known.under(store)
        self.story = Story(rows, settings.clock, settings.replay, settings.sizes, settings.shards)
        self.counters = Counters(store)
        pressure.full.counters[number] = self.counters
        # Published from the start, so that nothing seems uncounted until the first commit.
        committed.webhooks[number] = self.counters.written()
        left = left_of(self.counters)
        versions.learn(left)
        pressure.full.near.update(left)
        self.unprepared = 0
        """Records since some of the final work was last done early."""
        self.is_prepared = False
        """True where all that can be done early was done, as the end is near."""
        self.after_commit: list[Callable[[], None]] = []
        """Called once the present epoch is written."""
        self.left: list[Path] = []
        self.done: list[Path] = []
        """Requests left for the stopped job that were executed in this epoch and in the last one."""
        self.outbox = Outbox(
            store, self.counters, engine, number, settings.clock,
            copier=copier, quota=settings.dead_letters.of_shard(settings.shards),
        )  # fmt: skip
        self.departed = departed
        self.taps = taps
        self.outbox.dead_letters.onlooker = self.taps.dead

    @property
    def waits_for_commit(self) -> bool:
        """True where something can be read by the engine only after the epoch's end."""
        return self.outbox.waits_for_commit

    @property
    def is_quiet(self) -> bool:
        """True where it has nothing to do until a record or a command comes."""
        return not self.store.dirty and self.outbox.is_quiet

    def work(self, chunk: Routed) -> None:
        """Process one chunk: what becomes of each record, then the sources' progress."""
        snapshot = self.versions.get(chunk.config, chunk.text)
        self.now = self.clock()
        version = snapshot.hash
        if self.taps.of_story is not None:
            self.work_watched(chunk, snapshot)
        else:
            for told in self.story.tell(chunk.items, snapshot, chunk.partition):
                if isinstance(told, Match):
                    self.take(told, version)
                else:
                    self.invalid(told)
        self.pressure.to_commit[self.number] = self.store.to_commit
        self.outbox.passed(chunk.passed)
        self.unprepared += len(chunk.items)

    def work_watched(self, chunk: Routed, snapshot: Snapshot) -> None:
        """Do the same while taps observe."""
        taps, version, matches = self.taps, snapshot.hash, 0
        looks = not taps.passes_over()
        unmatched = taps.unmatched if looks else None
        for told in self.story.tell(chunk.items, snapshot, chunk.partition, unmatched=unmatched):
            if not isinstance(told, Match):
                self.invalid(told)
                taps.invalid(told)
            elif looks:
                taps.current = told
                request = self.take(told, version)
                taps.current = None
                taps.matched(told, request)
            else:
                self.take(told, version)
                matches += 1
        taps.passed_over(matches)

    def take(self, match: Match, version: str) -> Request | None:
        """Owe the request of a match and return it, or record why there is none."""
        rendered = match.request
        if rendered is None:
            self.keep_back(match, version)
            return None
        webhook, event, replay = match.webhook, match.event, self.settings.replay
        webhook_id = webhook.id
        request = Request(
            key=delivery_key(webhook_id, event.origin),
            webhook_id=webhook_id,
            message_id=message_name(webhook, event),
            config=version,
            method=rendered.method,
            url=rendered.url if replay is None else replay.redirect(rendered.url),
            headers=rendered.headers,
            body=rendered.body,
            user=match.user_key,
            created_ms=self.now,
            replay=replay is not None,
        )
        settings = webhook.delivery
        counts, shards, near = self.counters.of(webhook_id), self.settings.shards, self.pressure.full.near
        if (
            counts.pending * shards >= settings.max_pending
            or counts.on_disk * shards >= settings.max_pending_bytes
        ):
            near.add(webhook_id)
        if (
            webhook_id in near
            and not self.is_below(1.0, webhook_id, settings)
            and self.full(webhook, request, event.origin)
        ):
            return None
        self.outbox.admit(request, ordered=settings.ordering == "per_user")
        return request

    def keep_back(self, match: Match, version: str) -> None:
        """Count a match that a limit suppresses; dead-letter one that cannot be rendered."""
        webhook_id, event = match.webhook.id, match.event
        if match.suppressed:
            self.outbox.suppress(webhook_id)
            return
        seen = Request(
            key=delivery_key(webhook_id, event.origin),
            webhook_id=webhook_id,
            message_id=match.message_id,
            config=version,
            body=seen_of(event, match.user),
            user=match.user_key,
            created_ms=self.now,
        )
        self._die("condition" if match.undecided else "render", match.reason, self.now, seen, event.origin)

    def full(self, webhook: Webhook, request: Request, origin: Origin) -> bool:
        """Too much is pending: True where the request was dead-lettered, False where the source pauses."""
        policy = webhook.delivery.on_full or ("pause" if self.settings.finite else "dead_letter")
        if policy == "pause" and self.pressure.full.pauses(self.number, webhook.id):
            return False
        self._die("delivery", "max-pending", self.clock(), request, origin)
        return True

    def invalid(self, record: Invalid) -> None:
        """Dead-letter an unreadable record, with its reason."""
        now = self.clock()
        request = Request(key=delivery_key("", record.origin), body=record.raw, created_ms=now)
        self._die("record", record.reason, now, request, record.origin, record.message)

    def _die(
        self,
        kind: str,
        reason: str,
        now: int,
        request: Request,
        origin: Origin,
        message: Envelope | None = None,
    ) -> None:
        source = cut_name(origin.source)
        letter = DeadLetter(
            kind=kind, reason=reason, dead_ms=now, request=request, source=source, message=message
        )
        self.outbox.give_up(letter)

    def prepare(self) -> None:
        """Do some of the work that is left for the epoch's end, when the source waits."""
        self.unprepared = 0
        self.outbox.absorb()
        self.story.prepare()
        self.store.prepare()

    def prepare_all(self) -> None:
        """Do all work that can be done early, as the epoch's end is near and little more will come."""
        self.unprepared = 0
        self.is_prepared = True
        self.outbox.prepare()
        self.story.flush()
        self.count()
        self.store.flush()

    def count(self) -> None:
        """Write the counters."""
        self.departed.recall(self.counters)
        self.counters.flush()

    # --- the end of an epoch (DESIGN 6, rule 3)

    def collect(self) -> None:
        """Collect the engine's results, and write everything that is left for the epoch's end."""
        self.is_prepared = False
        self.story.end_epoch()
        self.outbox.collect()
        self.count()
        self.store.complete()

    def begin_commit(self) -> None:
        """Begin to commit the epoch."""
        self.store.begin_commit(self.outbox.old_journals())

    def end_commit(self) -> None:
        """Wait for the commit; then do what waited for it."""
        before = self.store.seq
        if self.store.end_commit() != before:
            observe("state_commit_seconds", self.store.commit_secs)
        self.outbox.committed()
        for path in self.done:
            path.unlink(missing_ok=True)
        self.done, self.left = self.left, []
        tells, self.after_commit = self.after_commit, []
        for tell in tells:
            tell()
        users = self.story.users
        for happening, number in (
            (JOIN_MISROUTED, users.misrouted), (JOIN_REFUSED, users.refused),
            (JOIN_FORMS_FULL, users.without_form),
        ):  # fmt: skip
            if number:
                happening.happened(_log, number)
        users.misrouted = users.refused = users.without_form = 0
        self.committed.webhooks[self.number] = self.counters.written()
        self.pressure.to_commit[self.number] = 0
        full, part = self.pressure.full, 1 / self.settings.shards
        full.look(self.number, self.outbox.ended, self.has_room, self.max_pause)
        full.near.difference_update([webhook for webhook in full.near if self.has_room(webhook, part)])
        self.outbox.ended.clear()
        self.departed.look(self.number)

    def has_room(self, webhook_id: str, share: float = ROOM_AGAIN) -> bool:
        """Return whether a webhook is below this share of its limits (usual: if it paused the source)."""
        webhook = self.versions.latest.by_id.get(webhook_id)
        return webhook is None or self.is_below(share, webhook_id, webhook.delivery)

    def is_below(self, share: float, webhook_id: str, delivery: DeliverySettings) -> bool:
        """Return whether a webhook has less than this share of what it may have pending.

        Other processes' shards are taken for as full as this one's: the users of a webhook may be few.
        """
        rows = size = 0
        here = self.pressure.full.counters
        for counters in here.values():
            counts = counters.of(webhook_id)
            rows += counts.pending
            size += counts.on_disk
        share *= len(here) / self.settings.shards
        return rows < delivery.max_pending * share and size < delivery.max_pending_bytes * share

    def max_pause(self, webhook_id: str) -> float:
        """Return how long the source waits for a webhook that fails."""
        webhook = self.versions.latest.by_id.get(webhook_id)
        return 0.0 if webhook is None else webhook.delivery.max_pause_secs
