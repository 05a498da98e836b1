"""Links by ids that stand for nobody, and what comes along with them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.decode import decode
from pipeline.decode.placeholder_ids import is_placeholder
from pipeline.model.records import Event, IdentityLink, Invalid, Origin, PropertyUpdate, Record


def read(record: dict[str, Any]) -> list[Record]:
    return decode(orjson.dumps(record), origin=Origin("f", 3))


def linking(one: Any, other: Any) -> list[dict[str, Any]]:
    """Return a call of each shape that links the two ids."""
    return [
        {"type": "identify", "anonymous_id": one, "user_id": other},
        {"type": "identify", "anonymousId": one, "userId": other},
        {"type": "alias", "previousId": one, "userId": other},
        {"event": "$identify", "distinct_id": other, "properties": {"$anon_distinct_id": one}},
        {"event": "$create_alias", "distinct_id": other, "properties": {"alias": one}},
        {"event": "$merge_dangerously", "distinct_id": other, "properties": {"alias": one}},
        {"app_id": "1", "user_id": one, "identity": other},
    ]


NOBODY = [
    "undefined", "UNDEFINED", "null", "Null", "none", "None", "anonymous", "Guest", "0", 0, 0.0, "NaN", "nan",
    "[object Object]", "true", "False", "distinct_id", "distinctId", "id", "email", "not_authenticated",
    "\u00a0", '"undefined"', "'null'", '"', " undefined ", "00000000-0000-0000-0000-000000000000",
    "0" * 32, "{00000000-0000-0000-0000-000000000000}", "0000-0000", "-", "NA", "(not set)",
    "9774d56d682e549c",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in NOBODY if name != '"'])
def test_a_link_by_an_id_that_stands_for_nobody_is_refused_in_every_shape(name: Any) -> None:
    for calls in (linking(name, "u1"), linking("a1", name)):
        for call in calls:
            (found,) = read(call)
            assert type(found) is Invalid, found
            assert "stands for nobody" in found.reason
            assert orjson.loads(found.raw) == call


@pytest.mark.parametrize("name", ["u1", "00", "10", "guest-7", "id7", "nullable", "Coward", "😀"])
def test_other_ids_link(name: str) -> None:
    for call in linking(name, "u1")[0:3] + linking("a1", name):
        if name != "u1" or "a1" in str(call):
            (found,) = read(call)
            assert type(found) is IdentityLink, found


def test_the_properties_beside_a_refused_link_are_kept() -> None:
    calls = [
        {"type": "identify", "anonymous_id": "undefined", "user_id": "u", "set": {"p": 1}},
        {"type": "identify", "anonymousId": "undefined", "userId": "u", "traits": {"p": 1}},
        {
            "event": "$identify",
            "distinct_id": "u",
            "properties": {"$anon_distinct_id": "null", "$set": {"p": 1}},
        },
    ]
    for call in calls:
        refused, update = read(call)
        assert type(refused) is Invalid
        assert type(update) is PropertyUpdate
        assert (update.user_id, update.set) == ("u", {"p": 1})


def test_a_member_of_a_batch_is_refused_alone() -> None:
    bad = {"type": "identify", "anonymousId": "undefined", "userId": "u"}
    good = {"type": "track", "event": "A", "userId": "u"}
    refused, event = read({"batch": [bad, good]})
    assert type(refused) is Invalid
    assert orjson.loads(refused.raw) == bad
    assert type(event) is Event


def test_events_keep_such_ids() -> None:
    (event,) = read({"type": "event", "name": "A", "user_id": "guest"})
    assert type(event) is Event
    assert event.user_id == "guest"


def test_long_ids_are_somebody() -> None:
    assert not is_placeholder("x" * 1000)
    assert is_placeholder(" " * 1000)


@pytest.mark.parametrize("name", ["properties", "context"])
def test_an_empty_list_is_an_empty_map_in_every_shape(name: str) -> None:
    calls: list[dict[str, Any]] = [
        {"type": "track", "event": "A", "userId": "u"},
        {"event": "A", "distinct_id": "u"},
        {"event": "A", "identity": "u", "app_id": "1"},
        {"type": "event", "name": "A", "user_id": "u"},
    ]
    for call in calls:
        (event,) = read({**call, name: []})
        assert type(event) is Event
        assert (event.properties, event.context) == ({}, {})


@pytest.mark.parametrize(
    "call",
    [
        {"type": "identify", "userId": "u", "traits": []},
        {"type": "identify", "userId": "u", "traits": [], "context": []},
        {"type": "identify", "userId": "u", "context": {"traits": []}},
        {"type": "user", "user_id": "u", "set": [], "set_once": [], "properties": []},
        {"event": "$set", "distinct_id": "u", "$set": [], "properties": {"$set": [], "$set_once": []}},
        {"identity": "u", "app_id": "1", "properties": []},
    ],
)
def test_an_empty_list_sets_nothing(call: dict[str, Any]) -> None:
    (update,) = read(call)
    assert type(update) is PropertyUpdate
    assert (update.set, update.set_once) == ({}, {})


def test_a_byte_order_mark_before_a_record_is_no_part_of_it() -> None:
    for marks in (1, 2, 100_000):
        raw = b"\xef\xbb\xbf" * marks + b'{"type":"event","name":"A","user_id":"u"}'
        (event,) = decode(raw, origin=Origin("f", 0))
        assert type(event) is Event
    (broken,) = decode(b"\xbf{}", origin=Origin("f", 0))
    assert type(broken) is Invalid


@pytest.mark.parametrize(
    ("chain", "classes"),
    [
        ('a.btn.w-1.5:attr__class="w-1.5 btn"nth-child="1"', ["w-1.5", "btn"]),
        ('a.h-[1.5rem].btn.[&>p]:mt-4:nth-child="1"', ["h-[1.5rem]", "btn", "[&>p]:mt-4"]),
        ('a.md:w-[calc(100%-1.5rem)].px-2.5:nth-child="1"', ["md:w-[calc(100%-1.5rem)]", "px-2.5"]),
        ('a.btn:attr__class=""nth-child="1"', []),
        ('a.btn.big:nth-child="1"', ["btn", "big"]),
        ("h1.5xl", ["5xl"]),
    ],
)
def test_class_names_with_dots_and_brackets_stay_whole(chain: str, classes: list[str]) -> None:
    call = {"event": "$autocapture", "distinct_id": "u", "elements_chain": chain, "properties": {}}
    (event,) = read(call)
    assert type(event) is Event
    assert event.elements is not None
    assert event.elements[0]["classes"] == classes
