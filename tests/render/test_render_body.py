"""The body tree: directives, rules for missing values, forms, batches."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.language.secrets import Secrets
from pipeline.language.slots import fill, mask
from pipeline.model.errors import RenderError
from tests.render.rendering import (
    a_user,
    an_event,
    body_of,
    compiled,
    dead,
    mistakes,
    read_request,
    rendered,
)

EVERY = {
    "gone": "{{ event.properties.gone }}",
    "none": "{{ event.properties.none }}",
    "empty": "{{ event.properties.empty }}",
    "list": "{{ event.properties.list }}",
    "object": "{{ event.properties.object }}",
    "no": "{{ event.properties.no }}",
    "zero": "{{ event.properties.zero }}",
    "text": "{{ event.properties.gone }}{{ event.properties.gone }}",
    "filtered": "{{ event.properties.gone | upcase }}",
    "written": "",
    "array": ["{{ event.properties.gone }}", 1],
}


@pytest.mark.parametrize(
    ("rule", "left_out", "array"),
    [
        ("null", set(), [None, 1]),
        ("omit", {"gone", "filtered"}, [1]),
        ("omit_empty", {"gone", "filtered", "none", "empty", "list", "object", "text"}, [1]),
    ],
)
def test_the_rule_for_missing_values(rule: str, left_out: set[str], array: list[Any]) -> None:
    got = body_of(EVERY, missing=rule)
    everything: dict[str, Any] = {
        "gone": None, "none": None, "empty": "", "list": [], "object": {}, "no": False, "zero": 0,
        "text": "", "filtered": None, "written": "", "array": array,
    }  # fmt: skip
    assert got == {key: value for key, value in everything.items() if key not in left_out}


def test_a_missing_value_can_be_a_dead_letter() -> None:
    for value in (EVERY["gone"], EVERY["filtered"], [EVERY["gone"]]):
        assert dead({"v": value}, missing="dead_letter").startswith("required value is missing")
    assert body_of({"v": EVERY["none"], "t": EVERY["text"]}, missing="dead_letter") == {"v": None, "t": ""}


def test_if_leaves_out_or_chooses() -> None:
    pro, free = {"user.properties.plan": "pro"}, {"user.properties.plan": "free"}
    assert body_of([{"$if": pro, "a": 1}, {"$if": free, "b": 1}, {"c": 1}]) == [{"a": 1}, {"c": 1}]
    assert body_of({"a": {"$if": free, "x": 1}, "b": {"$if": pro, "x": 1}}) == {"b": {"x": 1}}
    assert body_of({"a": {"$if": pro, "$then": "yes", "$else": "no"}}) == {"a": "yes"}
    assert body_of({"a": {"$if": free, "$then": "yes", "$else": "{{ event.id }}"}}) == {"a": "e1"}
    assert body_of({"a": {"$if": free, "x": 1, "$else": {"y": 2}}}) == {"a": {"y": 2}}
    assert body_of({"a": {"$if": free, "$else": 3}}) == {"a": 3}
    assert body_of({"a": {"$if": pro, "$then": None}}) == {"a": None}
    assert "the whole body is left out" in dead({"$if": free, "a": 1})


def test_for_builds_a_list_and_splices_into_one() -> None:
    loop = {"$for": "{{ event.properties.products }}", "sku": "{{ item.id }}", "no": "{{ index | plus: 1 }}"}
    lines = [{"sku": "p1", "no": 1}, {"sku": "p2", "no": 2}]
    assert body_of({"lines": loop}) == {"lines": lines}
    assert body_of([0, loop, 9]) == [0, *lines, 9]
    assert body_of(loop) == lines
    assert body_of([{"$for": "{{ event.properties.products }}", "$do": "{{ item.id }}"}]) == ["p1", "p2"]
    assert body_of(
        {"p": {"$for": "{{ event.properties.prices }}", "$do": "{{ item.key }}={{ item.value }}"}}
    ) == {"p": ["eur=1", "usd=2"]}


def test_for_with_if_looks_at_each_item() -> None:
    loop = {"$for": "{{ event.properties.products }}", "$if": {"item.new": True}, "sku": "{{ item.id }}"}
    assert body_of({"lines": loop}) == {"lines": [{"sku": "p1"}]}


def test_loops_nest_and_the_inner_item_wins() -> None:
    loop = {
        "$for": "{{ event.properties.nested }}",
        "$do": {"row": "{{ index }}", "cells": {"$for": "{{ item }}", "$do": "{{ item | times: 10 }}"}},
    }
    assert body_of({"v": loop}) == {"v": [{"row": 0, "cells": [10, 20]}, {"row": 1, "cells": [30]}]}


@pytest.mark.parametrize("name", ["gone", "none"])
def test_for_over_nothing(name: str) -> None:
    loop = {"$for": f"{{{{ event.properties.{name} }}}}", "$do": 1}
    assert body_of({"a": loop, "b": [loop]}) == {"a": [], "b": []}
    assert body_of({"a": loop, "b": [loop]}, missing="omit") == {"b": []}
    assert body_of({"a": loop, "b": 1}, missing="dead_letter") == {"b": 1}


def test_what_one_turn_lacks_follows_the_rule_for_missing_values() -> None:
    loop = {"$for": "{{ event.properties.products }}", "$do": "{{ item.new }}"}
    assert body_of({"a": loop}) == {"a": [True, None]}
    assert body_of({"a": loop}, missing="omit") == {"a": [True]}
    assert dead({"a": loop}, missing="dead_letter").startswith("required value is missing")


def test_lists_of_turns_become_one_list() -> None:
    inner = {"$for": "{{ item }}", "$do": "{{ item | times: 10 }}"}
    assert body_of({"a": {"$for": "{{ event.properties.nested }}", "$do": inner}}) == {"a": [10, 20, 30]}


def test_for_over_an_empty_list() -> None:
    loop = {"$for": "{{ event.properties.list }}", "$do": 1}
    assert body_of({"a": loop}, missing="omit") == {"a": []}
    assert body_of({"a": loop}, missing="omit_empty") == {}


def test_for_over_a_scalar_or_too_many_is_a_dead_letter() -> None:
    assert "`$for` wants an array or an object, not a text" in dead({"$for": "{{ event.id }}", "$do": 1})
    many = {"body": {"v": {"$for": "{{ event.properties.many }}", "$do": "{{ item }}"}}}
    assert len(rendered(many, an_event({"many": [1] * 1000})).body) == len(b'{"v":[]}') + 1999
    with pytest.raises(RenderError, match=r"at most 1,000 items, not 1,001"):
        rendered(many, an_event({"many": [1] * 1001}))


def test_loops_inside_loops_are_counted_together() -> None:
    inner = {"$for": "{{ event.properties.many }}", "$do": 1}
    nested = {"body": {"v": {"$for": "{{ event.properties.many }}", "$do": inner}}}
    assert rendered(nested, an_event({"many": [1] * 99})).body
    with pytest.raises(RenderError, match="turn more than"):
        rendered(nested, an_event({"many": [1] * 1000}))


def test_spread_merges_and_explicit_keys_win() -> None:
    assert body_of({"$spread": "{{ event.properties.prices }}", "usd": 5, "x": "{{ event.id }}"}) == {
        "eur": 1,
        "usd": 5,
        "x": "e1",
    }
    assert body_of({"eur": "{{ event.id }}", "$spread": "{{ event.properties.prices }}"}) == {
        "eur": "e1",
        "usd": 2,
    }
    several = [
        "{{ event.properties.prices }}",
        {"eur": "{{ event.properties.zero }}"},
        "{{ event.properties.gone }}",
    ]
    assert body_of({"$spread": several}) == {"eur": 0, "usd": 2}
    assert body_of(
        {"$spread": "{{ event.properties | pick: 'empty', 'zero', 'none' }}"}, missing="omit_empty"
    ) == {"zero": 0}
    left_out = {"$if": {"event.id": "e2"}, "a": 1}
    assert body_of({"$spread": [left_out, {"b": 2}], "c": 3}) == {"b": 2, "c": 3}
    for nothing in ("gone", "none"):
        assert body_of({"$spread": f"{{{{ event.properties.{nothing} }}}}", "c": 3}) == {"c": 3}
    gone = {"$spread": "{{ event.properties.gone }}", "c": 3}
    assert dead(gone, missing="dead_letter").startswith("required value is missing")
    assert "`$spread` wants an object, not a text" in dead({"$spread": "{{ event.id }}"})


@pytest.mark.parametrize(
    ("missing", "value", "left"),
    [
        ("null", "{{ event.properties.gone }}", {"usd": None}),
        ("omit", "{{ event.properties.gone }}", {}),
        ("omit_empty", "{{ event.properties.empty }}", {}),
        ("null", {"$if": {"event.id": "e2"}, "$then": 1}, {}),
    ],
)
def test_a_written_key_wins_over_spread_ones_also_where_it_is_left_out(
    missing: str, value: Any, left: Any
) -> None:
    body = {"$spread": "{{ event.properties.prices }}", "usd": value}
    assert body_of(body, missing=missing) == {"eur": 1, **left}


def test_spread_keys_of_users_are_data() -> None:
    event = an_event({"$if": 1, "{{ x }}": 2, "$for": "{{ event.id }}"})
    assert (
        orjson.loads(rendered({"body": {"$spread": "{{ event.properties }}"}}, event).body)
        == event.properties
    )


def test_rendering_does_not_change_the_event() -> None:
    event = an_event({"a": {"b": 1}})
    template, _ = compiled({"body": {"$spread": "{{ event.properties.a }}", "c": "{{ event.id }}"}})
    assert template.render(event, a_user()) == template.render(event, a_user())
    assert event.properties == {"a": {"b": 1}}


def test_dollar_keys_that_are_no_directives_are_sent() -> None:
    assert body_of({"$set": {"$$if": "{{ event.id }}"}, "$$$x": 1}) == {"$set": {"$if": "e1"}, "$$x": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"$fi": 1, "a": 2}, "did you mean `$if`?"),
        ({"$ofr": 1}, "did you mean `$for`?"),
        ({"$spred": "{{ event }}"}, "did you mean `$spread`?"),
        ({"$merge": "{{ event }}"}, "did you mean `$spread`?"),
        ({"$when": {"event.id": 1}}, "did you mean `$if`?"),
        ({"$if": {"event.id": "e1"}, "then": 1}, "did you mean `$then`?"),
        ({"$for": "{{ event.properties.a }}", "do": 1}, "did you mean `$do`?"),
        ({"{{ event.id }}": 1}, "a key cannot be a template"),
        ({"a": {"x-${TOK}": 1}}, "settings and secrets stand in values"),
        ({1: 1}, "is no text"),
        ({"$then": 1}, "`$then` needs `$if`"),
        ({"$do": 1}, "`$do` needs `$for`"),
        ({"$if": {"event.id": "e1"}}, "nothing to include"),
        ({"$if": {"event.id": "e1"}, "$then": 1, "a": 2}, "beside other keys"),
        ({"$for": "{{ event.properties.a }}"}, "nothing to repeat"),
        ({"$for": "text", "$do": 1}, "takes one expression"),
        ({"$for": "a {{ event.id }}", "$do": 1}, "takes one expression"),
        ({"$spread": "text"}, "takes one expression"),
        ({"a": "{{ item.id }}"}, "`item` is not known here"),
        ({"$if": {"item.id": 1}, "a": 2}, "`item.id` is known inside a `$for` only"),
        ({"a": float("inf")}, "no infinity"),
        ({"a": 1 << 70}, "64 bits"),
    ],
)
def test_a_mistake_in_the_tree_is_found_at_load(body: Any, message: str) -> None:
    assert any(message in found for found in mistakes({"body": body}))


@pytest.mark.parametrize(
    ("body", "bare"),
    [
        ({"$if": {"event.id": "e1"}, "then": 1, "else": 2}, ["$then", "$else"]),
        ({"a": {"if": {"event.id": "e1"}, "then": 1, "b": 2}}, ["$if", "$then"]),
        ({"$if": {"event.id": "e1"}, "then": 1, "a": 2}, []),
        ({"$for": "{{ event.properties.a }}", "do": 1, "a": 2}, []),
        ({"$if": {"event.id": "e1"}, "$then": {"then": 1}}, []),
        ({"$for": "{{ event.properties.a }}", "$do": {"do": 1}}, []),
        ({"then": 1, "do": 2, "if": 3}, ["$then", "$if"]),
        ({"then": 1, "else": 2}, []),
        ({"$price": 1, "a": "$${x}", "b$${c}": 1}, []),
    ],
)
def test_directives_without_their_sign_are_a_warning_where_they_are_hardly_keys(
    body: Any, bare: list[str]
) -> None:
    assert mistakes({"body": body}) == [
        f"unknown-directive: `{name[1:]}` is sent as an ordinary key (did you mean `{name}`?)"
        for name in bare
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"$merge": 1},
        {"a": {"x-${TOK}": 1}},
        {"{{ event.id }}": 1},
        {"$if": {"event.id": 1}, "then": 1},
        {"$if": {"event.id": 1}},
        {"$for": "{{ event.properties.a }}"},
        {"$do": 1},
    ],
)
def test_what_is_wrong_with_a_key_is_shown_at_the_key(body: Any) -> None:
    _, problems = read_request({"body": body})
    (found,) = problems.found
    assert found.on_key


def test_the_default_body_is_event_and_user() -> None:
    got = orjson.loads(rendered({}, an_event({"a": 1}), a_user({"b": 2})).body)
    assert got["event"]["properties"] == {"a": 1}
    assert got["event"]["time"] == "2026-11-23T14:50:00.123Z"
    assert got["user"]["properties"] == {"b": 2}
    assert "origin" not in got["event"]


def test_a_value_that_json_cannot_hold_names_its_place() -> None:
    with pytest.raises(RenderError, match=r"more than 64 bits: .*request.body: the body.v.big"):
        rendered({"body": {"v": "{{ event.properties }}"}}, an_event({"ok": 1, "big": 1 << 70}))
    with pytest.raises(RenderError, match="surrogate"):
        rendered({"body": {"v": "{{ event.properties }}"}}, an_event({"\udc00": 1}))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_infinity_in_a_text_is_a_dead_letter(value: float) -> None:
    with pytest.raises(RenderError, match="too large for JSON"):
        rendered({"body": {"v": "x {{ event.properties.v }}"}}, an_event({"v": value}))


SECRETS = Secrets({"TOK": 'a"\\\n&=%ü'})


def test_secrets_in_a_body_are_slots_until_it_is_sent() -> None:
    body = {"key": "${TOK}", "text": "x ${TOK} {{ event.id }}", "list": ["${TOK}"]}
    made = rendered({"body": body}, secrets=SECRETS)
    assert b"a\\" not in made.body
    assert mask(made.body) == b'{"key":"${TOK}","text":"x ${TOK} e1","list":["${TOK}"]}'
    _, _, sent = fill(made.url, made.headers, made.body, encoding="json", secrets=SECRETS)
    value = 'a"\\\n&=%ü'
    assert orjson.loads(sent) == {"key": value, "text": f"x {value} e1", "list": [value]}


def test_secrets_in_a_form_are_slots_until_it_is_sent() -> None:
    made = rendered(
        {"encoding": "form", "body": {"a": "${TOK}", "b": "${TOK}{{ event.id }}"}}, secrets=SECRETS
    )
    assert mask(made.body) == b"a=${TOK}&b=${TOK}e1"
    _, _, sent = fill(made.url, made.headers, made.body, encoding="form", secrets=SECRETS)
    assert sent == b"a=a%22%5C%0A%26%3D%25%C3%BC&b=a%22%5C%0A%26%3D%25%C3%BCe1"
    beside = {"encoding": "form", "body": {"a": "ü& ${TOK}{{ event.properties.v }}"}}
    made = rendered(beside, an_event({"v": "1&b=2"}), secrets=SECRETS)
    assert mask(made.body) == b"a=%C3%BC%26+${TOK}1%26b%3D2"


def test_data_cannot_fake_a_slot() -> None:
    fake = "\x01TOK\x02"
    request = {"body": {"v": "{{ event.properties.v }}", "s": "${TOK} {{ event.properties.v }}"}}
    for encoding in ("json", "form"):
        made = rendered({**request, "encoding": encoding}, an_event({"v": fake, fake: fake}), secrets=SECRETS)
        assert made.body.count(b"\x01") == 1
    everything = rendered({"body": "{{ event }}"}, an_event({"v": fake, fake: fake}))
    assert b"\x01" not in everything.body
