"""Where ranges end, and what operands of a loop are compared with."""

from __future__ import annotations

import pytest

from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.path_syntax import EVENT_ROOTS
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.operators.addresses import domain_operand, to_domain
from pipeline.match.operators.dates import zone
from pipeline.match.operators.values import OperandError
from pipeline.model.json import Value
from pipeline.model.records import MISSING
from tests.kit.streams.matching import holds_for, problems_of
from tests.kit.streams.records import event, user

NIGHT = {"as": "hour", "between": ["22:00", "06:00"]}
DAY = {"as": "hour", "between": ["06:00", "22:00"]}
LONG_WEEKEND = {"as": "weekday", "between": ["fri", "mon"]}


@pytest.mark.parametrize(
    ("operators", "value", "wanted"),
    [
        (NIGHT, "2026-11-23T22:00:00Z", True),
        (NIGHT, "2026-11-23T21:59:59.999Z", False),
        (NIGHT, "2026-11-23T06:00:59Z", True),
        (NIGHT, "2026-11-23T06:01:00Z", False),
        (NIGHT, "2026-11-23T00:00:00Z", True),
        (DAY, "2026-11-23T06:00:00Z", True),
        (DAY, "2026-11-23T22:00:59Z", True),
        (DAY, "2026-11-23T22:01:00Z", False),
        (DAY, "2026-11-23T05:59:00Z", False),
        (LONG_WEEKEND, "2026-11-20T00:00:00Z", True),
        (LONG_WEEKEND, "2026-11-19T23:59:59Z", False),
        (LONG_WEEKEND, "2026-11-23T23:59:59Z", True),
        (LONG_WEEKEND, "2026-11-24T00:00:00Z", False),
        (LONG_WEEKEND, "1969-12-29T00:00:00Z", True),
        ({"between": ["b", "d"]}, "b", True),
        ({"between": ["b", "d"]}, "d", True),
        ({"between": ["b", "d"]}, "da", False),
        ({"between": ["b", "d"]}, "a", False),
        ({"between": ["b", "b"]}, "b", True),
        ({"between": [1, 1]}, 1.0, True),
        ({"between": [-0.0, 5]}, 0, True),
        ({"as": "version", "between": ["1.2", "2"]}, "2.0.0", True),
        ({"as": "version", "between": ["1.2", "2"]}, "2.0.1", False),
        ({"as": "version", "between": ["1.2", "2"]}, "1.2.0-rc", False),
        ({"as": "date", "between": ["2026-01-01", "2026-12-31"]}, "2026-12-31T00:00:00.001Z", False),
    ],
)
def test_both_ends_are_inside_also_where_a_range_runs_over_the_end(
    operators: Value, value: Value, wanted: bool
) -> None:
    assert holds_for(value, operators) is wanted


@pytest.mark.parametrize(
    ("tree", "wanted"),
    [
        ({"item.a": {"gt": {"path": "item.b"}}}, [True, False, False]),
        ({"item.a": {"path": "item.b"}}, [False, False, True]),
        ({"item.a": {"ne": {"path": "item.b"}}}, [True, True, False]),
        ({"item.a": {"in": [0, {"path": "item.b"}]}}, [False, False, True]),
        ({"item.a": {"between": [{"path": "item.b"}, {"path": "vars.top"}]}}, [True, False, True]),
        ({"item.t": {"as": "hour", "tz": "item.zone", "eq": "09:00"}}, [False, True, False]),
        ({"item.t": {"as": "hour", "tz": "item.zone", "eq": {"path": "vars.at"}}}, [False, True, False]),
        ({"any_element": {"item.l": {"gt": {"path": "item.b"}}}}, [True, False, False]),
    ],
)  # fmt: skip
def test_an_operand_of_a_loop_is_read_anew_for_each_item_of_one_event(
    tree: Value, wanted: list[bool]
) -> None:
    problems = Problems()
    vars: dict[str, Value] = {"top": 3, "at": "09:00"}
    condition = compile_condition(tree, problems, vars=vars, roots=(*EVENT_ROOTS, "item", "index"))
    assert [one for one in problems.found if not one.warning] == []
    one, whose = event(), user()
    items: list[Value] = [
        {"a": 3, "b": 1, "t": "2026-11-23T08:00:00Z", "zone": "UTC", "l": [0, 2]},
        {"a": 1, "b": 3, "t": "2026-11-23T08:00:00Z", "zone": "Europe/Berlin", "l": [3]},
        {"a": 2, "b": 2.0, "t": "2026-11-23T08:00:00Z", "zone": "Asia/Tokyo", "l": [1, 2]},
    ]
    assert [condition.whole(one, whose, {"item": item}) for item in items] == wanted


