"""The engine without its thread: everything that happens in one turn of the loop.

A turn settles what has finished (journal, completion, slot: in this order), takes what was handed over,
brings rows back from disk, and sends what may be sent, one lane after the other. It never waits and never
looks at a clock but the one it was given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import count
from math import inf

from pipeline.config.secrets import Secrets
from pipeline.deliver.attempt import Attempt, Client
from pipeline.deliver.clock import Clock
from pipeline.deliver.entry import Entry, Item
from pipeline.deliver.lane import MAX_ENTRIES, Lane
from pipeline.deliver.pressure import is_fast, under_pressure
from pipeline.deliver.refill import SLICE, DiskRows, refill, told
from pipeline.deliver.sender import Sender
from pipeline.deliver.settle import Settler
from pipeline.deliver.spec import LaneSpec
from pipeline.deliver.target import TargetError
from pipeline.deliver.tls import Contexts
from pipeline.model.errors import HooklineError
from pipeline.state.handover import Delivery, Port
from pipeline.telemetry.log import get

log = get(__name__)

QUANTUM = 16
"""Requests that a lane may send before the next one has its turn."""
LOW_WATER = 250
"""Below this many items in its queues a lane reads rows from disk."""
TICK_SECS = 0.1
TROUBLE_SECS = 5.0
"""How long a lane waits whose requests cannot be made (a missing secret, an unreadable certificate)."""

_order = count()


class Core:
    """All lanes of a process. Used by one thread; the engine's shell and tests with a manual clock turn it.

    clients: by the name in `delivery.client`. fetch_token: begins to ask for a lane's OAuth2 token and ends
    in a change of ``lane.token`` and a `nudge`. max_flying: requests in flight in all.
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
        self.lanes: dict[str, Lane] = {}
        self.finished: list[Attempt] = []
        self.flying = 0
        self.held = 0
        """Deliveries in memory, as of the last tick."""
        self.pressed: set[Lane] = set()
        """Lanes for which the source should pause."""
        self.flushing = False
        """True while draining: batches do not wait to be full."""
        self._clients = clients
        self._secrets = secrets
        self._contexts = contexts
        self._fetch_token = fetch_token
        self._share = share
        self._max_flying = max_flying
        self._ring: deque[Lane] = deque()
        self._squeezed: set[Lane] = set()
        self._hungry: deque[Lane] = deque()
        self._heap: list[tuple[float, int, Lane]] = []
        self._tick_at = inf

    # --- from the shell, between turns

    def configure(self, specs: Mapping[str, LaneSpec]) -> None:
        """Take over new versions of webhooks; one that is not named keeps its last for what is pending."""
        now = self.clock.now()
        for webhook_id, spec in specs.items():
            lane = self.lane(webhook_id)
            lane.configure(spec, self._share, now)
            self.nudge(lane)

    def lane(self, webhook_id: str) -> Lane:
        """Return the lane of a webhook, making it on first use."""
        lane = self.lanes.get(webhook_id)
        if lane is None:
            lane = self.lanes[webhook_id] = Lane(webhook_id, self.clock)
        return lane

    def nudge(self, lane: Lane) -> None:
        """Look at the lane in the next turn."""
        if not lane.in_ring:
            lane.in_ring = True
            self._ring.append(lane)

    def take(self, port: Port, deliveries: Sequence[Delivery]) -> None:
        """Take deliveries into memory."""
        now = self.clock.now()
        if self._tick_at == inf:
            self._tick_at = now + TICK_SECS
        lanes = self.lanes
        for delivery in deliveries:
            lane = lanes.get(delivery.webhook_id)
            if lane is None:
                lane = self.lane(delivery.webhook_id)
            entry = Entry(port, delivery)
            if not lane.push(entry, now):
                lane.note_parked(entry)
                self.settler.parked((entry,))
            if not lane.in_ring:
                lane.in_ring = True
                self._ring.append(lane)

    def on_disk(self, port: Port, webhook_id: str, rows: int) -> None:
        """Take note of committed rows."""
        lane = self.lane(webhook_id)
        disk = lane.disk.get(port)
        if disk is None:
            disk = lane.disk[port] = DiskRows(port)
        lane.rows_committed(port)
        told(disk, rows)
        self.nudge(lane)

    def drop(self, port: Port, rows: Sequence[bytes]) -> None:
        """Forget deliveries that are not being sent, and tell the port which these are."""
        now = self.clock.now()
        kept: set[bytes] = set()
        for lane in self.lanes.values():
            if not lane.held:
                continue
            flying = {id(entry) for attempt in lane.flying for entry in attempt.items}
            for row in rows:
                entry = lane.held.get(row)
                if entry is None or entry.port is not port:
                    continue
                if id(entry) in flying:
                    kept.add(row)
                    continue
                entry.gone = True
                lane.release(entry, now)
        port.released(list(rows), [row for row in rows if row not in kept])

    def retry_now(self, webhook_id: str) -> None:
        """Make everything of the webhook due now."""
        lane = self.lane(webhook_id)
        now = self.clock.now()
        waiting, lane.waiting = lane.waiting, []
        for _, _, item in waiting:
            lane.retries.append(item)
        for disk in lane.disk.values():
            disk.early = disk.wanted = disk.again = True
            disk.resting_until = now
        if lane.breaker.state == "open":
            lane.breaker.until = now
        self.nudge(lane)

    # --- the turn

    def turn(self) -> None:
        """Do all that can be done now."""
        now = self.clock.now()
        self._timers(now)
        if self.finished:
            finished, self.finished = self.finished, []
            touched = self.settler.settle(finished, now)
            self.settler.post()
            self.flying -= len(finished)
            for lane in touched:
                self.nudge(lane)
            if self._squeezed:
                for lane in self._squeezed:
                    self.nudge(lane)
                self._squeezed.clear()
        if now >= self._tick_at:
            self._tick(now)
        if self._hungry:
            self._feed(now)
        self._dispatch(now)
        self.settler.post()

    def next_due(self) -> float:
        """Return when the next turn must be at the latest; ``-inf``: at once."""
        if self._hungry or self.finished:
            return -inf
        while self._heap and self._heap[0][0] != self._heap[0][2].armed:
            heappop(self._heap)
        return min(self._heap[0][0] if self._heap else inf, self._tick_at)

    def is_drained(self, deadline: float) -> bool:
        """Return whether nothing can complete before the deadline any more."""
        if self.flying or self.finished or self._ring or self._hungry:
            return False
        now = self.clock.now()
        return all(self._next(lane, now) > deadline for lane in self.lanes.values())

    def is_empty(self) -> bool:
        """Return whether nothing is owed."""
        return not any(lane.held or lane.on_disk() for lane in self.lanes.values())

    def _timers(self, now: float) -> None:
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, _, lane = heappop(heap)
            if due != lane.armed:
                continue
            lane.armed = inf
            for attempt in list(lane.flying):
                if attempt.deadline <= now:
                    secs = lane.spec.delivery.timeout_secs if lane.spec is not None else 0
                    self._client(lane).abort(attempt, "timeout", f"no complete answer within {secs:g} s")
            self.nudge(lane)

    def _tick(self, now: float) -> None:
        held = 0
        busy = False
        for lane in self.lanes.values():
            if lane.held:
                held += len(lane.held)
                lane.fast = is_fast(lane, now)
                self._press(lane)
            busy = busy or bool(lane.flying)
        self.held = held
        # While nothing is in flight nothing changes that a tick would see.
        self._tick_at = now + TICK_SECS if busy or self.pressed else inf

    def _press(self, lane: Lane) -> None:
        if under_pressure(lane):
            self.pressed.add(lane)
        else:
            self.pressed.discard(lane)

    def _feed(self, now: float) -> None:
        """Read one slice of rows for one lane."""
        lane = self._hungry.popleft()
        lane.is_hungry = False
        for disk in lane.disk.values():
            if disk.next_due() <= now:
                for entry in refill(lane, disk, now):
                    lane.push(entry, now, from_disk=True)
                # Another shard's rows come next time.
                lane.disk[disk.port] = lane.disk.pop(disk.port)
                break
        self.nudge(lane)

    def _dispatch(self, now: float) -> None:
        ring = self._ring
        while ring:
            lane = ring.popleft()
            lane.in_ring = False
            if self._serve(lane, now):
                lane.in_ring = True
                ring.append(lane)
            else:
                if lane.disk:
                    self._want_rows(lane, now)
                self._press(lane)
                self._arm(lane, now)

    def _serve(self, lane: Lane, now: float) -> bool:
        """Send up to a quantum of a lane's requests; True where it may send more at once."""
        lane.wake(now, self.flushing)
        left = self._max_flying - self.flying
        for _ in range(max(1, min(QUANTUM, left // (4 * len(self._ring) + 4)))):
            if not lane.has_next():
                return False
            if lane.blocked_until(now):
                self._expire(lane, now)
                return False
            # A lane may hold as many connections as are left, so that those that hang cannot take them all,
            # and one in any case.
            if lane.flying and len(lane.flying) >= self._max_flying - self.flying:
                self._squeezed.add(lane)
                return False
            if lane.token is not None and not lane.token.usable(now):
                self._expire(lane, now)
                self._want_token(lane, now)
                return False
            taken = lane.take()
            if taken is None:
                return False
            item, is_retry = taken
            if self._is_old(lane, item[0], now):
                self._bury(lane, item, now)
                continue
            if not self._send(lane, item, is_retry, now):
                return False
        return True

    def _send(self, lane: Lane, item: Item, is_retry: bool, now: float) -> bool:
        spec = lane.spec
        assert spec is not None  # a lane without one is blocked
        try:
            sender = lane.sender
            if sender is None:
                sender = lane.sender = Sender(spec, self._secrets, self._contexts)
            token = lane.token
            if token is not None and sender.token_generation != token.generation:
                sender.set_token(token.value or "", token.generation)
            wall = self.clock.wall()
            if spec.delivery.batch is None:
                attempt = sender.single(item[0].delivery, wall)
            else:
                attempt = sender.batch([entry.delivery for entry in item], wall)
        except TargetError as error:
            attempt = Attempt(None, b"", b"", fault="request", detail=str(error), ended=True)  # type: ignore[arg-type]  # never sent
        except (HooklineError, ValueError, OSError) as error:
            # The webhook's own settings are at fault, not this delivery: wait until they are mended.
            lane.sender = None
            lane.trouble_until = now + TROUBLE_SECS
            lane.tally.error = str(error)
            log.error("requests cannot be made", webhook=lane.webhook_id, error=str(error))
            (lane.retries if is_retry else lane.fresh).appendleft(item)
            return False
        attempt.owner = lane
        attempt.items = item
        attempt.started = now
        attempt.deadline = now + spec.delivery.timeout_secs
        lane.flying[attempt] = None
        self.flying += 1
        if self._tick_at == inf:
            self._tick_at = now + TICK_SECS
        if is_retry:
            attempt.is_retry = True
            lane.flying_retries += 1
        if lane.breaker.state != "closed":
            attempt.is_probe = True
            lane.breaker.probes += 1
        if lane.bucket is not None:
            lane.bucket.take()
        if lane.token is not None:
            attempt.generation = lane.token.generation
        if attempt.ended:
            self.finished.append(attempt)
        else:
            self._client(lane).send(attempt)
        return True

    def _client(self, lane: Lane) -> Client:
        return self._clients[lane.spec.delivery.client if lane.spec is not None else "native"]

    def _want_rows(self, lane: Lane, now: float) -> None:
        if (
            not lane.is_hungry
            and self._has_room(lane)
            and any(disk.next_due() <= now for disk in lane.disk.values())
        ):
            lane.is_hungry = True
            self._hungry.append(lane)

    def _want_token(self, lane: Lane, now: float) -> None:
        token = lane.token
        if token is not None and not token.asking and token.retry_at <= now:
            token.asking = True
            self._fetch_token(lane)

    # --- age

    def _max_age(self, lane: Lane) -> float:
        return lane.spec.delivery.retry.max_age_secs if lane.spec is not None else inf

    def _is_old(self, lane: Lane, entry: Entry, now: float) -> bool:
        return self.settler.age_secs(entry, now) >= self._max_age(lane)

    def _expire(self, lane: Lane, now: float) -> None:
        """Let die what is too old, from the heads of queues that cannot be sent now."""
        for queue in (lane.fresh, lane.retries):
            while queue and self._is_old(lane, queue[0][0], now):
                self._bury(lane, queue.popleft(), now)

    def _bury(self, lane: Lane, item: Item, now: float) -> None:
        for entry in item:
            if not entry.gone:
                self.settler.end(lane, entry, "max-age", now)

    # --- due times

    def _arm(self, lane: Lane, now: float) -> None:
        due = self._next(lane, now)
        if due < lane.armed:
            lane.armed = due
            heappush(self._heap, (due, next(_order), lane))

    def _next(self, lane: Lane, now: float) -> float:
        """Return when something can happen in the lane without another event; infinity: never."""
        due = lane.waiting[0][0] if lane.waiting else inf
        if lane.flying:
            due = min(due, next(iter(lane.flying)).deadline)
        if lane.batcher is not None:
            due = min(due, lane.batcher.next_due())
        if lane.fresh or lane.retries:
            waits = lane in self._squeezed or not lane.has_next()
            blocked = inf if waits else lane.blocked_until(now)
            if not blocked and lane.token is not None and not lane.token.usable(now):
                blocked = inf if lane.token.asking else lane.token.retry_at
            due = min(due, blocked or now, self._next_old(lane, now))
        if lane.disk and self._has_room(lane):
            due = min(due, *(disk.next_due() for disk in lane.disk.values()))
        return due

    def _has_room(self, lane: Lane) -> bool:
        return lane.spec is not None and lane.ready() < LOW_WATER and len(lane.held) < MAX_ENTRIES - SLICE

    def _next_old(self, lane: Lane, now: float) -> float:
        left = inf
        for queue in (lane.fresh, lane.retries):
            if queue:
                left = min(left, self._max_age(lane) - self.settler.age_secs(queue[0][0], now))
        return now + max(0.0, left)
