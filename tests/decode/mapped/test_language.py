"""LANGUAGE 9, rule by rule: what a shape makes of a record."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.decode.mapped.values.prices import program_of
from pipeline.decode.scan import scan
from pipeline.language.work import BUDGET
from pipeline.model.records import Event, Invalid, PropertyUpdate
from pipeline.sources.chunk import NOWHERE, RawChunk
from tests.kit.machine.garbage import left_by
from tests.kit.streams.shapes import read, shape, told

EVENT = "{name: {text: A}, user_id: u"
AT = 1_795_435_200_000


def properties(spec: str, record: dict[str, Any], **given: Any) -> Any:
    (found,) = told(shape(f"- event: {EVENT}, properties: {spec}}}"), {"u": "x", **record}, **given)
    return found.get("properties", {}) if isinstance(found, dict) else found


@pytest.mark.parametrize(
    ("spec", "record", "wanted"),
    [
        ("payload", {"payload": {"a": 1}}, {"a": 1}),
        ("payload", {}, {}),
        ("payload", {"payload": None}, {}),
        ("payload", {"payload": []}, {}),
        ("payload", {"payload": "x"}, "`payload` is a text, expected an object"),
        ('"*"', {"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}),
        (".", {"a": 1}, {"u": "x", "a": 1}),
        ("{total: sum, gone: nothing}", {"sum": None}, {"total": None}),
        ("{total: [sum, total]}", {"sum": None, "total": 3}, {"total": 3}),
        ("{total: [sum, total]}", {"sum": 0, "total": 3}, {"total": 0}),
        ("{total: [sum, total]}", {"sum": "", "total": None}, {}),
        ("{plan: {text: pro}, n: {text: 5}}", {}, {"plan": "pro", "n": 5}),
        ("{shop: {name: s.n, town: s.t}, other: {x: y}}", {"s": {"n": "N"}}, {"shop": {"name": "N"}}),
        ("{k: {join: [a.b, n, f], with: ':'}}", {"a": {"b": "x"}, "n": 7, "f": 1.5}, {"k": "x:7:1.5"}),
        ("{k: {join: [a, n]}}", {"a": "x"}, {}),
        ("{k: {join: [a, {text: z}]}}", {"a": True}, {"k": "truez"}),
        ("{k: {join: [a, b, c], with: ' '}}", {"a": False, "b": 5.0, "c": 1e17}, {"k": "false 5 1e+17"}),
        ('{k: {path: url, find: "^/users/(\\\\d+)"}}', {"url": "/users/42/x"}, {"k": "42"}),
        ('{k: {path: url, find: "^/users/(\\\\d+)"}}', {"url": "/users/x"}, {}),
        ('{k: {path: url, find: "a(b)?"}}', {"url": "ac"}, {}),
        ("{k: {path: email, lower: true}}", {"email": "A@B.C"}, {"k": "a@b.c"}),
        ("{k: {path: [x, email], lower: true}}", {"email": "Ä"}, {"k": "ä"}),
        ("{k: {path: email, lower: false}}", {"email": "A"}, {"k": "A"}),
        ("{k: {json: raw, path: a.b}}", {"raw": '{"a":{"b":[1]}}'}, {"k": [1]}),
        ("{k: {json: raw, path: a.b}}", {"raw": "{broken"}, {}),
        ("{k: {json: raw, path: a.b}}", {"raw": {"a": {"b": 1}}}, {"k": 1}),
        ("{k: {json: raw, path: '[0]'}}", {"raw": [1]}, {"k": 1}),
        ("{json: raw}", {"raw": '{"a":1}'}, {"a": 1}),
        ("{k: {json: raw, path: m, find: '(.)$', lower: true}}", {"raw": '{"m":"aB"}'}, {"k": "b"}),
        (
            "{pairs: params, key: key, value: [value.string_value, value.int_value]}",
            {
                "params": [
                    {"key": "a", "value": {"string_value": "s"}},
                    {"key": "n", "value": {"int_value": 5}},
                    {"key": "none", "value": {}},
                    "odd",
                ]
            },
            {"a": "s", "n": 5},
        ),
        ("{pairs: params}", {"params": [{"key": 1, "value": None}]}, {"1": None}),
        ("{all: 'items[*].sku'}", {"items": [{"sku": 1}, {}, {"sku": 2}]}, {"all": [1, 2]}),
        ("{all: 'items[*].n'}", {"items": {"a": {"n": 1}, "b": {"n": 2}, "c": 5}}, {"all": [1, 2]}),
        ("{all: 'items[*].n'}", {"items": "text"}, {}),
        ("{last: 'items[-1].sku'}", {"items": [{"sku": 1}]}, {"last": 1}),
        ("{odd: '[\"a.b\"].c'}", {"a.b": {"c": 2}}, {"odd": 2}),
        ("{own: '[\"message\"].x'}", {"message": {"x": 1}}, {"own": 1}),
    ],
)  # fmt: skip
def test_where_a_path_stands_forms_may(spec: str, record: dict[str, Any], wanted: Any) -> None:
    assert properties(spec, record) == wanted


def test_star_is_what_no_path_of_the_entry_begins_with() -> None:
    by = shape(
        """
        - when: [{kind: e}]
          event: {name: type, user_id: [who.id, uid], time: {path: ts, unit: s}, properties: "*"}
          user: {user_id: who.id, set: {plan: plan}}
        """
    )
    record = {"kind": "e", "type": "T", "who": {"id": 1}, "ts": 1795435200, "plan": "p", "x": 1, "uid": None}
    update, event = told(by, record)
    assert event["properties"] == {"x": 1}
    assert update["set"] == {"plan": "p"}
    assert update["time"] == event["time"] == AT, "a user without a time of its own has the event's"


@pytest.mark.parametrize(
    ("spec", "value", "wanted"),
    [
        ("t", "2026-11-23T12:00:00Z", AT),
        ("t", "2026-11-23T12:00:00", AT),
        ("t", AT, AT),
        ("[x, t]", AT, AT),
        ("{path: t, unit: s}", 1795435200, AT),
        ("{path: t, unit: s}", "1795435200.123", AT + 123),
        ("{path: t, unit: s}", 1795435200.123, AT + 123),
        ("{path: t, unit: ms}", AT, AT),
        ("{path: t, unit: ms}", "1795435200000.9", AT),
        ("{path: t, unit: us}", AT * 1000 + 999, AT),
        ("{path: t, unit: ns}", str(AT * 10**6 + 5), AT),
        ("{path: t, unit: ms}", 5, 5),
        ("{path: t, unit: s}", "noon", "`t`: 'noon' is no number of s"),
        ("{path: t, unit: s}", True, "`t`: a boolean is no number of s"),
        ("{path: t, unit: s}", 10**14, "outside the years 1 to 9999"),
        ("{path: t, format: '%d/%m/%Y %H:%M:%S'}", "23/11/2026 12:00:00", AT),
        ("{path: t, format: '%d/%m/%Y %H:%M:%S', zone: Europe/Berlin}", "23/11/2026 13:00:00", AT),
        (
            "{path: t, format: '%d/%m/%Y %H:%M:%S', zone: Europe/Berlin}",
            "23/06/2026 14:00:00",
            1_782_216_000_000,
        ),
        ("{path: t, format: '%Y-%m-%d %H:%M %z'}", "2026-11-23 13:00 +0100", AT),
        ("{path: t, format: '%d/%m/%Y'}", "2026-11-23", "is not of the form %d/%m/%Y"),
        ("{path: t, zone: Europe/Berlin}", "2026-11-23 13:00:00", AT),
        ("{path: t, zone: Europe/Berlin}", "2026-11-23T12:00:00Z", AT),
        ("t", "soon", "`t`: 'soon' is no time"),
        ("{json: j, path: t}", None, AT),
        ("{json: j, path: t, unit: ms}", None, AT),
        ("[{path: x, unit: s}, {path: t, unit: us}]", AT * 1000, AT),
        ("{path: t, unit: us}", AT * 1000 + 999.0, AT),
        ("{path: t, unit: ms}", AT + 0.9, AT),
        ("{path: t, format: '%Y%m%d'}", 20261123, AT - 12 * 3_600_000),
        ("{path: t, format: '%Y'}", True, "`t`: a boolean is no text of the form %Y"),
    ],
)
def test_times_have_units_formats_and_zones(spec: str, value: Any, wanted: int | str) -> None:
    record = {"u": "x", "t": value, "j": f'{{"t":{AT}}}'}
    (found,) = read(shape(f"- event: {EVENT}, time: {spec}}}"), record)
    if isinstance(wanted, str):
        assert isinstance(found, Invalid)
        assert wanted in found.reason
    else:
        assert isinstance(found, Event)
        assert found.time == wanted


def test_a_record_without_its_time_has_the_brokers() -> None:
    for nothing in ({}, {"ts": None}, {"ts": ""}):
        (found,) = told(shape(f"- event: {EVENT}, time: ts}}"), {"u": 1} | nothing, received_at=AT)
        assert (found["time"], found["received_at"], found["user_id"]) == (AT, AT, "1")


@pytest.mark.parametrize(
    ("gone", "wanted"),
    [(True, True), ("true", True), (False, False), (None, False), ("", False), ("2026-01-01", True)],
)
def test_delete_is_true_or_present_where_when_has_decided(gone: Any, wanted: bool) -> None:
    by = shape("- when: [{kind: p}]\n  user: {user_id: id, delete: gone}")
    (found,) = read(by, {"kind": "p", "id": "u", "gone": gone})
    assert isinstance(found, PropertyUpdate)
    assert found.delete is wanted


def test_without_a_when_delete_is_true_or_nothing() -> None:
    by = shape("- user: {user_id: id, delete: gone}")
    assert told(by, {"id": "u", "gone": True}) == [{"type": "user", "delete": True, "user_id": "u"}]
    assert "expected true or false" in told(by, {"id": "u", "gone": "2026-01-01"})[0]
    assert told(shape("- user: {user_id: id, delete: true}"), {"id": 1})[0]["delete"] is True
    by = shape("- when: [{kind: p}]\n  user: {user_id: id, delete: gone}")
    assert "delete" not in told(by, {"kind": "p", "id": "u"})[0]
    by = shape("- user: {when: [{kind: p}], user_id: id, delete: gone}")
    assert told(by, {"kind": "p", "id": "u", "gone": "2026-01-01"})[0]["delete"] is True


@pytest.mark.parametrize(
    ("removed", "wanted"),
    [("a", ["a"]), (["a", "b"], ["a", "b"]), ({"a": 1, "b": None}, ["a", "b"]), (None, []), ([], [])],
)
def test_unset_is_a_name_a_list_or_an_objects_keys(removed: Any, wanted: list[str]) -> None:
    (found,) = read(shape("- user: {user_id: id, unset: r}"), {"id": "u", "r": removed})
    assert isinstance(found, PropertyUpdate)
    assert list(found.unset) == wanted


SESSIONS = """
- event:
    each: "sessions[*].hits[*]"
    when: [{kind: {ne: noise}}, {^.open: true}]
    name: kind
    user_id: ^^.user.id
    id: {join: [^.id, each.index], with: "-"}
    time: {path: at, unit: s}
    properties: "*"
