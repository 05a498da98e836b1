"""The engine's numbers, for `hookline status`, the run's summary and the metrics."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from pipeline.deliver.lanes.counts import quantiles
from pipeline.deliver.lanes.limits.concurrency import TOLERATED
from pipeline.deliver.lanes.limits.outages import earliest_due, probe_at
from pipeline.model.times import format_iso
from pipeline.telemetry.metrics import count, gauge, set_histogram

if TYPE_CHECKING:
    from pipeline.deliver.http.native_client import NativeClient
    from pipeline.deliver.http.trust import Trust
    from pipeline.deliver.lanes.lane import Lane

PUBLISH_SECS = 1.0
LANES_PER_TURN = 20
ADDED = {"over_processes": "added"}
"""Marks fields that are summed over the processes of a job; the others come from one process."""


@dataclass(slots=True, frozen=True)
class LaneStats:
    """One webhook at this moment."""

    webhook_id: str
    state: str
    """active, off (`enabled: false`), gone (410), disabled, paused, unknown (in no config)."""
    receiver: str
    """well, failing (more than a tenth of its answers), down (in an outage: it is only probed)."""
    share: float
    """Share of good answers recently."""
    queued: int = field(metadata=ADDED)
    in_flight: int = field(metadata=ADDED)
    waiting: int = field(metadata=ADDED)
    on_disk: int = field(metadata=ADDED)
    """Rows on disk only; an estimate between two passes."""
    limit: int = field(metadata=ADDED)
    """Requests that may be in flight."""
    delivered: int = field(metadata=ADDED)
    retried: int = field(metadata=ADDED)
    dead: int = field(metadata=ADDED)
    p50_ms: float
    """From match to the answer of the last attempt."""
    p99_ms: float
    status: int
    error: str
    why: str = ""
    """What holds back the next delivery: a halt's word, down, token, rate, due; "" where nothing does."""
    due_at: str = ""
    """When the next delivery is due, or its receiver probed, if that is the reason."""
    single_until: str = ""
    """Until when each request has a connection of its own, after unsolicited answers."""
    oldest_at: str = ""
    """When the oldest delivery in memory was matched; "" where there is none."""


@dataclass(slots=True, frozen=True)
class EngineStats:
    """All webhooks of a process at this moment."""

    lanes: dict[str, LaneStats]
    in_flight: int
    p50_ms: float
    """From match to the answer of the last attempt, over webhooks that do not batch, if any has sent."""
    p99_ms: float


def engine_stats(lanes: Sequence[Lane], in_flight: int, trust: Trust | None) -> EngineStats:
    """Return the numbers of every lane; reads plain numbers only, so any thread may call it."""
    # A batch waits for its members on purpose: where others send at once, theirs is the latency.
    at_once = [one.tally.latencies for one in lanes if one.spec is None or one.spec.delivery.batch is None]
    timed = at_once if any(at_once) else [one.tally.latencies for one in lanes]
    p50, p99 = quantiles(timed, (0.5, 0.99))
    return EngineStats({lane.webhook_id: lane_stats(lane, trust) for lane in lanes}, in_flight, p50, p99)


def lane_stats(lane: Lane, trust: Trust | None) -> LaneStats:
    """Return the numbers of one lane. trust: of the clients that send for it."""
    tally = lane.tally
    flying = len(lane.flying)
    p50, p99 = quantiles((tally.latencies,), (0.5, 0.99))
    held, waiting = len(lane.held), len(lane.waiting)
    why, due_at = _why(lane)
    single = trust.until(lane.webhook_id) if trust is not None else 0.0
    return LaneStats(
        webhook_id=lane.webhook_id,
        state=_state(lane),
        receiver=_receiver(lane),
        share=round(lane.throttle.share, 3),
        queued=max(0, held - waiting - flying),
        in_flight=flying,
        waiting=waiting,
        on_disk=lane.on_disk(),
        limit=lane.slots(),
        delivered=tally.delivered,
        retried=tally.retried,
        dead=tally.dead,
        p50_ms=p50,
        p99_ms=p99,
        status=tally.status,
        error=tally.error,
        why=why,
        due_at=due_at,
        single_until=format_iso(lane.clock.steady_ms(single)) if single else "",
        oldest_at=_oldest_at(lane),
    )


