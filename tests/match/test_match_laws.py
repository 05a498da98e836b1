"""Conditions: laws that hold for any tree and any data."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.model.json import Value
from tests.kit.streams.matching import holds, on
from tests.kit.streams.records import event, user
from tests.kit.streams.samples import shared_data

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["a", "5", 5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


CLAUSES = st.sampled_from(
    [
        {"eq": 5},
        {"eq": "a"},
        {"ne": "a"},
        {"gt": 1},
        {"lte": "b"},
        {"between": [0, 9]},
        {"in": ["a", 5, None]},
        {"not_in": ["a", True]},
        {"contains": "a"},
        {"not_contains": ["a", 5]},
        {"starts_with": "a"},
        {"glob": "a*"},
        {"regex": "[0-9]"},
        {"exists": True},
        {"exists": False},
        {"present": True},
        {"before": "2026-01-01"},
        {"as": "number", "gte": 0},
        {"as": "text", "eq": "5"},
        {"as": "size", "lt": 2},
        {"as": "version", "gte": "1"},
        {"eq": {"path": "user.properties.other"}},
        {"gt": {"path": "user.properties.other"}},
        {"in": {"path": "event.properties.other"}},
        {"eq": "A", "ignore_case": True},
    ]
)


PATHS = st.sampled_from(
    [
        "event.properties.x",
        "user.properties.x",
        "event.context.x",
        "event.properties.x[*]",
        "event.properties.x.a",
    ]
)


TREES = st.recursive(
    st.builds(lambda path, clause: {path: clause}, PATHS, CLAUSES),
    lambda inner: (
        st.builds(lambda parts: {"all": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda parts: {"any": parts}, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda part: {"not": part}, inner)
    ),
    max_leaves=6,
)


@given(tree=TREES, x=VALUES, other=VALUES)
def test_the_two_sides_make_the_whole_and_negation_is_opposite(tree: Value, x: Value, other: Value) -> None:
    one = event(properties={"x": x, "other": other}, context={"x": x})
    by = user({"x": x, "other": other})
    verdict = holds(tree, one, by)  # compares the sides with the whole
    assert holds({"not": tree}, one, by) is not verdict
    assert holds({"not": {"not": tree}}, one, by) is verdict
    assert holds({"any": [tree, {"not": tree}]}, one, by)
    assert not holds({"all": [tree, {"not": tree}]}, one, by)


@given(left=TREES, right=TREES, x=VALUES)
def test_de_morgan(left: Value, right: Value, x: Value) -> None:
    one, by = event(properties={"x": x}), user({"x": x})
    neither = holds({"not": {"any": [left, right]}}, one, by)
    assert neither is holds([{"not": left}, {"not": right}], one, by)


def test_two_deeply_nested_values_are_compared_without_a_crash() -> None:
    deep: Value = 1
    for _ in range(900):
        deep = [deep]
    assert not holds(
        {"event.properties.x": {"eq": {"path": "user.properties.x"}}}, on(x=deep), user({"x": [deep]})
    )
    assert not holds({"event.properties.x": {"eq": "a", "ignore_case": True}}, on(x=deep))


def test_of_an_array_that_a_path_holds_the_elements_are_looked_for_and_nothing_in_them() -> None:
    for operand in ({"path": "user.properties.y"}, [[1, 2], 3]):
        clause = {"event.properties.x": {"contains": operand}}
        known = user({"y": [[1, 2], 3]})
        assert holds(clause, on(x=[[1, 2]]), known)
        assert holds(clause, on(x=[3]), known)
        assert not holds(clause, on(x=[1]), known)


def test_naughty_strings_are_values_and_operands_like_any_other() -> None:
    strings = json.loads((shared_data() / "nasty" / "blns.json").read_text("utf-8"))
    for text in strings:
        assert holds({"event.properties.x": {"eq": text}}, on(x=text))
        assert holds({"user.properties.x": {"in": [text]}}, None, user({"x": ["-", text]}))
        assert not holds({"event.properties.x": {"ne": text}}, on(x=text))
        assert holds({"event.properties.x": {"contains": text}}, on(x=f"<{text}>"))
        assert holds({"event.name": text}, event(text))
        escaped = text.replace("\\", "\\\\").replace("*", "\\*")
        assert holds({"event.properties.x": {"glob": f"**{escaped}**"}}, on(x=f"a{text}b"))
        for name in CONVERSIONS:
            holds({"event.properties.x": {"as": name, "exists": True}}, on(x=text))
        for operator in ("before", "after"):
            holds({"event.properties.x": {operator: "2026-01-01"}}, on(x=text))


def test_half_characters_match_no_pattern_and_crash_nothing() -> None:
    for operators in ({"regex": "."}, {"glob": "a*b*c"}, {"contains": "x"}, {"as": "domain", "exists": True}):
        assert not holds({"event.properties.x": operators}, on(x="\ud800"))
    assert holds({"event.properties.x": "\ud800"}, on(x="\ud800"))
