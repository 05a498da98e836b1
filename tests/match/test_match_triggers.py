"""Triggers: events, changes, where, exclude and sample; and the index over them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config.yaml.diagnostics import Problem
from pipeline.language.paths import Scope
from pipeline.match import index as index_module
from pipeline.match.conditions.nodes import Predicate
from pipeline.match.index import TriggerIndex
from pipeline.match.triggers import Trigger
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from tests.kit.streams.matching import labels_of, read_labels, read_trigger, trigger_of
from tests.kit.streams.records import event, user


def triggers(*parts: Mapping[str, Value], **options: Any) -> list[Trigger]:
    """Compile triggers of webhooks of which every other one has another var."""
    return [
        trigger_of({"trigger": part, "vars": {"f": "pq"[number % 2]}}, f"w{number}", **options)
        for number, part in enumerate(parts)
    ]


def select(index: TriggerIndex, one: Event) -> tuple[int, ...]:
    """Select, and compare with what each trigger says by itself."""
    found = index.select(one)
    assert index.select(one) == found
    assert not found or index.wants(one.name, one.kind)
    assert not found or index.wants(one.name, None)
    return found


def changed(**properties: Value) -> Event:
    return event("User updated", properties, kind="update")


def problems_of(webhook: Mapping[str, Value], **options: Any) -> list[Problem]:
    return read_trigger(webhook, **options)[1]


def test_webhooks_are_found_by_name_in_the_order_of_the_config() -> None:
    index = TriggerIndex(
        triggers(
            {"events": ["B", "A"]}, {"events": "*"}, {"events": ["A"]}, {"events": "C"}, {"changes": ["x"]}
        )
    )
    assert select(index, event("A")) == (0, 1, 2)
    assert select(index, event("B")) == (0, 1)
    assert select(index, event("C")) == (1, 3)
    assert select(index, event("anything else")) == (1,)


def test_an_event_that_nobody_wants_is_known_by_its_name_alone() -> None:
    index = TriggerIndex(triggers({"events": ["A"]}))
    assert select(index, event("B")) == ()
    assert not index.wants("B", "track")
    assert not index.wants("B", None)
    assert index.wants("A", "track")
    assert TriggerIndex([]).select(event("A")) == ()


def test_the_events_side_is_decided_and_the_users_side_left() -> None:
    where = [{"event.properties.amount": {"gte": 500}}, {"user.properties.plan": "pro"}]
    (trigger,) = triggers({"events": ["Purchase"], "where": where})
    index = TriggerIndex([trigger])
    assert select(index, event(properties={"amount": 600})) == (0,)
    assert select(index, event(properties={"amount": 400})) == ()
    assert trigger.user_side is not None
    assert trigger.user_side(event(), user({"plan": "pro"}), None)
    assert not trigger.user_side(event(), user(), None)


@pytest.mark.parametrize("count", [2, 7, 8, 40])
def test_many_webhooks_on_one_name_are_found_by_the_value_they_need(count: int) -> None:
    parts: list[dict[str, Value]] = [
        {"events": ["A"], "where": {"event.properties.shop": number}} for number in range(count)
    ]
    parts.append({"events": ["A"], "where": {"event.properties.shop": ["x", 1]}})
    parts.append({"events": ["A"], "where": {"event.properties.amount": {"gte": 5}}})
    parts.append({"events": "*"})
    index = TriggerIndex(triggers(*parts))
    every, amount, listed = count + 2, count + 1, count
    assert select(index, event("A", {"shop": 0})) == (0, every)
    assert select(index, event("A", {"shop": 1})) == (1, listed, every)
    assert select(index, event("A", {"shop": 1.0, "amount": 5})) == (1, listed, amount, every)
    assert select(index, event("A", {"shop": True})) == (every,)
    assert select(index, event("A", {"shop": "1"})) == (every,)
    assert select(index, event("A", {"shop": [1, "x", {}, None]})) == (1, listed, every)
    assert select(index, event("A", {"shop": {"a": 1}})) == (every,)
    assert select(index, event("A", {"shop": -1})) == (every,)
    assert select(index, event("A")) == (every,)
    assert select(index, event("B", {"shop": 1})) == (every,)


def test_what_is_made_for_each_value_does_not_grow_with_the_webhooks_that_need_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else two thousand webhooks on one event cost six milliseconds for each new value, and 70 MB."""
    made: list[int] = []
    several = index_module._several

    def noting(candidates: Sequence[Any]) -> Any:
        made.append(len(candidates))
        return several(candidates)

    monkeypatch.setattr(index_module, "_several", noting)
    by_value = [{"events": ["A"], "where": {"event.properties.shop": n // 2}} for n in range(100)]
    others = [{"events": ["A"], "where": {"event.properties.amount": {"gt": n}}} for n in range(100)]
    index = TriggerIndex(triggers(*by_value, *others))
    for n in range(50):
        assert select(index, event("A", {"shop": n, "amount": 1})) == (2 * n, 2 * n + 1, 100)
        assert select(index, event("A", {"shop": [n], "amount": 1})) == (2 * n, 2 * n + 1, 100)
    assert sum(made) <= 100 + 4 * len(by_value)


def test_a_clause_that_many_share_is_evaluated_once_per_event() -> None:
    shared = {"event.properties.amount": {"gte": 5}}
    parts = [{"events": ["A"], "where": [shared, {"event.properties.n": {"gt": n}}]} for n in range(6)]
    compiled = triggers(*parts)
    calls: list[Event] = []

    def counted(inner: Predicate) -> Predicate:
        def test(one: Event, by: User, scope: Scope) -> bool:
            calls.append(one)
            return inner(one, by, scope)

        return test

    for trigger in compiled:
        trigger.nodes[0].test = counted(trigger.nodes[0].test)
    index = TriggerIndex(compiled)
    assert index.select(event("A", {"amount": 9, "n": 3})) == (0, 1, 2)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ({"event.properties[vars.f]": "x"}, "x"),
        ({"event.properties[vars.f]": ["x", "y"]}, "y"),
        ({"event.properties[vars.f].a": {"gt": 1}}, {"a": 2}),
        ({"any_element": {"event.properties[vars.f]": {"a": 1}}}, [{"a": 1}]),
    ],
)
@pytest.mark.parametrize("count", [2, 12])
def test_a_path_with_a_var_leads_elsewhere_in_each_webhook(
    where: dict[str, Value], value: Value, count: int
) -> None:
    index = TriggerIndex(triggers(*[{"events": ["A"], "where": where}] * count))
    for first, name in enumerate("pq"):
        assert select(index, event("A", {name: value})) == tuple(range(first, count, 2))


def test_list_files_of_one_name_beside_a_label_and_a_webhook_are_two() -> None:
    where = {"event.properties.x": {"in": {"file": "own.txt"}}}
    labels = labels_of({"name": "L", "events": ["A"], "where": where}, lists={"own.txt": ["of label"]})
    parts: list[dict[str, Value]] = [{"events": ["A"], "where": where}, {"events": ["L"]}] * 2
    index = TriggerIndex(triggers(*parts, labels=labels, lists={"own.txt": ["of webhook"]}))
    assert select(index, event("A", {"x": "of label"})) == (1, 3)
    assert select(index, event("A", {"x": "of webhook"})) == (0, 2)


NAMES = st.sampled_from(["A", "B", "C", "Big", "Clicked"])
VALUES = st.sampled_from([1, 2, 1.0, True, "x", "p", None, [1, "x"], {"a": 1}, [{"a": 1}]])
WHERE = st.sampled_from(
    [
        {"event.properties.p": 1},
        {"event.properties.p": ["x", 2]},
        {"event.properties.p": {"ne": 1}},
        {"event.properties.q": {"exists": True}},
        {"any": [{"event.properties.p": "x"}, {"user.properties.u": 1}]},
        {"user.properties.u": 1},
        {"label": "Big"},
        {"not": {"label": "Fans"}},
        {"event.properties[vars.f]": 1},
        {"event.properties.p": {"path": "vars.f"}},
        {"any_element": {"event.properties[vars.f]": {"a": 1}}},
    ]
)
TRIGGERS = st.fixed_dictionaries(
    {"events": st.lists(NAMES | st.just("*"), min_size=1, max_size=3)},
    optional={"where": st.lists(WHERE, min_size=1, max_size=2)},
)
LABELS = labels_of(
    {"name": "Big", "any": [{"events": ["A"], "where": {"event.properties.q": 1}}, {"events": ["B"]}]},
    {
        "name": "Clicked",
        "any": [{"capture": {"kind": "click"}}, {"events": ["C"], "where": {"user.properties.u": 1}}],
    },
    {"name": "Fans", "where": {"user.properties.u": 1}},
)
PROPERTIES = st.dictionaries(st.sampled_from("pq"), VALUES)


@given(
    specs=st.lists(TRIGGERS, max_size=12),
    events=st.lists(
        st.builds(
            lambda name, kind, properties: event(name, properties, kind=kind),
            st.sampled_from(["A", "B", "C", "D"]),
            st.sampled_from(["track", "click", "update"]),
            PROPERTIES,
        ),
        min_size=1,
        max_size=5,
    ),
    by=st.builds(user, st.dictionaries(st.just("u"), VALUES)),
    excluded=st.booleans(),
)
def test_the_index_finds_what_asking_every_webhook_finds(
    specs: list[dict[str, Value]], events: list[Event], by: User, excluded: bool
) -> None:
    compiled = triggers(*specs, labels=LABELS, exclude=["Fans", "Clicked"] if excluded else [])
    index = TriggerIndex(compiled)
    for one in events:
        found = select(index, one)
        fired = [number for number in found if _user_side_holds(compiled[number], one, by)]
        assert fired == [
            number for number, trigger in enumerate(compiled) if _asked(trigger, one, by, excluded)
        ]
        assert list(found) == sorted(found)


def _user_side_holds(trigger: Trigger, one: Event, by: User) -> bool:
    return trigger.user_side is None or trigger.user_side(one, by, None)


def _asked(trigger: Trigger, one: Event, by: User, excluded: bool) -> bool:
    """Decide slowly, from the alternatives and clauses themselves."""
    if excluded and any(
        label.node.test(one, by, None) for label in map(LABELS.get, ("Fans", "Clicked")) if label
    ):
        return False
    if not any(way.matches(one, by) for way in trigger.events):
        return False
    return all(node.test(one, by, None) for node in trigger.nodes)


# --- changes


def test_a_change_of_a_listed_property_makes_candidates() -> None:
    index = TriggerIndex(
        triggers({"changes": ["plan"]}, {"events": "*"}, {"changes": "*"}, {"changes": ["a", "b"]})
    )
    assert index.changes_wanted
    assert index.on_change({"plan": "free"}) == (0, 2)
    assert index.on_change(["b"]) == (2, 3)
    assert index.on_change([]) == ()
    assert not TriggerIndex(triggers({"events": "*"})).changes_wanted


def test_property_updates_are_no_events() -> None:
    index = TriggerIndex(triggers({"events": "*"}, {"events": ["User updated"]}))
    assert index.select(changed(plan="pro")) == ()
    assert not index.wants("User updated", "update")
    assert index.select(event("User updated")) == (0, 1)


def test_the_old_value_is_before_and_the_whole_condition_is_asked_with_the_user() -> None:
    where = [{"user.before.plan": "free"}, {"event.properties.plan": "pro"}, {"event.kind": "update"}]
    (trigger,) = triggers({"changes": ["plan"], "where": where})
    assert trigger.event_side is None
    assert trigger.user_side is not None
    assert trigger.user_side(changed(plan="pro"), user({"plan": "pro"}, before={"plan": "free"}), None)
    assert not trigger.user_side(changed(plan="pro"), user({"plan": "pro"}, before={}), None)
    assert not trigger.user_side(changed(plan="free"), user(before={"plan": "free"}), None)


@pytest.mark.parametrize("name", ["$identify", "$set", "User updated"])
def test_a_name_that_never_comes_as_an_event_warns_with_a_hint_to_changes(name: str) -> None:
    (found,) = problems_of({"trigger": {"events": ["Purchase", name]}})
    assert (found.warning, found.path) == (True, ("trigger", "events", 1))
    assert "changes" in (found.hint or "")


@pytest.mark.parametrize(
    ("where", "warned"),
    [({"label": "clicked"}, True), ({"not": {"label": "clicked"}}, False), ({"label": "rich"}, False)],
)
def test_a_label_about_events_never_holds_for_a_change(where: Any, warned: bool) -> None:
    labels = labels_of(
        {"name": "clicked", "events": ["signup"]}, {"name": "rich", "where": {"user.properties.plan": "pro"}}
    )
    trigger, problems = read_trigger({"trigger": {"changes": ["plan"], "where": where}}, "w", labels=labels)
    assert trigger is not None
    assert [found.code for found in problems] == (["wrong-label"] if warned else [])
    assert trigger.holds(changed(plan="pro"), user({"plan": "pro"})) is not warned


# --- exclude


def test_excluded_labels_apply_to_every_webhook_unless_it_opts_out() -> None:
    labels = labels_of(
        {"name": "internal", "where": {"user.properties.email": {"as": "domain", "eq": "acme.com"}}},
        {"name": "tests", "where": {"event.properties.test": True}},
    )
    webhook = {"trigger": {"events": ["Purchase"]}}
    options: dict[str, Any] = {"labels": labels, "exclude": ["internal", "tests"]}
    trigger = trigger_of(webhook, **options)
    open_one = trigger_of({**webhook, "include_excluded": True}, **options)
    index = TriggerIndex([trigger, open_one])
    assert select(index, event(properties={"test": True})) == (1,)
    assert select(index, event()) == (0, 1)
    colleague = user({"email": "x@acme.com"})
    assert trigger.user_side is not None
    assert not trigger.user_side(event(), colleague, None)
    assert trigger.user_side(event(), user(), None)
    assert open_one.user_side is None
    on_change = trigger_of({"trigger": {"changes": "*"}}, **options)
    assert not on_change.holds(changed(plan="x"), colleague)


# --- sample


def test_a_sample_is_a_stable_share_and_differs_between_webhooks() -> None:
    people = [user(id=f"u{number}") for number in range(4000)]

    def chosen(webhook_id: str, percent: float) -> set[str | None]:
        spec = {"trigger": {"events": "*", "sample": {"percent": percent, "by": "user.id"}}}
        trigger = trigger_of(spec, webhook_id)
        assert trigger.user_side is not None
        return {one.id for one in people if trigger.user_side(event(), one, None)}

    tenth = chosen("a", 10)
    assert chosen("a", 10) == tenth
    assert 320 < len(tenth) < 480
    assert tenth < chosen("a", 50)
    assert len(tenth & chosen("b", 10)) < 100
    assert len(chosen("a", 100)) == 4000


def test_the_sample_does_not_change_between_releases() -> None:
    spec = {"trigger": {"events": "*", "sample": {"percent": 50, "by": "event.properties.n"}}}
    index = TriggerIndex([trigger_of(spec, "w")])
    chosen = [0, 1, 4, 5, 6, 7, 8, 11]
    assert [number for number in range(12) if select(index, event(properties={"n": number}))] == chosen
    assert [number for number in range(12) if select(index, event(properties={"n": float(number)}))] == chosen


def test_a_sample_by_user_takes_the_anonymous_id_where_there_is_no_other() -> None:
    trigger = trigger_of({"trigger": {"events": "*", "sample": {"percent": 100}}})
    assert trigger.holds(event(), user(id=None, anonymous_id="a1", identified=False))
    assert not trigger.holds(event(), user(id=None, identified=False))


# --- problems


@pytest.mark.parametrize(
    ("webhook", "path"),
    [
        ({"trigger": {"events": []}}, ("trigger", "events")),
        ({"trigger": {"events": [5]}}, ("trigger", "events", 0)),
        ({"trigger": {"changes": [None]}}, ("trigger", "changes", 0)),
        ({"trigger": {"changes": [""]}}, ("trigger", "changes")),
        ({"trigger": {"events": "*", "sample": {"percent": 0}}}, ("trigger", "sample", "percent")),
        (
            {"trigger": {"events": "*", "sample": {"percent": 10, "by": "usr.id"}}},
            ("trigger", "sample", "by"),
        ),
        (
            {"trigger": {"events": "*", "repeat": {"count": 0, "within": "10m"}}},
            ("trigger", "repeat", "count"),
        ),
        ({"trigger": {"events": "*", "repeat": {"count": 3}}}, ("trigger", "repeat")),
        (
            {"trigger": {"events": "*", "repeat": {"count": 3, "within": "x"}}},
            ("trigger", "repeat", "within"),
        ),
        ({"trigger": {"events": "*"}, "limit": {"every": "24 hours"}}, ("limit", "every")),
        ({"trigger": {"events": "*"}, "limit": {"per": "team", "every": "24h"}}, ("limit", "per")),
        ({"trigger": {"events": "*"}, "dedupe": {"by": "event.properties.x[*]"}}, ("dedupe", "by")),
        ({"trigger": {"events": "*", "where": {"evnt.x": 1}}}, ("trigger", "where", "evnt.x")),
        ({}, ()),
    ],
)
def test_a_mistake_in_a_trigger_is_found_at_its_place(webhook: Mapping[str, Value], path: Any) -> None:
    assert [problem.path for problem in problems_of(webhook)] == [path]


@pytest.mark.parametrize(
    ("trigger", "hint"),
    [
        ({"events": ["A, B"]}, "for several names write [A, B]"),
        ({"events": "A | B"}, "for several names write [A, B]"),
        ({"events": "Hello, "}, None),
        ({"events": "Order*"}, 'for a pattern write `"*"` here, and where: {event.name: {glob: "Order*"}}'),
        (
            {"events": "/^Order/"},
            'for a pattern write `"*"` here, and where: {event.name: {regex: "^Order"}}',
        ),
        ({"events": "//"}, None),
        ({"events": "/orders"}, None),
        ({"events": "/pricing/"}, None),
        ({"events": ["*"]}, None),
        ({"changes": "user.properties.plan"}, "did you mean `plan`?"),
        ({"changes": ["age", "user.plan"]}, "did you mean `plan`?"),
        ({"changes": "traits.plan"}, "did you mean `plan`?"),
        ({"changes": "plan, age"}, "for several names write [plan, age]"),
        (
            {"changes": "address.city"},
            "for a nested one write `address`, and compare `user.before.address.city` in `where`; else "
            'read it as `user.properties["address.city"]`',
        ),
        ({"changes": "address.city", "where": {'user.before["address.city"]': "x"}}, None),
    ],
)
def test_a_name_that_is_hardly_one_is_a_warning(trigger: Value, hint: str | None) -> None:
    found = problems_of({"trigger": trigger})
    assert [(one.warning, one.hint) for one in found] == [(True, hint)] * (hint is not None)


WORDS = (
    "trigger events changes where sample repeat limit dedupe percent by count within every per name any "
    "capture kind selector text all not label event.name user.id eq in as"
)
KEYS = st.sampled_from(WORDS.split())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | KEYS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=15,
)


@given(webhook=st.dictionaries(KEYS, ANYTHING, max_size=4), trigger=ANYTHING)
def test_any_data_compiles_or_has_problems_and_never_raises(
    webhook: dict[str, Value], trigger: Value
) -> None:
    compiled, problems = read_trigger({**webhook, "trigger": trigger}, labels=LABELS)
    if all(problem.warning for problem in problems):
        assert compiled is not None
        TriggerIndex([compiled]).select(event("A", {"p": 1}))
        compiled.holds(event("A"), user())


@given(label=st.dictionaries(KEYS, ANYTHING, max_size=4))
def test_any_label_compiles_or_has_problems_and_never_raises(label: dict[str, Value]) -> None:
    labels, problems = read_labels({**label, "name": "L"})
    if all(problem.warning for problem in problems):
        found = labels.get("L")
        assert found is not None
        found.node.test(event("A", kind="click", elements=[]), user(), None)
