from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pipeline.deliver.engine import DeliveryEngine
from pipeline.deliver.requests.spec import LaneSpec
from tests.kit.delivery.rig import LOOPBACK


@pytest.fixture
def start() -> Iterator[Callable[..., DeliveryEngine]]:
    engines: list[DeliveryEngine] = []

    def make(*specs: LaneSpec, **options: Any) -> DeliveryEngine:
        engine = DeliveryEngine(**({"allow": LOOPBACK} | options))
        engine.start()
        engines.append(engine)
        engine.orders.configure({spec.webhook_id: spec for spec in specs})
        return engine

    yield make
    for engine in engines:
        engine.stop()
