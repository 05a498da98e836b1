"""Compiles `repeat`, `limit` and `dedupe`; join/limits.py applies them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from pipeline.config.yaml.diagnostics import Problems
from pipeline.language.limits import Dedupe, Limit, Limits, Repeat
from pipeline.language.paths import Getter, Path, PathError, compile_path, parse_path, unknown_var
from pipeline.language.units import parse_duration
from pipeline.match.labels import Labels
from pipeline.model.records import Json

MAX_COUNT: Final = 1_000
"""Most matches that `repeat` and `limit` count: each is a time in the user's state."""


@dataclass(slots=True, frozen=True)
class TriggerContext:
    """What the parts of a trigger share while it is compiled."""

    problems: Problems
    labels: Labels
    lists: Mapping[str, Collection[str]]
    vars: Mapping[str, Json]


def compile_limits(
    webhook: Mapping[str, Json], trigger: Mapping[str, Json], webhook_id: str, context: TriggerContext
) -> Limits | None:
    """Return what `repeat`, `limit` and `dedupe` say; None where there are none."""
    repeat = _spec(trigger.get("repeat"), ("trigger", "repeat"), context, _repeat)
    limit = _spec(webhook.get("limit"), ("limit",), context, _limit)
    dedupe = _spec(webhook.get("dedupe"), ("dedupe",), context, _dedupe)
    if repeat is None and limit is None and dedupe is None:
        return None
    return Limits(
        webhook_id,
        repeat if isinstance(repeat, Repeat) else None,
        limit if isinstance(limit, Limit) else None,
        dedupe if isinstance(dedupe, Dedupe) else None,
    )


_Spec: TypeAlias = Repeat | Limit | Dedupe | None


def _spec(
    value: Json,
    place: tuple[str, ...],
    context: TriggerContext,
    build: Callable[[dict[str, Json], TriggerContext], _Spec],
) -> _Spec:
    if value is None:
        return None
    within = replace(context, problems=context.problems.at(*place))
    if type(value) is not dict:
        within.problems.error((), "wrong-value", f"`{place[-1]}` takes a map")
        return None
    return build(value, within)


def _repeat(value: dict[str, Json], context: TriggerContext) -> Repeat | None:
    count, within = _count(value, None, context), _ms(value, "within", context)
    by = _by(value, context)
    return None if count is None or within is None else Repeat(count, within, by)


def _limit(value: dict[str, Json], context: TriggerContext) -> Limit | None:
    if value.get("per", "user") != "user":
        context.problems.error(("per",), "wrong-value", "`per` takes user: state lives with the user")
    count, by = _count(value, 1, context), _by(value, context)
    if "every" in value and value["every"] in (None, "ever"):
        return None if count is None else Limit(count, None, by)
    every = _ms(value, "every", context)
    return None if count is None or every is None else Limit(count, every, by)


def _dedupe(value: dict[str, Json], context: TriggerContext) -> Dedupe | None:
    by = _by({"by": "event.id", **value}, context)
    if value.get("within", "") in (None, "ever"):
        return None if by is None else Dedupe(by, None)
    within = _ms({"within": 86400.0, **value}, "within", context)
    return None if by is None or within is None else Dedupe(by, within)


def _count(value: dict[str, Json], default: int | None, context: TriggerContext) -> int | None:
    count = value.get("count", default)
    if type(count) is not int or not 1 <= count <= MAX_COUNT:
        context.problems.error(
            ("count",) if "count" in value else (),
            "wrong-value",
            f"`count` is a whole number from 1 to {MAX_COUNT}",
        )
        return None
    return count


def _ms(value: dict[str, Json], name: str, context: TriggerContext) -> int | None:
    given: Json = value.get(name)
    try:
        seconds = float(given) if type(given) in (int, float) else parse_duration(given)
        if not 0 < seconds < 1e11:
            raise ValueError(f"`{name}` is more than nothing")
    except ValueError as error:
        context.problems.error((name,) if name in value else (), "wrong-value", f"`{name}`: {error}")
        return None
    return max(1, round(seconds * 1000))


def _by(value: dict[str, Json], context: TriggerContext) -> Getter | None:
    if value.get("by") is None:
        return None
    path = one_path(value["by"], context, "by")
    return None if path is None else compile_path(path, context.vars)


def one_path(text: Json, context: TriggerContext, name: str) -> Path | None:
    """Return the path that a field such as `by` says; None, with a problem, where it is none."""
    if type(text) is not str:
        context.problems.error((name,), "wrong-path", f"`{name}` takes a path")
        return None
    try:
        path = parse_path(text)
        if path.has_any:
            raise PathError("`[*]` stands for many values, and one is wanted", 0)
        wrong = unknown_var(path, context.vars)
        if wrong is not None:
            raise wrong
    except PathError as error:
        context.problems.error(
            (name,), "wrong-path", error.message, hint=error.hint, offset=error.offset or None
        )
        return None
    return path
