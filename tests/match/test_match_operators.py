"""The operator and conversion tables say what the code does: every example in them is run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.operators.conversions import CONVERSIONS, Conversion
from pipeline.match.operators.synonyms import REMEDIES, SYNONYMS
from pipeline.match.operators.table import MODIFIERS, OPERATORS, Example, Operator
from pipeline.model.json import Value
from pipeline.model.records import MISSING
from pipeline.model.times import MAX_MS, MIN_MS, format_iso
from tests.kit.streams.matching import holds, holds_for, problems_of
from tests.kit.streams.records import event, user

SPEC = (
    "eq ne gt gte lt lte between in not_in contains not_contains starts_with ends_with glob regex exists "
    "present before after"
)
CONVERTING = "number text date version domain ip size weekday hour"
EXAMPLES = [
    pytest.param(operator, example, id=f"{operator.name}-{number}")
    for operator in OPERATORS.values()
    for number, example in enumerate(operator.examples)
]
CONVERTED = [
    pytest.param(conversion, *example, id=f"{conversion.name}-{number}")
    for conversion in CONVERSIONS.values()
    for number, example in enumerate(conversion.examples)
]


def test_the_table_holds_the_operators_of_the_language() -> None:
    assert sorted(OPERATORS) == sorted(SPEC.split())
    assert sorted(CONVERSIONS) == sorted(CONVERTING.split())


@pytest.mark.parametrize(("operator", "example"), EXAMPLES)
def test_an_example_of_the_table_holds_on_events_and_on_users(operator: Operator, example: Example) -> None:
    operators: dict[str, Value] = {operator.name: example.operand}
    if example.ignore_case:
        operators["ignore_case"] = True
    assert holds_for(example.value, operators) is example.holds


@pytest.mark.parametrize(("operator", "example"), EXAMPLES)
def test_not_around_an_example_is_the_opposite(operator: Operator, example: Example) -> None:
    operators = {operator.name: example.operand, **({"ignore_case": True} if example.ignore_case else {})}
    properties = {} if example.value is MISSING else {"x": example.value}
    assert holds({"not": {"user.properties.x": operators}}, None, user(properties)) is not example.holds


@pytest.mark.parametrize(("conversion", "value", "operator", "operand", "verdict"), CONVERTED)
def test_an_example_of_a_conversion_holds(
    conversion: Conversion, value: Value, operator: str, operand: Value, verdict: bool
) -> None:
    assert holds_for(value, {"as": conversion.name, operator: operand}) is verdict


@pytest.mark.parametrize("operator", list(OPERATORS.values()), ids=lambda operator: operator.name)
def test_every_operator_has_an_example_that_holds_and_one_that_does_not(operator: Operator) -> None:
    assert {example.holds for example in operator.examples} == {True, False}


@pytest.mark.parametrize(
    "operator", [one for one in OPERATORS.values() if one.negates], ids=lambda one: one.name
)
def test_a_negation_is_the_opposite_of_what_it_negates(operator: Operator) -> None:
    assert operator.negates is not None
    for example in (*operator.examples, *OPERATORS[operator.negates].examples):
        fold = {"ignore_case": True} if example.ignore_case else {}
        positive = holds_for(example.value, {operator.negates: example.operand, **fold})
        assert holds_for(example.value, {operator.name: example.operand, **fold}) is not positive


@pytest.mark.parametrize("conversion", list(CONVERSIONS.values()), ids=lambda one: one.name)
def test_operators_without_meaning_after_a_conversion_are_refused(conversion: Conversion) -> None:
    refused = [
        name
        for name, operator in OPERATORS.items()
        if name not in conversion.operators and operator.wants not in ("flag", "date")
    ]
    for name in refused:
        found = problems_of({"event.properties.x": {"as": conversion.name, name: "2026-01-01"}})
        assert [problem.code for problem in found if not problem.warning] == ["wrong-operand"], name


def test_synonyms_and_remedies_lead_to_operators_and_shadow_none() -> None:
    assert set(SYNONYMS.values()) <= set(OPERATORS)
    assert not (set(SYNONYMS) | set(REMEDIES)) & set(OPERATORS)
    assert not set(MODIFIERS) & set(OPERATORS)


@pytest.mark.parametrize(
    ("value", "operators", "verdict"),
    [
        (5, {"eq": 5.0}, True),
        (2**70, {"eq": 2**70}, True),
        (2**70, {"gt": 2**70 - 1}, True),
        (2**53 + 1, {"eq": float(2**53)}, False),
        (2**53 + 1, {"in": [2**53]}, False),
        (True, {"eq": 1}, False),
        (1, {"eq": True}, False),
        (0, {"in": [False]}, False),
        (False, {"in": [0]}, False),
        ("", {"eq": None}, False),
        (True, {"gt": False}, None),
        (True, {"gte": 0}, False),
        ([1, 2], {"eq": [1, 2]}, True),
        ([1, 2.0], {"eq": [1.0, 2]}, True),
        ([1, True], {"eq": [1, 1]}, False),
        ([1, 2], {"eq": [2, 1]}, False),
        ([[1, 2], 3], {"eq": [1, 2]}, True),
        ({"a": 1}, {"eq": {"a": 1}}, True),
        ({"a": True}, {"eq": {"a": 1}}, False),
        ({"a": 1, "b": 2}, {"eq": {"a": 1}}, False),
        ([{"a": 1}], {"in": [{"a": 1}, "x"]}, True),
        ([], {"ne": "a"}, True),
        ([], {"exists": True}, True),
        ([None], {"exists": True}, True),
        ([None], None, True),
        ([], {"gt": 0}, False),
        (["a"], {"starts_with": "a"}, True),
        (["b", "a"], {"not_in": ["a"]}, False),
        (["b", "c"], {"not_in": ["a"]}, True),
        (["b", 1], {"not_contains": ["a", 2]}, True),
        ("straße", {"eq": "STRASSE", "ignore_case": True}, True),
        (["Ab"], {"contains": "aB", "ignore_case": True}, True),
        ([["Ab"]], {"eq": [["aB"]], "ignore_case": True}, True),
        ([{"a": ["Ä"]}], {"contains": {"a": ["ä"]}, "ignore_case": True}, True),
        ({"a": "Ä"}, {"in": [{"a": "ä"}], "ignore_case": True}, True),
        ({"A": "ä"}, {"eq": {"a": "ä"}, "ignore_case": True}, False),
        ("Straße", {"regex": ["x", "^S.{4}E$"], "ignore_case": True}, True),
        ("STRAẞE", {"regex": "straße", "ignore_case": True}, True),
        ("ΟΔΟΣ", {"regex": "οδος", "ignore_case": True}, True),
        ("a\u212a", {"regex": "^ak$", "ignore_case": True}, True),
        ("A\nB", {"regex": r"^\S\n\S$", "ignore_case": True}, True),
        ("A1", {"regex": r"^\D\d$", "ignore_case": True}, True),
        ("İ", {"as": "text", "regex": "^.$", "ignore_case": True}, True),
        ("B", {"gt": "A"}, True),
        ("b", {"between": ["a", "c"]}, True),
        ("a\nb", {"glob": "a*b"}, True),
        ("a/b", {"glob": "a*b"}, False),
        ("a/b", {"glob": "a**b"}, True),
        ("a*b", {"glob": r"a\*b"}, True),
        ("axb", {"glob": r"a\*b"}, False),
        ("a?b.c", {"glob": "a?b.*"}, True),
        ("x.pdf", {"glob": ["*.doc", "*.pdf"]}, True),
        ("/a/b/c.html", {"glob": "/a/**/*.html"}, True),
        ("äöü", {"regex": "^.{3}$"}, True),
        ("abc", {"regex": ["^x", "c$"]}, True),
        ("  ", {"present": False}, True),
        (5, {"gte": 5, "lt": 6}, True),
        ([1, 9], {"gt": 5, "lt": 3}, True),
    ],
)
def test_typed_comparison_and_arrays(value: Value, operators: Value, verdict: bool | None) -> None:
    if verdict is None:
        assert problems_of({"event.properties.x": operators})
    else:
        assert holds_for(value, operators) is verdict


@pytest.mark.parametrize(
    ("value", "operators", "verdict"),
    [
        ("12", {"as": "number", "between": [5, 12]}, True),
        (" 12.5 ", {"as": "number", "gt": "12"}, True),
        ("1e3", {"as": "number", "eq": 1000}, True),
        ("1_000", {"as": "number", "exists": True}, False),
        ("0x10", {"as": "number", "exists": True}, False),
        ("NaN", {"as": "number", "exists": True}, False),
        ("1e999", {"as": "number", "exists": True}, False),
        ("9" * 5000, {"as": "number", "exists": True}, False),
        ("9007199254740993", {"as": "number", "eq": 9007199254740993}, True),
        (["x", "7"], {"as": "number", "gte": 5}, True),
        (["x"], {"as": "number", "exists": True}, False),
        ("x", {"as": "number", "ne": 5}, True),
        (1.5, {"as": "text", "eq": "1.5"}, True),
        (None, {"as": "text", "exists": True}, False),
        ("v2.0", {"as": "version", "eq": "2.0.0"}, True),
        ("2.0.0+build.7", {"as": "version", "eq": "2.0.0"}, True),
        ("1.0.0-alpha", {"as": "version", "lt": "1.0.0-alpha.1"}, True),
        ("1.0.0-alpha.beta", {"as": "version", "gt": "1.0.0-alpha.1"}, True),
        ("1.0.0-beta.11", {"as": "version", "gt": "1.0.0-beta.2"}, True),
        ("1.0.0-rc.1", {"as": "version", "between": ["1.0.0-alpha", "1.0.0"]}, True),
        ("117.0.5938.62", {"as": "version", "gte": "117"}, True),
        (117, {"as": "version", "gte": "100.0"}, True),
        ("02.0.0", {"as": "version", "exists": True}, False),
        ("10.0.0", {"as": "version", "in": ["9.0.0", "10.0"]}, True),
        ("a@B.C", {"as": "domain", "eq": "b.c"}, True),
        ("mailto:a@b.c?subject=x", {"as": "domain", "eq": "b.c"}, True),
        ("HTTPS://User:pw@Shop.Acme.com:8080/x?y", {"as": "domain", "eq": "shop.acme.com"}, True),
        ("acme.com.", {"as": "domain", "eq": "Acme.com"}, True),
        ("http://[::1", {"as": "domain", "exists": True}, False),
        ("a@b@c.d", {"as": "domain", "eq": "c.d"}, True),
        ("@acme.com", {"as": "domain", "exists": True}, False),
        ("a@mail.acme.com", {"as": "domain", "in": ["acme.com"]}, False),
        ("a@mail.acme.com", {"as": "domain", "glob": "**.acme.com"}, True),
        ("10.1.2.3", {"as": "ip", "in": ["192.168.0.0/16", "10.0.0.0/8"]}, True),
        ("2001:db8::7", {"as": "ip", "eq": "2001:db8::/32"}, True),
        ("10.1.2.3", {"as": "ip", "in": ["::ffff:10.0.0.0/104"]}, True),
        ("::ffff:10.1.2.3", {"as": "ip", "in": ["::ffff:0:0/96"]}, True),
        ("11.1.2.3", {"as": "ip", "in": ["::ffff:10.0.0.0/104"]}, False),
        ("::a01:203", {"as": "ip", "in": ["::ffff:0:0/96"]}, False),
        ("10.1.2.3", {"as": "ip", "ne": "10.1.2.4"}, True),
        ("no", {"as": "ip", "not_in": ["10.0.0.0/8"]}, True),
        (167772161, {"as": "ip", "exists": True}, False),
        ([], {"as": "size", "eq": 0}, True),
        ({"a": 1}, {"as": "size", "eq": 1}, True),
        (["a", "bb"], {"as": "size", "eq": 2}, True),
        (None, {"as": "size", "eq": 0}, False),
        ("2026-11-22T23:30:00Z", {"as": "weekday", "eq": "sun"}, True),
        ("2026-11-22T23:30:00Z", {"as": "weekday", "eq": "mon", "tz": "Europe/Berlin"}, True),
        ("2026-11-22T23:30:00Z", {"as": "weekday", "between": ["fri", "mon"]}, True),
        ("2026-11-22T23:30:00Z", {"as": "weekday", "in": ["Monday"]}, False),
        ("2026-07-01T07:00:00Z", {"as": "hour", "eq": "09:00", "tz": "Europe/Berlin"}, True),
        ("2026-01-01T07:00:00Z", {"as": "hour", "eq": "08:00", "tz": "Europe/Berlin"}, True),
        ("2026-01-01T17:30:59Z", {"as": "hour", "between": ["09:00", "17:30"]}, True),
        ("2026-01-01T17:31:00Z", {"as": "hour", "between": ["09:00", "17:30"]}, False),
        ("2026-01-01T03:00:00", {"as": "hour", "between": ["22:00", "06:00"]}, True),
        ("2026-01-01T23:59:59", {"as": "hour", "between": ["18:00", "24:00"]}, True),
        ("2026-01-01", {"as": "date", "eq": 1767225600}, True),
        (1767225600000, {"as": "date", "eq": "2026-01-01T01:00:00+01:00"}, True),
        ("2026-01-01", {"as": "date", "eq": "2025-12-31T23:00:00Z", "tz": "Europe/Berlin"}, True),
        ("2026-01-01T00:00:00Z", {"as": "date", "eq": "2026-01-01T00:00:00Z", "tz": "Asia/Tokyo"}, True),
        ("not a date", {"before": "2100-01-01"}, False),
        (True, {"after": "1900-01-01"}, False),
        ("2026-11-01", {"after": "-30d"}, True),
        ("2026-10-01", {"after": "-30d"}, False),
        ("2026-11-23T12:00:00Z", {"before": "now"}, False),
        ("2026-11-23T11:59:59.999Z", {"before": "now"}, True),
        ("2026-11-23T13:00:00Z", {"as": "date", "between": ["-1h", "+1h"]}, True),
        (["2020-01-01", "2026-11-20"], {"after": "-1d"}, False),
        (["2020-01-01", "2026-11-20"], {"after": "-7d"}, True),
    ],
)
def test_conversions(value: Value, operators: Value, verdict: bool) -> None:
    assert holds_for(value, operators) is verdict


def test_relative_dates_do_not_hold_for_an_event_without_time() -> None:
    assert not holds({"user.properties.x": {"after": "-30d"}}, event(time=None), user({"x": "2026-11-01"}))


@pytest.mark.parametrize("x", [None, "soon", [], [None, "soon"], {"a": 1}, True])
def test_what_is_no_date_is_neither_before_nor_after_one_that_is_relative(x: Value) -> None:
    for operator in ("before", "after", "gte"):
        tree = {"user.properties.x": {"as": "date", operator: "-30d"}}
        assert not holds(tree, event(), user({"x": x}))
    assert not holds({"user.properties.gone": {"after": "-30d"}}, event(), user({}))


@pytest.mark.parametrize(
    ("values", "exists", "present"),
    [
        ([], False, False),
        ([None], False, False),
        (["", None], True, False),
        ([None, 0], True, True),
    ],
)
def test_of_many_elements_one_that_is_there_is_enough(
    values: list[Value], exists: bool, present: bool
) -> None:
    seen = event(properties={"items": [{"x": value} for value in values]})
    for wanted in (True, False):
        assert holds({"event.properties.items[*].x": {"exists": wanted}}, seen) is (exists is wanted)
        assert holds({"event.properties.items[*].x": {"present": wanted}}, seen) is (present is wanted)


def test_event_time_is_read_as_a_date_whatever_form_it_came_in() -> None:
    assert holds({"event.time": {"as": "weekday", "eq": "mon"}})
    assert holds({"event.time": {"after": "2026-11-23", "before": "2026-11-24"}})
    assert not holds({"event.received_at": {"exists": True}})


@pytest.mark.parametrize(
    ("operators", "properties", "verdict"),
    [
        ({"eq": {"path": "user.properties.y"}}, {"y": 5.0}, True),
        ({"eq": {"path": "user.properties.y"}}, {"y": "5"}, False),
        ({"eq": {"path": "user.properties.y"}}, {}, False),
        ({"ne": {"path": "user.properties.y"}}, {}, True),
        ({"gt": {"path": "user.properties.y"}}, {"y": 4}, True),
        ({"gt": {"path": "user.properties.y"}}, {"y": "4"}, False),
        ({"gt": {"path": "user.properties.y"}}, {"y": {}}, False),
        ({"gt": {"path": "user.properties.y"}}, {"y": True}, False),
        ({"in": {"path": "user.properties.y"}}, {"y": [4, 5]}, True),
        ({"in": {"path": "user.properties.y"}}, {"y": 5}, True),
        ({"in": [{"path": "user.properties.y"}, 7]}, {"y": [1]}, False),
        ({"not_in": {"path": "user.properties.y"}}, {"y": [4]}, True),
        ({"between": [{"path": "user.properties.y"}, 9]}, {"y": 5}, True),
        ({"between": [{"path": "user.properties.y"}, 9]}, {}, False),
        ({"between": [{"path": "user.properties.y"}, 9]}, {"y": "1"}, False),
        ({"eq": {"path": "vars.five"}}, {}, True),
        ({"eq": {"path": "user.properties.many[*].n"}}, {"many": [{"n": 1}, {"n": 5}]}, True),
        ({"as": "text", "starts_with": {"path": "user.properties.y"}}, {"y": "5"}, True),
        ({"as": "number", "eq": {"path": "user.properties.y"}}, {"y": "5"}, True),
    ],
)
def test_operands_from_other_paths(operators: Value, properties: dict[str, Value], verdict: bool) -> None:
    tree = {"event.properties.x": operators}
    assert holds(tree, event(properties={"x": 5}), user(properties), vars={"five": 5}) is verdict


@pytest.mark.parametrize(
    ("operators", "x", "y", "verdict"),
    [
        ("eq", ["a", "pro"], "pro", True),
        ("eq", ["a"], "pro", False),
        ("eq", "pro", [], False),
        ("ne", "pro", [], True),
        ("gt", [1, 9], 5, True),
        ("gt", [1, 9], [8, 10], True),
        ("lt", 9, [8, 10], True),
        ("gt", 9, [9, "a", None, True, {}], False),
        ("starts_with", "ac", ["a", "ab"], True),
        ("starts_with", ["x", "ac"], ["ab", "a"], True),
        ("starts_with", "A", ["a"], False),
        ("starts_with", 5, ["5"], False),
        ("ends_with", "ca", ["a", "ba"], True),
        ("ends_with", 5, ["5"], False),
    ],
)
def test_of_arrays_on_either_side_any_element_counts(
    operators: str, x: Value, y: Value, verdict: bool
) -> None:
    other = "user.properties.y[*]" if isinstance(y, list) else "user.properties.y"
    tree = {"event.properties.x": {operators: {"path": other}}}
    assert holds(tree, event(properties={"x": x}), user({"y": y})) is verdict


@pytest.mark.parametrize(
    ("now", "verdict"), [("23:00", True), ("05:00", True), ("12:00", False), ("22:00", True)]
)
def test_hours_of_other_paths_may_lie_across_midnight(now: str, verdict: bool) -> None:
    between = [{"path": "user.properties.from"}, {"path": "user.properties.to"}]
    tree = {"event.properties.x": {"as": "hour", "between": between}}
    at = event(properties={"x": f"2026-11-23T{now}:00Z"})
    assert holds(tree, at, user({"from": "22:00", "to": "06:00"})) is verdict


def test_a_time_zone_may_come_from_a_path_and_falls_back_to_utc() -> None:
    tree: dict[str, Any] = {"event.time": {"as": "hour", "eq": "07:00", "tz": "user.properties.zone"}}
    assert holds(tree, event(), user({"zone": "America/New_York"}))
    assert not holds(tree, event(), user({"zone": "Europe/Berlin"}))
    utc: dict[str, Any] = {"event.time": {"as": "hour", "eq": "12:00", "tz": "user.properties.zone"}}
    assert holds(utc, event(), user())
    assert holds(utc, event(), user({"zone": "../../etc/passwd"}))
    assert holds(utc, event(), user({"zone": 5}))


@pytest.mark.parametrize(
    ("operators", "verdict"),
    [
        ({"as": "date", "eq": "2026-03-01T10:00"}, True),
        ({"as": "date", "in": ["2026-03-01", "2026-03-01T10:00"]}, True),
        ({"as": "date", "lt": "2026-03-01T10:01"}, True),
        ({"before": "2026-03-01T10:01"}, True),
        ({"after": "2026-03-01T10:01"}, False),
        ({"as": "date", "between": ["2026-03-01T09:59", "2026-03-01T10:00"]}, True),
        ({"as": "date", "between": ["2026-03-01T15:00Z", "2026-03-01T15:00Z"]}, True),
    ],
)
def test_a_date_without_zone_is_in_the_zone_of_the_path_on_both_sides(
    operators: dict[str, Value], verdict: bool
) -> None:
    tree: dict[str, Any] = {"event.properties.x": {**operators, "tz": "user.properties.zone"}}
    at = event(properties={"x": "2026-03-01T10:00"})
    assert holds(tree, at, user({"zone": "America/New_York"})) is verdict


def test_lists_from_files_are_texts_or_converted() -> None:
    lists = {"lists/free.txt": ["gmail.com", "gmx.de"], "lists/ids.txt": ["1", "2"]}
    free = {"as": "domain", "in": {"file": "lists/free.txt"}}
    assert holds_for("a@GMX.de", free, lists=lists)
    assert not holds_for("a@acme.com", free, lists=lists)
    assert not holds_for(1, {"in": {"file": "lists/ids.txt"}}, lists=lists)
    assert holds_for(1, {"as": "number", "in": {"file": "lists/ids.txt"}}, lists=lists)
    assert holds_for("3", {"not_in": {"file": "lists/ids.txt"}}, lists=lists)
    assert holds_for("1", {"in": ["x", {"file": "lists/ids.txt"}]}, lists=lists)
    assert holds_for("x", ["x", {"file": "lists/ids.txt"}], lists=lists)
    assert not holds_for("3", {"in": ["x", {"file": "lists/ids.txt"}]}, lists=lists)


@given(
    ms=st.integers(MIN_MS, MAX_MS),
    operators=st.sampled_from(
        [
            {"as": "weekday", "in": ["mon", "sat"], "tz": "America/New_York"},
            {"as": "hour", "between": ["22:00", "06:00"], "tz": "Asia/Kolkata"},
            {"as": "hour", "lt": "12:00"},
            {"as": "date", "gte": "1999-12-31T23:00:00Z"},
            {"after": "-30d"},
            {"before": "now"},
            {"as": "date", "eq": "now"},
            {"as": "date", "between": ["-1h", "+1h"]},
        ]
    ),
)
def test_the_time_of_an_event_compares_like_its_text(ms: int, operators: dict[str, Value]) -> None:
    one = event(time=ms, properties={"text": format_iso(ms)})
    assert holds({"event.time": operators}, one) is holds({"event.properties.text": operators}, one)


def test_the_time_of_an_event_outside_the_calendar_is_missing() -> None:
    for operators in ({"after": "2000-01-01"}, {"as": "hour", "exists": True}, {"as": "date", "gt": 0}):
        assert not holds({"event.time": operators}, event(time=10**16))
        assert not holds({"event.time": operators}, event(time=None))


CASED = [name for name, operator in OPERATORS.items() if operator.cased]
WORDS = ["Straße", "İstanbul", "ΟΔΟΣ", "Ångström K", "ﬁn ŉ ǰ", "ǅ"]


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", CASED)
def test_a_text_is_found_in_itself_with_and_without_its_case(name: str, word: str) -> None:
    operator = OPERATORS[name]
    operand = [word] if operator.wants == "list" else word
    for value in (word, ["x", word], *([word.upper(), word.casefold()] if name != "regex" else [])):
        found = holds_for(value, {name: operand, "ignore_case": True})
        assert found is (operator.negates is None), value
    listed = {"event.properties.x": {name: operand, "ignore_case": True}}
    inside = {"any_element": {"event.properties.l": {"x": {name: operand, "ignore_case": True}}}}
    assert holds({"all": [listed, inside]}, event("A", {"x": word, "l": [{"x": word}]})) is (
        operator.negates is None
    )


@pytest.mark.parametrize("word", WORDS)
def test_a_list_file_and_another_path_ignore_case_as_well(word: str) -> None:
    def found(operators: dict[str, Value]) -> bool:
        where = {"event.properties.x": {**operators, "ignore_case": True}}
        happened = event("A", {"x": word.upper(), "y": word, "z": [word]})
        return holds(where, happened, lists={"l.txt": ["x", word]})

    assert found({"in": {"file": "l.txt"}})
    assert not found({"not_in": {"file": "l.txt"}})
    for operand in ({"path": "event.properties.y"}, {"path": "event.properties.z"}):
        assert found({"in" if operand["path"].endswith("z") else "eq": operand})
        assert found({"contains": operand})
        assert found({"starts_with": operand})
