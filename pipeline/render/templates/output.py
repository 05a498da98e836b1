"""Output of a template: statements in order, literal text, and values printed as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from pipeline.language.paths import Getter, Scope
from pipeline.language.work import extent, spend
from pipeline.model.json import Value
from pipeline.model.records import Event, User
from pipeline.render.templates.applying import RUN
from pipeline.render.templates.budget import Run
from pipeline.render.values.printing import to_text

GO: Final = 0
"""Returned by a statement after which the next one runs."""

Statement: TypeAlias = Callable[[Run, Event, User, dict[str, Value]], int]
Encode: TypeAlias = Callable[[str], str]
"""Escapes a value for its place."""
Literal: TypeAlias = Callable[[str, int], str]
"""Turns literal text (with its offset) into output: placeholders become slots, and so on."""


def running(statement: Statement) -> Getter:
    """Return the function that runs a statement, with budgets of its own, and returns its output."""

    def text(event: Event, user: User, scope: Scope) -> str:
        run = Run()
        local_scope: dict[str, Any] = {} if scope is None else dict(scope)
        local_scope[RUN] = run
        statement(run, event, user, local_scope)
        return "".join(run.parts)

    return text


def in_order(statements: Sequence[Statement]) -> Statement:
    """Return the statement that runs these one after another, until one stops."""
    if len(statements) == 1:
        return statements[0]

    def block(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        for statement in statements:
            if signal := statement(run, event, user, scope):
                return signal
        return GO

    return block


def content(text: str) -> Statement:
    """Return the statement that writes a literal text."""

    def write(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        run.write(text)
        return GO

    return write


def output(value: Getter, encode: Encode | None) -> Statement:
    """Return the statement that writes a value as text. A list or object costs work each time."""

    def write(run: Run, event: Event, user: User, scope: dict[str, Value]) -> int:
        found = value(event, user, scope)
        if type(found) in (list, dict):
            spend(event, user, extent(found))
        text = to_text(found)
        run.write(text if encode is None else encode(text))
        return GO

    return write
