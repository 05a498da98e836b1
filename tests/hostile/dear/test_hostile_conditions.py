"""Events at the size limit against every kind of condition: decided in bounded work, or too expensive."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pipeline.language import work
from pipeline.language.work import BUDGET, RECORD, TooExpensive
from pipeline.match.index import _NOBODY as NOBODY
from pipeline.match.index import TriggerIndex
from pipeline.match.selectors import compile_selector
from pipeline.model.json import Value
from pipeline.model.records import Event
from tests.kit.named import cut
from tests.kit.streams.matching import condition, holds_for, labels_of, read_labels, trigger_of
from tests.kit.streams.records import event, user

pytestmark = pytest.mark.timeout(60)

MANY = 8_000
NUMBERS, OTHERS = list(range(MANY)), [-1 - number for number in range(MANY)]
TEXTS, OTHER_TEXTS = [f"a{n}" for n in range(MANY)], [f"b{n}" for n in range(MANY)]
PAIRS, OTHER_PAIRS = [[n, "a"] for n in range(MANY)], [[n, "b"] for n in range(MANY)]
NESTED: dict[str, Value] = {"any_element": {"b": {"eq": 1}}}
HUGE = "x" * 500_000


def path(name: str) -> dict[str, str]:
    return {"path": f"event.properties.{name}"}


def spent(tree: Value, properties: dict[str, Value]) -> int:
    """Return the work of a condition that does not hold."""
    whole, one, who = condition(tree).whole, event(properties=properties), user()
    work.begin(one, who)
    assert not whole(one, who, None)
    return BUDGET - work._work.left


@pytest.mark.parametrize(
    ("said", "a", "b"),
    [
        ({"in": path("b")}, NUMBERS, OTHERS),
        ({"in": path("b")}, PAIRS, OTHER_PAIRS),
        ({"eq": path("b[*]")}, TEXTS, OTHER_TEXTS),
        ({"contains": path("b")}, NUMBERS, OTHERS),
        ({"starts_with": path("b")}, TEXTS, OTHER_TEXTS),
        ({"ends_with": path("b")}, TEXTS, [f"{text}z" for text in TEXTS]),
        ({"gt": path("b[*]")}, OTHERS, NUMBERS),
        ({"lte": path("b[*]")}, NUMBERS, OTHERS),
        ({"between": [path("b[*]"), path("b[*]")]}, OTHERS, NUMBERS),
        ({"in": path("b"), "ignore_case": True}, TEXTS, OTHER_TEXTS),
    ],
    ids=cut(40),
)
def test_operands_of_paths_are_resolved_once(said: Value, a: list[Value], b: list[Value]):
    few, many = 1_000, MANY
    work_of_few = spent({"event.properties.a[*]": said}, {"a": a[:few], "b": b[:few]})
    work_of_many = spent({"event.properties.a[*]": said}, {"a": a[:many], "b": b[:many]})
    assert work_of_many <= 10 * work_of_few, "8 times the event is 8 times the work"


@pytest.mark.parametrize(
    ("tree", "properties"),
    [
        ({"event.properties.a": {"contains": path("b")}}, {"a": HUGE, "b": OTHER_TEXTS}),
        ({"any_element": {"event.properties.a": {"x": 1}}}, {"a": [{}] * 100_000}),
        ({"any_element": {"event.properties.a[*]": {"x": 1}}}, {"a": [[{}] * 1_000] * 100}),
        (
            {"any_element": {"event.properties.a": NESTED}},
            {"a": [{"b": [2] * 300}] * 300},
        ),
        ({"any": [{"event.properties.a": {"regex": f"y{n}$"}} for n in range(40)]}, {"a": HUGE}),
        ({"event.properties.a[*]": {"as": "date", "gt": "2026-01-01"}}, {"a": ["x"] * 100_000}),
        ({"event.properties.a": {"as": "version", "gt": "1.0.0"}}, {"a": ["x"] * 100_000}),
        ({"event.properties.a": {"contains": "z", "ignore_case": True}}, {"a": [[["x"] * 300] * 10] * 400}),
        ({"event.properties.a[*].b[*].c[*]": 1}, {"a": [{"b": [{"c": [2] * 100}] * 100}] * 100}),
    ],
    ids=cut(50),
)
def test_what_cannot_be_cheap_is_bounded_at_the_same_point_in_every_run(tree: Value, properties: Any):
    whole, one, who = condition(tree).whole, event(properties=properties), user()
    for _ in range(2):
        work.begin(one, who)
        with pytest.raises(TooExpensive, match="too-expensive"):
            whole(one, who, None)


def test_to_find_webhooks_by_the_elements_of_a_list_is_work_for_each_of_them():
    wheres: list[Value] = [{"event.properties.x": number} for number in range(20)]
    index = TriggerIndex([trigger_of({"trigger": {"events": ["A"], "where": where}}) for where in wheres])
    one = event("A", {"x": OTHERS})
    work.begin(one, NOBODY)
    assert index.select(one) == ()
    assert BUDGET - work._work.left == len(OTHERS)


OPERATORS: list[tuple[str, list[Value]]] = [
    ("in", [1, 2.0, "a", None, True, [1], {"k": [1, 2.0]}]),
    ("eq", [1, 2.0, "a", None, True, [1], {"k": [1, 2.0]}]),
    *((name, [1, 2.5, "a", "b", True, None, [3]]) for name in ("gt", "gte", "lt", "lte")),
    *((name, ["a", "ab", "b", "", "ba", "aba", 1]) for name in ("starts_with", "ends_with", "contains")),
]


@pytest.mark.parametrize(("operator", "values"), OPERATORS, ids=[name for name, _ in OPERATORS])
def test_one_test_for_many_operands_says_what_one_test_for_each_says(operator: str, values: list[Value]):
    dice = random.Random(operator)
    for _ in range(60):
        operands = dice.choices(values, k=dice.randint(1, 12))
        value = dice.choice([*values, dice.choices(values, k=3)])
        one_by_one = any(
            condition({"event.properties.x": {operator: path("y")}}).whole(
                event(properties={"x": value, "y": operand}), user(), None
            )
            for operand in operands
        )
        together = condition({"event.properties.x": {operator: path("y[*]")}})
        found = together.whole(event(properties={"x": value, "y": operands}), user(), None)
        assert found is one_by_one, (value, operands)


@pytest.mark.parametrize("conversion", ["hour", "weekday"])
def test_ranges_over_the_end_hold_as_each_of_them_does(conversion: str):
    dice = random.Random(conversion)
    times = [f"{hour:02}:{minute:02}" for hour in range(0, 24, 3) for minute in (0, 30)]
    names = times if conversion == "hour" else ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    for _ in range(80):
        at = f"2026-11-{dice.randint(1, 28):02}T{dice.choice(times)}:00Z"
        lows, highs = dice.choices(names, k=3), dice.choices(names, k=2)
        each = any(
            holds_for(at, {"as": conversion, "between": [low, high]}) for low in lows for high in highs
        )
        tree = {"event.properties.x": {"as": conversion, "between": [path("low[*]"), path("high[*]")]}}
        properties = {"x": at, "low": lows, "high": highs}
        assert condition(tree).whole(event(properties=properties), user(), None) is each, (at, lows, highs)


@pytest.mark.parametrize("depth", [1, 2, 6])
def test_inner_selectors_are_asked_once_per_chain(depth: int):
    selector = "a b"
    for _ in range(depth):
        selector = f":is({selector}) :not({selector})"
        if len(selector) > 1_000:
            break
    chain: list[dict[str, Value]] = [{"tag": "b", "classes": [], "attributes": {}} for _ in range(256)]
    compile_selector(selector)(chain)


def test_labels_that_name_labels_are_asked_once_per_event():
    files: list[dict[str, Value]] = [{"name": "l0", "where": {"event.properties.n": 1}}]
    for level in range(1, 9):
        files.append({"name": f"l{level}", "where": {"any": [{"label": f"l{level - 1}"}] * 10}})
    label = labels_of(*files).get("l8")
    assert label is not None
    assert not label.node.test(event(properties={"n": 2}), user(), None)
    assert label.node.test(event(properties={"n": 1}), user(), None)


def test_labels_that_multiply_are_refused():
    files: list[dict[str, Value]] = [
        {"name": "l0", "any": [{"events": ["a"], "where": {"event.properties.n": n}} for n in range(10)]}
    ]
    for level in range(1, 7):
        files.append({"name": f"l{level}", "events": [f"l{level - 1}"] * 10})
    _, problems = read_labels(*files)
    assert "too-many-alternatives" in {problem.code for problem in problems}


# --- one webhook's bomb is nobody else's


BOMB: dict[str, Value] = {"any_element": {"event.properties.a": {"x": 1}}}
CHEAP: dict[str, Value] = {"event.properties.n": 1}


def index_of(*wheres: Value) -> TriggerIndex:
    return TriggerIndex(
        [
            trigger_of({"trigger": {"events": ["bought"], "where": where}}, f"w{number}")
            for number, where in enumerate(wheres)
        ]
    )


def bought(elements: int) -> Event:
    return event("bought", properties={"n": 1, "a": [{}] * elements})


@pytest.mark.parametrize(
    ("wheres", "found"),
    [
        ([BOMB], (~0,)),
        ([CHEAP, BOMB, CHEAP], (0, ~1, 2)),
        ([BOMB, BOMB, CHEAP], (~0, ~1, 2)),
        ([{"all": [CHEAP, BOMB]}, {"any": [CHEAP, BOMB]}, {"not": BOMB}], (~0, 1, ~2)),
        ([CHEAP] * 12 + [BOMB], (*range(12), ~12)),
    ],
)
def test_a_webhook_over_its_budget_is_undecided_and_the_others_are_not(wheres: list[Value], found: Value):
    assert index_of(*wheres).select(bought(60_000)) == found


def test_many_webhooks_that_are_each_within_their_budget_are_all_decided():
    dear = [{"any_element": {"event.properties.a": {"x": number}}} for number in range(6)]
    index = index_of(*dear, CHEAP)
    assert index.select(bought(20_000)) == (6,)
    assert index.select(bought(20_000)) == (6,)


def test_all_webhooks_together_take_no_more_than_the_budget_of_a_record():
    fine: dict[str, Value] = {"event.properties.a": {"as": "size", "gt": 0}, "event.properties.b[*]": 1}
    index = index_of(*[BOMB] * 40, CHEAP, fine)
    for _ in range(2):
        large = bought(60_000)
        large.properties["b"] = [1] * 100
        assert index.select(large) == (*(~number for number in range(40)), 40, ~41), "nothing is left for it"
        # So much was counted, the least of attempts that were given up at once included.
        assert work._work.used <= RECORD
        assert work._work.given - work._work.left <= 20 * 60_000


def test_an_event_that_was_too_dear_does_not_make_the_next_one_dear():
    index = index_of(*[BOMB] * 8, CHEAP)
    assert index.select(bought(60_000))[:-1] == tuple(~number for number in range(8))
    assert index.select(bought(10_000)) == (8,)
