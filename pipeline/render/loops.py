"""``$for`` and ``$spread``: directives that take a value from a template and build with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeline.language.paths import Getter, Scope
from pipeline.language.work import extent, spend_at
from pipeline.model.errors import RenderError
from pipeline.model.json import Value, kind_of
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.render.templates.budget import FREE_TURNS
from pipeline.render.templates.spot import Spot
from pipeline.render.templates.template import compile_text
from pipeline.render.values.printing import show

MAX_LOOP: Final = 1_000
MAX_TURNS: Final = 10_000
"""Iterations of nested loops, multiplied."""
_PER_TURN: Final = 8
_PER_STEP: Final = 4
"""Work of one iteration and its result, relative to touching an element."""
_TURNS: Final = "\x00turns"


class _Omit:
    __slots__ = ()


OMIT: Final = _Omit()
"""The value of a node that is omitted, whatever the rule for missing values says."""


class Splice(list[Value]):
    """The result of a loop: inside an array its elements take the loop's place."""

    __slots__ = ()


def _source(tree: Value, spot: Spot, what: str) -> Getter:
    """Return the function that returns the value a directive works on."""
    if isinstance(tree, str) and "{" in tree:
        template = compile_text(tree, spot)
        if template.typed or (template.constant and not isinstance(template.value, str)):
            return template.get
    path = tree if isinstance(tree, str) and "{" not in tree else "event.properties.products"
    hint = f'e.g. {what}: "{{{{ {path} }}}}"'
    spot.error("directive", f"`{what}` takes one expression", hint=hint)
    return lambda event, user, scope: None


def _steps(tree: Value) -> int:
    """Return how many values one iteration makes: keys, elements, expressions, and each filter."""
    if isinstance(tree, str):
        return 1 + 2 * tree.count("{{") + 2 * tree.count("{%") + 3 * tree.count("|")
    if isinstance(tree, dict):
        return 2 + sum(1 + _steps(one) for one in tree.values())
    return 1 + sum(map(_steps, tree)) if isinstance(tree, list) else 1


def compile_loop(tree: Value, element: Getter, spot: Spot, at: Spot, body: Value) -> Getter:
    """Return the function that builds a `Splice` of one value per item.

    Missing and null give [] under the rule `null`, else OMIT; a scalar and too many items are RenderErrors.
    """
    source = _source(tree, at, "$for")
    place = at.place(str(tree))
    per_turn = _PER_TURN + _PER_STEP * _steps(body)
    when_missing = spot.missing == "null"
    omit_empty = spot.missing == "omit_empty"

    def loop(event: Event, user: User, scope: Scope) -> Value | Missing:
        value = source(event, user, scope)
        if value is None or value is MISSING:
            return Splice() if when_missing else OMIT
        items: list[Value]
        if type(value) is list:
            items = value
        elif type(value) is dict:
            items = [{"key": key, "value": one} for key, one in value.items()]
        else:
            raise RenderError(
                f"`$for` wants an array or an object, not {kind_of(value)}: {show(value)} ({place})"
            )
        if len(items) > MAX_LOOP:
            raise RenderError(f"`$for` takes at most {MAX_LOOP:,} items, not {len(items):,} ({place})")
        inner: dict[str, Any] = {} if scope is None else dict(scope)
        turns = inner.setdefault(_TURNS, [0])
        turns[0] += len(items)
        if turns[0] > MAX_TURNS:
            raise RenderError(f"loops inside one another turn more than {MAX_TURNS:,} times ({place})")
        spend_at(place, event, user, per_turn * len(items))
        # A few iterations are not worth weighing.
        weighed = turns[0] > FREE_TURNS
        built = Splice()
        for index, item in enumerate(items):
            inner["item"], inner["index"] = item, index
            made = element(event, user, inner)
            if weighed and type(made) in (str, list, dict):
                spend_at(place, event, user, extent(made))
            if made is MISSING:
                if when_missing:
                    built.append(None)
            elif type(made) is Splice:
                built.extend(made)
            elif made is not OMIT:
                built.append(made)
        return OMIT if omit_empty and not built else built

    return loop


def compile_spread(
    tree: Value, spot: Spot, compile_object: Callable[[Value, Spot], Getter]
) -> Callable[[Event, User, Scope], dict[str, Value]]:
    """Return the function that merges the objects of a `$spread` into a new one; later ones win."""
    several = list(enumerate(tree)) if isinstance(tree, list) else [(None, tree)]
    sources: list[tuple[Getter, str]] = []
    for index, one in several:
        here = spot if index is None else spot.at(index)
        get = compile_object(one, here) if isinstance(one, dict) else _source(one, here, "$spread")
        sources.append((get, here.place(str(one))))
    omit_empty, demanded = spot.missing == "omit_empty", spot.missing == "dead_letter"

    def spread(event: Event, user: User, scope: Scope) -> dict[str, Value]:
        built: dict[str, Value] = {}
        for get, place in sources:
            value = get(event, user, scope)
            if type(value) is dict:
                spend_at(place, event, user, len(value))
                built.update(value)
            elif value is MISSING and demanded:
                raise RenderError(f"required value is missing ({place})")
            elif value is not None and value is not MISSING and value is not OMIT:
                raise RenderError(f"`$spread` wants an object, not {kind_of(value)}: {show(value)} ({place})")
        if omit_empty:
            return {key: one for key, one in built.items() if one is not None and one not in ("", [], {})}
        return built

    return spread
