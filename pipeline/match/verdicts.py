"""Why a trigger holds or not: every clause with the value it saw (`hookline explain`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.language.path_syntax import OPEN_FIELDS, Part, PathError, key_step, parse_path
from pipeline.language.paths import Scope
from pipeline.language.work import TooExpensive, begin
from pipeline.match.conditions.nodes import Node
from pipeline.match.labels import Alternative, explained
from pipeline.match.triggers import Trigger, touches
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User
from pipeline.model.words import did_you_mean

_MOST: Final = 200
"""Maximum number of names that are searched."""


@dataclass(slots=True, frozen=True)
class Clause:
    """The verdict of one clause or group."""

    depth: int
    """Nesting depth: a group's clauses follow it, one deeper."""
    text: str
    """The clause as a person would write it; `all`, `any`, `not` for groups."""
    path: str | None
    """The path that was read; None for groups."""
    seen: Value | Missing
    """The value found, MISSING where there was none (and for groups)."""
    operand: Value
    """The operand, as written."""
    holds: bool
    near: str | None = None
    """Where the path leads to nothing: what is near it, in a sentence."""


def explain(
    nodes: Iterable[Node], event: Event, user: User, scope: Scope = None, depth: int = 0
) -> list[Clause]:
    """Return the verdict of every clause below these nodes, in the order of the config.

    ``nodes`` are those of a Condition (``condition.nodes``), all of which must hold.
    """
    found: list[Clause] = []
    for node in nodes:
        begin(event, user)
        try:
            seen = MISSING if node.read is None else node.read(event, user, scope)
            holds = node.test(event, user, scope)
        except TooExpensive:
            # Unknown; the webhook does not fire.
            seen, holds = MISSING, False
            found.append(Clause(depth, f"{node.text} (too-expensive)", node.path, seen, node.operand, holds))
            continue
        near = nearby(node.path, event, user) if seen is MISSING and node.path and not holds else None
        found.append(Clause(depth, node.text, node.path, seen, node.operand, holds, near))
        # Conditions on an element have no value before the element is chosen.
        if node.kind != "any_element":
            found += explain(node.children, event, user, scope, depth + 1)
    return found


def explain_trigger(trigger: Trigger, event: Event, user: User) -> list[Clause]:
    """Return the verdicts of a whole trigger: events or changes first, then where, exclude and sample.

    The trigger fires (limits apart) where every finding of depth 0 holds.
    """
    found: list[Clause] = []
    if trigger.changes is not None:
        wanted = "*" if trigger.changes == "*" else sorted(trigger.changes)
        changed: Value = list(event.properties) if event.kind == "update" else MISSING
        holds = changed is not MISSING and touches(trigger.changes, changed)
        found.append(Clause(0, f"changes: {_shown(wanted)}", "changed properties", changed, wanted, holds))
    else:
        found += _explain_events(trigger.events, event, user)
    return found + explain(trigger.nodes, event, user)


def _explain_events(ways: tuple[Alternative, ...], event: Event, user: User) -> list[Clause]:
    names = sorted({name for one in ways for name in one.names or ()})
    plain = all(not one.condition.nodes and one.kinds is None for one in ways)
    holds = any(one.matches(event, user) for one in ways)
    text = f"events: {_shown(names or '*')}"
    found = [Clause(0, text, "event.name", event.name, names or "*", holds)]
    if not plain:
        found += explain([explained(one) for one in ways], event, user, depth=1)
    return found


def _shown(names: Value) -> str:
    return names if type(names) is str else f"[{', '.join(names)}]"


def nearby(text: str, event: Event, user: User) -> str | None:
    """Return what is near a path of event or user that leads to nothing; None: nothing is."""
    try:
        path = parse_path(text, ("event", "user"))
    except PathError:
        return None
    if not path.parts or path.parts[0] not in OPEN_FIELDS:
        return None
    whose = event if path.root == "event" else user
    value: Value = getattr(whose, str(path.parts[0]), None)
    walked = f"{path.root}.{path.parts[0]}"
    for number, part in enumerate(path.parts[1:], 1):
        if isinstance(value, list) and isinstance(part, str):
            meant = f"{walked}[*]{''.join(map(_step, path.parts[number:]))}"
            return f"`{walked}` is an array: `{meant}` looks at each of its elements"
        if isinstance(value, dict) and isinstance(part, str):
            if part not in value:
                close = did_you_mean(part, value, 0.75) if len(value) <= _MOST else None
                dotted = ".".join(map(str, path.parts[number:]))
                close = dotted if dotted in value else close
                if close is not None:
                    return f"there is `{walked}{_step(close)}`"
                return _elsewhere(path.parts[1:], event, user) if number == 1 else None
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and -len(value) <= part < len(value):
            value = value[part]
        elif isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            return (
                f"`{walked}` is a text with JSON in it: send its value, or read it by a shape, {{json: ..}}"
            )
        else:
            return None
        walked += _step(part)
    return None


def _elsewhere(parts: tuple[Part, ...], event: Event, user: User) -> str | None:
    """Return that what an event was asked for is known of its user, or the other way round."""
    bags = (("event.properties", event.properties), ("event.context", event.context))
    for name, bag in (*bags, ("user.properties", user.properties)):
        if parts[0] in (bag or ()):
            return f"there is `{name}{''.join(map(_step, parts))}`"
    return None


def _step(part: Part) -> str:
    return key_step(part) if isinstance(part, str) else f"[{part if isinstance(part, int) else '*'}]"
