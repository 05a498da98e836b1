from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, PropertyUpdate
from pipeline.sources.peek import peek
from tests.decode import reading
from tests.decode.builtin.exports.samples import GA4_ROW, NOON


def read(record: Any) -> list[Any]:
    return reading.read(record, format="ga4")


def test_a_row_is_an_update_of_the_user_and_then_its_event() -> None:
    update, event = read(GA4_ROW)
    assert type(update) is PropertyUpdate
    assert (update.set, update.unset, update.user_id) == ({"plan": "pro", "seats": 3}, ("trial",), "u1")
    assert type(event) is Event
    assert (event.name, event.time, event.user_id) == ("purchase", NOON, "u1")
    assert event.anonymous_id == "1790000000.1795000000"
    assert event.properties == {
        "ga_session_id": 1795435100,
        "currency": "EUR",
        "value": 250.5,
        "items": [{"item_id": "SKU1", "price": 125.25, "quantity": 2, "item_params": {"size": "L"}}],
        "ecommerce": {"total_item_quantity": 2, "purchase_revenue": 250.5, "transaction_id": "17"},
    }
    assert (event.context["geo"], event.source) == ({"country": "Norway"}, "WEB")


@pytest.mark.parametrize("time", [f"{NOON}000", NOON * 1000])
def test_the_time_is_microseconds_as_a_number_or_a_text(time: Any) -> None:
    assert read({**GA4_ROW, "event_timestamp": time})[-1].time == NOON


def test_a_row_of_nobody_known_is_the_pseudonyms() -> None:
    (event,) = read({**GA4_ROW, "user_id": None, "user_properties": [], "event_name": "page_view"})
    assert (event.user_id, event.anonymous_id, event.kind) == (None, "1790000000.1795000000", "page")


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"event_name": None}, "`event_name`"),
        ({"user_id": None, "user_pseudo_id": None}, "`user_pseudo_id`"),
        ({"event_params": {"a": 1}}, "`event_params`"),
        ({"event_params": [{"value": {}}]}, "no `key`"),
        ({"event_params": [5]}, "no `key`"),
        ({"event_timestamp": "soon"}, "`event_timestamp`"),
    ],
)
def test_what_is_missing_is_named(changed: Any, named: str) -> None:
    assert named in reading.reason({**GA4_ROW, **changed}, format="ga4")


def test_files_are_merged_by_the_events_time() -> None:
    for record, is_update in [(GA4_ROW, False)]:
        assert peek(orjson.dumps(record), SHAPES["ga4"]) == (NOON, is_update)
    assert peek(b"5", SHAPES["ga4"]) == (None, False)
