"""Conditions, triggers and labels, compiled from plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pipeline.config.yaml.diagnostics import Problem, Problems
from pipeline.match.conditions.compile import Condition, compile_condition
from pipeline.match.labels import Labels, compile_labels
from pipeline.match.triggers import Trigger, compile_trigger
from pipeline.model.records import MISSING, Event, Json, User
from tests.kit.records import event, user


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
