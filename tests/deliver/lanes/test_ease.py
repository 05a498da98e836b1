"""Ends of attempts that nobody waits for are settled together; any other at once."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeline.deliver.http.attempt import Attempt
from pipeline.deliver.http.target import NOWHERE
from pipeline.deliver.lanes.limits.pressure import is_at_ease


def ended(status: int = 200, fault: Any = None, **lane: Any) -> Attempt:
    """Return an attempt that has ended in a lane of 16 slots that has nothing else to do."""
    calm = {
        "fresh": (), "retries": (), "ordered": False, "disk": {}, "flying": {1: None},
        "throttle": SimpleNamespace(down=False), "limit": SimpleNamespace(limit=16.0),
    }  # fmt: skip
    attempt = Attempt(NOWHERE, b"", b"", owner=SimpleNamespace(**(calm | lane)))
    attempt.status, attempt.fault = status, fault
    return attempt


def test_a_success_in_a_quiet_lane_can_wait() -> None:
    assert is_at_ease(ended())
    assert is_at_ease(ended(204, flying=dict.fromkeys(range(8))))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ended(503),
        lambda: ended(0, "timeout"),
        lambda: ended(200, "unreadable"),
        lambda: ended(fresh=("next",)),
        lambda: ended(retries=("next",)),
        lambda: ended(ordered=True),
        lambda: ended(disk={"port": "rows"}),
        lambda: ended(throttle=SimpleNamespace(down=True)),
        lambda: ended(flying=dict.fromkeys(range(9))),
        lambda: ended(limit=SimpleNamespace(limit=1.0)),
    ],
)
def test_what_failed_or_is_waited_for_is_settled_at_once(make: Callable[[], Attempt]) -> None:
    assert not is_at_ease(make())
