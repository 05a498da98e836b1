"""Condition trees: nesting, arrays, what the event alone decides, answers and labels as roots."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.model.json import Value
from tests.kit.streams.matching import condition, holds, labels_of, on, problems_of
from tests.kit.streams.records import user

A, B, C = ({f"event.properties.{name}": 1} for name in "abc")


UA, UB = ({f"user.properties.{name}": 1} for name in "ab")


def test_lists_and_maps_mean_all() -> None:
    assert holds([A, B], on(a=1, b=1))
    assert not holds([A, B], on(a=1))
    assert holds({**A, **B}, on(a=1, b=1))
    assert not holds({**A, **B}, on(b=1))


def test_any_needs_one_and_all_needs_every() -> None:
    assert holds({"any": [A, B]}, on(b=1))
    assert not holds({"any": [A, B]}, on(c=1))
    assert holds({"any": {**A, **B}}, on(b=1))
    assert holds({"all": [A, {"any": [B, C]}]}, on(a=1, c=1))
    assert not holds({"all": [A, {"any": [B, C]}]}, on(a=1))


def test_not_takes_one_condition_and_a_map_is_one() -> None:
    assert holds({"not": A}, on())
    assert holds({"not": {**A, **B}}, on(a=1))
    assert not holds({"not": [A]}, on(a=1))
    assert holds({"not": {"not": A}}, on(a=1))


def test_a_scalar_is_eq_null_is_null_and_a_list_is_in() -> None:
    assert holds({"event.properties.a": "x"}, on(a="x"))
    assert holds({"event.properties.a": None}, on(a=None))
    assert not holds({"event.properties.a": None}, on())
    assert holds({"event.properties.a": ["x", 2, None]}, on(a=2))
    assert holds({"event.properties.a": False}, on(a=False))
    assert not holds({"event.properties.a": False}, on(a=0))


def test_a_path_or_a_file_alone_is_shorthand_like_a_scalar_or_a_list() -> None:
    same = {"event.properties.country": {"path": "user.properties.country"}}
    assert holds(same, on(country="DE"), user({"country": "DE"}))
    assert not holds(same, on(country="DE"), user({"country": "US"}))
    listed = {"event.properties.country": {"file": "lists/eu.txt"}}
    assert holds(listed, on(country="DE"), lists={"lists/eu.txt": ["DE", "FR"]})
    assert problems_of({"event.properties.country": {"path": "user.id", "eq": 1}})


@pytest.mark.parametrize("depth", [10, 40])
def test_conditions_nest_deeply(depth: int) -> None:
    tree: Value = {"event.properties.a": 1}
    for level in range(depth):
        tree = [{"not": tree}, {"all": [tree]}, {"any": [tree, {"event.properties.b": 1}]}][level % 3]
    negated = len(range(0, depth, 3)) % 2 == 1
    assert holds(tree, on(a=1, b=2)) is not negated
    assert holds(tree, on(a=2, b=2)) is negated


def test_nesting_without_end_is_refused() -> None:
    tree: Value = {"event.properties.a": 1}
    for _ in range(200):
        tree = {"not": tree}
    assert [problem.code for problem in problems_of(tree)] == ["too-deep"]


PRODUCTS = [{"category": "Shoes", "qty": 1, "tags": ["a", "b"]}, {"category": "Hats", "qty": 3, "tags": []}]


@pytest.mark.parametrize(
    ("tree", "verdict"),
    [
        ({"event.properties.products[*].category": "Shoes"}, True),
        ({"event.properties.products[*].category": {"ne": "Shoes"}}, False),
        ({"event.properties.products[*].category": {"not_in": ["Coats"]}}, True),
        ({"event.properties.products[*].qty": {"gte": 3}}, True),
        ({"event.properties.products[*].tags": "b"}, True),
        ({"event.properties.products[*].tags": {"contains": "b"}}, True),
        ({"event.properties.products[*].tags[*]": {"starts_with": "b"}}, True),
        ({"event.properties.products[*].tags": {"present": False}}, False),
        ({"event.properties.products[*].price": {"exists": True}}, False),
        ({"event.properties.products[*].price": {"ne": 5}}, True),
        ({"event.properties.products[0].category": "Hats"}, False),
        ({"event.properties.products[-1].category": "Hats"}, True),
        ({"event.properties.products": {"as": "size", "eq": 2}}, True),
        ({"event.properties.products[*].tags": {"as": "size", "eq": 2}}, True),
        ({"event.properties.products[*].category": {"eq": "hats", "ignore_case": True}}, True),
        ({"any_element": {"event.properties.products": [{"category": "Shoes"}, {"qty": {"gte": 2}}]}}, False),
        ({"any_element": {"event.properties.products": {"category": "Hats", "qty": {"gte": 2}}}}, True),
        ({"not": {"any_element": {"event.properties.products": {"category": "Coats"}}}}, True),
        (
            {
                "any_element": {
                    "event.properties.products": {"any": [{"qty": 7}, {"not": {"category": "Hats"}}]}
                }
            },
            True,
        ),
        (
            {"any_element": {"event.properties.products": {"any_element": {"tags": {"eq": "b", "ne": "a"}}}}},
            True,
        ),
        ({"any_element": {"event.properties.products": {'["category"]': "Hats"}}}, True),
        ({"any_element": {"event.properties.products": {"category": {"eq": {"path": "event.name"}}}}}, False),
        ({"any_element": {"event.properties.numbers": [{"gt": 2}, {"lt": 5}]}}, False),
        ({"any_element": {"event.properties.numbers": [{"gt": 1}, {"lt": 5}]}}, True),
        ({"any_element": {"event.properties.numbers": {"gte": 2, "lt": 5}}}, True),
        ({"event.properties.numbers": {"gt": 2, "lt": 5}}, True),
        ({"any_element": {"event.properties.absent": {"gte": 2}}}, False),
        ({"any_element": {"event.properties.one": {"category": "Shoes"}}}, False),
    ],
)
def test_elements_of_arrays(tree: Value, verdict: bool) -> None:
    data = {"products": PRODUCTS, "numbers": [1, 2, 9], "one": {"category": "Shoes"}}
    assert holds(tree, on(**data)) is verdict
    on_user = json.loads(json.dumps(tree).replace("event.properties", "user.properties"))
    assert holds(on_user, None, user(data)) is verdict


def test_a_path_of_the_event_inside_any_element_warns_that_it_is_a_field_of_the_element() -> None:
    (found,) = problems_of({"any_element": {"event.properties.products": {"user.properties.plan": "pro"}}})
    assert (found.warning, found.code) == (True, "path-of-element")
    assert "`user.properties.plan` is a field of it" in found.message


def test_what_reads_only_the_event_is_decided_before_the_join() -> None:
    split = condition([A, UA, {"any": [B, C]}, {"any": [B, UB]}, {"all": [C, UB]}])
    assert split.event_side is not None
    assert split.user_side is not None
    assert split.event_side(on(a=1, b=1, c=1), user(), None)
    assert not split.event_side(on(a=1, b=1), user({"a": 1, "b": 1}), None)
    assert split.user_side(on(), user({"a": 1, "b": 1}), None)
    assert condition(A).user_side is None
    assert condition(UA).event_side is None


def test_an_operand_or_zone_of_the_user_moves_the_clause_to_the_users_side() -> None:
    assert condition({"event.properties.a": {"eq": {"path": "user.id"}}}).event_side is None
    zoned = {"event.time": {"as": "hour", "eq": "09:00", "tz": "user.properties.tz"}}
    assert condition(zoned).event_side is None
    assert condition({"event.user_id": {"exists": True}}).event_side is None


def test_equal_clauses_have_equal_keys_and_others_do_not() -> None:
    keys = [
        condition(tree, vars={"x": 1}).nodes[0].key
        for tree in (
            {"event.properties.a": 1},
            {"event.properties.a": {"eq": 1}},
            {'event.properties["a"]': 1},
            {"event.properties.a": "1"},
            {"event.properties.a": True},
            {"event.properties.b": 1},
            {"event.properties.a": {"ne": 1}},
            {"event.properties.a": {"as": "number", "eq": 1}},
            {"event.properties.a": {"eq": {"path": "vars.x"}}},
        )
    ]
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys)) == len(keys) - 2
    one, other = (
        condition({"event.properties.a": {"eq": {"path": "vars.x"}}}, vars={"x": x}) for x in (1, 2)
    )
    assert one.nodes[0].key != other.nodes[0].key
    # Files of one name may lie in several folders.
    for listed in ({"file": "lists/a.txt"}, ["x", {"file": "lists/a.txt"}]):
        tree = {"event.properties.a": {"in": listed}}
        one, other = (condition(tree, lists={"lists/a.txt": lines}) for lines in (["b"], ["c"]))
        assert one.nodes[0].key != other.nodes[0].key


def test_labels_are_conditions() -> None:
    labels = labels_of(
        {"name": "internal", "where": {"user.properties.email": {"as": "domain", "eq": "acme.com"}}},
        {"name": "big", "where": {"event.properties.amount": {"gte": 500}}},
    )
    colleague = user({"email": "a@acme.com"})
    assert holds({"label": "internal"}, on(), colleague, labels=labels)
    assert holds({"not": {"label": "internal"}}, on(), user(), labels=labels)
    assert holds({"label": ["internal", "big"]}, on(amount=500), user(), labels=labels)
    assert condition({"label": "big"}, labels=labels).user_side is None
    assert condition({"label": "internal"}, labels=labels).event_side is None
    (found,) = problems_of({"label": "intrnal"}, labels=labels)
    assert found.hint == "did you mean `internal`?"


@pytest.mark.parametrize("operators", [{"before": "-1h"}, {"as": "date", "between": ["-1d", "now"]}])
def test_a_date_is_relative_to_an_event_and_an_answer_has_none(operators: Value) -> None:
    tree = {"response.at": operators}
    (found,) = problems_of(tree, roots=("response", "vars"))
    assert (found.message, found.warning) == (
        "there is no event here that a date could be relative to",
        False,
    )
    # A version of before keeps its condition, which then never holds.
    problems = Problems(stored=True)
    stored = compile_condition(tree, problems, roots=("response", "vars"))
    assert problems.found == []
    nobody: Any = None
    assert not stored.whole(nobody, nobody, {"response": {"at": "2026-01-01"}})


def test_a_label_is_about_events_and_an_answer_is_none() -> None:
    labels = labels_of({"name": "L", "where": {"event.source": "web"}})
    (found,) = problems_of({"not": {"label": "L"}}, roots=("response", "vars"), labels=labels)
    assert found.message == "a label is about events, and there is none here"


def test_conditions_on_a_response_have_their_own_root() -> None:
    failed = condition({"response.ok": False}, roots=("response",))
    assert failed.whole(on(), user(), {"response": {"ok": False}})
    assert not failed.whole(on(), user(), {"response": {"ok": True}})
    assert not failed.whole(on(), user(), {"response": "<html>"})
    (found,) = problems_of({"event.name": 1}, roots=("response",))
    assert found.hint == "a path starts with `response`"
