from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, IdentityLink, PropertyUpdate
from pipeline.sources.peek import peek
from tests.decode import reading
from tests.decode.builtin.exports.samples import JITSU_LEGACY, JITSU_MESSAGE, JITSU_ROW, NOON
from tests.decode.reading import HERE


def read(record: Any) -> list[Any]:
    return reading.read(record, format="jitsu")


@pytest.mark.parametrize("record", [JITSU_MESSAGE, JITSU_ROW])
def test_a_message_and_a_row_of_the_bulker_are_the_same_event(record: Any) -> None:
    (event,) = read(record)
    assert type(event) is Event
    assert (event.id, event.name, event.user_id, event.anonymous_id) == ("m1", "Purchase", "u1", "a1")
    assert (event.time, event.properties) == (NOON, {"amount": 250})
    assert event.context["page"] == {"path": "/x"}


def test_an_identify_call_is_a_link_and_an_update() -> None:
    traits = {"plan": "pro"}
    call = {**JITSU_MESSAGE["httpPayload"], "type": "identify", "traits": traits}
    row = {**JITSU_ROW, "type": "identify", "context": {"traits": traits}}
    for record in ({**JITSU_MESSAGE, "httpPayload": call}, row):
        link, update = read(record)
        assert type(link) is IdentityLink
        assert type(update) is PropertyUpdate
        assert update.set == traits


def test_a_group_in_a_row_has_its_traits_in_the_context() -> None:
    (event,) = read({**JITSU_ROW, "type": "group", "context": {"group_id": "g", "group": {"tier": "gold"}}})
    assert (event.kind, event.properties) == ("group", {"groupId": "g", "traits": {"tier": "gold"}})


def test_a_row_of_the_old_layout_has_the_users_properties_in_it() -> None:
    update, event = read(JITSU_LEGACY)
    assert (update.user_id, update.set) == ("u1", {"email": "a@example.com"})
    assert (event.id, event.name, event.time, event.user_id) == ("m1", "Purchase", NOON, "u1")
    assert event.properties["amount"] == 250


def test_an_identify_row_of_the_old_layout_is_a_link_and_an_update() -> None:
    user = {"id": "u1", "anonymous_id": "a1", "email": "a@example.com"}
    link, update = read({**JITSU_LEGACY, "event_type": "user_identify", "user": user})
    assert link == IdentityLink("a1", "u1", NOON, HERE)
    assert update.set == {"email": "a@example.com"}


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"httpPayload": 5}, "`httpPayload`"),
        ({"httpPayload": {"type": "track", "event": "A"}}, "`userId`"),
        ({"type": "track", "event": "A", "userId": "u"}, "no message or row of Jitsu"),
        ({**JITSU_LEGACY, "event_type": None}, "`event_type`"),
        ({**JITSU_LEGACY, "user": {}}, "`user.id`"),
    ],
)
def test_what_is_missing_is_named(record: Any, named: str) -> None:
    assert named in reading.reason(record, format="jitsu")


def test_files_are_merged_by_the_time_of_the_call() -> None:
    for record in (JITSU_MESSAGE, JITSU_ROW, {**JITSU_LEGACY, "utc_time": "2026-11-23T12:00:00Z"}):
        assert peek(orjson.dumps(record), SHAPES["jitsu"]) == (NOON, False)
    assert peek(b'{"httpPayload":{"type":"identify"}}', SHAPES["jitsu"]) == (None, True)
    assert peek(b'{"httpPayload":5}', SHAPES["jitsu"]) == (None, False)
