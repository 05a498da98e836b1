"""Conditions, triggers and labels, compiled from plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from pipeline.config.models.salvage import salvage
from pipeline.config.models.validate import check
from pipeline.config.models.webhooks.label import LabelFile
from pipeline.config.models.webhooks.webhook import WebhookFile
from pipeline.config.yaml.diagnostics import Problem, Problems
from pipeline.match.conditions.compile import compile_condition
from pipeline.match.conditions.nodes import Condition
from pipeline.match.labels import Labels, compile_labels
from pipeline.match.triggers import Trigger, compile_trigger
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, User
from tests.kit.streams.records import event, user


def on(**properties: Value) -> Event:
    """Return an event with these properties."""
    return event(properties=properties)


def condition(tree: Value, **options: Any) -> Condition:
    problems = Problems()
    compiled = compile_condition(tree, problems, **options)
    assert [problem for problem in problems.found if not problem.warning] == []
    return compiled


def problems_of(tree: Value, **options: Any) -> list[Problem]:
    problems = Problems()
    compile_condition(tree, problems, **options)
    return problems.found


def holds(tree: Value, on: Event | None = None, by: User | None = None, **options: Any) -> bool:
    """Return whether the condition holds; the split sides and the whole must agree."""
    compiled = condition(tree, **options)
    one, other = on or event(), by or user()
    whole = compiled.whole(one, other, None)
    sides = [side for side in (compiled.event_side, compiled.user_side) if side is not None]
    assert all(side(one, other, None) for side in sides) is whole
    return whole


def holds_for(value: Value, operators: Value, **options: Any) -> bool:
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


def read_labels(
    *files: Mapping[str, Value], lists: Mapping[str, Collection[str]] | None = None
) -> tuple[Labels, list[Problem]]:
    """Check and compile label files as they are written; what is refused is left out."""
    problems = Problems()
    models = [check(LabelFile, dict(file), problems, what="a label") for file in files]
    labels = compile_labels([(model, problems) for model in models if model is not None], lists=lists)
    return labels, problems.found


def labels_of(*files: Mapping[str, Value], lists: Mapping[str, Collection[str]] | None = None) -> Labels:
    labels, problems = read_labels(*files, lists=lists)
    assert problems == []
    return labels


def read_trigger(
    webhook: Mapping[str, Value], webhook_id: str = "w", **options: Any
) -> tuple[Trigger | None, list[Problem]]:
    """Check a webhook file as it is written, and compile its trigger; a refused one as far as it goes."""
    problems = Problems()
    whole = {"id": webhook_id, "request": {"url": "https://x.example/"}, **webhook}
    model = check(WebhookFile, whole, problems, what="a webhook")
    if model is None:
        _, model = salvage(whole, problems)
    trigger = compile_trigger(model, problems=problems, **options) if model is not None else None
    return trigger, problems.found


def trigger_of(webhook: Mapping[str, Value], webhook_id: str = "w", **options: Any) -> Trigger:
    trigger, problems = read_trigger(webhook, webhook_id, **options)
    assert [problem for problem in problems if not problem.warning] == []
    assert trigger is not None
    return trigger
