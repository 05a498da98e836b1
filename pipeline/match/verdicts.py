"""Why a trigger holds or not: every clause with the value it saw (`hookline explain`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.language.paths import Scope
from pipeline.language.work import TooExpensive, begin
from pipeline.match.conditions.nodes import Node
from pipeline.match.labels import Alternative, explained
from pipeline.match.nearby import nearby
from pipeline.match.triggers import Trigger, touches
from pipeline.model.json import Value
from pipeline.model.records import MISSING, Event, Missing, User


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
