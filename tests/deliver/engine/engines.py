"""What tests of the engine hand over, and what they ask of it."""

from __future__ import annotations

import time

from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.stats import LaneStats
from pipeline.outbox.handover import Delivery, Outcome
from pipeline.receiver.server import Receiver
from tests.kit.delivery.rig import delivery
from tests.kit.programs.run import until

D, R, X = Outcome.DELIVERED, Outcome.RETRY, Outcome.DEAD


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def lane(engine: DeliveryEngine, webhook: str) -> LaneStats:
    """Return a lane's numbers as soon as there is one."""
    until(lambda: webhook in engine.stats().lanes)
    return engine.stats().lanes[webhook]


def now_ms() -> int:
    return int(time.time() * 1000)


def sends(receiver: Receiver, count: int, webhook: str = "w", path: str = "/hook") -> list[Delivery]:
    return [
        delivery(f"{webhook}-{n}", webhook, url=receiver.url(path), created_ms=now_ms()) for n in range(count)
    ]
