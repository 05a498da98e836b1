"""What a constant says, and what a path says that leads to it: the same, whatever operator and conversion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.yaml.diagnostics import Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.operators.conversions import CONVERSIONS
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value
from tests.kit.examples import examples
from tests.kit.streams.matching import holds_for
from tests.kit.streams.records import event, user

SCALARS: list[Value] = [
    *(None, True, False, 0, 1, -1, 5, 5.0, 1e20, 2**70, 1769817600, 1769817600000),
    *("", " ", "a", "A", "ab", "ß", "SS", "İ", "\u212a", "k", "true", "null", "[1]"),
    *("5", "5.0", "05", "1e3", "1.2.3", "1.2.3-rc.1", "v1.2"),
    *("2026-01-31", "2026-01-31T10:00:00", "2026-01-31T10:00:00Z", "2026-01-31T10:00:00+02:00"),
    *("mon", "Monday", "09:00", "23:59", "24:00"),
    *("ann@Acme.com", "https://shop.acme.com:80/x", "acme.com", "Acme.com.", ".acme.com", "acme"),
    *("münchen.de", "xn--mnchen-3ya.de", "10.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "10.0.0.0/8"),
]
scalars = st.sampled_from(SCALARS)
values = scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.sampled_from("ab"), scalars, max_size=2)
by_path = [name for name in OPERATORS if name not in ("exists", "present", "glob", "regex")]


def compiled(tree: Value) -> Predicate | None:
    problems = Problems()
    condition = compile_condition(tree, problems)
    return None if problems.errors else condition.whole


@given(st.data())
@settings(max_examples=examples(120), deadline=None)
def test_another_path_means_what_a_constant_means(data: Any) -> None:
    operator = data.draw(st.sampled_from(by_path))
    wants = OPERATORS[operator].wants
    operand, other = data.draw(values), {"path": "event.properties.y"}
    beside: dict[str, Value] = {}
    if conversion := data.draw(st.none() | st.sampled_from(sorted(CONVERSIONS))):
        beside["as"] = conversion
    if data.draw(st.booleans()):
        beside["ignore_case"] = True
    if zone := data.draw(st.none() | st.sampled_from(["Europe/Berlin", "event.properties.zone"])):
        beside["tz"] = zone
    said: Any = other
    if wants == "list":
        operand = data.draw(st.lists(values, min_size=1, max_size=3))
    elif wants == "range":
        operand = [data.draw(scalars), data.draw(scalars)]
        said = [{"path": "event.properties.y[0]"}, {"path": "event.properties.y[1]"}]
    path = data.draw(st.sampled_from(["event.properties.x", "event.properties.x[*]"]))
    constant, dynamic = (compiled({path: {operator: one, **beside}}) for one in (operand, said))
    if constant is None or dynamic is None:
        return
    value = data.draw(
        values | (st.just(operand) if wants not in ("list", "range") else st.sampled_from(operand))
    )
    one = event(properties={"x": value, "y": operand, "zone": "Asia/Tokyo"})
    assert constant(one, user(), None) is dynamic(one, user(), None)


@pytest.mark.parametrize(
    ("operator", "part"), [("ends_with", ".acme.com"), ("contains", "acme"), ("starts_with", "Shop.")]
)
def test_a_path_may_hold_a_part_of_a_domain(operator: str, part: str) -> None:
    def holds(value: str) -> bool:
        condition = compiled(
            {"event.properties.x": {"as": "domain", operator: {"path": "event.properties.y"}}}
        )
        assert condition is not None
        found = condition(event(properties={"x": value, "y": part}), user(), None)
        assert found is holds_for(value, {"as": "domain", operator: part})
        return found

    assert holds("https://shop.acme.com/x")
    assert not holds("https://example.org/")