def _oldest_at(lane: Lane) -> str:
    try:
        first = next(iter(lane.held.values()), None)
    except RuntimeError:
        return ""  # the engine's thread is changing it: the next look tells
    return "" if first is None else format_iso(first.request.created_ms)


def _why(lane: Lane) -> tuple[str, str]:
    """Return what holds back the lane's next delivery, and until when if that is a due time."""
    now = lane.clock.now()
    state = _state(lane)
    if state != "active":
        return state, ""
    if lane.throttle.down:
        return "down", _at(lane, probe_at(lane))
    if lane.token is not None and not lane.token.usable(now):
        return "token", ""
    if lane.flying:
        return "", ""
    if lane.ready():
        return ("rate" if lane.bucket is not None else ""), ""
    due = earliest_due(lane)
    return ("due", _at(lane, due)) if now < due < inf else ("", "")


def _at(lane: Lane, due: float) -> str:
    return "" if due == inf else format_iso(lane.clock.steady_ms(due))


def _state(lane: Lane) -> str:
    if lane.spec is None:
        return "unknown"
    return lane.halt or ("active" if lane.spec.enabled else "off")


def _receiver(lane: Lane) -> str:
    if lane.throttle.down:
        return "down"
    return "well" if lane.throttle.share >= 1.0 - TOLERATED else "failing"


class Publisher:
    """Updates the metrics, of a few lanes per turn: no delivery must wait for all of them."""

    def __init__(self, native: NativeClient) -> None:
        self._native = native
        self._at = inf
        self._left: deque[Lane] = deque()
        self._was_flying = False

    def wanted(self, now: float) -> None:
        """Something may have changed without a request."""
        self._at = min(self._at, now + PUBLISH_SECS)

    def run(self, lanes: Mapping[str, Lane], flying: int, now: float, *, all_now: bool) -> float:
        """Update some lanes; return when to continue: once a second while something is sent, and once more
        after.
        """
        if self._at == inf and flying:
            self._at = now + PUBLISH_SECS
        if all_now or (now >= self._at and not self._left):
            self._left = deque(lanes.values())
            gauge("connections_open", self._native.open_connections)
            gauge("connections_opened_total", self._native.opened)
            gauge("origins_distrusted", self._native.trust.distrusted())
            self._at = now + PUBLISH_SECS if flying or self._was_flying else inf
            self._was_flying = flying > 0
        for _ in range(len(self._left) if all_now else LANES_PER_TURN):
            if not self._left:
                return self._at
            lane = self._left.popleft()
            if lanes.get(lane.webhook_id) is lane:  # else its metrics have gone with it
                publish(lane)
        return now + PUBLISH_SECS / 100 if self._left else self._at


def publish(lane: Lane) -> None:
    """Update the metrics of a lane; called about once a second, so that no request pays for it."""
    tally, webhook_id = lane.tally, lane.webhook_id
    flying = len(lane.flying)
    gauge("webhook_disabled", int(bool(lane.halt)), webhook=webhook_id)
    if not flying and tally.published == tally.outcomes and not lane.held and not tally.shown:
        return
    for outcome, n in tally.outcomes.items():
        new = n - tally.published.get(outcome, 0)
        if new:
            count("attempts_total", new, webhook=webhook_id, outcome=str(outcome))
            if outcome == "guard-refused":
                count("guard_refused_total", new, webhook=webhook_id)
    tally.published = tally.outcomes.copy()
    latencies = {ms / 1000: n for ms, n in tally.latencies.items()}
    set_histogram("delivery_latency_seconds", latencies, webhook=webhook_id)
    trips = {tenths / 10_000: n for tenths, n in tally.trips.items()}
    set_histogram("attempt_seconds", trips, webhook=webhook_id)
    tally.shown = bool(flying or lane.held)
    gauge("lane_in_flight", flying, webhook=webhook_id)
    gauge("lane_waiting", max(0, len(lane.held) - flying), webhook=webhook_id)
    gauge("lane_concurrency", lane.slots(), webhook=webhook_id)
    gauge("lane_success_share", lane.throttle.share, webhook=webhook_id)
    gauge("lane_receiver_down", int(lane.throttle.down), webhook=webhook_id)
