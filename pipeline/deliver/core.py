"""The engine without its thread: everything that happens in one turn of the loop.

A turn settles what has finished (journal, completion, slot: in this order), takes what was handed over, reads
rows back from disk, and sends what may be sent, one lane after another. It never blocks and uses no clock but
the one it was given. Successes that nothing waits for are settled several at a time, each shard's with one
write to its journal; their lane's slots are free at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf

from pipeline.deliver.http.attempt import Attempt, Client
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.lanes.clock import Clock
from pipeline.deliver.lanes.disk.disk_rows import DiskRows
from pipeline.deliver.lanes.disk.refill import refill
from pipeline.deliver.lanes.lane import HELD_BYTES, Lane
from pipeline.deliver.lanes.limits.pressure import is_fast, under_pressure
from pipeline.deliver.lanes.limits.room import reads_rows
from pipeline.deliver.lanes.limits.yielding import Yielding
from pipeline.deliver.lanes.settling import Settler
from pipeline.deliver.lanes.turns import Dispatcher
from pipeline.deliver.requests.credentials import UsedSecrets
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.language.secrets import Secrets
from pipeline.outbox.handover import Delivery, Port
from pipeline.telemetry.metrics import forget

TICK_SECS = 0.1
MOST_EASED = 64
"""How many successes may wait for one another at a turn's end: a SIGKILL meanwhile sends them twice."""
EASED_SHARE = 0.25
"""At most this fraction of all requests in flight, where few are allowed."""