@pytest.mark.parametrize(
    ("value", "domain"),
    [
        ("//Shop.Acme.com:80/x", "shop.acme.com"),
        ("mailto:Ann@Acme.com?subject=a@b.c", "acme.com"),
        ("MAILTO:ann@acme.com", "acme.com"),
        ("ann@acme.com.", "acme.com"),
        ("a" * 8180 + "@acme.com", "acme.com"),
        ("a" * 8192 + "@acme.com", MISSING),
        ("ann@" + "a." * 130 + "com", "a." * 130 + "com"),
        ("http://[::1]/", MISSING),
        ("@acme.com", MISSING),
        ("ann@", MISSING),
        ("ann@ac me.com", MISSING),
        (5, MISSING),
    ],
)
def test_a_domain_is_what_stands_behind_the_at_or_between_the_slashes(value: Value, domain: Value) -> None:
    assert to_domain(value) == domain


@pytest.mark.parametrize("wrong", ["", "  ", 5, None, "a@acme.com", "https://acme.com"])
def test_what_is_no_domain_alone_is_no_operand(wrong: Value) -> None:
    with pytest.raises(OperandError):
        domain_operand(wrong, None)


@pytest.mark.parametrize("name", ["x" * 101, "UTC\x00", "", "../UTC", "/etc/passwd", "Europe", "Mars/Base"])
def test_a_name_that_leads_elsewhere_is_no_zone(name: str) -> None:
    assert zone(name) is None


IN_ORDER = (
    *("0.9", "1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-11.a", "1.0.0-alpha"),
    *("1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1"),
    *("1.0.0", "1.0.0.1", "1.0.0.10", "1.0.1", "1.2", "1.10", "2", "10"),
)
"""Section 11 of semver.org, and what stands beside it: four parts, bare numbers."""


def test_versions_are_in_the_order_of_the_specification() -> None:
    for at, version in enumerate(IN_ORDER):
        for number, other in enumerate(IN_ORDER):
            assert holds_for(version, {"as": "version", "lt": other}) is (at < number), (version, other)
            assert holds_for(version, {"as": "version", "eq": other}) is (at == number), (version, other)


@pytest.mark.parametrize(
    "value", ["1.0.0-01", "1.0.0-", "1.0.0-a..b", "01.0", "1..0", "1.0.0 beta", "", "x", True]
)
def test_what_is_no_version_is_missing(value: Value) -> None:
    assert not holds_for(value, {"as": "version", "exists": True})


@pytest.mark.parametrize("value", ["v1.2.0", "1.2", "1.2.0+build.7", " 1.2.0.0 ", 1.2])
def test_spellings_of_one_version_are_equal(value: Value) -> None:
    assert holds_for(value, {"as": "version", "eq": "1.2.0"})


@pytest.mark.parametrize(
    ("operators", "hint"),
    [
        ({"as": "version", "gte": 17.4}, 'a text such as "4.10.1" (quoted)'),
        ({"as": "version", "gte": True}, 'a text such as "4.10.1" (quoted)'),
        ({"as": "size", "gte": "3"}, None),
        ({"as": "size", "gte": 1.5}, None),
    ],
)
def test_an_operand_that_a_conversion_does_not_compare_with_is_refused(
    operators: Value, hint: str | None
) -> None:
    (found,) = problems_of({"event.properties.x": operators})
    assert (found.warning, found.code, found.hint) == (False, "wrong-operand", hint)


def test_text_that_is_a_number_becomes_one_up_to_a_length_that_is_none() -> None:
    assert holds_for("0" * 399 + "5", {"as": "number", "eq": 5})
    assert not holds_for("0" * 400 + "5", {"as": "number", "exists": True})
    assert holds_for("18446744073709551615.0", {"as": "number", "eq": 18446744073709551615})


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, False),
        (MISSING, False),
        ("", False),
        (" \t\u00a0", False),
        ("\u200b", True),
        ([], False),
        ({}, False),
        ([None], True),
        ({"a": None}, True),
        (0, True),
        (False, True),
    ],
)
def test_present_is_all_but_missing_null_blank_and_empty(value: Value, wanted: bool) -> None:
    assert holds_for(value, {"present": True}) is wanted
    assert holds_for(value, {"present": False}) is not wanted


@pytest.mark.parametrize("count", [1, 8, 9, 40])
def test_objects_and_lists_are_found_among_few_and_among_many(count: int) -> None:
    among: list[Value] = [{"n": number, "l": [number, "A"]} for number in range(count)]
    assert holds_for({"l": [count - 1.0, "A"], "n": count - 1}, {"in": among})
    assert not holds_for({"n": count, "l": [count, "A"]}, {"in": among})
    assert not holds_for({"n": True, "l": [1, "A"]}, {"in": among})
    assert holds_for({"n": 0, "l": [0, "a"]}, {"in": among, "ignore_case": True})
    assert not holds_for({"n": 0, "l": [0, "a"]}, {"in": among})
    assert not holds_for({"N": 0, "l": [0, "a"]}, {"in": among, "ignore_case": True})
