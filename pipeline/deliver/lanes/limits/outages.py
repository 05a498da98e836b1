"""What a lane learns from failures, and what happens when an outage ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.lanes.lane import Lane
from pipeline.deliver.lanes.limits.retry_after import retry_after_secs
from pipeline.telemetry.log import get

log = get(__name__)


def failing(lane: Lane, attempts: Sequence[Attempt], good: int, now: float, wall: float) -> None:
    """The receiver has failed these; ``good``: how many other answers of the turn were good."""
    throttle = lane.throttle
    headers = [(each.retry_after, each.date) for each in attempts if each.retry_after]
    asked = max((retry_after_secs(header, wall, date) for header, date in headers), default=0.0)
    lane.asked_until = max(lane.asked_until, now + asked)
    slow_down = asked > 0.0 or any(each.status == 429 or each.fault == "retry-when" for each in attempts)
    if good:
        if slow_down:
            throttle.hurried(now, len(attempts))
        return
    # What was sent before the last good answer says nothing about the time after it.
    later = sum(each.started >= throttle.good_at for each in attempts)
    if later < len(attempts):
        throttle.missed(now, len(attempts) - later, slow_down=slow_down)
    if later and throttle.failed(now, later, asked, slow_down=slow_down):
        told = {"status": lane.tally.status} if lane.tally.status else {}
        log.warning(
            "receiver fails, probing it from now on",
            webhook=lane.webhook_id, **told, error=lane.tally.error,
        )  # fmt: skip


def earliest_due(lane: Lane) -> float:
    """Return when the first delayed item is due; inf where there is none. From any thread."""
    dues = [lane.waiting[0][0]] if lane.waiting else []
    dues += [disk.earliest for disk in list(lane.disk.values()) if disk.rows]
    return min(dues, default=inf)


def probe_at(lane: Lane) -> float:
    """Return when something is next sent to a receiver that is down: a probe is allowed, and one is due."""
    return lane.throttle.until if lane.ready() else max(lane.throttle.until, earliest_due(lane))


def healed(lane: Lane, now: float, random: Callable[[], float]) -> None:
    """An outage is over."""
    lane.limit.restart()
    hurry(lane, now, random)
    log.info("receiver is well again", webhook=lane.webhook_id)


def hurry(lane: Lane, now: float, random: Callable[[], float]) -> None:
    """Make delayed items due soon, spread over time, also on disk; not before the receiver asked for."""
    spread = min(2.0, 0.002 * len(lane.waiting))
    waiting, lane.waiting = lane.waiting, []
    for due, _, item, lucky in waiting:
        soon = max(now + random() * spread, max(delivery.asked_until for delivery in item))
        lane.wait(item, min(due, soon), lucky=lucky)
    for disk in lane.disk.values():
        # Rows do not record whether their delay was requested: where any was, they keep their time.
        if disk.rows and lane.asked_until <= now:
            disk.hurry()