class Core:
    """All lanes of a process. Used by one thread; the engine's shell, or tests with a manual clock, turn it.

    clients: by the name in `delivery.client`. fetch_token: requests a lane's OAuth2 token; ends in a change
    of ``lane.token`` and a `nudge`. max_flying: requests in flight in total.
    """

    def __init__(
        self,
        clock: Clock,
        clients: Mapping[str, Client],
        *,
        settler: Settler,
        secrets: Secrets,
        contexts: Contexts,
        fetch_token: Callable[[Lane], None],
        share: float = 1.0,
        max_flying: int = 2048,
    ) -> None:
        self.clock = clock
        self.settler = settler
        self.results = settler.results
        self.lanes: dict[str, Lane] = {}
        self.finished: list[Attempt] = []
        """To be settled in the next turn."""
        self.eased: list[Attempt] = []
        """Successes that nothing waits for: settled from some time on, or together with others."""
        self._eased_until = inf
        self._most_eased = min(MOST_EASED, int(max_flying * EASED_SHARE))
        self.held = 0
        """Deliveries in memory: exact at each tick, never too low in between."""
        self.held_bytes = 0
        self.pressed: set[Lane] = set()
        """Lanes for which the source should pause."""
        self.gathers = False
        """True where the worker let requests gather since the last tick: it keeps up with the source."""
        self.waits = 0
        """How many more of the source's looks since the last tick had to wait than could read."""
        self.leaving: set[str] = set()
        """Webhooks that no config names any more, whose lanes are not at rest yet."""
        self.dispatcher = Dispatcher(
            clock,
            clients,
            self.results,
            contexts=contexts,
            fetch_token=fetch_token,
            reads_rows=self._reads_rows,
            max_flying=max_flying,
        )
        self._secrets = secrets
        self._share = share
        self._hungry: deque[Lane] = deque()
        self._tick_at = inf
        self._yielding = Yielding()

    # --- from the shell, between turns

    def configure(self, specs: Mapping[str, LaneSpec]) -> None:
        """Apply new versions of webhooks; those not named keep their last one for what is pending."""
        now = self.clock.now()
        self.leaving.difference_update(specs)
        for webhook_id, spec in specs.items():
            lane = self.lane(webhook_id)
            lane.configure(spec, self._share, now)
            self.nudge(lane)

    def forget(self, webhook_ids: Collection[str]) -> None:
        """Drop the lanes of these, with what is kept of them for people, once they are at rest.

        If one is needed again, it is created again, and sends once it is configured.
        """
        self.leaving.update(webhook_ids)
        self._leave()

    def _leave(self) -> None:
        lanes = self.lanes
        left = {name for name in self.leaving if name not in lanes or lanes[name].is_at_rest()}
        if not left:
            return
        self.leaving -= left
        gone = {lanes.pop(name) for name in left if name in lanes}
        self.pressed -= gone
        self.dispatcher.forget(gone)
        self.results.onlookers.forget(left)
        forget("webhook", left)

    def renew(self) -> None:
        """Use the present secrets and certificates for further requests."""
        for lane in self.lanes.values():
            lane.renew()
            self.nudge(lane)

    def lane(self, webhook_id: str) -> Lane:
        """Return the lane of a webhook, creating it on first use."""
        lane = self.lanes.get(webhook_id)
        if lane is None:
            lane = self.lanes[webhook_id] = Lane(webhook_id, self.clock, UsedSecrets(self._secrets))
        return lane

    def nudge(self, lane: Lane) -> None:
        """Look at the lane in the next turn."""
        self.dispatcher.nudge(lane)

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries into memory."""
        now = self.clock.now()
        lane = None
        webhook_id = ""
        size = len(deliveries) * HELD_BYTES
        for delivery in deliveries:
            request = delivery.request
            if lane is None or webhook_id != request.webhook_id:
                webhook_id = request.webhook_id
                lane = self.lane(webhook_id)
                self.dispatcher.nudge(lane)
            if not lane.push(delivery, now):
                lane.note_parked(delivery)
                self.results.parked((delivery,))
            size += len(request.body)
        self.held_bytes += size
        self.held += len(deliveries)

    def take_all(self, handed: deque[list[Delivery]]) -> None:
        """Take everything that was handed over."""
        deliveries: list[Delivery] = []
        while handed:
            deliveries += handed.popleft()
        self.take(deliveries)

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        """Note committed rows."""
        lane = self.lane(webhook_id)
        disk = lane.disk.get(port)
        if disk is None:
            disk = lane.disk[port] = DiskRows(port)
        lane.parked.committed(port)
        disk.add(rows)
        self.nudge(lane)

    def drop(self, port: Port, rows: Sequence[bytes], handed: deque[list[Delivery]]) -> None:
        """Forget deliveries that are not being sent, and tell the port which ones.

        handed: taken first. What was handed over before the command may be among the rows, and must not be
        sent once its shard is told that it is free.
        """
        self.take_all(handed)
        now = self.clock.now()
        kept: set[bytes] = set()
        for lane in self.lanes.values():
            lane.parked.forget(rows)
            if not lane.held:
                continue
            sent = {id(each) for attempt in (*lane.flying, *self.eased) for each in attempt.items}
            for row in rows:
                delivery = lane.held.get(row)
                if delivery is None or delivery.port is not port:
                    continue
                if id(delivery) in sent:
                    kept.add(row)
                    continue
                delivery.gone = True
                lane.release(delivery, now)
        port.released(list(rows), [row for row in rows if row not in kept])

    def retry_now(self, webhook_id: str) -> None:
        """Make everything of the webhook due now."""
        lane = self.lane(webhook_id)
        now = self.clock.now()
        waiting, lane.waiting = lane.waiting, []
        for _, _, item, _ in waiting:
            lane.retries.append(item)
        for disk in lane.disk.values():
            disk.hurry()
        lane.throttle.retry_now(now)
        self.nudge(lane)

    def flush(self, on: bool) -> None:
        """Send batches at once from now on, including incomplete ones; or collect again."""
        if on and not self.dispatcher.flushing:
            for lane in self.lanes.values():
                if lane.batcher:
                    self.nudge(lane)
        self.dispatcher.flushing = on

    # --- the turn

    def ease(self, attempt: Attempt, until: float) -> bool:
        """Let a success wait to be settled, until about this time; True where it is the first one waiting."""
        attempt.owner.flying.pop(attempt, None)
        self.eased.append(attempt)
        if len(self.eased) > 1:
            return False
        self._eased_until = until
        return True

    def finish(self) -> None:
        """Settle what has finished; nothing more is sent."""
        finished = self._ended()
        if finished:
            wall_ms = int(self.clock.wall() * 1000)
            self.settler.settle(finished, self.clock.now(), wall_ms)
            self.results.post(wall_ms)

    def _ended(self) -> list[Attempt]:
        """Return what is to be settled now."""
        ended = self.eased + self.finished
        self.eased, self.finished = [], []
        self._eased_until = inf
        return ended

    def turn(self) -> None:
        """Do all that can be done now."""
        now, wall = self.clock.now(), self.clock.wall()
        wall_ms = int(wall * 1000)
        dispatcher = self.dispatcher
        dispatcher.wake(now)
        waited = now >= self._eased_until or len(self.eased) >= self._most_eased or dispatcher.flushing
        if self.finished or (self.eased and waited):
            finished = self._ended()
            touched = self.settler.settle(finished, now, wall_ms)
            self.results.post(wall_ms)
            # Only now are the slots free: a result is in the journal before its slot is reused. The lanes'
            # slots of eased successes were freed before; their share of the whole process is freed here.
            dispatcher.freed(len(finished))
            self._yielding.ended += len(finished)
            for lane in touched:
                if lane.held or lane.disk or lane in self.pressed:
                    dispatcher.nudge(lane)
        if self.leaving:
            self._leave()
        if now >= self._tick_at:
            self._tick(now)
        if self._hungry:
            self._feed(now)
        dispatcher.run(now, wall, self._done)
        if dispatcher.unsent:
            self.finished += dispatcher.unsent
            dispatcher.unsent = []
        if (dispatcher.flying or self.pressed) and self._tick_at == inf:
            self._tick_at = now + TICK_SECS
        self.results.post(wall_ms)
        self._yielding.spent += self.clock.now() - now

    def next_due(self) -> float:
        """Return when the next turn must be at the latest; ``-inf``: at once."""
        if self._hungry or self.finished:
            return -inf
        return min(self.dispatcher.next_due(), self._tick_at)

    def is_drained(self, deadline: float) -> bool:
        """Return whether nothing can complete before the deadline any more."""
        if self.dispatcher.closed:
            return not self.finished and not self.dispatcher.flying
        if self.finished or self.eased or self._hungry or not self.dispatcher.is_idle():
            return False
        if any(lane.awaits_token() for lane in self.lanes.values()):
            return False
        now = self.clock.now()
        return all(self.dispatcher.lane_due(lane, now) > deadline for lane in self.lanes.values())

    def is_empty(self) -> bool:
        """Return whether nothing is owed."""
        return not any(lane.held or lane.on_disk() for lane in self.lanes.values())

    def _reads_rows(self, lane: Lane) -> bool:
        return reads_rows(lane, self.held, self.held_bytes)

    def _done(self, lane: Lane) -> None:
        """A lane has sent what it could."""
        if (
            lane.disk
            and not lane.is_hungry
            and self._reads_rows(lane)
            and any(disk.next_due() <= self.clock.now() for disk in lane.disk.values())
        ):
            lane.is_hungry = True
            self._hungry.append(lane)
        self._press(lane)

    def _tick(self, now: float) -> None:
        held = held_bytes = 0
        busy = False
        holding = []
        for lane in self.lanes.values():
            if lane.held:
                holding.append(lane)
                held += len(lane.held)
                held_bytes += lane.held_bytes
                lane.fast = is_fast(lane, now)
                self._press(lane)
            busy = busy or bool(lane.flying)
        behind = self.waits > 0 or not self.gathers
        self.waits, self.gathers = 0, False
        for lane in self._yielding.look(holding, now, self.clock.cpu(), behind=behind):
            self.nudge(lane)
        self.held, self.held_bytes = held, held_bytes
        # While nothing is in flight, nothing changes that a tick would notice.
        self._tick_at = now + TICK_SECS if busy or self.pressed else inf

    def _press(self, lane: Lane) -> None:
        if under_pressure(lane):
            self.pressed.add(lane)
        elif self.pressed:
            self.pressed.discard(lane)

    def _feed(self, now: float) -> None:
        """Read one slice of rows for one lane."""
        lane = self._hungry.popleft()
        lane.is_hungry = False
        for disk in lane.disk.values():
            if disk.next_due() <= now:
                for delivery in refill(lane, disk, now):
                    lane.push(delivery, now, from_disk=True)
                    self.held += 1
                    self.held_bytes += len(delivery.request.body) + HELD_BYTES
                # Another shard's turn comes next time.
                lane.disk[disk.port] = lane.disk.pop(disk.port)
                break
        self.nudge(lane)
