"""What one delivery costs the engine, counted in calls: a time would say how busy this machine is."""

from __future__ import annotations

import sys
from collections import Counter
from types import FrameType

from pipeline.config.models.webhooks.delivery import DeliverySettings
from pipeline.config.models.webhooks.receiver import ReceiverSettings, StandardSignature
from pipeline.deliver.requests.spec import LaneSpec
from tests.kit.delivery.rig import Rig, delivery

SIGNED = ReceiverSettings(signature=StandardSignature(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]))


def calls_of(rig: Rig, deliveries: range) -> Counter[str]:
    """Return how often the functions of the engine were called for so many deliveries that go well."""
    calls: Counter[str] = Counter()

    def called(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and "/pipeline/" in frame.f_code.co_filename:
            calls[frame.f_code.co_qualname] += 1

    made = [delivery(number) for number in deliveries]
    sys.setprofile(called)
    try:
        rig.give(*made)
        rig.run()
    finally:
        sys.setprofile(None)
    return calls


def test_a_signed_delivery_takes_at_most_eight_calls_from_hand_over_to_result() -> None:
    rig = Rig(LaneSpec("w", receiver=SIGNED, delivery=DeliverySettings(concurrency=16)))
    calls_of(rig, range(16))
    few, many = calls_of(rig, range(16, 32)), calls_of(rig, range(32, 64 + 16))
    assert len(rig.results()) == 80
    each = {name: calls for name, calls in (many - few).items() if calls >= 32}
    assert sum(each.values()) <= 8 * 32, each
