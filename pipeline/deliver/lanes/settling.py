"""Settles an attempt: reads the answer, asks the policy, and updates the lane."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from math import inf

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.lanes.batch import halves
from pipeline.deliver.lanes.clock import Clock, Moment
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.limits.outages import failing, healed
from pipeline.deliver.lanes.limits.retry_after import retry_after_secs
from pipeline.deliver.lanes.limits.throttle import PROBED_AGAIN
from pipeline.deliver.lanes.policy import (
    ENDLESS,
    Decision,
    Disable,
    Rejected,
    RetryAt,
    decide,
    may_be_soon,
    soon_secs,
)
from pipeline.deliver.lanes.results import Results
from pipeline.deliver.lanes.retries import regroup, wait_soon
from pipeline.deliver.requests.answers import Judged, NotNow, Unreadable, judged, legible
from pipeline.deliver.requests.excerpt import excerpt
from pipeline.deliver.requests.oauth import Token
from pipeline.outbox.handover import Delivery
from pipeline.telemetry.log import get

log = get(__name__)

OVERLOAD = frozenset({408, 425, 429})
"""Statuses below 500 that mean "not now"."""
REFUSED = frozenset({400, 422})
"""Statuses by which a receiver refuses a batch for what is in it: one member may be all that is wrong."""
DIVISIONS = 16
"""How many batches in a row are refused so, and no request accepted, until the receiver is taken for one that
refuses everything: dividing costs two requests per member then, and saves none."""
MACHINE_SECS = 0.5
"""How long a lane waits when this machine lacked a descriptor, port or thread for its request."""
NOTED = 8
"""Failures by bad luck kept for people per turn and lane; other outcomes are always kept."""


@dataclass(slots=True)
class Settler:
    """Carries out what follows from attempts.

    on_gone: called with webhook id and definition when a 410 answer disables a webhook.
    """

    clock: Clock
    random: Callable[[], float]
    on_gone: Callable[[str, str], None]
    results: Results = field(default_factory=Results)

    def settle(self, attempts: Sequence[Attempt], now: float, wall_ms: int) -> Collection[Lane]:
        """Settle finished attempts; return the lanes that have free slots. The results are not posted yet."""
        onlookers = self.results.onlookers
        if onlookers.tap is not None:
            onlookers.took(attempts, now)
        by_lane: dict[Lane, list[Attempt]] = {}
        for attempt in attempts:
            ended = by_lane.get(attempt.owner)
            if ended is None:
                by_lane[attempt.owner] = [attempt]
            else:
                ended.append(attempt)
        moment = self.clock.moment(now, wall_ms / 1000)
        for lane, ended in by_lane.items():
            self._settle(lane, ended, now, wall_ms, moment)
        return by_lane

    def _settle(self, lane: Lane, attempts: list[Attempt], now: float, wall_ms: int, moment: Moment) -> None:
        tally, flying = lane.tally, lane.flying
        outcomes, delivered, onlookers = tally.outcomes, self.results.delivered, self.results.onlookers
        in_flight = len(flying)
        more = lane.spec.delivery.succeed_on if lane.spec is not None else ()
        good = 0
        failed: list[Attempt] = []
        noted, quickest = 0, inf
        for attempt in attempts:
            status = attempt.status
            said: Judged | None = None
            if attempt.headers_matter and attempt.fault is None and 200 <= status < 300:
                said = self._read(lane, attempt)
            key = attempt.fault or status
            outcomes[key] = outcomes.get(key, 0) + 1
            if attempt.fault is None and (200 <= status < 300 or status in more):
                good += 1
                # The minimum of a turn: what other requests of the turn took is our own time.
                ended = attempt.ended_at
                if not ended:
                    ended, at_ms = now, wall_ms
                else:
                    at_ms = wall_ms - int((now - ended) * 1000)
                trip = ended - attempt.started
                if trip < quickest:
                    quickest = trip
                if said is None:
                    delivered(lane, attempt.items, status, now, at_ms)
                else:
                    self._judge_good(lane, attempt, said, wall_ms, now)
            elif status >= 500 and self._bad_luck(lane, attempt, now, moment, is_noted=noted < NOTED):
                noted += 1
                failed.append(attempt)
            elif self._judge_bad(lane, attempt, now):
                failed.append(attempt)
            flying.pop(attempt, None)
            if attempt.is_retry:
                lane.flying_retries -= 1
            if attempt.is_probe:
                lane.throttle.probing = max(0, lane.throttle.probing - 1)
        if good:
            if now >= onlookers.next_good:
                onlookers.good(attempts, more, now, wall_ms)
            tally.trip(quickest, good)
            lane.limit.succeeded(now, good, quickest, in_flight, lane.slots())
            lane.refused = 0
        if onlookers.failed and onlookers.tap is None:
            onlookers.took(attempts, now)  # a tap has seen them already
        if failed and not lane.throttle.down:
            failed = [each for each in failed if not lane.is_former(each.items[0])]
        if failed or good:
            lane.limit.ended(now, good, len(failed))
        if failed:
            failing(lane, failed, good, now, self.clock.wall())
        if good and lane.throttle.succeeded(now, good, len(failed)):
            healed(lane, now, self.random)

    # --- answers

    def _read(self, lane: Lane, attempt: Attempt) -> Judged | None:
        """Return what a 2xx answer says; None, with a fault, where that cannot be read."""
        assert lane.spec is not None  # a lane without one judges no content
        try:
            return judged(attempt, lane.spec)
        except Unreadable as error:
            attempt.fault, attempt.detail = "unreadable", f"{attempt.status}, but {error}"
        except NotNow:
            attempt.fault, attempt.detail = "retry-when", str(attempt.status)
        start = attempt.answer[:512].decode("utf-8", "backslashreplace")
        attempt.detail += f": {start}" if start else ""
        return None

    def _judge_good(self, lane: Lane, attempt: Attempt, said: Judged, wall_ms: int, now: float) -> None:
        """Judge a 2xx answer whose content may say otherwise."""
        fails, failed = said
        spec = lane.spec
        text = ""
        if fails:
            text = self._note(lane, attempt)
            for delivery in attempt.items:
                self.finish(lane, delivery, attempt.status, text, Rejected("fail-when"), now)
            return
        if failed:
            text = self._note(lane, attempt)
        retries: list[tuple[Delivery, RetryAt]] = []
        for place, delivery in enumerate(attempt.items):
            if place not in failed:
                self.results.delivered(lane, (delivery,), attempt.status, now, wall_ms)
                continue
            error, again = failed[place]
            shown = excerpt(error.encode("utf-8", "replace"), lane.secrets) or text
            decision: Decision = Rejected("batch-item")
            if again and spec is not None:
                # 503 stands for "this one not now": the backoff of any other failure.
                decision = self._decide(lane, attempt, delivery, 503, self.random(), now)
            self.finish(lane, delivery, attempt.status, shown, decision, now, retries)
        regroup(self.results, lane, retries, now)

    def _bad_luck(self, lane: Lane, attempt: Attempt, now: float, moment: Moment, *, is_noted: bool) -> bool:
        """Handle a server error where failures are bad luck; False where it needs judging.

        Same effect as `_judge_bad`. Nearly all failures of a receiver that fails at random end here, so the
        code is inlined.
        """
        spec, items = lane.spec, attempt.items
        if spec is None or attempt.fault is not None or attempt.retry_after or len(items) > 1:
            return False
        delivery, settings = items[0], spec.delivery.retry
        tries = delivery.progress.attempt + 1
        if attempt.is_probe or tries > lane.throttle.lucky(now):
            return False
        if not may_be_soon(attempt.status, 0.0, settings):
            return False
        if moment.age_ms(delivery.request.created_ms) >= settings.max_age_secs * 1000:
            return False
        due = now + soon_secs(tries, settings, self.random)
        delivery.asked_until = 0.0
        text, due_ms = self._note(lane, attempt), self.clock.steady_ms(due)
        self.results.failed(lane, delivery, attempt.status, text, due_ms, is_noted=is_noted)
        wait_soon(lane, items, due, now)
        return True

    def _judge_bad(self, lane: Lane, attempt: Attempt, now: float) -> bool:
        """Judge an answer that is not a success; True where the receiver has failed."""
        if attempt.fault in ENDLESS and 300 <= attempt.begun < 500:
            # It has answered: whatever else it would have said changes nothing.
            attempt.status, attempt.fault = attempt.begun, None
            if lane.spec is not None and attempt.status in lane.spec.delivery.succeed_on:
                wall_ms = int(self.clock.wall() * 1000)
                self.results.delivered(lane, attempt.items, attempt.status, now, wall_ms)
                if lane.throttle.succeeded(now):
                    healed(lane, now, self.random)
                return False
        status, fault = attempt.status, attempt.fault
        if fault == "machine":
            self._hold(lane, attempt, now)
            return False
        if lane.token is not None and self._reauthorise(lane, lane.token, attempt, now):
            return False
        if fault is None and len(attempt.items) > 1 and _is_divided(lane, status):
            for half in reversed(halves(attempt.items)):
                lane.retries.appendleft(half)
            return False
        text = self._note(lane, attempt)
        failed = (
            fault not in (None, "guard-refused", "request", "unreadable")
            or status >= 500
            or status in OVERLOAD
            or (status == 403 and self._asks_to_wait(attempt))
        )
        if not failed and fault in (None, "unreadable") and lane.throttle.succeeded(now):
            # Whatever it thinks of this request, it answers.
            healed(lane, now, self.random)
        retries: list[tuple[Delivery, RetryAt]] = []
        luck = self.random()
        for delivery in attempt.items:
            decision = self._decide(lane, attempt, delivery, status, luck, now)
            self.finish(lane, delivery, status or attempt.begun, text, decision, now, retries)
        regroup(self.results, lane, retries, now, is_probe=attempt.is_probe)
        return failed

    def _decide(
        self, lane: Lane, attempt: Attempt, delivery: Delivery, status: int, luck: float, now: float
    ) -> Decision:
        spec = lane.spec
        if spec is None:
            return RetryAt(1.0)
        return decide(
            status,
            attempt.fault,
            attempt.retry_after,
            date=attempt.date,
            attempt=delivery.progress.attempt + 1,
            age_secs=self.clock.age_secs(delivery.request.created_ms, now),
            settings=spec.delivery.retry,
            wall_secs=self.clock.wall(),
            random=lambda: luck,
            begun=attempt.begun,
            before=delivery.progress.status,
            lucky=PROBED_AGAIN if attempt.is_probe else lane.throttle.lucky(now),
        )

    def finish(
        self,
        lane: Lane,
        delivery: Delivery,
        status: int,
        text: str,
        decision: Decision,
        now: float,
        retries: list[tuple[Delivery, RetryAt]] | None = None,
    ) -> None:
        """Carry out what follows for one delivery; retries are collected."""
        if isinstance(decision, Rejected):
            self.results.rejected(lane, delivery, status, text, decision.reason, now)
            return
        if isinstance(decision, Disable):
            self._gone(lane)
            decision = RetryAt(0.0)
        delivery.asked_until = now + decision.asked_secs if decision.asked_secs else 0.0
        due_ms = self.clock.steady_ms(now + decision.delay_secs)
        self.results.failed(lane, delivery, status, text, due_ms)
        if retries is not None:
            retries.append((delivery, decision))

    def _asks_to_wait(self, attempt: Attempt) -> bool:
        said = attempt.retry_after
        return said is not None and retry_after_secs(said, self.clock.wall(), attempt.date) > 0

    def _reauthorise(self, lane: Lane, token: Token, attempt: Attempt, now: float) -> bool:
        """Send once more with a new token where a token was refused; True where that is done."""
        if attempt.status != 401 and attempt.status not in token.auth.renew_on:
            return False
        if any(delivery.reauthorised for delivery in attempt.items):
            token.did_not_help(attempt.generation, now)
            return False
        if not token.refuse(attempt.generation, now):
            return False
        for delivery in attempt.items:
            delivery.reauthorised = True
        lane.retries.appendleft(attempt.items)
        return True

    def _hold(self, lane: Lane, attempt: Attempt, now: float) -> None:
        """Nothing was sent, for lack of something on this machine: not an attempt, not the
        receiver's fault.
        """
        (lane.retries if attempt.is_retry else lane.fresh).appendleft(attempt.items)
        error = f"machine: {attempt.detail}"
        if lane.tally.error != error:
            lane.tally.status, lane.tally.error = 0, error
            log.error("requests cannot be made", webhook=lane.webhook_id, error=attempt.detail)
        until = now + MACHINE_SECS * (0.5 + self.random())  # not all lanes at once, nor always in one order
        others = len(lane.flying) - 1
        lane.limit.cap(others, until)  # with its existing connections the lane continues
        if not others:
            lane.trouble_until = until

    def _gone(self, lane: Lane) -> None:
        if lane.halt:
            return
        lane.halt = "gone"
        definition = lane.spec.definition if lane.spec is not None else ""
        log.error("webhook disabled: its receiver answered 410 Gone", webhook=lane.webhook_id)
        try:
            self.on_gone(lane.webhook_id, definition)
        except OSError as error:
            # It is disabled anyway; after a restart its next 410 disables it again.
            log.error("a disabled webhook could not be noted", webhook=lane.webhook_id, error=str(error))

    def _note(self, lane: Lane, attempt: Attempt) -> str:
        """Return the excerpt of an answer that was not a success, and show it in the lane's numbers."""
        failed = attempt.fault is not None
        shown = attempt.detail.encode() if failed else legible(attempt.answer, attempt.headers)
        if attempt.location:
            shown = b"it redirects to %b%b%b" % (attempt.location, b": " if shown else b"", shown)
        text = excerpt(shown, lane.secrets)
        lane.tally.status = attempt.status
        lane.tally.error = f"{attempt.fault}: {text}" if attempt.fault is not None else text
        return f"{attempt.fault}: {text}"[:1024] if attempt.fault is not None else text


def _is_divided(lane: Lane, status: int) -> bool:
    """Return whether a refused batch is sent again in halves: too large, or with a member at fault."""
    if status == 413:
        return True
    spec = lane.spec
    if status not in REFUSED or spec is None or status in spec.delivery.retry.statuses:
        return False
    lane.refused += 1
    return lane.refused <= DIVISIONS
