"""The path grammar of LANGUAGE 1."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.path_syntax import ANY, PathError, key_step, parse_path
from pipeline.language.paths import compile_path, event_view, user_view
from pipeline.language.vars import unknown_var
from pipeline.model.json import Value
from pipeline.model.records import MISSING
from tests.kit.streams.records import NOON, event, user
from tests.kit.streams.samples import shared_data

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(text: str, vars: dict[str, Value] | None = None, **properties: Value) -> Any:
    get = compile_path(parse_path(text), vars or {})
    return get(event(properties=properties), user(properties), None)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("event.properties.a.b", ("properties", "a", "b")),
        ("event.properties.$browser", ("properties", "$browser")),
        ("event.properties.utm-source", ("properties", "utm-source")),
        ("event.properties.größe", ("properties", "größe")),
        ('event.properties["Sales Rep"]', ("properties", "Sales Rep")),
        ("event.properties['a.b'].c", ("properties", "a.b", "c")),
        ("event['properties'].c", ("properties", "c")),
        ("event.properties[ 'x' ]", ("properties", "x")),
        (r"""event.properties["a\"b\\c\d"]""", ("properties", 'a"b\\c\\d')),
        ("event.properties['']", ("properties", "")),
        ("event.properties.items[0][-1]", ("properties", "items", 0, -1)),
        ("event.properties.items[*].id", ("properties", "items", ANY, "id")),
        ("user.properties.2fa", ("properties", "2fa")),
        ("user.before.plan", ("before", "plan")),
        ("vars.x", ("x",)),
        ("event", ()),
    ],
)
def test_a_path_is_parsed(text: str, parts: tuple[Any, ...]) -> None:
    assert parse_path(text).parts == parts


@pytest.mark.parametrize("name", ["size", "first", "last", "null", "empty", "blank"])
def test_words_that_are_magic_in_liquid_are_ordinary_keys(name: str) -> None:
    given: dict[str, Any] = {name: 7}
    assert read(f"event.properties.{name}", **given) == 7
    assert read(f"event.properties.x.{name}", x=[1, 2]) is MISSING


@pytest.mark.parametrize(
    ("text", "hint", "offset"),
    [
        ("evnt.name", "did you mean `event.name`?", 0),
        ("properties.amount", "did you mean `event.properties.amount`?", 0),
        ("traits.plan", "did you mean `user.properties.plan`?", 0),
        ("person.id", "did you mean `user.id`?", 0),
        ("usr.email", "did you mean `user.properties.email`?", 0),
        ("event.amount", "did you mean `event.properties.amount`?", 6),
        ("event.userId", "did you mean `event.user_id`?", 6),
        ("event.propertes.x", "did you mean `event.properties`?", 6),
        ("user.email", "did you mean `user.properties.email`?", 5),
        ("amount", "a path starts with `event`, `user` or `vars`, such as `event.properties.amount`", 0),
        ("id", "a path starts with `event`, `user` or `vars`, such as `event.id`", 0),
        ("{{ event.id }}", "a path stands without braces", 0),
        (
            "event.properties.Sales Rep",
            'names with other characters go in brackets: event.properties["Sales Rep"]',
            22,
        ),
        ("event.properties[foo]", 'write ["foo"] for a key of that name', 17),
        ("event.properties.", "name what you mean after the dot", 16),
        ("event.properties[0", "add `]`", 16),
        ("event.properties['x]", "add '", 17),
        ("event[0]", None, 5),
        ("event.name.x", None, 11),
        ("", None, 0),
        (" event.name", None, 0),
        ("event..name", "one dot is enough: event.name", 6),
        ("event.properties...a.b", "one dot is enough: event.properties.a.b", 17),
    ],
)
def test_what_is_no_path_says_where_and_what_to_do(text: str, hint: str | None, offset: int) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text)
    assert caught.value.offset == offset
    assert hint is None or caught.value.hint == hint


def test_a_value_is_missing_or_null_and_these_differ() -> None:
    assert read("event.properties.x", x=None) is None
    assert read("event.properties.x") is MISSING
    assert read("event.properties.x.y", x=None) is MISSING
    assert read("event.properties.x.y.z", x={"y": {"z": None}}) is None


@pytest.mark.parametrize(
    ("text", "value", "found"),
    [
        ("event.properties.x.y", [1], MISSING),
        ("event.properties.x[0]", {"0": 1}, MISSING),
        ("event.properties.x['0']", ["a"], MISSING),
        ("event.properties.x[0]", "text", MISSING),
        ("event.properties.x[5]", [1], MISSING),
        ("event.properties.x[-1]", [1, 2], 2),
        ("event.properties.x[-3]", [1, 2], MISSING),
        ("event.properties.x[999999999]", [1], MISSING),
        ("event.properties.x[*].y", [{"y": 1}, {}, 5, {"y": None}], [1, None]),
        ("event.properties.x[*].y[*]", [{"y": [1, 2]}, {"y": 3}, {"y": [4]}], [1, 2, 4]),
        ("event.properties.x[*].y", {"y": 1}, MISSING),
        ("event.properties.x[*]", [], MISSING),
        ("event.properties.x[user.properties.k]", {"a": 1}, 1),
        ("event.properties.x[user.properties.nothing]", {"a": 1}, MISSING),
    ],
)
def test_odd_data_is_missing_and_never_raises(text: str, value: Value, found: Value) -> None:
    get = compile_path(parse_path(text))
    assert get(event(properties={"x": value}), user({"k": "a"}), None) == found


def test_fixed_fields_are_missing_where_they_are_not_known() -> None:
    bare = event(id=None, user_id=None, source=None, time=None, anonymous_id=None)
    nobody = user(id=None, identified=False)
    for text in ("id", "user_id", "source", "time", "received_at", "anonymous_id"):
        assert compile_path(parse_path(f"event.{text}"))(bare, nobody, None) is MISSING
    assert compile_path(parse_path("user.id"))(bare, nobody, None) is MISSING
    assert compile_path(parse_path("user.before.plan"))(bare, nobody, None) is MISSING
    assert compile_path(parse_path("user.identified"))(bare, nobody, None) is False


def test_times_read_as_iso_text_and_impossible_ones_are_missing() -> None:
    assert compile_path(parse_path("event.time"))(event(), user(), None) == "2026-11-23T12:00:00.000Z"
    assert compile_path(parse_path("event.time"))(event(time=10**18), user(), None) is MISSING


def test_vars_are_looked_up_by_static_and_dynamic_keys() -> None:
    vars: dict[str, Value] = {"owners": {"pro": 502, "7": "seven"}, "list": [1, 2]}
    assert read("vars.owners.pro", vars) == 502
    assert read("vars.owners[user.properties.plan]", vars, plan="pro") == 502
    assert read("vars.owners[user.properties.team]", vars, team=7) == "seven"
    assert read("vars.owners[user.properties.plan]", vars, plan=["pro"]) is MISSING
    assert read("vars.list[1]", vars) == 2
    assert read("vars.list[user.properties.n]", vars, n=1) == 2
    assert read("vars.list[user.properties.n]", vars, n=True) is MISSING


def test_an_unknown_var_is_found_with_its_place() -> None:
    wrong = unknown_var(parse_path("vars.ownrs.x"), {"owners": {}})
    assert wrong is not None
    assert (wrong.offset, wrong.hint) == (5, "did you mean `vars.owners`?")
    assert unknown_var(parse_path("vars.owners.x"), {"owners": {}}) is None


def test_a_path_knows_what_it_reads() -> None:
    assert parse_path("user.properties.x").reads_user
    assert parse_path("event.user_id").reads_user  # identity fills it in after select
    assert parse_path("event.properties.x[user.id]").reads_user
    assert not parse_path("event.properties.user_id").reads_user
    assert parse_path("event.properties.x").reads_event
    assert not parse_path("vars.x").reads_event
    assert parse_path("vars.x[event.name]").reads_event
    assert parse_path("event.properties.x[*]").has_any


def test_other_roots_come_from_the_scope() -> None:
    path = parse_path("item.id", ("event", "item"))
    assert compile_path(path)(event(), user(), {"item": {"id": 5}}) == 5
    assert compile_path(path)(event(), user(), None) is MISSING
    with pytest.raises(PathError):
        parse_path("item.id")


def test_the_views_leave_out_what_is_unknown() -> None:
    assert event_view(event("Purchase", {"a": 1}, source=None)) == {
        "id": "e1",
        "name": "Purchase",
        "kind": "track",
        "time": "2026-11-23T12:00:00.000Z",
        "user_id": "u1",
        "properties": {"a": 1},
        "context": {},
    }
    assert event_view(event(received_at=NOON, anonymous_id="a"))["received_at"] == "2026-11-23T12:00:00.000Z"
    assert user_view(user({"a": 1})) == {"id": "u1", "identified": True, "properties": {"a": 1}}
    assert user_view(user(id=None, identified=False)) == {"identified": False, "properties": {}}


@given(name=st.text(), value=JSON)
def test_any_name_can_be_quoted(name: str, value: Value) -> None:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    assert parse_path(f'event.properties["{escaped}"]').parts == ("properties", name)
    assert read(f'event.properties["{escaped}"]', **{name: value}) == value


@given(text=st.text())
def test_any_text_is_a_path_or_a_path_error(text: str) -> None:
    try:
        compile_path(parse_path(text))(event(), user(), None)
        offset = 0
    except PathError as error:
        offset = error.offset
    assert 0 <= offset <= len(text)


@given(value=JSON)
def test_reading_never_raises(value: Value) -> None:
    for text in ("x.y.z", "x[0].y", "x[*].y[*]", "x[-1][0]", "x[event.properties.x]", "x['y'][2]"):
        read(f"event.properties.{text}", x=value)


def test_naughty_strings_are_ordinary_names() -> None:
    for name in json.loads((shared_data() / "nasty" / "blns.json").read_text("utf-8")):
        escaped = name.replace("\\", "\\\\").replace("'", "\\'")
        assert read(f"event.properties['{escaped}']", **{name: name}) == name


@pytest.mark.parametrize(
    ("text", "such"),
    [("status", "response.status"), ("ok", "response.body.ok"), ("error.code", "response.body.error.code")],
)
def test_a_path_of_an_answer_is_told_where_it_begins(text: str, such: str) -> None:
    with pytest.raises(PathError) as caught:
        parse_path(text, ("response", "vars"))
    assert caught.value.hint == f"a path starts with `response` or `vars`, such as `{such}`"


@pytest.mark.parametrize(
    "name", ["plan", "$browser", "a.b", "Sales Rep", 'a"b', "c\\d", "\\", "0", "", "ü-x"]
)
def test_a_step_leads_to_the_key_of_its_name(name: str) -> None:
    assert parse_path(f"event.properties{key_step(name)}").parts == ("properties", name)
