"""One insert id is one event only where the vendor takes it for one, also for the `webhook-id`."""

from __future__ import annotations

from typing import Any

import pytest

from tests.decode.reading import one

AMPLITUDE = {"event_type": "A", "user_id": "u1", "device_id": "d1", "insert_id": "i", "time": 1795435200000}
MIXPANEL = {"distinct_id": "u1", "$insert_id": "i", "time": 1795435200}


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({}, True),
        ({"user_id": "u2"}, True),
        ({"device_id": "d2"}, False),
        ({"device_id": None, "user_id": "u2"}, False),
        ({"insert_id": "j"}, False),
    ],
)
def test_an_insert_id_of_amplitude_is_one_of_a_device_else_of_a_user(
    changes: dict[str, Any], is_same: bool
) -> None:
    first, other = (one({**AMPLITUDE, **given}, format="amplitude") for given in ({}, changes))
    assert (first.identity() == other.identity()) == is_same


@pytest.mark.parametrize(
    ("event", "changes", "is_same"),
    [
        ("A", {}, True),
        ("A", {"n": 1}, True),
        ("B", {}, False),
        ("A", {"distinct_id": "u2"}, False),
        ("A", {"distinct_id": "$device:u2"}, False),
        ("A", {"$insert_id": "j"}, False),
    ],
)
def test_an_insert_id_of_mixpanel_is_one_of_an_event_and_a_user(
    event: str, changes: dict[str, Any], is_same: bool
) -> None:
    first = one({"event": "A", "properties": MIXPANEL}, format="mixpanel")
    other = one({"event": event, "properties": {**MIXPANEL, **changes}}, format="mixpanel")
    assert (first.identity() == other.identity()) == is_same


def test_an_event_without_an_id_has_none() -> None:
    properties = {name: value for name, value in MIXPANEL.items() if name != "$insert_id"}
    assert one({"event": "A", "properties": properties}, format="mixpanel").identity() is None
