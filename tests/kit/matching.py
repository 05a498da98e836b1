"""Events, users and compiled conditions for the tests of conditions, triggers and labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pipeline.config.yaml.diagnostics import Problem, Problems
from pipeline.match.conditions.compile import Condition, compile_condition
from pipeline.match.labels import Labels, compile_labels
from pipeline.match.triggers import Trigger, compile_trigger
from pipeline.model.records import MISSING, Event, Json, Origin, User

NOON = 1_795_435_200_000
"""2026-11-23T12:00:00Z, a Monday."""


def event(name: str = "Purchase", properties: Mapping[str, Json] | None = None, **fields: Any) -> Event:
    known: dict[str, Any] = {
        "id": "e1",
        "kind": "track",
        "user_id": "u1",
        "anonymous_id": None,
        "time": NOON,
        "received_at": None,
        "source": "web",
        "context": {},
        "origin": Origin("test", 0),
    }
    return Event(name=name, properties=dict(properties or {}), **{**known, **fields})


def user(properties: Mapping[str, Json] | None = None, **fields: Any) -> User:
    known: dict[str, Any] = {"id": "u1", "anonymous_id": None, "identified": True}
    return User(properties=dict(properties or {}), **{**known, **fields})


def condition(tree: Json, **options: Any) -> Condition:
    problems = Problems()
    compiled = compile_condition(tree, problems, **options)
    assert [problem for problem in problems.found if not problem.warning] == []
    return compiled


def problems_of(tree: Json, **options: Any) -> list[Problem]:
    problems = Problems()
    compile_condition(tree, problems, **options)
    return problems.found


def holds(tree: Json, on: Event | None = None, by: User | None = None, **options: Any) -> bool:
    """Return whether the condition holds; the split sides and the whole must agree."""
    compiled = condition(tree, **options)
    one, other = on or event(), by or user()
    whole = compiled.whole(one, other, None)
    sides = [side for side in (compiled.event_side, compiled.user_side) if side is not None]
    assert all(side(one, other, None) for side in sides) is whole
    return whole


def holds_for(value: Json, operators: Json, **options: Any) -> bool:
    """Return whether operators hold for a value, on the event, on the user and nested."""
    properties = {} if value is MISSING else {"x": value}
    verdicts = {
        holds({"event.properties.x": operators}, event(properties=properties), **options),
        holds({"user.properties.x": operators}, None, user(properties), **options),
        holds({"event.context.deep.x": operators}, event(context={"deep": properties}), **options),
        holds({'event.properties["x"]': operators}, event(properties=properties), **options),
    }
    assert len(verdicts) == 1
    return verdicts.pop()


def labels_of(*files: Mapping[str, Json], lists: Mapping[str, Collection[str]] | None = None) -> Labels:
    problems = Problems()
    labels = compile_labels([(file, problems) for file in files], lists=lists)
    assert problems.found == []
    return labels


def trigger_of(webhook: Mapping[str, Json], webhook_id: str = "w", **options: Any) -> Trigger:
    problems = Problems()
    trigger = compile_trigger(webhook, webhook_id, problems=problems, **options)
    assert [problem for problem in problems.found if not problem.warning] == []
    return trigger
