"""Bodies as forms: nested keys, arrays, and what can never be a form."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest

from tests.render.rendering import PROPERTIES, an_event, dead, mistakes, rendered


def test_a_form_nests_with_brackets_and_repeats_arrays() -> None:
    request = {
        "encoding": "form",
        "body": {
            "a b": "{{ event.properties.text }} & ü",
            "list": [1, "{{ event.id }}"],
            "o": {"x": {"y": True}, "none": None},
            "products": "{{ event.properties.products | map: 'id' }}",
            "gone": "{{ event.properties.gone }}",
        },
    }
    made = rendered(request, an_event(PROPERTIES))
    assert (
        made.body == b"a+b=a+%26+%C3%BC&list%5B%5D=1&list%5B%5D=e1&o%5Bx%5D%5By%5D=true&o%5Bnone%5D="
        b"&products%5B%5D=p1&products%5B%5D=p2&gone="
    )
    assert made.headers == (("content-type", "application/x-www-form-urlencoded"),)
    assert rendered({**request, "missing": "omit"}, an_event(PROPERTIES)).body.endswith(b"products%5B%5D=p2")


def test_arrays_of_a_form_with_objects_are_indexed() -> None:
    body = {
        "items": [{"sku": "A", "tags": ["x", "y"]}, {"sku": "B", "tags": []}],
        "rows": [[1, 2], [3]],
        "mixed": ["x", {"y": None}],
        "own[]": [1, 2],
        "none": [],
    }
    made = rendered({"encoding": "form", "body": body}, an_event({})).body
    assert unquote(made.decode()).split("&") == [
        "items[0][sku]=A",
        "items[0][tags][]=x",
        "items[0][tags][]=y",
        "items[1][sku]=B",
        "rows[0][]=1",
        "rows[0][]=2",
        "rows[1][]=3",
        "mixed[0]=x",
        "mixed[1][y]=",
        "own[]=1",
        "own[]=2",
    ]


def test_a_form_takes_objects_only() -> None:
    assert any("a form wants an object" in found for found in mistakes({"encoding": "form", "body": [1]}))
    assert "a form wants an object" in dead("{{ event.id }}", encoding="form")


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"$for": "{{ event.properties.items }}", "sku": "{{ item.sku }}"}, "`$for` makes a list"),
        (["{{ event.name }}"], "this is a list"),
        ("name={{ event.name }}", "this is a text"),
        ("{{ event.properties }}{{ user.properties }}", "this is a text"),
        ("{% if event.name %}{{ event.properties }}{% endif %}", "this is a text"),
        ({"$if": {"event.name": "A"}, "$then": ["{{ event.name }}"], "$else": {"a": 1}}, "this is a list"),
        ({"$if": {"event.name": "A"}, "a": "{{ event.name }}", "$else": "b"}, "this is a text"),
        (
            {"$if": {"event.name": "A"}, "$then": {"$if": {"event.name": "B"}, "$then": 1}},
            "this is one value",
        ),
        ({"$if": {"event.name": "A"}, "$for": "{{ event.properties.items }}", "a": 1}, "`$for` makes a list"),
    ],
)
def test_the_body_of_a_form_that_is_never_an_object_is_found_at_load(body: Any, what: str) -> None:
    (found,) = mistakes({"encoding": "form", "body": body})
    assert what in found
    assert "each event would become a dead letter" in found


@pytest.mark.parametrize(
    "body",
    [
        "{{ event.properties }}",
        "{{- event.properties | without: 'a' -}}\n",
        {"items": {"$for": "{{ event.properties.items }}", "sku": "{{ item.sku }}"}},
        {"$if": {"event.name": "Purchase"}, "$then": {"a": "{{ event.name }}"}},
    ],
)
def test_the_body_of_a_form_that_may_be_an_object_is_taken(body: Any) -> None:
    assert not mistakes({"encoding": "form", "body": body})
