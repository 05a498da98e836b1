"""A lane: what the engine holds in memory for one webhook, and what of it may be sent next."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count, islice
from math import ceil, inf
from typing import TYPE_CHECKING, Literal, TypeAlias

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.models.webhooks.receiver import OAuth2Auth
from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.lanes.batch import Batcher, Item
from pipeline.deliver.lanes.clock import Clock
from pipeline.deliver.lanes.counts import Tally
from pipeline.deliver.lanes.disk.parked import Parked
from pipeline.deliver.lanes.limits.concurrency import Concurrency
from pipeline.deliver.lanes.limits.retry_after import MAX_RETRY_AFTER_SECS
from pipeline.deliver.lanes.limits.throttle import Throttle, TokenBucket
from pipeline.deliver.requests.oauth import Token
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Delivery, Port

if TYPE_CHECKING:
    from pipeline.deliver.lanes.disk.disk_rows import DiskRows
    from pipeline.deliver.requests.credentials import UsedSecrets
    from pipeline.deliver.requests.sender import Sender

MAX_ENTRIES = 1000
MAX_BYTES = 32 * 1024 * 1024
HELD_BYTES = 1500
"""Memory of a delivery besides its body."""
WAITING_SHARE = 0.5
"""The fraction of a lane's memory that waiting retries may fill; later ones are parked on disk."""
RETRY_SHARE = 0.5
"""The fraction of a lane's slots that retries may take."""
PARK_FROM_SECS = 2.0
"""What is due sooner than a commit could bring it back is not parked."""

Halt: TypeAlias = Literal["", "gone", "disabled", "paused"]

_order = count()


QUOTA_SECS = 0.3
"""How long a quota holds without another look."""
PARTS, PART_SECS = 5, 0.02
"""A quota is given out in so many parts. All of it at once keeps the engine busy for 10 to 17 ms, and others
wait; one request after the other costs a turn each."""


