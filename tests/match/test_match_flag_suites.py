"""Conditions as users of feature-flag and CDP products write them, in Hookline's operators.

Each row is one of the situations those products document or test: targeting operators of LaunchDarkly,
conditions of GrowthBook, property filters of PostHog, destination filters of Segment.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeline.model.json import Value
from pipeline.model.records import MISSING
from tests.kit.streams.matching import holds, holds_for
from tests.kit.streams.records import event, user

LAUNCHDARKLY: list[tuple[Value, Value, bool]] = [
    (99, {"in": [99]}, True),
    (99.0001, {"in": [99.0001]}, True),
    (99, {"in": [99.0001]}, False),
    (99.0001, {"in": [99]}, False),
    (99, {"lt": 99.0001}, True),
    (99.0001, {"lt": 99}, False),
    (99, {"lt": 99}, False),
    (99, {"lte": 99}, True),
    (99.0001, {"gt": 99}, True),
    (99, {"gte": 99.0001}, False),
    ("x", {"in": ["x"]}, True),
    ("x", {"in": ["xyz"]}, False),
    ("99", {"in": [99]}, False),
    ("xyz", {"starts_with": "x"}, True),
    ("x", {"starts_with": "xyz"}, False),
    ("xyz", {"ends_with": "z"}, True),
    ("z", {"ends_with": "xyz"}, False),
    ("xyz", {"contains": "y"}, True),
    ("y", {"contains": "yz"}, False),
    (99, {"starts_with": "9"}, False),
    ("hello world", {"regex": "hello.*rld"}, True),
    ("hello world", {"regex": "hello.*orl"}, True),
    ("hello world", {"regex": "l+"}, True),
    ("hello world", {"regex": "(world|planet)"}, True),
    ("hello world", {"regex": "aloha"}, False),
    (0, {"before": 1}, True),
    (-100, {"before": 0}, True),
    ("1970-01-01T00:00:00Z", {"before": 1000}, True),
    ("1970-01-01T00:00:01.500Z", {"before": "1970-01-01T00:00:02Z"}, True),
    ("1970-01-01T00:00:02+02:00", {"before": "1970-01-01T00:00:00Z"}, True),
    (True, {"before": 1000}, False),
    ("wwwww", {"after": 0}, False),
    ("1970-01-01T00:00:02.500Z", {"after": "1970-01-01T00:00:02Z"}, True),
    ("2.0.1", {"as": "version", "eq": "2.0.1"}, True),
    ("2.0", {"as": "version", "eq": "2.0.0"}, True),
    ("2", {"as": "version", "eq": "2.0.0"}, True),
    ("2-rc1", {"as": "version", "eq": "2.0.0-rc1"}, True),
    ("2+build2", {"as": "version", "eq": "2.0.0+build3"}, True),
    ("2.0.0", {"as": "version", "lt": "2.0.1"}, True),
    ("2.0.0-rc.1", {"as": "version", "gt": "2.0.0-rc.0"}, True),
    ("2.0.0-rc.10.green", {"as": "version", "gt": "2.0.0-rc.2.green"}, True),
    ("2.0.0-rc.2.green", {"as": "version", "lt": "2.0.0-rc.2.red"}, True),
    ("2.0.1", {"as": "version", "gt": "2.0.0"}, True),
    ("2.0.1", {"as": "version", "eq": "2.0.1.5"}, False),
    ("xbad%ver", {"as": "version", "gt": "2.0.1"}, False),
    ("02.0.0", {"as": "version", "eq": "2.0.0"}, False),
]
GROWTHBOOK: list[tuple[Value, Value, bool]] = [
    ("user@growthbook.io", {"regex": "@growthbook.io$"}, True),
    ("user@gmail.com", {"not_in": ["b", "c"]}, True),
    (["beta", "qa"], {"in": ["alpha", "beta"]}, True),
    (["beta", "qa"], {"not_in": ["alpha", "beta"]}, False),
    ([], {"in": ["alpha"]}, False),
    ([], {"not_in": ["alpha"]}, True),
    ("hello", {"exists": True}, True),
    (MISSING, {"exists": False}, True),
    (None, {"exists": True}, False),
    ("", {"exists": True}, True),
    (["a", "b", "c"], {"as": "size", "eq": 3}, True),
    (["a", "b", "c"], {"as": "size", "gte": 4}, False),
    (["hello", "world"], {"eq": ["hello", "world"]}, True),
    (["world", "hello"], {"eq": ["hello", "world"]}, False),
    (["hello"], {"eq": ["hello", "world"]}, False),
    ({"hello": "world"}, {"eq": {"hello": "world"}}, True),
    ({"hello": "world", "yes": "please"}, {"eq": {"hello": "world"}}, False),
    ({}, {"eq": {"hello": "world"}}, False),
    ("world", {"eq": {"hello": "world"}}, False),
    ("2", {"gt": "10"}, True),
    (0, {"lt": 10, "gt": -10}, True),
    (18, {"gt": 18, "lt": 10}, False),
    (MISSING, {"gt": -1}, False),
    (True, {"eq": True}, True),
    (False, {"eq": False}, True),
    (0, {"eq": False}, False),
    ("1.2.3-rc.1", {"as": "version", "gt": "1.2.3-beta.2"}, True),
    ("v1.2.3", {"as": "version", "eq": "1.2.3"}, True),
    ("1.10.0", {"as": "version", "gt": "1.9.9", "lt": "2.0.0"}, True),
]
POSTHOG: list[tuple[Value, Value, bool]] = [
    ("Chrome", {"in": ["Chrome", "Firefox"]}, True),
    ("Chrome", {"not_in": ["Chrome", "Firefox"]}, False),
    (MISSING, {"not_in": ["Chrome"]}, True),
    ("HELLO@PostHog.com", {"contains": "posthog", "ignore_case": True}, True),
    ("HELLO@PostHog.com", {"not_contains": "posthog", "ignore_case": True}, False),
    ("https://app.posthog.com/project/1", {"regex": "/project/[0-9]+$"}, True),
    ("36", {"as": "number", "gt": 35}, True),
    ("36.0", {"as": "number", "lte": 36}, True),
    ("unknown", {"as": "number", "gt": 35}, False),
    (MISSING, {"present": True}, False),
    ("", {"present": True}, False),
    ("2026-11-20", {"after": "-7d"}, True),
    ("2026-11-01T00:00:00", {"before": "-7d"}, True),
    (1_795_000_000, {"after": "-7d"}, True),
    ("2026-11-23", {"between": ["2026-11-01", "2026-11-30"], "as": "date"}, True),
    (["a", "b"], {"contains": "a"}, True),
]
SEGMENT: list[tuple[Value, Value, bool]] = [
    ("Free Shipping", {"contains": "Ship"}, True),
    ("/blog/2026/post", {"glob": "/blog/**"}, True),
    ("user@segment.com", {"glob": "*@segment.com"}, True),
    (29.99, {"gte": 29.99}, True),
    ("DE", {"in": ["DE", "AT", "CH"]}, True),
    (["red", "green"], {"contains": ["green", "blue"]}, True),
    ("203.0.113.77", {"as": "ip", "not_in": ["10.0.0.0/8", "203.0.113.0/24"]}, False),
    ("abc", {"as": "size", "lt": 4}, True),
    (None, {"eq": None}, True),
    (MISSING, {"eq": None}, False),
]
SUITES = {"launchdarkly": LAUNCHDARKLY, "growthbook": GROWTHBOOK, "posthog": POSTHOG, "segment": SEGMENT}


@pytest.mark.parametrize(
    ("value", "operators", "verdict"),
    [
        pytest.param(*row, id=f"{name}-{number}")
        for name, rows in SUITES.items()
        for number, row in enumerate(rows)
    ],
)
def test_a_documented_case_of_another_product(value: Value, operators: Value, verdict: bool) -> None:
    assert holds_for(value, operators) is verdict


PERSON: dict[str, Value] = {
    "plan": "pro",
    "age": 34,
    "country": "DE",
    "email": "ann@acme.com",
    "company": {"name": "Acme", "size": 120, "tags": ["b2b", "saas"]},
    "orders": [{"sku": "A", "qty": 1, "paid": True}, {"sku": "B", "qty": 5, "paid": False}],
    "signed_up_at": "2026-11-01",
    "nickname": None,
}


@pytest.mark.parametrize(
    ("tree", "verdict"),
    [
        ({"X.company.size": {"between": [100, 500]}, "X.company.tags": "saas"}, True),
        ({"any": [{"X.plan": "free"}, {"all": [{"X.age": {"gte": 30}}, {"X.country": ["DE", "FR"]}]}]}, True),
        ({"not": {"any": [{"X.plan": "free"}, {"X.country": "US"}]}}, True),
        ([{"X.company.tags": {"contains": "b2b"}}, {"X.company.tags": {"contains": "enterprise"}}], False),
        ({"any_element": {"X.orders": {"sku": "B", "paid": True}}}, False),
        ({"any_element": {"X.orders": {"sku": "B", "qty": {"gt": 4}, "paid": False}}}, True),
        ({"X.orders[*].sku": {"in": ["B", "C"]}, "X.orders[*].paid": True}, True),
        ({"not": {"X.orders[*].qty": {"gt": 5}}}, True),
        ({"X.signed_up_at": {"after": "-30d"}, "X.email": {"as": "domain", "ne": "gmail.com"}}, True),
        ({"X.nickname": None, "X.nothing": {"exists": False}}, True),
        ({"X.nothing": None}, False),
        ({"X.company.name.first": {"exists": True}}, False),
        ({"X.company": {"exists": True}, "X.company.tags[5]": {"exists": False}}, True),
        (
            {"X.age": {"gt": 18}, "X.plan": {"ne": "free"}, "any": [{"X.country": "DE"}, {"X.vip": True}]},
            True,
        ),
    ],
)
def test_a_rule_holds_alike_on_event_and_on_user(tree: Value, verdict: bool) -> None:
    def at(root: str) -> Any:
        return json.loads(json.dumps(tree).replace("X.", f"{root}.properties."))

    assert holds(at("event"), event(properties=PERSON)) is verdict
    assert holds(at("user"), None, user(PERSON)) is verdict
    assert holds([at("event"), at("user")], event(properties=PERSON), user(PERSON)) is verdict