"""


def test_each_enters_two_lists_and_paths_go_up_again() -> None:
    record = {
        "user": {"id": "u"},
        "sessions": [
            {
                "id": "s1", "open": True,
                "hits": [{"kind": "a", "at": 1, "x": 1}, {"kind": "noise"}, {"kind": "b", "at": 3}],
            },
            {"id": "s2", "open": False, "hits": [{"kind": "c"}]},
            {"id": "s3", "open": True},
        ],
    }  # fmt: skip
    by = shape(SESSIONS)
    found = told(by, record)
    assert [(one["name"], one["id"], one["user_id"]) for one in found] == [
        ("a", "s1-0", "u"),
        ("b", "s1-2", "u"),
    ]
    assert found[0]["properties"] == {"x": 1}
    assert [record.origin.item for record in read(by, record)] == [0, 1]


def test_each_goes_through_objects_with_keys() -> None:
    by = shape('- user: {each: "scores[*]", user_id: each.key, set: {score: ., rank: each.index}}')
    assert [(one["user_id"], one["set"]) for one in told(by, {"scores": {"a": 5, "b": 7}})] == [
        ("a", {"score": 5, "rank": 0}),
        ("b", {"score": 7, "rank": 1}),
    ]


def test_updates_come_before_links_and_links_before_events() -> None:
    by = shape(
        """
        - event: {name: type, user_id: uid}
          link: {anonymous_id: dev, user_id: uid}
          user: {user_id: uid, set: traits}
        """
    )
    record = {"type": "T", "uid": "u", "dev": "d", "traits": {"a": 1}}
    assert [one["type"] for one in told(by, record)] == ["user", "identify", "event"]
    # Parts whose paths are missing are left out, and so is an update that changes nothing.
    assert [one["type"] for one in told(by, {"type": "T", "uid": "u"})] == ["event"]
    assert [one["type"] for one in told(by, {"uid": "u", "traits": {"a": 1}})] == ["user"]
    assert [one["type"] for one in told(by, {"uid": "u", "dev": "d"})] == ["identify"]
    by = shape("- {event: {name: type, user_id: uid}, user: {user_id: uid, unset: gone}}")
    assert [one["type"] for one in told(by, {"type": "T", "uid": "u", "gone": "plan"})] == ["user", "event"]


def test_a_user_has_one_of_its_ids_and_a_link_has_both() -> None:
    by = shape("- user: {user_id: uid, anonymous_id: dev, set: {a: a}, time: ts}")
    assert told(by, {"uid": "", "dev": "d", "a": 1, "ts": AT}, received_at=AT + 1) == [
        {"type": "user", "set": {"a": 1}, "anonymous_id": "d", "time": AT, "received_at": AT + 1}
    ]
    assert told(by, {"dev": "d"}, received_at=AT)[0]["time"] == AT
    assert "the user has no id (`uid` or `dev`)" in told(by, {"a": 1})[0]
    by = shape("- link: {anonymous_id: dev, user_id: uid, time: ts}")
    assert told(by, {"uid": 1, "dev": "d", "ts": AT}, received_at=AT + 1)[0]["time"] == AT
    assert "the link has no `user_id` (`uid`)" in told(by, {"dev": "d"})[0]
    assert "the link has no `anonymous_id` (`dev`)" in told(by, {"uid": 1})[0]


def test_the_first_entry_that_fits_reads_the_record() -> None:
    by = shape(
        """
        - when: [{kind: a}]
          event: {name: type, user_id: uid}
        - event: {name: {text: Other}, anonymous_id: dev}
        """
    )
    assert told(by, {"kind": "a", "type": "T", "uid": 1})[0]["name"] == "T"
    assert told(by, {"kind": "a", "type": "T", "dev": 1})[0]["name"] == "Other", "no entry of `uid`"
    assert told(by, {"dev": 1})[0]["name"] == "Other"


def test_what_is_missing_is_told_as_it_is_written() -> None:
    by = shape(
        """
        - event:
            name: {json: body, path: a.b}
            user_id: [{join: [{text: t}, id]}, {path: url, find: "x(.)"}]
        """
    )
    assert "has no `name` (`a.b` in the JSON of `body`)" in told(by, {})[0]
    wanted = "has no id of a user (the text `t` + `id` and `url` by `find`)"
    assert wanted in told(by, {"body": '{"a": {"b": "N"}}'})[0]


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"p": "{broken"}, "`p` is no JSON"),
        ({"p": 5}, "`p` is a number, expected a JSON text"),
        ({"q": {"a": 1}}, "`q` is an object, expected an array of pairs"),
        ({"q": "a"}, "`q` is a text, expected an array of pairs"),
        ({"p": "", "q": None}, None),
        ({"p": "{}", "q": []}, None),
        ({}, None),
    ],
)
def test_properties_that_cannot_be_read_are_not_left_out_in_silence(
    record: dict[str, Any], wanted: str | None
) -> None:
    by = shape("- event: {name: n, user_id: u, properties: {json: p}, context: {pairs: q}}")
    found = told(by, {"n": "N", "u": "u", **record})[0]
    assert wanted in found if wanted is not None else found["name"] == "N"


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"kind": "order"}, "records[0] comes nearest, but the event has no `name` (`type`)"),
        ({"kind": "order", "type": "T"}, "but the event has no id of a user (`a.id` and `b`)"),
        ({"kind": "x"}, "records[0] comes nearest, but `when: kind: {\"eq\":\"order\"}` does not hold"),
        ({"kind": "bag", "items": []}, "records[1] comes nearest, but there is no element at `items[*]`"),
        ({"kind": "order", "type": ["T"], "b": 1}, "`name` (`type`) is an array, expected a text"),
        ({"kind": "order", "type": "T", "b": {"x": 1}}, "`user_id` (`a.id` and `b`) is an object"),
        ({"kind": "order", "type": "T", "b": True}, "`user_id` (`a.id` and `b`) is a boolean"),
        ("text", "the record is a text, expected an object"),
        ([], "the list is empty"),
    ],
)  # fmt: skip
def test_a_dead_letter_names_the_nearest_entry_and_the_missing_path(record: Any, wanted: str) -> None:
    by = shape(
        """
        - when: [{kind: order}]
          event: {name: type, user_id: [a.id, b]}
        - when: [{kind: bag}]
          event: {each: "items[*]", name: n, user_id: ^.u}
        """
    )
    (found,) = told(by, record)
    assert wanted in found


def test_of_several_parts_the_first_that_lacks_something_is_named() -> None:
    by = shape("- {event: {name: n, user_id: u}, user: {user_id: v, set: {a: a}}}")
    assert "but the user has no id (`v`)" in told(by, {"n": "N"})[0]
    by = shape("- event: {when: [{kind: a}], name: n, user_id: u}")
    assert "but the `when` of no part holds" in told(by, {"n": "N", "u": 1, "kind": "b"})[0]


def test_a_member_with_a_wrong_value_costs_that_member_alone() -> None:
    by = shape('- event: {each: "items[*]", name: n, user_id: ^.u, time: t}')
    good, other, broken = told(by, {"u": 1, "items": [{"n": "a"}, {"n": "b", "t": "soon"}, {"n": "c"}]})
    assert (good["name"], other["name"]) == ("a", "c")
    assert "is no time" in broken


def test_a_line_that_is_a_list_is_many_records() -> None:
    by = shape("- event: {name: n, user_id: u}")
    found = read(by, [{"n": "a", "u": 1}, {"n": "b"}, {"n": "c", "u": 1}])
    assert [type(one).__name__ for one in found] == ["Event", "Invalid", "Event"]
    assert [one.origin.item for one in found] == [0, 0, 1]
    by = shape("- event: {name: n, user_id: u, time: t}")
    found += read(by, [{"n": "a", "u": 1}, {"n": "b", "u": 1, "t": "x"}])
    raws = [one.raw for one in found if isinstance(one, Invalid)]
    assert raws == [b'{"n":"b"}', b'{"n":"b","u":1,"t":"x"}'], "each can be read again alone"


def test_no_two_records_of_one_kind_in_a_line_have_one_origin() -> None:
    parts = (
        "user: [{user_id: u, set: {p: p}}, {user_id: v, set: {p: q}}], link: {anonymous_id: d, user_id: u}"
    )
    by = shape(f"- {{event: {EVENT}}}, {parts}}}")
    records = read(by, [{"u": "a", "v": "b", "q": 1, "d": 1}, {"u": "c", "v": "d", "p": 2, "q": 3, "d": 2}])
    users = [one.user_id for one in records if type(one) is PropertyUpdate]
    assert users == ["b", "c", "d"], "an update of nothing beside an event is none"
    assert len(records) == 7 == len({(type(one), one.origin) for one in records})


def test_each_link_to_nobody_is_a_dead_letter_of_its_own() -> None:
    by = shape("- link: {each: 'ids[*]', anonymous_id: ., user_id: ^.u}")
    records = read(by, {"u": "x", "ids": ["null", "d", "undefined"]})
    assert [type(one).__name__ for one in records] == ["IdentityLink", "Invalid", "Invalid"]
    assert len({one.origin for one in records if isinstance(one, Invalid)}) == 2
    assert "stands for nobody" in told(by, {"u": "x", "ids": ["null"]})[0]


def test_an_ignored_record_gives_nothing() -> None:
    assert (
        told(
            shape("- when: [{kind: ping}]\n  ignore: true\n- event: {name: n, user_id: u}"), {"kind": "ping"}
        )
        == []
    )


def test_the_message_gives_key_headers_topic_and_time() -> None:
    by = shape(
        """
        - when: [{message.headers.type: {exists: true}}]
          event:
            name: message.headers.type
            user_id: message.key.id
            time: message.time
            properties: {topic: message.topic, key: message.key, tenant: message.headers.tenant}
        - event: {name: {text: B}, user_id: message.key}
        """
    )
    given: dict[str, Any] = {
        "key": b'{"id":7}',
        "received_at": AT,
        "headers": [("type", b"T"), ("bad", b"\xff")],
    }
    from pipeline.model.records import Origin

    (found,) = told(by, {}, origin=Origin("orders~2/3", 9), **given)
    assert (found["name"], found["user_id"], found["time"]) == ("T", "7", AT)
    assert found["properties"] == {"topic": "orders", "key": '{"id":7}'}
    assert told(by, {}, key=b"u1")[0]["user_id"] == "u1"
    bare = shape("- event: {name: message.topic, user_id: u}")
    assert told(bare, {"u": "a"}, origin=Origin("orders/3", 9))[0]["name"] == "orders", "a recorded line"
    assert "no id of a user" in told(by, {})[0], "a plain file has no messages"


@pytest.mark.parametrize(
    ("key", "user_id"),
    [(b'"u1"', "u1"), (b'"u1', '"u1'), (b"u1", "u1"), (b'"\\u00e4"', "ä"), (b'{"a":1}', '{"a":1}')],
)
def test_a_key_that_is_a_text_of_json_is_that_text(key: bytes, user_id: str) -> None:
    (found,) = read(shape("- user: {user_id: message.key, set: a}"), {"a": {"b": 1}}, key=key)
    assert isinstance(found, PropertyUpdate)
    assert found.user_id == user_id


def test_a_message_without_a_value_forgets_the_user_that_its_key_names() -> None:
    by = shape("- user: {user_id: message.key.id, set: .}")
    (found,) = read(by, None, key=b'{"id":7}', received_at=AT)
    assert isinstance(found, PropertyUpdate)
    assert (found.user_id, found.delete, found.time) == ("7", True, AT)
    assert "no id of a user" in told(by, None, key=b'{"no":7}')[0]
    (plain,) = read(shape("- user: {user_id: id}"), None, key=b"u1")
    assert isinstance(plain, PropertyUpdate)
    assert (plain.user_id, plain.delete) == ("u1", True)


def test_conditions_are_those_of_triggers() -> None:
    by = shape(
        """
        - when:
            - any: [{a.b: {gte: 5}}, {tags: {contains: vip}}]
            - any_element: {items: {sku: x, qty: {gt: 1}}}
            - {at: {as: date, after: "2026-01-01"}, other: {path: same}}
          event: {name: {text: A}, user_id: u}
        """
    )
    record = {
        "a": {"b": 5},
        "items": [{"sku": "x", "qty": 2}],
        "at": "2026-02-01",
        "other": 1,
        "same": 1,
        "u": 1,
    }
    assert told(by, record)[0]["name"] == "A"
    assert "comes nearest" in told(by, {**record, "same": 2})[0]


def test_a_line_gives_no_more_records_than_members_are_allowed() -> None:
    by = shape('- event: {each: "items[*]", name: {text: A}, user_id: ^.u}')
    (found,) = told(by, {"u": 1, "items": [{}] * 11}, most_members=10)
    assert "more than the 10 records of `limits.members`" in found
    assert len(told(by, {"u": 1, "items": [{}] * 10}, most_members=10)) == 10
    (found,) = told(shape(f"- event: {EVENT}}}"), [{"u": 1}] * 11, most_members=10)
    assert "the list holds 11 records" in found


def test_work_is_bounded_and_the_next_record_has_all_of_it_again() -> None:
    by = shape("- event: {each: 'a[*]', name: {text: A}, user_id: ^.u, properties: {x: '^.a[*].b'}}")
    (found,) = told(by, {"u": 1, "a": [{"b": 1}] * 2_000})
    assert "too-expensive" in found
    assert len(told(by, {"u": 1, "a": [{"b": 1}] * 100})) == 100


@pytest.mark.parametrize(
    ("unit", "at"),
    [
        ("s", "1E+999999"),
        ("s", 1e308),
        ("s", "9" * 5_000),
        ("ns", 1e308),
        ("ms", "-1E+999999"),
        ("s", "sNaN"),
    ],
)
def test_a_number_beyond_all_times_is_a_dead_letter_on_every_road(unit: str, at: Any) -> None:
    by = shape(f"- event: {EVENT}, time: {{path: ts, unit: {unit}}}}}")
    line = orjson.dumps({"u": "x", "ts": at})
    for is_wanted in (True, False):
        found = scan(RawChunk("p", "a", [0], [line], NOWHERE), format=by, wants=lambda *_, it=is_wanted: it)
        (letter,) = found.records
        assert isinstance(letter, Invalid)
        assert letter.reason.startswith("`ts`: ")


def test_each_record_has_the_whole_budget() -> None:
    by = shape(f"- event: {EVENT}, properties: {{k: {{pairs: p}}}}}}")
    dear = {"u": "x", "p": [{"key": "a", "value": 1}] * 100_000}
    assert [type(one) for _ in range(8) for one in read(by, dear)] == [Event] * 8


def searched(pattern: str, per_instruction: int) -> int:
    """Return how many texts of 160,000 characters the budget has for a pattern."""
    return BUDGET // (10_000 * per_instruction * int(program_of(pattern).programsize))


@pytest.mark.parametrize(
    ("form", "text", "most"),
    [
        ("{path: t, lower: true}", "X" * 160_000, 100),
        ("{path: t, lower: true}", "Ä" * 160_000, 12),
        ("{json: t}", f'"{"x" * 159_998}"', 25),
        ("{join: [t, v]}", "x" * 159_999, 100),
        ("{path: {join: [t, v]}, lower: true}", "x" * 159_999, 50),
        ("{path: t, find: 'y(z)'}", "x" * 160_000, searched("y(z)", 1)),
        ("{path: t, find: '(x+)'}", "x" * 160_000, searched("(x+)", 4)),
        ("{path: t, find: '([a-w]*){12}z'}", "x" * 160_000, searched("([a-w]*){12}z", 2)),
    ],
)
def test_how_many_long_texts_a_record_may_have_read(form: str, text: str, most: int) -> None:
    for number, too_many in ((most, 0), (most + 1, 1)):
        several = ", ".join(f"k{n}: {form}" for n in range(number))
        by = shape(f"- event: {EVENT}, properties: {{{several}}}}}")
        line = orjson.dumps({"u": "x", "t": text, "v": "v"})
        for is_wanted in (True, False):  # it is the same whether a webhook wants it
            found = scan(
                RawChunk("p", "a", [0], [line], NOWHERE), format=by, wants=lambda *_, it=is_wanted: it
            )
            assert found.invalid == too_many


@pytest.mark.parametrize("shared", ["x" * 160_000, ["x" * 160_000], {"a": "x" * 160_000}])
def test_what_all_elements_show_counts_with_each(shared: Any) -> None:
    by = shape("- event: {name: {text: A}, user_id: ^.u, each: 'a[*]', properties: {all: ^.t}}")
    assert len(read(by, {"u": "x", "t": shared, "a": [{}] * 90})) == 90
    (letter,) = told(by, {"u": "x", "t": shared, "a": [{}] * 101})
    assert letter.startswith("too-expensive: ")


def test_a_line_is_kept_for_each_wrong_element_only_while_that_is_little() -> None:
    by = shape("- event: {name: {text: A}, user_id: ^.u, each: 'a[*]', time: t}")
    few = {"u": "x", "a": [{"t": "x"}] * 100}
    assert len(read(by, few)) == 100
    (letter,) = told(by, {"u": "x", "a": [{"t": "x"}] * 9_000})
    assert letter.startswith("too-expensive: ")


def test_what_is_not_read_of_an_unwanted_line_may_not_be_too_expensive() -> None:
    by = shape(f"- event: {EVENT}, properties: {{k: {{path: t, find: '([a-z]*[0-9]*){{50}}'}}}}}}")
    for size, ignored in ((100, 0), (1_000_000, 1)):
        line = orjson.dumps({"u": "x", "t": "x" * size})
        found = scan(RawChunk("p", "a", [0], [line], NOWHERE), format=by, wants=lambda *_: False)
        assert (found.events, found.invalid) == (1 - ignored, ignored)


def test_a_record_that_fits_nowhere_leaves_nothing_to_the_garbage_collector() -> None:
    """It may come after thousands of lines of a megabyte each."""
    made = shape(
        """
        - event:
          - {each: 'items[*]', name: kind, user_id: ^.u, time: t}
          - {name: type, user_id: u}
          user: {user_id: u, set: attributes}
        """
    )

    def read_all() -> None:
        for record in ({}, {"u": "x"}, {"u": "x", "items": [{"kind": "A", "t": "never"}, {}]}, [{}, 5]):
            read(made, record)
            read(made, {**record, "attributes": 5} if isinstance(record, dict) else record)

    assert left_by(read_all) == 0
