"""Why a clause most probably does not hold: what people meet first, and nothing where nothing stands out."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.match.advice import UNKNOWN, Told, advice, culprit
from pipeline.match.verdicts import explain, explain_trigger
from tests.kit.streams.matching import condition, trigger_of
from tests.kit.streams.records import event, user


@pytest.mark.parametrize(
    ("operand", "value", "told"),
    [
        ({"gte": 100}, "250", "a text and no number: `as: number`"),
        ({"in": [1, 2]}, "2", "a text and no number"),
        ("250", 250, "a number and no text"),
        ("true", True, "true or false and no text"),
        (True, "true", "into quotes"),
        ("Pro", "pro", "`ignore_case: true` takes both"),
        ({"in": ["pro plan"]}, "pro_plan", "`-` and `_` count"),
        ("pro", "pro ", "blanks at the begin and end"),
        ("caf\u00e9", "cafe\u0301", "looks the same"),
        ("a b", "a\u00a0b", "looks the same"),
        ({"eq": ["a", "b"]}, "a", "`in` takes any of its values"),
        ({"gte": 100}, "many", None),
        ({"gte": 100}, 99, None),
        ({"as": "number", "gte": 100}, "50", None),
        ({"gte": 100, "as": "number"}, "1,234.50", "cannot be read as a number"),
        ({"after": "-30d"}, "March 3, 2026", "cannot be read as a date"),
        ({"as": "weekday", "eq": "mon"}, True, "cannot be read as a date"),
        ({"as": "ip", "in": ["10.0.0.0/8"]}, "10.1.2.3:443", "read as an IP address"),
        ({"after": "-30d"}, "2020-01-01", None),
        ({"as": "number", "eq": 5}, ["x"], None),
        ({"eq": '{"as":"number"}'}, "x", None),
        ("pro", "free", None),
        ({"eq": "250"}, 251, None),
        ({"starts_with": "49"}, 4915, "`as: text` makes it one"),
        ({"contains": "vi"}, ["vip"], "compares whole elements"),
        ({"contains": "x"}, ["vip"], None),
    ],
)
def test_another_type_or_spelling_is_told(operand: Any, value: Any, told: str | None) -> None:
    tree = {"event.properties.x": operand}
    (clause,) = explain(condition(tree).nodes, event(properties={"x": value}), user())
    assert not clause.holds
    found = advice(clause)
    assert found is None if told is None else found is not None and told in found


A, B = "event.properties.a", "event.properties.b"


@pytest.mark.parametrize(
    ("tree", "told"),
    [
        ([{A: 1}, {B: 3}], f'{B}: {{"eq":3}} is 2'),
        ({"not": {A: 1}}, f'not {A}: {{"eq":1}} is 1'),
        ({"any": [{"all": [{"not": {A: 5}}, {B: 3}]}, {A: 2}]}, f'{B}: {{"eq":3}} is 2'),
        ([{"any": [{A: 5}, {B: 2}]}, {"event.properties.c": 1}], 'event.properties.c: {"eq":1} is missing'),
        ({"not": {"any": [{A: 5}, {B: 2}]}}, "not any"),
        ({A: 1}, ""),
    ],
)
def test_the_clause_that_keeps_it_from_firing_is_no_part_of_one_that_holds(tree: Any, told: str) -> None:
    found = explain(condition(tree).nodes, event(properties={"a": 1, "b": 2}), user())
    assert culprit([Told.of(one).to_json() for one in found]) == told


def test_what_nobody_has_said_of_a_user_is_told_and_a_name_by_its_letters() -> None:
    trigger = trigger_of({"trigger": {"events": ["purchase"], "where": {"user.properties.plan": "pro"}}})
    name, plan = explain_trigger(trigger, event(name="Purchase"), user())
    assert (advice(name), advice(plan)) == ("each letter counts", UNKNOWN)


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("event.properties.items.sku", "`event.properties.items[*].sku` looks at each of its elements"),
        ("event.properties.o.list.a.b", "`event.properties.o.list[*].a.b` looks at each of its elements"),
        ("event.properties.items[0].skus", "there is `event.properties.items[0].sku`"),
        ("event.properties.Amount", "there is `event.properties.amount`"),
        ("event.properties.o.lst", "there is `event.properties.o.list`"),
        ("event.properties['sales rep']", 'there is `event.properties["Sales Rep"]`'),
        ("user.properties.Plan", "there is `user.properties.plan`"),
        ("event.properties.text.a", "`event.properties.text` is a text with JSON in it"),
        ("event.properties.color", None),
        ("event.properties.address.city", 'there is `event.properties["address.city"]`'),
        ("user.properties.amount", "there is `event.properties.amount`"),
        ("event.properties.plan.name", "there is `user.properties.plan.name`"),
        ("event.properties.amount.value", None),
        ("event.properties.items[5].sku", None),
        ("event.context.page", None),
    ],
)
def test_what_is_near_a_path_that_leads_to_nothing_is_told(path: str, told: str | None) -> None:
    properties: dict[str, Any] = {
        "items": [{"sku": "a"}],
        "o": {"list": []},
        "amount": 5,
        "address.city": "Rome",
        "Sales Rep": "Z",
        "text": '{"a": 1}',
    }
    nodes = condition({path: "x"}).nodes
    (clause,) = explain(nodes, event(properties=properties), user({"plan": "pro"}))
    found = advice(clause)
    assert found is None if told is None else found is not None and told in found


def test_a_number_that_is_looked_for_in_a_file_is_told_that_its_entries_are_texts() -> None:
    tree = {"event.properties.x": {"in": {"file": "a.txt"}}}
    (clause,) = explain(condition(tree, lists={"a.txt": ["250"]}).nodes, event(properties={"x": 250}), user())
    assert "`as: text` makes it one" in str(advice(clause))


def test_where_a_clause_holds_nothing_is_told() -> None:
    (clause,) = explain(condition({"event.properties.x": {"ne": 5}}).nodes, event(), user())
    assert clause.holds
    assert advice(clause) is None