@dataclass(slots=True)
class Quota:
    """How much a lane may send until the next look; see yielding.py."""

    given: int
    since: float
    sent: int = 0

    @property
    def left(self) -> int:
        """How many requests may be sent until the next look."""
        return self.given - self.sent

    def open(self, now: float) -> int:
        """Return how many requests may be sent at this moment."""
        return -(-self.given * min(PARTS, self._part(now)) // PARTS) - self.sent

    def blocked_until(self, now: float) -> float:
        """Return 0 where something may be sent, else when."""
        until = self.since + QUOTA_SECS
        if now >= until or self.open(now) > 0:
            return 0.0
        return until if self.left <= 0 else self.since + PART_SECS * self._part(now)

    def _part(self, now: float) -> int:
        return int((now - self.since) / PART_SECS + 1e-6) + 1


class Lane:
    """The queues and limits of one webhook. Used by the engine's thread; plain numbers may be read by any."""

    def __init__(self, webhook_id: str, clock: Clock, secrets: UsedSecrets) -> None:
        self.webhook_id = webhook_id
        self.clock = clock
        self.spec: LaneSpec | None = None
        self.sender: Sender | None = None
        self.secrets = secrets
        """What its senders have used so far: answers still in flight may show what a reload replaced."""
        self.trouble_until = 0.0
        """Nothing is sent before this: the sender could not be created (a secret is missing)."""
        self.halt: Halt = ""
        """gone: a 410 answer; disabled, paused: a command."""
        self.held: dict[bytes, Delivery] = {}
        self.held_bytes = 0
        self.fresh: deque[Item] = deque()
        self.retries: deque[Item] = deque()
        self.former: deque[Item] = deque()
        """Retries that were found to be former ones (`is_former`)."""
        self.waiting: list[tuple[float, int, Item, bool]] = []
        """Due time, sequence, item, and whether it counts as a first try: its failure was bad luck."""
        self.flying: dict[Attempt, None] = {}
        self.flying_retries = 0
        self.left: list[Attempt] = []
        """What was in flight when an edit changed the place: it takes no slot of the present receiver."""
        self.users: dict[str, deque[Delivery]] = {}
        """Ordered lanes: everything in memory by user, the one that may be sent first."""
        self.parked = Parked()
        """For ordered lanes."""
        self.ordered = False
        self.batcher: Batcher | None = None
        self.refused = 0
        """Batches refused for their content since a request was accepted."""
        self.limit = Concurrency(1)
        self.bucket: TokenBucket | None = None
        self.throttle = Throttle()
        self.token: Token | None = None
        self.disk: dict[Port, DiskRows] = {}
        self.longest_delay_secs = MAX_RETRY_AFTER_SECS
        self.max_entries = MAX_ENTRIES
        self.asked_until = 0.0
        """The latest time until which the receiver asked not to be retried, for any delivery."""
        self.armed = inf
        """When the engine looks at the lane next without an event."""
        self.in_ring = False
        self.fast = True
        """True where pausing the source for it costs the others next to nothing; see pressure.py."""
        self.seen = (0, 0)
        self.success = 1.0
        """Share of good answers, smoothed; with ``seen`` for pressure.py."""
        self.lately = 0
        """Answers between two looks, good and bad; see pressure.py."""
        self.quota: Quota | None = None
        self.is_hungry = False
        self.tally = Tally()

    def configure(self, spec: LaneSpec, share: float, now: float) -> None:
        """Apply a new version of the webhook; what is queued stays."""
        before = self.spec
        if spec == before:
            return
        self.spec = spec
        self.sender = None
        self.trouble_until = 0.0
        delivery = spec.delivery
        self._limit(delivery, None if before is None else before.delivery, share, now)
        if before is None or delivery.batch != before.delivery.batch:
            if self.batcher is not None:
                self.fresh.extend(self.batcher.flush())
            self.batcher = Batcher(delivery.batch) if delivery.batch is not None else None
        auth = spec.receiver.auth
        if before is None or auth != before.receiver.auth:
            self.token = Token(auth) if isinstance(auth, OAuth2Auth) else None
        self.ordered = delivery.ordering == "per_user"
        if not self.ordered:
            self._free_users(now)
        if before is not None and spec.definition != before.definition:
            if self.halt == "gone":
                self.halt = ""
            self.throttle = Throttle()
        if before is not None and spec.place != before.place:
            self._set_former_apart()

    def _limit(
        self, delivery: DeliverySettings, before: DeliverySettings | None, share: float, now: float
    ) -> None:
        """Apply time-out, concurrency, rate and memory."""
        for attempt in self.flying:
            # A shorter timeout applies to them, too: only the first one in flight is checked, as it ends
            # first.
            attempt.deadline = min(attempt.deadline, attempt.started + delivery.timeout_secs)
        slots = ceil(delivery.concurrency * share)
        if before is None:
            self.limit = Concurrency(slots)
        else:
            self.limit.resize(slots)
        rate = delivery.rate_per_sec
        if before is None or rate != before.rate_per_sec:
            self.bucket = TokenBucket(rate * share, now) if rate is not None else None
        self.max_entries = MAX_ENTRIES
        if delivery.batch is not None:
            # One batch being collected and one in flight.
            self.max_entries = max(MAX_ENTRIES, 2 * delivery.batch.max_events)
        self.longest_delay_secs = max(delivery.retry.max_delay_secs, MAX_RETRY_AFTER_SECS)

    def _free_users(self, now: float) -> None:
        """No order is asked for: what waits behind another one of its user may go."""
        behind = [each for queue in self.users.values() for each in islice(queue, 1, None)]
        self.users.clear()
        self.parked = Parked()
        for each in behind:
            self.enqueue(each, now)

    def _set_former_apart(self) -> None:
        """The place has changed: nothing that goes to the one of before holds up what goes to the present."""
        self.retries.extendleft(reversed(self.former))
        self.former.clear()
        self.former.extend(item for item in self.fresh if self.is_former(item[0]))
        self.fresh = deque(item for item in self.fresh if not self.is_former(item[0]))
        self.left = [attempt for attempt in self.flying if self.is_former(attempt.items[0])]

    def renew(self) -> None:
        """Use the present secrets and certificates for further requests."""
        self.sender = None
        self.trouble_until = 0.0
        if self.token is not None:
            self.token = Token(self.token.auth)

    # --- filling

    def push(self, delivery: Delivery, now: float, *, from_disk: bool = False) -> bool:
        """Take a delivery into memory; False where it must be parked instead.

        That is so in an ordered lane where an older one of the same user was parked and is not back. Rows
        from disk come in order, so nothing older can be behind them.
        """
        row, request, held = delivery.row, delivery.request, self.held
        if row in held:
            return True
        if not self.ordered:
            held[row] = delivery
            self.held_bytes += len(request.body) + HELD_BYTES
            progress = delivery.progress
            if from_disk or progress.due_ms or progress.attempt or self.batcher is not None:
                self.enqueue(delivery, now)
            else:
                self.fresh.append((delivery,))
            return True
        user = request.user
        if from_disk:
            self.parked.forget((row,))
        elif self.parked.holds_up(user):
            return False
        held[row] = delivery
        self.held_bytes += len(request.body) + HELD_BYTES
        queue = self.users.get(user)
        if queue is not None:
            queue.append(delivery)
            return True
        self.users[user] = deque((delivery,))
        self.enqueue(delivery, now)
        return True

    def enqueue(self, delivery: Delivery, now: float) -> None:
        """Queue a delivery for sending, or until its due time."""
        progress = delivery.progress
        if progress.due_ms:
            due = min(self.clock.monotonic_of(progress.due_ms), now + self.longest_delay_secs)
            if due > now:
                self.wait((delivery,), due)
                return
        if self.batcher is not None:
            batch = self.batcher.add(delivery, now)
            if batch is not None:
                self.fresh.append(batch)
        elif progress.attempt or self.is_former(delivery):
            self.retries.append((delivery,))
        else:
            self.fresh.append((delivery,))

    def wait(self, item: Item, due: float, *, lucky: bool = False) -> None:
        """Delay an item until its due time. lucky: then it counts as one that was not tried yet."""
        heappush(self.waiting, (due, next(_order), item, lucky))

    # --- sending

    def wake(self, now: float, flush: bool) -> None:
        """Move what has become due to the queues. flush: batches do not wait to be full."""
        if self.left:
            self.left = self._leaving()
        waiting = self.waiting
        while waiting and waiting[0][0] <= now:
            _, _, item, lucky = heappop(waiting)
            if lucky:
                self.fresh.appendleft(item)
            else:
                self.retries.append(item)
        if self.batcher is not None:
            self.fresh.extend(self.batcher.flush() if flush else self.batcher.due(now))

    def take(self) -> tuple[Item, bool] | None:
        """Return the next item to send and whether it is a retry; None where there is none."""
        while True:
            if (self.retries or self.former) and self._may_retry():
                item, is_retry = (self.retries or self.former).popleft(), True
            elif self.fresh:
                item, is_retry = self.fresh.popleft(), False
            else:
                return None
            if len(item) == 1:
                if not item[0].gone:
                    return item, is_retry
                continue
            if any(delivery.gone for delivery in item):
                item = tuple(delivery for delivery in item if not delivery.gone)
            if self.batcher is None and len(item) > 1:
                # A reload has turned batching off.
                (self.retries if is_retry else self.fresh).extendleft((each,) for each in item[:0:-1])
                item = item[:1]
            if item:
                return item, is_retry

    def is_former(self, delivery: Delivery) -> bool:
        """Return whether it goes to another place than the present URL: an edit has changed that since.

        Such a delivery takes less room than a retry, and its failures say nothing of the present receiver.
        """
        place, url = self.spec.place if self.spec is not None else "", delivery.request.url
        return place != "" and not (url.startswith(place) and url[len(place) :][:1] in ("", "/", "?"))

    @property
    def queues(self) -> tuple[deque[Item], ...]:
        """What may be sent now, but for its limits."""
        return self.fresh, self.retries, self.former

    def has_next(self) -> bool:
        """Return whether `take` would find something."""
        return bool(self.fresh or ((self.retries or self.former) and self._may_retry()))

    def _may_retry(self) -> bool:
        """Return whether one of the retries may be sent; former ones come after all others.

        Those leave room for such a one, which may come while they hang, and wait for whatever is fresh in an
        outage, where their answers tell nothing, or if there is one slot only.
        """
        most = self._most_retries()
        if self.flying_retries >= most:
            return False
        while self.retries and self.is_former(self.retries[0][0]):
            self.former.append(self.retries.popleft())
        if self.retries:
            return True
        if self.fresh and (self.throttle.down or self.slots() == 1):
            return False
        return self.flying_retries < max(1, most - 1)

    def _most_retries(self) -> int:
        if not self.left:
            return max(1, int(self.slots() * RETRY_SHARE))
        leaving = self._leaving()
        own = max(1, int((self.slots() - len(leaving)) * RETRY_SHARE))
        return own + sum(attempt.is_retry for attempt in leaving)

    def slots(self) -> int:
        """Return how many requests may be in flight now."""
        return max(1, int(self.limit.limit * self.throttle.part)) + (len(self._leaving()) if self.left else 0)

    def _leaving(self) -> list[Attempt]:
        return [attempt for attempt in self.left if attempt in self.flying]

    def is_free(self, now: float) -> bool:
        """Return whether only its slots, or the rest of a quota, hold the lane back."""
        spec = self.spec
        return (
            spec is not None
            and spec.enabled
            and not self.halt
            and now >= self.throttle.until
            and not self.throttle.down
            and self.bucket is None
            and (self.quota is None or self.quota.open(now) > 0)
            and self.trouble_until <= now
        )

    def is_stuck(self, now: float) -> bool:
        """Return whether nothing can be sent for now: for want of a secret or token, or by the receiver's
        wish.
        """
        if self.trouble_until > now or self.throttle.until > now:
            return True
        return self.token is not None and not self.token.usable(now)

    def blocked_until(self, now: float) -> float:
        """Return 0 where something may be sent, else when to look again (infinity: an event will tell)."""
        spec = self.spec
        if spec is None or self.halt or not spec.enabled or len(self.flying) >= self.slots():
            return inf
        if not self.throttle.allows(now):
            return self.throttle.until if now < self.throttle.until else inf
        if self.trouble_until > now:
            return self.trouble_until
        if self.quota is not None and (until := self.quota.blocked_until(now)):
            return until
        if self.bucket is not None:
            wait = self.bucket.wait(now)
            if wait:
                return now + wait
        return 0.0

    def awaits_token(self) -> bool:
        """Return whether something can be sent as soon as the requested token arrives."""
        return self.token is not None and self.token.asking and bool(self.held) and not self.halt

    # --- leaving

    def release(self, delivery: Delivery, now: float) -> None:
        """Forget a delivery that has ended; in an ordered lane the user's next one may go."""
        if self.held.pop(delivery.row, None) is None:
            return
        request = delivery.request
        self.held_bytes -= len(request.body) + HELD_BYTES
        if self.ordered:
            queue = self.users.get(request.user)
            if queue is None or delivery not in queue:
                return  # it was queued before a reload that asks for order
            was_head = queue[0] is delivery
            queue.remove(delivery)
            if not queue:
                del self.users[request.user]
            elif was_head:
                self.enqueue(queue[0], now)

    def should_park(self, due: float, now: float) -> bool:
        """Return whether a retry with this due time must wait on disk."""
        return due - now > PARK_FROM_SECS and (
            len(self.waiting) >= self.max_entries * WAITING_SHARE
            or self.held_bytes >= MAX_BYTES * WAITING_SHARE
        )

    def park(self, delivery: Delivery) -> list[Delivery]:
        """Remove a delivery from memory, in an ordered lane with all that the user has behind it."""
        leaving = [delivery]
        user = delivery.request.user
        if self.ordered and delivery in self.users.get(user, ()):
            leaving = list(self.users.pop(user))
        for each in leaving:
            each.gone = True
            self.held.pop(each.row, None)
            self.held_bytes -= len(each.request.body) + HELD_BYTES
            self.note_parked(each)
        return leaving

    def note_parked(self, delivery: Delivery) -> None:
        """Remember that an ordered delivery is on its way to disk: the user's later ones follow it."""
        if self.ordered:
            self.parked.add(delivery)

    def is_at_rest(self) -> bool:
        """Return whether it is empty, nothing is on its way to it or back, and nobody has halted it."""
        return not (
            self.held
            or self.flying
            or self.parked
            or self.halt
            or self.is_hungry
            or any(disk.rows or disk.wanted or disk.running for disk in self.disk.values())
        )

    # --- numbers

    def ready(self) -> int:
        """Return how many items are in the queues."""
        return sum(map(len, self.queues))

    def on_disk(self) -> int:
        """Return how many rows are on disk only; an estimate."""
        return sum(disk.rows for disk in list(self.disk.values()))
