"""Conditions that cannot be, or are hardly meant: said at their place, with a remedy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value
from tests.kit.streams.matching import holds, on, problems_of
from tests.kit.streams.records import event, user

A, B = ({f"event.properties.{name}": 1} for name in "ab")
P, T = "event.properties.a", "event.time"
A_FIELD = "a path starts with `event`, `user` or `vars`, such as `event.{}`"
A_ROOT = A_FIELD.format("properties.{}")


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
        ({P: {"in": "x, y"}}, (P, "in"), "write in: [x, y]"),
        (
            {P: {"contains_all": ["x"]}},
            (P, "contains_all"),
            "write a condition for each: [{path: {contains: a}}, {path: {contains: b}}]",
        ),
        ({P: {"in": []}}, (P, "in"), "name a value, or leave it out"),
        ({P: []}, (P,), "name a value, or leave it out"),
        ({"label": []}, ("label",), "name a label, or leave it out"),
        ({P: {}}, (P,), "write {exists: true}"),
        ({P: {"as": "number"}}, (P,), "for example {as: number, gte: ...}"),
        ({P: {"as": "domain"}}, (P,), "for example {as: domain, eq: ...}"),
        ({P: {"ignore_case": True}}, (P,), "for example {ignore_case: true, eq: ...}"),
        ({P: {"as": "Integer", "eq": 1}}, (P, "as"), "did you mean `number`?"),
        (
            {P: {"in": {"file": "x.txt", "column": 1}}},
            (P, "in"),
            "write the values in brackets, or {file: ...} with nothing beside it",
        ),
        ({P: {"in": True}}, (P, "in"), "write in: [true]"),
        ({P: {"before": "7d"}}, (P, "before"), "write -7d for that long before the event, +7d for after it"),
        (
            {P: {"after": "2 weeks"}},
            (P, "after"),
            "write -14d for that long before the event, +14d for after it",
        ),
        ({P: {"eq": "a", "or": "b"}}, (P, "or"), "for any of several values write {in: [...]}"),
        (
            {"event.properties": {"age": {"gt": 5}}},
            ("event.properties", "age"),
            "write `event.properties.age`: conditions stand below the whole path of a field",
        ),
        ({"event.properties": {"exits": True}}, ("event.properties", "exits"), "did you mean `exists`?"),
        (
            {"user.before": {"Sales Rep": 1}},
            ("user.before", "Sales Rep"),
            'write `user.before["Sales Rep"]`: conditions stand below the whole path of a field',
        ),
        (
            {"user": {"properties": {"a": 1}}},
            ("user", "properties"),
            "write `user.properties`: conditions stand below the whole path of a field",
        ),
        ({P: {"city": "Rome"}}, (P, "city"), f"a field is `{P}.city`; operators are {', '.join(OPERATORS)}"),
        (
            {"amount": 5},
            ("amount",),
            "a path starts with `event`, `user` or `vars`, such as `event.properties.amount`",
        ),
        ({"id": "e1"}, ("id",), "a path starts with `event`, `user` or `vars`, such as `event.id`"),
        ({"event.properties..a": 1}, ("event.properties..a",), f"one dot is enough: {P}"),
        ({P: {"not": {"in": [1]}}}, (P, "not"), f"it stands above paths: write not: {{{P}: {{...}}}}"),
        ({P: {"any": [{"gt": 1}]}}, (P, "any"), f"it stands above paths: write any: [{{{P}: {{...}}}}, ...]"),
        ({P: {"not": "x"}}, (P, "not"), "did you mean `ne`?"),
        ({f"not {P}": 1}, (f"not {P}",), f"write not: {{{P}: ...}}"),
        ({P: {"between": {"min": 1, "max": 5}}}, (P, "between"), "write between: [1, 5]"),
        (
            {f"{P}, {P}": 1},
            (f"{P}, {P}",),
            "a path ends before a comma: where several may stand, they are a list, [a, b]",
        ),
        (
            {P: {"regex": "*.pdf"}},
            (P, "regex"),
            "any text is `.*` in a regex; a pattern with stars is {glob: ...}",
        ),
        ([f"{P} == 5"], (0,), f"write {{{P}: 5}}"),
        ([f"{P}:pro"], (0,), f"write {{{P}: pro}}"),
        ([f"{{{{ {P} }}}}"], (0,), f"write {{{P}: {{exists: true}}}}"),
        ([f"{P} starts_with a b"], (0,), f"write {{{P}: {{starts_with: a b}}}}"),
        ([f"{P} >= 5"], (0,), f"write {{{P}: {{gte: 5}}}}"),
        ([f"{P} and more"], (0,), None),
        ({"field": P, "op": ">", "value": 5}, (), f"write {{{P}: {{gt: 5}}}}"),
        ({"path": P, "operator": "isOneOf", "values": [1]}, (), f"write {{{P}: {{in: ..}}}}"),
        ({"key": P, "value": "x"}, (), f"write {{{P}: x}}"),
        (
            {T: {"as": "hour", "eq": "09:00", "tz": {"path": "user.properties.tz"}}},
            (T, "tz"),
            "write tz: user.properties.tz",
        ),
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
            {P: {"regex": r"(a)\1"}},
            (P, "regex"),
            "RE2 has no look-around and no back-references: split the condition in two",
        ),
        (
            {P: {"gt": 5, "ignore_case": True}},
            (P, "ignore_case"),
            "it goes with eq, in and the text operators",
        ),
        ({P: {"eq": "x", "tz": "UTC"}}, (P, "tz"), "it goes with as: date, weekday or hour"),
        ({P: {"as": "number", "eq": 1, "tz": "UTC"}}, (P, "tz"), "it goes with as: date, weekday or hour"),
        ({P: {"eq": "x", "ignore_case": "yes"}}, (P, "ignore_case"), None),
        ({P: {"as": "number", "before": "2026-01-01"}}, (P, "before"), None),
        (
            {P: {"as": "version", "eq": "1.2", "ignore_case": True}},
            (P, "ignore_case"),
            "it goes with eq, in and the text operators",
        ),
        ({P: {"eq": {"file": "lists/a.txt"}}}, (P, "eq", "file"), None),
        (
            {P: {"in": {"file": "lists/a.txt"}}},
            (P, "in", "file"),
            "its name is relative to the config folder",
        ),
        ({P: {"gt": {"a": 1}}}, (P, "gt"), "for another path write {path: ...}"),
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
        assert found.message == "of abc: expected a number"


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


def test_an_empty_list_file_is_an_error() -> None:
    (found,) = problems_of({P: {"in": {"file": "lists/a.txt"}}}, lists={"lists/a.txt": []})
    assert "is empty" in found.message


@pytest.mark.parametrize(
    ("operand", "warned"),
    [
        ([{"prefix": "a"}], True),
        ({"in": [7, {"gt": 5}]}, True),
        ({"in": [{"anything-but": ["a"]}]}, True),
        ({"in": [{"id": 5}]}, False),
        ({"in": [{"gt": 5, "lt": 9}]}, False),
    ],
)
def test_operators_in_a_list_are_a_warning(operand: Value, warned: bool) -> None:
    found = [one.message for one in problems_of({P: operand})]
    assert ["in a list is an object" in one for one in found] == [True] * warned


@pytest.mark.parametrize(
    ("lines", "warned"),
    [
        (["- a", "- b c"], True),
        (['"a",', '"b"'], True),
        (["a,", "b,"], True),
        (['["a", "b"]'], True),
        (["- a", "b"], False),
        (["-", "-5"], False),
        (["Smith, John"], False),
    ],
)
def test_a_list_file_in_another_notation_is_a_warning(lines: list[str], warned: bool) -> None:
    found = problems_of({P: {"in": {"file": "lists/a.txt"}}}, lists={"lists/a.txt": lines})
    assert [one.code for one in found] == ["looks-like-list"] * warned


def test_a_wrong_pattern_of_a_var_is_found_at_load() -> None:
    (found,) = problems_of({P: {"regex": {"path": "vars.p"}}}, vars={"p": "(a"})
    assert "invalid regex" in found.message
    assert problems_of({P: {"regex": {"path": "vars.p"}}}, vars={"p": 5})


@pytest.mark.parametrize(
    ("tree", "hints"),
    [
        (f"{P} and more", [None]),
        (f"{P} == " + "x" * 200, [None]),
        ("amount == 5", [None]),
        ("properties.amount == 5", [None]),
        ({"path": 5, "value": 1}, [A_ROOT.format("path"), A_ROOT.format("value")]),
        ({"name": "plan", "value": 1}, [A_FIELD.format("name"), A_ROOT.format("value")]),
        ({"path": P}, [A_ROOT.format("path")]),
        ({"path": P, "op": "is_nearly", "value": 1}, [A_ROOT.format(one) for one in ("path", "op", "value")]),
        ({P: {"label": {"a": 1}}}, ["`label` stands above paths, not below one"]),
        ({"event.name": {"city": "Rome"}}, [f"operators are {', '.join(OPERATORS)}"]),
        ({"vars.a": {"city": "Rome"}}, [f"a field is `vars.a.city`; operators are {', '.join(OPERATORS)}"]),
    ],
)  # fmt: skip
def test_nothing_is_guessed_where_nothing_is_near(tree: Value, hints: list[str | None]) -> None:
    assert [one.hint for one in problems_of(tree, vars={"a": {}})] == hints


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
        (
            {"event.properties.items.last.a": 1},
            "for an element write `event.properties.items[-1].a`; if the key is meant, "
            "`event.properties.items['last'].a`",
        ),
        (
            {"event.properties.items.size": {"gt": 2}},
            "how many there are is `event.properties.items | size`, and `{as: size}` in conditions; if the "
            "key is meant, `event.properties.items['size']`",
        ),
        ({"event.properties.y.2026.a": 1}, None),
        ({"event.properties.address.last": 1}, None),
        ({"event.properties.size": 1}, None),
        ({"event.properties.users.last_seen": 1}, None),
        ({'event.properties.items["size"]': 1}, None),
        ({"event.properties.0": 1}, None),
        ({"event.properties['l.0.a'].b": 1}, None),
        ({'event.properties.l["0"].a': 1}, None),
    ],
)
def test_an_element_as_other_products_write_it_is_a_warning(tree: Value, hint: str | None) -> None:
    assert [(one.warning, one.hint) for one in problems_of(tree)] == [(True, hint)] * (hint is not None)


@pytest.mark.parametrize(
    ("values", "hint"),
    [
        (["gte", 500], "write {gte: 500}; values that are meant stand in {in: [..]}"),
        ([">", 1.5], "write {gt: 1.5}; values that are meant stand in {in: [..]}"),
        ({"in": ["gte", 500]}, None),
        (["gte", "lte"], None),
        (["a", 5], None),
    ],
)
def test_an_operator_in_a_list_of_values_is_a_warning(values: Value, hint: str | None) -> None:
    assert [one.hint for one in problems_of({P: values})] == [hint] * (hint is not None)


def test_bounds_that_leave_no_number_between_them_warn() -> None:
    assert [one.code for one in problems_of({P: {"gt": 5, "lt": 3}})] == ["empty-range"]
    for good in ({P: {"gte": 3, "lte": 3}}, {f"{P}[*].b": {"gt": 5, "lt": 3}}):
        assert problems_of(good) == []


@pytest.mark.parametrize(
    "text",
    [
        "5",
        "-1.5",
        "2026-01-01",
        "4.10.1",
        "abc",
        "five hundred",
        "größer",
        "5x",
        "500 EUR",
        "+3 h",
        "now",
        "-30d",
        "0500",
    ],
)
def test_comparing_with_text_that_looks_like_something_else_warns(text: str) -> None:
    (found,) = problems_of({"event.properties.a": {"gte": text}})
    assert (found.warning, found.code) == (True, "typed-comparison")


@pytest.mark.parametrize(("text", "number"), [("0500", "500"), ("+5.50", "5.5")])
def test_a_number_that_quotes_did_not_make_a_text_is_shown_as_one(text: str, number: str) -> None:
    (found,) = problems_of({P: {"gte": text}})
    assert found.message.endswith(f": write {number}")


@pytest.mark.parametrize("operator", ["eq", "contains", "starts_with"])
def test_a_pattern_that_is_sought_as_it_is_written_warns(operator: str) -> None:
    for text in ("foo.*", "^foo$", r"\d+", "[a-z]+x"):
        (found,) = problems_of({P: {operator: text}})
        assert found.message.endswith(f'did you mean {{regex: "{text}"}}?')
    assert "{regex:" not in problems_of({P: {operator: "*.example.*"}})[0].message, "which is none"
    for text in ("$5 and ^", r"C:\docs\w.txt", "a.b", "[a-z]", "1 + 1.", "^"):
        assert problems_of({P: {operator: text}}) == []


@pytest.mark.parametrize("text", ["B", "m", "09:00", "", "2026-W05", "SE-1042"])
def test_comparing_with_text_that_has_an_order_of_its_own_does_not_warn(text: str) -> None:
    assert problems_of({"event.properties.a": {"gte": text}}) == []


@pytest.mark.parametrize("text", ["abc", "5x", "500 EUR"])
def test_comparing_with_text_that_is_said_to_be_meant_does_not_warn(text: str) -> None:
    (found,) = problems_of({"event.properties.a": {"gte": text}})
    assert "`as: text`" in found.message
    assert problems_of({"event.properties.a": {"as": "text", "gte": text}}) == []


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
    ("path", "operators", "hint"),
    [
        (T, {"as": "date", "lte": "2026-01-31"}, "write {as: date, gte: .., lt: 2026-02-01}"),
        (
            T,
            {"as": "date", "between": ["2026-01-01", "2026-12-31"]},
            "write {as: date, gte: .., lt: 2027-01-01}",
        ),
        (T, {"as": "date", "eq": "2026-01-31"}, "write {as: date, gte: .., lt: 2026-02-01}"),
        (T, {"as": "date", "lt": "2026-01-31"}, None),
        (T, {"as": "date", "ne": "2026-01-31"}, None),
        (T, {"as": "date", "lte": "9999-12-31"}, None),
        (T, {"as": "date", "between": ["2026-01-01", "2026-12-31T10:00:00Z"]}, None),
        (P, {"as": "date", "lte": "2026-01-31"}, None),
    ],
)
def test_a_moment_that_is_compared_up_to_a_day_warns(path: str, operators: Value, hint: str | None) -> None:
    assert [one.hint for one in problems_of({path: operators})] == [hint] * (hint is not None)


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
