from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, IdentityLink, Invalid, PropertyUpdate
from pipeline.sources.peek import peek
from tests.decode import reading
from tests.decode.builtin.exports.samples import (
    MIXPANEL_EXPORT,
    MIXPANEL_PEOPLE,
    MIXPANEL_PROFILE,
    MIXPANEL_TRACK,
    NOON,
)
from tests.decode.reading import HERE

UUID = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"


def read(record: Any, **given: Any) -> list[Any]:
    return reading.read(record, format="mixpanel", **given)


def call(event: str, **properties: Any) -> dict[str, Any]:
    return {"event": event, "properties": properties}


def test_a_line_of_the_export_has_its_time_and_id_among_the_properties() -> None:
    (event,) = read(MIXPANEL_EXPORT)
    assert type(event) is Event
    assert (event.id, event.name, event.user_id, event.anonymous_id) == ("c9978", "Purchase", "u1", "d-7")
    assert (event.time, event.received_at, event.source) == (NOON, NOON + 900, "web")
    assert event.properties["amount"] == 250


@pytest.mark.parametrize("time", [NOON // 1000, NOON, NOON / 1000, str(NOON // 1000)])
def test_the_time_is_seconds_or_milliseconds(time: Any) -> None:
    assert read(call("A", distinct_id="u", time=time))[0].time == NOON


def test_the_body_of_an_import_is_a_list() -> None:
    assert [type(one) for one in read([MIXPANEL_EXPORT, MIXPANEL_TRACK])] == [Event, Event]
    assert read([MIXPANEL_TRACK, 5])[1].reason.startswith("a member")


@pytest.mark.parametrize(
    ("properties", "ids"),
    [
        ({"distinct_id": "u"}, ("u", None)),
        ({"distinct_id": "d", "$device_id": "d"}, (None, "d")),
        ({"distinct_id": "$device:d", "$device_id": "d"}, (None, "d")),
        ({"distinct_id": "$device:d"}, (None, "d")),
        ({"distinct_id": "u", "$device_id": "d"}, ("u", "d")),
        ({"distinct_id": "canonical", "$user_id": "u", "$device_id": "d"}, ("u", "d")),
        ({"$user_id": "u"}, ("u", None)),
        ({"$device_id": "d"}, (None, "d")),
    ],
)
def test_an_event_is_the_users_or_a_devices(properties: Any, ids: Any) -> None:
    (event,) = read(call("A", **properties))
    assert (event.user_id, event.anonymous_id) == ids


@pytest.mark.parametrize(
    ("record", "link"),
    [
        (call("$identify", **{"$identified_id": "u", "$anon_id": UUID}), (UUID, "u", False)),
        (call("$identify", **{"distinct_id": "u", "$anon_distinct_id": "$device:d"}), ("d", "u", False)),
        (call("$identify", **{"$user_id": "u", "$device_id": "d", "distinct_id": "u"}), ("d", "u", False)),
        (call("$create_alias", distinct_id="first", alias="second"), ("second", "first", True)),
        (call("$create_alias", distinct_id=UUID, alias="u"), (UUID, "u", True)),
        (call("$create_alias", distinct_id="$device:d1", alias="u"), ("d1", "u", True)),
        (call("$create_alias", distinct_id=UUID, alias="$device:d1"), ("d1", UUID, True)),
        (call("$merge", **{"$distinct_ids": ["$device:d1", "u"]}), ("d1", "u", True)),
        (call("$merge", **{"$distinct_ids": ["u", UUID]}), (UUID, "u", True)),
        (call("$merge", **{"$distinct_ids": [UUID, "u"]}), (UUID, "u", True)),
    ],
)
def test_the_calls_that_join_two_ids_are_links_to_the_one_that_no_device_made(record: Any, link: Any) -> None:
    assert read(record) == [IdentityLink(link[0], link[1], None, HERE, link[2])]


def test_people_calls_are_updates() -> None:
    (update,) = read(MIXPANEL_PEOPLE)
    assert type(update) is PropertyUpdate
    assert (update.user_id, update.time) == ("u1", NOON)
    assert (update.set, update.set_once, update.unset) == ({"plan": "pro"}, {"first": "x"}, ("trial",))
    (profile,) = read(MIXPANEL_PROFILE)
    assert profile.set == {"$email": "a@example.com", "plan": "pro"}
    (gone,) = read({"$token": "T", "$distinct_id": "u1", "$delete": "", "$ignore_alias": True})
    assert gone.delete
    (anonymous,) = read({"$token": "T", "$distinct_id": "$device:d", "$set": {"a": 1}})
    assert (anonymous.user_id, anonymous.anonymous_id) == (None, "d")


@pytest.mark.parametrize("operator", ["$add", "$append", "$union", "$remove"])
def test_an_operator_that_needs_the_value_before_it_is_a_dead_letter(operator: str) -> None:
    update, dead = read({"$distinct_id": "u", "$set": {"a": 1}, operator: {"n": 1}})
    assert update.set == {"a": 1}
    assert type(dead) is Invalid
    assert f"`{operator}` of `n`" in dead.reason
    assert [type(one) for one in read({"$distinct_id": "u", operator: {"n": 1}})] == [Invalid]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        (call("A", time=5), "`distinct_id`"),
        (call("A", distinct_id="u", time="soon"), "`time`"),
        ({"event": "", "properties": {}}, "`event`"),
        ({"$group_key": "company", "$group_id": "Acme", "$set": {"a": 1}}, "group"),
        ({"$distinct_id": "u"}, "none of $set"),
        ({"$distinct_id": "", "$set": {"a": 1}}, "empty `$distinct_id`"),
        (call("$create_alias", distinct_id="u"), "two ids"),
        (call("$merge", **{"$distinct_ids": ["u"]}), "$distinct_ids"),
        ({"x": 1}, "`$distinct_id`"),
    ],
)
def test_what_is_missing_is_named(record: Any, named: str) -> None:
    assert named in reading.reason(record, format="mixpanel")


def test_files_are_merged_by_the_time_among_the_properties() -> None:
    assert peek(orjson.dumps(MIXPANEL_EXPORT), SHAPES["mixpanel"]) == (NOON, False)
    assert peek(orjson.dumps(MIXPANEL_PEOPLE), SHAPES["mixpanel"]) == (NOON, True)
    assert peek(b'{"properties":5}', SHAPES["mixpanel"]) == (None, False)
