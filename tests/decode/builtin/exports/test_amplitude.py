from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.shapes import SHAPES
from pipeline.model.records import Event, IdentityLink, Invalid, PropertyUpdate
from pipeline.sources.peek import peek
from tests.decode import reading
from tests.decode.builtin.exports.samples import AMPLITUDE_HTTP, AMPLITUDE_IDENTIFY, AMPLITUDE_ROW, NOON
from tests.decode.reading import HERE


def read(record: Any, **given: Any) -> list[Any]:
    return reading.read(record, format="amplitude", **given)


def test_a_row_of_the_export_is_an_update_and_then_its_event() -> None:
    update, event = read(AMPLITUDE_ROW)
    assert type(update) is PropertyUpdate
    assert (update.set, update.set_once, update.unset) == ({"plan": "pro", "seats": 3}, {}, ())
    assert (update.user_id, update.anonymous_id, update.time) == ("user01", "7d0d9d5c-a6b5", NOON)
    assert type(event) is Event
    assert (event.id, event.name, event.kind) == ("5f0adeff-6668", "Purchase", "track")
    assert (event.user_id, event.anonymous_id) == ("user01", "7d0d9d5c-a6b5")
    assert (event.time, event.received_at) == (NOON, NOON + 3000)
    assert event.properties == {"amount": 250}
    assert event.source == "amplitude-ts/2.1.0"
    assert event.context["country"] == "Norway"
    assert event.context["groups"] == {"company": ["Acme"]}
    assert "location_lat" not in event.context
    assert "user_properties" not in event.context


def test_a_body_of_the_http_api_holds_events_and_updates() -> None:
    event, update = read({"api_key": "K", "events": [AMPLITUDE_HTTP, AMPLITUDE_IDENTIFY], "options": {}})
    assert type(event) is Event
    assert (event.id, event.time, event.origin.item) == ("32f76910", NOON, 0)
    assert type(update) is PropertyUpdate
    assert (update.set, update.set_once, update.unset) == ({"plan": "pro"}, {"first": "x"}, ("trial",))
    assert update.origin.item == 1


@pytest.mark.parametrize(
    ("given", "changes"),
    [
        ({"$setOnce": {"first": "x"}}, ({}, {"first": "x"}, ())),
        ({"$unset": {"trial": "-"}}, ({}, {}, ("trial",))),
        ({"$unset": {"a": "-", "b": "-"}, "$setOnce": {"a": 1}, "b": 2}, ({"a": 1, "b": 2}, {"a": 1}, ())),
    ],
)
def test_each_change_beside_an_event_is_an_update(given: dict[str, Any], changes: object) -> None:
    update, event = read({**AMPLITUDE_HTTP, "user_properties": given})
    assert (update.set, update.set_once, update.unset) == changes  # an unset comes before the others
    assert event.name == "Purchase"


def test_an_event_of_a_device_alone_is_anonymous() -> None:
    (event,) = read({"event_type": "A", "device_id": "d-7"})
    assert (event.user_id, event.anonymous_id) == (None, "d-7")


def test_the_identify_api_needs_no_name_of_an_event() -> None:
    body = {"api_key": "K", "identification": [{"user_id": "user01", "user_properties": {"plan": "pro"}}]}
    (update,) = read(body)
    assert (update.user_id, update.set) == ("user01", {"plan": "pro"})


def test_an_identify_call_with_both_ids_links_them_and_another_event_does_not() -> None:
    link, update = read({**AMPLITUDE_IDENTIFY, "device_id": "d-7"})
    assert link == IdentityLink("d-7", "user01", NOON, HERE)
    assert type(update) is PropertyUpdate
    assert [type(one) for one in read({**AMPLITUDE_HTTP, "device_id": "d-7"})] == [Event]


@pytest.mark.parametrize(
    ("operators", "named"),
    [
        ({"$add": {"logins": 1}}, "`$add` of `logins`"),
        (
            {"$append": {"seen": "x"}, "$prepend": {"first": "y"}},
            "`$append` of `seen` and `$prepend` of `first`",
        ),
        ({"$preInsert": {"a": 1}}, "`$preInsert`"),
        ({"$postInsert": {"a": 1}}, "`$postInsert`"),
        ({"$remove": {"a": 1}}, "`$remove`"),
        ({"$clearAll": "-"}, "`$clearAll`"),
    ],
)
def test_an_operator_that_needs_the_value_before_it_is_a_dead_letter_beside_the_rest(
    operators: dict[str, Any], named: str
) -> None:
    update, dead, event = read({**AMPLITUDE_HTTP, "user_properties": {"$set": {"plan": "pro"}, **operators}})
    assert update.set == {"plan": "pro"}
    assert type(dead) is Invalid
    assert named in dead.reason
    assert "`$set`" in dead.reason
    assert dead.raw.startswith(b'{"event_type"')
    assert event.name == "Purchase"


def test_a_call_with_two_faults_is_one_dead_letter_that_names_both() -> None:
    given = {"$set": {"plan": "pro"}, "$add": {"logins": 1}}
    update, dead = read({**AMPLITUDE_IDENTIFY, "device_id": "undefined", "user_properties": given})
    assert update.set == {"plan": "pro"}
    assert type(dead) is Invalid
    assert "'undefined' stands for nobody" in dead.reason
    assert "`$add` of `logins`" in dead.reason


@pytest.mark.parametrize(
    ("changed", "time"),
    [
        ({"event_time": "2026-11-23 12:00:00"}, NOON),
        ({"event_time": "2026-11-23T12:00:00.000Z"}, NOON),
        ({"event_time": None, "time": NOON + 5}, NOON + 5),
        ({"event_time": None}, NOON + 1250),
        ({"event_time": None, "client_event_time": None}, NOON + 3000),
    ],
)
def test_the_time_is_the_vendors_own_then_the_clients_then_when_it_arrived(
    changed: dict[str, Any], time: int
) -> None:
    assert read({**AMPLITUDE_ROW, **changed})[-1].time == time


def test_groups_are_events_of_their_kind() -> None:
    call = {
        "event_type": "$groupidentify", "user_id": "user01", "groups": {"company": "Acme"},
        "group_properties": {"$set": {"tier": "gold"}},
    }  # fmt: skip
    (event,) = read(call)
    assert (event.kind, event.properties) == (
        "group",
        {"groups": {"company": "Acme"}, "traits": {"tier": "gold"}},
    )


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({"event_type": "A"}, "neither `user_id` nor `device_id`"),
        ({"user_id": "u", "event_properties": {}}, "no `event_type`"),
        ({"event_type": "$identify", "user_id": "u"}, "no `user_properties`"),
        ({"event_type": "A", "user_id": "u", "event_time": "soon"}, "`event_time`"),
        ({"event_type": "A", "user_id": "u", "user_properties": 5}, "`user_properties`"),
    ],
)
def test_what_is_missing_is_named(record: Any, named: str) -> None:
    assert named in reading.reason(record, format="amplitude")


def test_files_are_merged_by_the_events_time() -> None:
    for record, is_update in [
        (AMPLITUDE_ROW, False),
        ({"events": [AMPLITUDE_HTTP]}, False),
        (AMPLITUDE_IDENTIFY, True),
    ]:
        assert peek(orjson.dumps(record), SHAPES["amplitude"]) == (NOON, is_update)
    assert peek(b"5", SHAPES["amplitude"]) == (None, False)
