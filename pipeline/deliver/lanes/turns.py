"""Who sends next: lanes take turns, each within its limits and its share of the connections.

Lanes with something to do wait in a ring; the others are looked at when their due time comes: one entry per
lane in one heap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Set
from heapq import heapify, heappop, heappush
from itertools import count
from math import inf

from pipeline.deliver.http.attempt import Attempt, Client
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.http.tls import Contexts
from pipeline.deliver.lanes.batch import Item
from pipeline.deliver.lanes.clock import AHEAD_MS, Clock, Moment
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.results import Results
from pipeline.deliver.requests.sender import Sender
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.model.errors import ConfigError, HooklineError
from pipeline.outbox.handover import Delivery
from pipeline.telemetry.log import get

log = get(__name__)

QUANTUM = 16
"""Requests that a lane may send before it is the next one's turn."""
TROUBLE_SECS = 5.0
"""How long a lane, or a request, waits that cannot be made (a missing secret, an unreadable certificate)."""

_order = count()


class Dispatcher:
    """Sends what may be sent. Used by `Core`.

    fetch_token: see `Core`. reads_rows: tells whether a lane should read rows from disk.
    """

    def __init__(
        self,
        clock: Clock,
        clients: Mapping[str, Client],
        results: Results,
        *,
        contexts: Contexts,
        fetch_token: Callable[[Lane], None],
        reads_rows: Callable[[Lane], bool],
        max_flying: int,
    ) -> None:
        self.flying = 0
        self.flushing = False
        """True while draining: batches do not wait to be full."""
        self.closed = False
        """True at the end of draining: nothing more is sent, but pending responses may still arrive."""
        self.unsent: list[Attempt] = []
        """Attempts that ended before they were sent: their request cannot be made."""
        self._clock = clock
        self._clients = clients
        self._results = results
        self._contexts = contexts
        self._fetch_token = fetch_token
        self._reads_rows = reads_rows
        self._max_flying = max_flying
        self._ring: deque[Lane] = deque()
        self._squeezed: set[Lane] = set()
        """Lanes that wait for other lanes' connections."""
        self._heap: list[tuple[float, int, Lane]] = []

    # --- the ring

    def nudge(self, lane: Lane) -> None:
        """Look at the lane in this turn or the next."""
        if not lane.in_ring:
            lane.in_ring = True
            self._ring.append(lane)

    def freed(self, count: int) -> None:
        """This many connections are free again."""
        self.flying -= count
        for lane in self._squeezed:
            self.nudge(lane)
        self._squeezed.clear()

    def forget(self, lanes: Set[Lane]) -> None:
        """Do not look at these any more."""
        self._squeezed -= lanes
        self._heap = [entry for entry in self._heap if entry[2] not in lanes]
        heapify(self._heap)

    def run(self, now: float, wall: float, done: Callable[[Lane], None]) -> None:
        """Let every lane in the ring send what it may; ``done`` is called with each one served."""
        ring = self._ring
        if self.closed:
            for lane in ring:
                lane.in_ring = False
                self._arm(lane, now)
            ring.clear()
            return
        moment = self._clock.moment(now, wall)
        while ring:
            lane = ring.popleft()
            lane.in_ring = False
            if self._serve(lane, now, wall, moment):
                lane.in_ring = True
                ring.append(lane)
            else:
                done(lane)
                self._arm(lane, now)

    def is_idle(self) -> bool:
        """Return whether nothing is in flight or about to be."""
        return not self.flying and not self._ring

    # --- due times

    def next_due(self) -> float:
        """Return when a lane must be looked at; infinity: never."""
        while self._heap and self._heap[0][0] != self._heap[0][2].armed:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else inf

    def wake(self, now: float) -> None:
        """Look at the lanes that are due, and end attempts that took too long."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, _, lane = heappop(heap)
            if due != lane.armed:
                continue
            lane.armed = inf
            for attempt in list(lane.flying):
                if attempt.deadline <= now:
                    secs = attempt.deadline - attempt.started
                    self._client(lane).abort(attempt, "timeout", f"no complete answer within {secs:g} s")
            self.nudge(lane)

    def lane_due(self, lane: Lane, now: float) -> float:
        """Return when something can happen in the lane without another event; infinity: never."""
        due = next(iter(lane.flying)).deadline if lane.flying else inf
        if self.closed:
            return due
        if lane.waiting:
            due = min(due, lane.waiting[0][0])
        if lane.batcher is not None:
            due = min(due, lane.batcher.next_due())
        if any(lane.queues):
            waits = lane in self._squeezed or not lane.has_next()
            blocked = inf if waits else lane.blocked_until(now)
            if not blocked and lane.token is not None and not lane.token.usable(now):
                # Fetching the token ends in a nudge.
                blocked = inf if lane.token.asking else lane.token.retry_at
            due = min(due, blocked or now, self._next_old(lane, now))
        if lane.disk and self._reads_rows(lane):
            due = min(due, *(disk.next_due() for disk in lane.disk.values()))
        return due

    def _arm(self, lane: Lane, now: float) -> None:
        due = self.lane_due(lane, now)
        if due < lane.armed:
            lane.armed = due
            heappush(self._heap, (due, next(_order), lane))

    # --- sending

    def _serve(self, lane: Lane, now: float, wall: float, moment: Moment) -> bool:
        """Send up to a quantum of a lane's requests; True where it may send more at once."""
        lane.wake(now, self.flushing)
        if not lane.has_next():
            return False
        most_ms = int(self._max_age(lane) * 1000)
        now_ms, ahead_ms = moment.first, moment.last + AHEAD_MS
        oldest_ms, oldest_ahead_ms = moment.first - most_ms, moment.last - most_ms
        flying, fresh = lane.flying, lane.fresh
        slots = lane.slots() if lane.is_free(now) else 0
        most = (self._max_flying - self.flying) // (4 * len(self._ring) + 4)
        if lane.quota is not None:
            most = min(most, lane.quota.open(now))
        for _ in range(max(1, min(QUANTUM, most))):
            if not fresh and not lane.has_next():
                return False
            # While a free lane is served, only its slots can run out.
            if len(flying) >= slots and lane.blocked_until(now):
                self._expire(lane, moment, now)
                return False
            # A lane may hold as many connections as are left, so that hanging ones cannot take them all,
            # and one in any case.
            if flying and len(flying) >= self._max_flying - self.flying:
                self._squeezed.add(lane)
                return False
            if lane.token is not None and not lane.token.usable(now):
                self._expire(lane, moment, now)
                self._want_token(lane, now)
                return False
            taken = lane.take()
            if taken is None:
                return False
            item, is_retry = taken
            created_ms = item[0].request.created_ms
            # Where `Moment.age_ms` need not be called: nearly always.
            if created_ms <= oldest_ms or (
                created_ms > now_ms and not oldest_ahead_ms < created_ms <= ahead_ms
            ):
                item = self._bury(lane, item, moment, now)
                if not item:
                    continue
            if not self._send(lane, item, is_retry, now, wall):
                return False
        return True

    def _send(self, lane: Lane, item: Item, is_retry: bool, now: float, wall: float) -> bool:
        """Send one item; False where the webhook's own settings make that impossible now."""
        spec = lane.spec
        assert spec is not None  # a lane without one is blocked
        try:
            sender = lane.sender
            if sender is None or lane.token is not None:
                sender = self._sender(lane, spec)
            if spec.delivery.batch is None:
                attempt = sender.single(item[0], wall)
            else:
                attempt = sender.batch(item, wall)
        except (HooklineError, ValueError, OSError) as error:
            if lane.sender is None or isinstance(error, ConfigError):
                if lane.tally.error != str(error):
                    lane.tally.status, lane.tally.error = 0, str(error)
                    log.error("requests cannot be made", webhook=lane.webhook_id, error=str(error))
                if lane.sender is None:
                    lane.trouble_until = now + TROUBLE_SECS
                    (lane.retries if is_retry else lane.fresh).appendleft(item)
                    return False
                # A secret of this request, perhaps under a former name: others need not wait for it.
                lane.wait(item, now + TROUBLE_SECS, lucky=not is_retry)
                return True
            # Only this request: it would fail the same way again.
            attempt = Attempt(NOWHERE, b"", b"")
            attempt.fault, attempt.detail, attempt.ended = "request", str(error), True
        attempt.owner = lane
        attempt.items = item
        attempt.started = now
        attempt.deadline = now + spec.delivery.timeout_secs
        lane.flying[attempt] = None
        self.flying += 1
        if is_retry:
            attempt.is_retry = True
            lane.flying_retries += 1
        if lane.token is not None:
            attempt.generation = lane.token.generation
        if lane.throttle.down:
            attempt.is_probe = True
            lane.throttle.probing += 1
        if lane.bucket is not None:
            lane.bucket.take()
        if lane.quota is not None:
            lane.quota.sent += 1
        if attempt.ended:
            self.unsent.append(attempt)
        else:
            self._client(lane).send(attempt)
        return True

    def _sender(self, lane: Lane, spec: LaneSpec) -> Sender:
        """Return the lane's sender, created if there is none, with the present token."""
        sender, token = lane.sender, lane.token
        if sender is None:
            sender = lane.sender = Sender(spec, lane.secrets, self._contexts)
        if token is not None and sender.token_generation != token.generation:
            sender.set_token(token.value or "", token.generation)
        return sender

    def _client(self, lane: Lane) -> Client:
        delivery = lane.spec.delivery if lane.spec is not None else None
        if delivery is None:
            return self._clients["native"]
        # Only that client supports proxies.
        return self._clients["aiohttp" if delivery.proxy else delivery.client]

    def _want_token(self, lane: Lane, now: float) -> None:
        token = lane.token
        if token is not None and not token.asking and token.retry_at <= now:
            token.ask(now)
            self._fetch_token(lane)

    # --- age

    def _max_age(self, lane: Lane) -> float:
        return lane.spec.delivery.retry.max_age_secs if lane.spec is not None else 1e10

    def _expire(self, lane: Lane, moment: Moment, now: float) -> None:
        """Dead-letter what is too old, from the heads of queues that cannot be sent now."""
        most_ms = self._max_age(lane) * 1000
        for queue in lane.queues:
            while queue and moment.age_ms(queue[0][0].request.created_ms) >= most_ms:
                left = self._bury(lane, queue.popleft(), moment, now)
                if left:
                    queue.appendleft(left)

    def _bury(self, lane: Lane, item: Item, moment: Moment, now: float) -> Item:
        """Dead-letter the deliveries of an item that are too old; return the others: a batch's members have
        their own ages.
        """
        most_ms = self._max_age(lane) * 1000
        left: list[Delivery] = []
        for delivery in item:
            if moment.age_ms(delivery.request.created_ms) < most_ms:
                left.append(delivery)
            elif not delivery.gone:
                self._results.dead(lane, delivery, "max-age", now)
        return tuple(left)

    def _next_old(self, lane: Lane, now: float) -> float:
        """Return when the head of a queue gets too old."""
        heads = [queue[0][0].request.created_ms for queue in lane.queues if queue]
        left = self._max_age(lane) - max(self._clock.age_secs(created_ms, now) for created_ms in heads)
        return now + max(0.0, left)
