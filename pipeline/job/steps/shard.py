"""The shard step: tell the story, hand over, collect. One step, one store, one transaction per epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Never

from bytewax.operators import StatefulBatchLogic

from pipeline.compile.snapshot import Snapshot
from pipeline.compile.versions import Versions
from pipeline.compile.webhook import Webhook
from pipeline.job.committed import Committed
from pipeline.job.control.departed import Departed, left_of
from pipeline.job.control.drain import Drain
from pipeline.job.control.failure import Failure
from pipeline.job.control.pace import Pace
from pipeline.job.control.pressure import Pressure
from pipeline.job.control.pulse import Pulse
from pipeline.job.control.rest import Rest
from pipeline.job.settings import JobSettings
from pipeline.job.shards import Shards, Stores
from pipeline.job.steps.chunks import Routed
from pipeline.job.steps.epoch_end import EpochEnd
from pipeline.job.story import Match, Story, message_name
from pipeline.job.tap.taps import Taps
from pipeline.model.records import Envelope, Invalid, Origin
from pipeline.outbox.codec import DeadLetter, cut_name, delivery_key
from pipeline.outbox.counters import Counters
from pipeline.outbox.dead_letters import Copying
from pipeline.outbox.handover import Engine, Request
from pipeline.outbox.outbox import Outbox
from pipeline.outbox.seen import seen_of
from pipeline.store.folders import shard_folder
from pipeline.store.store import Store
from pipeline.telemetry import log
from pipeline.telemetry.happenings import JOIN_FORMS_FULL, JOIN_MISROUTED, JOIN_REFUSED
from pipeline.telemetry.metrics import count, observe

Token = tuple[str, int, int, str]
"""What Bytewax keeps of a shard: ("v1", shard, the store's sequence number, who committed that epoch).

Older versions kept three of them."""

PREPARE_RECORDS = 16
"""After this many records, some of the epoch's final work is done early: per chunk it would cost as much as
it saves."""
NEXT_EPOCH = timedelta(milliseconds=20)
"""How soon a shard is woken again whose timer rang during its commit."""
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
        versions.learn(left_of(self.counters))
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
        counts, shards = self.counters.of(webhook_id), self.settings.shards
        if (
            counts.pending * shards >= settings.max_pending
            or counts.on_disk * shards >= settings.max_pending_bytes
        ) and self.full(webhook, request, event.origin):
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
        self.pressure.full.look(self.number, self.outbox.ended, self.has_room, self.max_pause)
        self.outbox.ended.clear()
        self.departed.look(self.number)

    def has_room(self, webhook_id: str) -> bool:
        """Return whether a webhook that paused the source has come down to nine tenths of its limits."""
        webhook = self.versions.latest.by_id.get(webhook_id)
        if webhook is None:
            return True
        counts, delivery = self.counters.of(webhook_id), webhook.delivery
        rows, size = counts.pending * self.settings.shards, counts.on_disk * self.settings.shards
        return rows < delivery.max_pending * ROOM_AGAIN and size < delivery.max_pending_bytes * ROOM_AGAIN

    def max_pause(self, webhook_id: str) -> float:
        """Return how long the source waits for a webhook that fails."""
        webhook = self.versions.latest.by_id.get(webhook_id)
        return 0.0 if webhook is None else webhook.delivery.max_pause_secs


class ShardStep(StatefulBatchLogic[Routed, Never, Token]):
    """The Bytewax side of a shard: built by its hello, one commit per epoch."""

    def __init__(
        self,
        token: Token | None,
        settings: JobSettings,
        stores: Stores,
        make: Callable[[int, Store], Shard],
        shards: Shards[Shard],
        drain: Drain,
        failure: Failure,
        pulse: Pulse,
        pace: Pace,
        rest: Rest,
        epoch_end: EpochEnd,
        at_open: Callable[[Shard], list[Path]],
    ) -> None:
        self.token = token
        self.settings = settings
        self.stores = stores
        self.make = make
        self.shards = shards
        self.drain = drain
        self.failure = failure
        self.pulse = pulse
        self.pace = pace
        self.rest = rest
        self.epoch_end = epoch_end
        self.at_open = at_open
        self.shard: Shard | None = None
        self.eof = False
        self.wakes_at = datetime.now(UTC)

    def on_batch(self, values: list[Routed]) -> tuple[Iterable[Never], bool]:
        """Process the chunks in order, then hand over their requests."""
        with self.failure:
            shard = self.shard or self.build(values[0].shard)
            self.epoch_end.calls(shard)
            for chunk in values:
                shard.work(chunk)
                shard.outbox.hand_over()
            self.rest.walks(-len(values))
            shard.outbox.dead_letters.copy()  # before shards begin to commit: what it writes goes with them
            if not self.epoch_end.arrived():
                if not shard.is_prepared and self.pace.is_ending():
                    shard.prepare_all()
                elif shard.unprepared >= PREPARE_RECORDS:
                    shard.prepare()
            for chunk in values:
                if chunk.is_last:
                    self.drain.ended(shard.number, chunk.partition)
            return (), self.RETAIN

    def on_notify(self) -> tuple[Iterable[Never], bool]:
        """Wake up without input: handle the engine's results and commands of the admin socket."""
        self.pulse.turned()
        with self.failure:
            shard = self.shard
            if shard is not None and not self.epoch_end.wakes(shard):
                self.wakes_at = datetime.now(UTC) + NEXT_EPOCH
                return (), self.RETAIN
            self.wakes_at = datetime.now(UTC) + timedelta(seconds=self.settings.epoch_secs)
            if shard is not None:
                for command in self.shards.commands(shard):
                    command(shard)
                shard.outbox.hand_over()
                shard.outbox.dead_letters.copy()
            self.rest.walks(0)
            return (), self.RETAIN

    def on_eof(self) -> tuple[Iterable[Never], bool]:
        """The input has ended: send what can be sent before the last epoch."""
        with self.failure:
            self.eof = True
            self.drain.finish()
            if self.shard is not None:
                self.epoch_end.calls(self.shard)
                self.shard.outbox.collect()
                self.shard.outbox.dead_letters.copy_all(self.drain.secs)
            return (), self.RETAIN

    def notify_at(self) -> datetime | None:
        """Wake up once per epoch, so that results are committed even without input."""
        return None if self.eof else self.wakes_at

    def snapshot(self) -> Token:
        """Commit the epoch, together with the other shards; see DESIGN 6, rule 3."""
        self.pulse.turned()
        with self.failure:
            if self.shard is None:
                return self.token or ("v1", -1, 0, "")
            self.rest.release()  # what was handed over does not wait for the disk
            self.pace.committing()
            self.epoch_end.snapshot(self.shard)
            seq = self.shard.store.seq
            return ("v1", self.shard.number, seq, self.shard.store.run_of(seq))

    def build(self, number: int) -> Shard:
        """Open the store at the epoch from which Bytewax resumes; the shard's number comes with the hello."""
        store = self.stores.open(shard_folder(self.settings.state, number), own_thread=True)
        if store.resume(*(self.token[2:] if self.token is not None else (0,))):
            count("state_undone_total")
        shard = self.shard = self.make(number, store)
        shard.left = self.at_open(shard)
        self.drain.opened(shard)
        self.shards.opened(shard)
        return shard
