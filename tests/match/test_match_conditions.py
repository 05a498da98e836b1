"""Condition trees: nesting, arrays, sharing, problems with their places, and laws that hold for any data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value
from tests.kit.streams.matching import condition, holds, labels_of, problems_of
from tests.kit.streams.records import event, user
from tests.kit.streams.samples import shared_data

A, B, C = ({f"event.properties.{name}": 1} for name in "abc")
UA, UB = ({f"user.properties.{name}": 1} for name in "ab")


def on(**properties: Value) -> Any:
    return event(properties=properties)


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


# --- arrays


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


# --- splitting


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


# --- problems

P, T = "event.properties.a", "event.time"


@pytest.mark.parametrize(
    ("tree", "path", "hint"),
    [
        ({P: {"exits": True}}, (P, "exits"), "did you mean `exists`?"),
        ({P: {"$gt": 5}}, (P, "$gt"), "did you mean `gt`?"),
        ({P: {"equals": 5}}, (P, "equals"), "did you mean `eq`?"),
        ({P: {"icontains": "x"}}, (P, "icontains"), "write {contains: ..., ignore_case: true}"),
        ({P: {"empty": True}}, (P, "empty"), "write {present: false}"),
        ({P: {"starts-with": "x"}}, (P, "starts-with"), "did you mean `starts_with`?"),
        ({P: {"startsWith": "x"}}, (P, "startsWith"), "did you mean `starts_with`?"),
        ({"evnt.name": 1}, ("evnt.name",), "did you mean `event.name`?"),
        ({"or": [A]}, ("or",), "did you mean `any`?"),
        ({"$and": [A]}, ("$and",), "did you mean `all`?"),
        ({"gte": 5}, ("gte",), "an operator stands below a path: event.properties.x: {gte: ...}"),
        ({P: {"in": "x"}}, (P, "in"), "write in: [x]"),
        ({P: {"in": []}}, (P, "in"), None),
        ({P: []}, (P,), None),
        ({P: {}}, (P,), "write {exists: true}"),
        ({P: {"as": "number"}}, (P,), "for example {as: version, gte: ...}"),
        ({P: {"as": "numbr", "eq": 1}}, (P, "as"), "did you mean `number`?"),
        ({P: {"as": "number", "eq": "x"}}, (P, "eq"), None),
        ({P: {"gte": None}}, (P, "gte"), None),
        ({P: {"gte": [1]}}, (P, "gte"), None),
        ({P: {"between": [9, 5]}}, (P, "between"), "write the lower one first"),
        ({P: {"between": [1, "5"]}}, (P, "between"), None),
        ({P: {"between": 5}}, (P, "between"), "write between: [low, high], both included"),
        ({P: {"exists": "yes"}}, (P, "exists"), None),
        ({P: {"starts_with": 49}}, (P, "starts_with"), 'write it in quotes: "49"'),
        ({P: {"regex": "(a"}}, (P, "regex"), None),
        (
            {P: {"regex": "(?=a)"}},
            (P, "regex"),
            "RE2 has no look-around and no back-references: split the condition in two",
        ),
        (
            {P: {"gt": 5, "ignore_case": True}},
            (P, "ignore_case"),
            "it goes with eq, in and the text operators",
        ),
        ({P: {"eq": "x", "tz": "UTC"}}, (P, "tz"), "it goes with as: date, weekday or hour"),
        ({T: {"as": "hour", "eq": "09:00", "tz": "Mars"}}, (T, "tz"), "such as Europe/Berlin"),
        (
            {T: {"as": "hour", "eq": "09:00", "tz": "europe/berln"}},
            (T, "tz"),
            "did you mean `Europe/Berlin`?",
        ),
        ({T: {"as": "hour", "eq": "09:00", "tz": "new york"}}, (T, "tz"), "did you mean `America/New_York`?"),
        (
            {T: {"as": "hour", "eq": "09:00", "tz": "UTC+2"}},
            (T, "tz"),
            "a fixed offset is `Etc/GMT-2`, its sign turned round; `Europe/Berlin` knows summer time",
        ),
        ({T: {"as": "hour", "eq": 9}}, (T, "eq"), 'such as "09:00" or "17:30"'),
        ({T: {"after": "-30x"}}, (T, "after"), "such as -30d"),
        ({T: {"after": "-2w"}}, (T, "after"), "did you mean `-14d`?"),
        ({T: {"before": "+1M"}}, (T, "before"), "did you mean `+1m`, or months: `+30d`?"),
        ({T: {"after": "soon"}}, (T, "after"), None),
        ({P: {"as": "ip", "in": ["10.0.0.0/99"]}}, (P, "in"), None),
        ({P: {"as": "domain", "eq": "a@b.c"}}, (P, "eq"), None),
        ({P: {"in": {"file": "x.txt"}}}, (P, "in", "file"), None),
        ({P: {"in": [1, {"file": "x.txt"}]}}, (P, "in", 1, "file"), None),
        ({P: {"contains": {"file": "x.txt"}}}, (P, "contains", "file"), None),
        ({P: {"eq": {"pth": "user.id"}}}, (P, "eq"), "did you mean {path: ...}?"),
        ({P: {"eq": {"path": "usr.id"}}}, (P, "eq", "path"), "did you mean `user.id`?"),
        ({P: {"glob": {"path": "user.id"}}}, (P, "glob"), "patterns are checked at load"),
        (
            {P: {"path": "user.id", "ignore_case": True}},
            (P, "path"),
            "beside other words write {eq: {path: ...}}",
        ),
        (
            {"event.properties.l.*.a": 1},
            ("event.properties.l.*.a",),
            "any element is `[*]`: event.properties.l[*].a",
        ),
        ({"event.properties.l[].a": 1}, ("event.properties.l[].a",), "`[*]` is any element, `[0]` the first"),
        ({P: {"eq": float("nan")}}, (P, "eq"), None),
        ({P: {"gte": float("inf")}}, (P, "gte"), None),
        (
            {"not": [A, B]},
            ("not",),
            "write not: {any: [...]} for none of them, not: {all: [...]} for not all of them",
        ),
        ({"any": []}, ("any",), "leave it out"),
        ([], (), "leave it out"),
        ({}, (), "leave it out"),
        ("event.name", (), None),
        ([True], (0,), None),
        ({"label": "nope"}, ("label",), "labels are files in config/labels/"),
        ({"vars.x": 1}, ("vars.x",), "add it under `vars:`"),
        (
            {"any_element": {P: {"b": {"exits": True}}}},
            ("any_element", P, "b", "exits"),
            "did you mean `exists`?",
        ),
        ({"any_element": []}, ("any_element",), None),
        ({5: 1}, (5,), None),
    ],
)
def test_a_mistake_is_an_error_at_its_place_with_a_remedy(tree: Value, path: Any, hint: str | None) -> None:
    found = [problem for problem in problems_of(tree) if not problem.warning]
    assert [problem.path for problem in found] == [path]
    if hint is not None:
        assert found[0].hint == hint


def test_a_wrong_entry_of_a_list_is_named() -> None:
    for operand in (["5", "abc"], {"file": "ids.txt"}):
        tree = {"event.properties.a": {"as": "number", "in": operand}}
        (found,) = problems_of(tree, lists={"ids.txt": ["5", "abc"]})
        assert found.message == "of abc: a number is wanted here"


@pytest.mark.parametrize(
    ("operators", "value", "verdict"),
    [
        ({"after": {"path": "vars.ago"}}, "2026-11-01", True),
        ({"after": {"path": "vars.ago"}}, "2026-10-01", False),
        ({"not": {"before": {"path": "vars.ago"}}}, "2026-11-01", True),
        ({"as": "date", "between": [{"path": "vars.ago"}, "now"]}, "2026-11-01", True),
        ({"glob": {"path": "vars.pattern"}}, "/docs/a", True),
        ({"glob": {"path": "vars.pattern"}}, "/docs/a/b", False),
        ({"glob": {"path": "vars.patterns"}}, "b.pdf", True),
        ({"glob": ["/x", {"path": "vars.patterns"}]}, "b.pdf", True),
        ({"regex": {"path": "vars.word"}, "ignore_case": True}, "a WORD", True),
        ({"regex": {"path": "vars.nested.word"}}, "a word", True),
    ],
)
def test_a_var_stands_for_what_it_has_also_a_relative_date_and_a_pattern(
    operators: dict[str, Value], value: Value, verdict: bool
) -> None:
    vars = {
        **{"ago": "-30d", "pattern": "/docs/*", "patterns": ["*.pdf", "*.doc"], "word": "w.rd$"},
        "nested": {"word": "word"},
    }
    tree: Value = {P: operators}
    if "not" in operators:
        tree = {"not": {P: operators["not"]}}
    assert holds(tree, event(properties={"a": value}), vars=vars) is verdict


def test_a_wrong_pattern_of_a_var_is_found_at_load() -> None:
    (found,) = problems_of({P: {"regex": {"path": "vars.p"}}}, vars={"p": "(a"})
    assert "invalid regex" in found.message
    assert problems_of({P: {"regex": {"path": "vars.p"}}}, vars={"p": 5})


def test_all_mistakes_are_found_at_once() -> None:
    tree = [{"evnt.x": 1}, {"any": [{"event.properties.a": {"exits": True, "gte": []}}, {"label": "x"}]}]
    assert len(problems_of(tree)) == 4


@pytest.mark.parametrize(
    ("tree", "hint"),
    [
        ({"event.properties.l.0.a": 1}, "for an element write `event.properties.l[0].a`"),
        ({P: {"path": "user.properties.l.12"}}, "for an element write `user.properties.l[12]`"),
        ({"any_element": {P: {"l.0": 1}}}, "for an element write `l[0]`"),
        ({"any_element": {P: {"item.a": 1}}}, "did you mean `a`?"),
        ({"event.properties.y.2026.a": 1}, None),
        ({"event.properties.0": 1}, None),
        ({"event.properties['l.0.a'].b": 1}, None),
        ({'event.properties.l["0"].a': 1}, None),
    ],
)
def test_an_element_as_other_products_write_it_is_a_warning(tree: Value, hint: str | None) -> None:
    assert [(one.warning, one.hint) for one in problems_of(tree)] == [(True, hint)] * (hint is not None)


@pytest.mark.parametrize("text", ["5", "-1.5", "2026-01-01", "4.10.1"])
def test_comparing_with_text_that_looks_like_something_else_warns(text: str) -> None:
    (found,) = problems_of({"event.properties.a": {"gte": text}})
    assert (found.warning, found.code) == (True, "typed-comparison")


@pytest.mark.parametrize(
    ("path", "operand", "hint"),
    [
        ("event.id", 5, 'write it in quotes: "5"'),
        ("user.id", ["a", 5], 'write it in quotes: "5"'),
        ("event.name", {"in": ["a", True]}, 'write it in quotes: "true"'),
        ("user.identified", "true", "without quotes"),
        ("event.time", {"gt": 1767225600}, "before and after"),
        ("event.properties", "pro", "`event.properties.plan`"),
        ("user", {"ne": "pro"}, "`user.properties.plan`"),
    ],
)
def test_what_a_fixed_field_can_never_be_warns(path: str, operand: Value, hint: str) -> None:
    (found,) = problems_of({path: operand})
    assert (found.warning, found.code) == (True, "typed-comparison")
    assert hint in (found.hint or "")


@pytest.mark.parametrize(
    ("path", "operand"),
    [
        ("event.id", {"as": "number", "gt": 5}),
        ("user.id", None),
        ("user.identified", True),
        ("event.time", {"after": 1767225600}),
        ("event.properties", {"eq": {"plan": "pro"}}),
        ("event.properties.id", 5),
        ("event.name", {"in": ["a", {"path": "user.id"}]}),
    ],
)
def test_what_a_fixed_field_may_be_does_not_warn(path: str, operand: Value) -> None:
    assert problems_of({path: operand}) == []


@pytest.mark.parametrize(
    ("operators", "words"),
    [
        ({"after": 2026}, "1970-01-01T00:33:46.000Z"),
        ({"as": "date", "lte": 20260131}, "a date is a text"),
        ({"as": "date", "in": ["2026-01-31", 20260131]}, "a date is a text"),
        ({"as": "date", "between": ["now", "-30d"]}, "write the earlier one first"),
    ],
)
def test_a_moment_that_is_hardly_meant_warns(operators: Value, words: str) -> None:
    (found,) = problems_of({"event.properties.a": operators})
    assert (found.warning, found.code) == (True, "typed-comparison")
    assert words in found.message


@pytest.mark.parametrize(
    "operators",
    [
        {"after": 1767225600},
        {"before": 0},
        {"as": "date", "between": ["-30d", "now"]},
        {"after": "2026-01-31"},
    ],
)
def test_a_moment_that_is_meant_does_not_warn(operators: Value) -> None:
    assert problems_of({"event.properties.a": operators}) == []


def test_ne_warns_that_it_holds_for_missing_unless_exists_stands_beside_it() -> None:
    (found,) = problems_of({"event.properties.a": {"ne": 1}})
    assert found.warning
    assert "exists: true" in (found.hint or "")
    assert problems_of({"event.properties.a": {"ne": 1, "exists": True}}) == []
    assert problems_of({"event.name": {"ne": "x"}}) == []


@given(
    tree=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from([*OPERATORS, *CONVERSIONS, "as", "tz", "ignore_case", "all", "any", "not"])
                | st.sampled_from(
                    ["any_element", "label", "path", "file", "event.properties.a", "user.id", "x"]
                ),
                inner,
                max_size=3,
            )
        ),
        max_leaves=12,
    )
)
def test_any_tree_compiles_or_has_problems_and_never_raises(tree: Value) -> None:
    problems = Problems()
    compiled = compile_condition(tree, problems)
    if not problems.errors:
        compiled.whole(on(a=[1, "x", None]), user({"a": "x"}), None)


# --- laws


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
