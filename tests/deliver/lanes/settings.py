"""Lanes as tests of them want them."""

from __future__ import annotations

from typing import Any

from pipeline.config.models.webhooks.delivery import DeliverySettings, RetrySettings
from pipeline.deliver.lanes.limits.concurrency import Concurrency
from pipeline.deliver.lanes.limits.throttle import Throttle
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome

D, R, X, P = Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD, Outcome.PARKED


def spec(webhook: str = "w", *, retry: RetrySettings | None = None, **settings: Any) -> LaneSpec:
    fields = {name: settings.pop(name) for name in ("definition", "enabled", "fail_when") if name in settings}
    delivery_settings = DeliverySettings(retry=retry or RetrySettings(), **settings)
    return LaneSpec(webhook, delivery=delivery_settings, **fields)


class Patient(Throttle):
    """A breaker that never opens."""

    def failed(self, now: float, count: int = 1, asked_secs: float = 0.0, *, slow_down: bool = False) -> bool:
        return False

    def missed(self, now: float, count: int, *, slow_down: bool = False) -> None: ...


class Fixed(Concurrency):
    """A concurrency that never shrinks."""

    def ended(self, now: float, good: int, bad: int) -> None: ...
