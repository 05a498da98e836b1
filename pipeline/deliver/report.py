"""The engine's numbers: for `hookline status` and the run's summary, and for the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.deliver.lane import Lane
from pipeline.deliver.native import NativeClient
from pipeline.deliver.tally import quantiles
from pipeline.telemetry.metrics import count, gauge, set_histogram


@dataclass(slots=True, frozen=True)
class LaneStats:
    """One webhook, now."""

    webhook_id: str
    state: str
    """active, off (`enabled: false`), gone (410), disabled, paused, unknown (in no config)."""
    breaker: str
    queued: int
    in_flight: int
    waiting: int
    on_disk: int
    """Rows on disk only; an estimate between two passes."""
    limit: int
    """Requests that may be in flight."""
    delivered: int
    retried: int
    dead: int
    p50_ms: float
    """Match to the answer of the last attempt."""
    p99_ms: float
    status: int
    error: str


@dataclass(slots=True, frozen=True)
class EngineStats:
    """All webhooks of a process, now."""

    lanes: dict[str, LaneStats]
    in_flight: int
    p50_ms: float
    p99_ms: float


def engine_stats(lanes: Sequence[Lane], in_flight: int) -> EngineStats:
    """Return the numbers of every lane; reads plain numbers only, so any thread may call it."""
    p50, p99 = quantiles((lane.tally.latencies for lane in lanes), (0.5, 0.99))
    return EngineStats({lane.webhook_id: lane_stats(lane) for lane in lanes}, in_flight, p50, p99)


def lane_stats(lane: Lane) -> LaneStats:
    """Return the numbers of one lane."""
    tally = lane.tally
    flying = len(lane.flying)
    p50, p99 = quantiles((tally.latencies,), (0.5, 0.99))
    held, waiting = len(lane.held), len(lane.waiting)
    return LaneStats(
        webhook_id=lane.webhook_id,
        state=_state(lane),
        breaker=lane.breaker.state,
        queued=max(0, held - waiting - flying),
        in_flight=flying,
        waiting=waiting,
        on_disk=lane.on_disk(),
        limit=int(lane.limit.limit),
        delivered=tally.delivered,
        retried=tally.retried,
        dead=tally.dead,
        p50_ms=p50,
        p99_ms=p99,
        status=tally.status,
        error=tally.error,
    )


def _state(lane: Lane) -> str:
    if lane.spec is None:
        return "unknown"
    return lane.halt or ("active" if lane.spec.enabled else "off")


def publish_client(native: NativeClient) -> None:
    """Bring the metrics of the client up to date."""
    gauge("connections_open", native.open_connections)
    gauge("connections_opened_total", native.opened)


def publish(lane: Lane) -> None:
    """Bring the metrics of a lane up to date; called about once a second, so that no request pays for it."""
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
    gauge("lane_concurrency", int(lane.limit.limit), webhook=webhook_id)
    gauge("lane_breaker_open", int(lane.breaker.state != "closed"), webhook=webhook_id)
