"""A receiver in a process of its own that fails half of its requests, over real connections.

It answers at once, so that our own CPU is the limit: two requests and a result more for each delivery leave a
third. What a receiver lets through that is the limit itself is shown on a clock (test_deliver_flaky.py).
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.requests.spec import LaneSpec
from pipeline.outbox.handover import Outcome
from tests.bench.flaky import sometimes
from tests.kit.delivery.rig import LOOPBACK, Disk, delivery, submit
from tests.kit.programs.run import until

COUNT = 3_000
TRIES = 3
"""The machine's speed swings while one and then the other is measured."""


def rate(origin: str, path: str, ordering: Any) -> float:
    """Return the deliveries per second of a webhook, up to the last tenth of what it was given at once."""
    engine, disk = DeliveryEngine(allow=LOOPBACK), Disk()
    engine.start()
    try:
        engine.orders.configure({"w": LaneSpec("w", delivery=DeliverySettings(ordering=ordering))})
        now_ms = int(time.time() * 1000)
        url = f"{origin}/{path}"
        given = [delivery(n, url=url, created_ms=now_ms, user=f"u{n % 300}") for n in range(COUNT)]
        begun = time.monotonic()
        submit(engine, disk.port, given)
        done: list[Any] = []

        def nearly_all() -> bool:
            done.extend(each for each in disk.take() if each.outcome is Outcome.DELIVERED)
            return len(done) >= COUNT * 0.9

        until(nearly_all)
        return len(done) / (time.monotonic() - begun)
    finally:
        engine.stop()


@pytest.mark.parametrize("ordering", ["none", "per_user"])
def test_half_of_the_requests_failing_leaves_a_good_part_of_the_rate(ordering: str) -> None:
    with sometimes(0.5) as (origin, _):
        ratios: list[float] = []
        for _ in range(TRIES):
            ratios.append(rate(origin, "failing", ordering) / rate(origin, "well", ordering))
            if ratios[-1] >= 0.25:
                return
        raise AssertionError(f"it got {ratios} of the rate of a receiver that is well")
