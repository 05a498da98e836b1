"""What shapes need of conditions. The trigger compiler makes them (compile/shapes.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pipeline.config.yaml.diagnostics import Problems
from pipeline.decode.mapped.frame import Frame, scope_of
from pipeline.decode.work import nothing
from pipeline.language.path_syntax import Path
from pipeline.language.record_paths import RECORD
from pipeline.model.json import Json, Value
from pipeline.model.records import Event, User

Predicate: TypeAlias = Callable[[Event, User, Mapping[str, Value] | None], bool]
"""A condition as triggers have it; its scope holds the values of the paths' roots (`scope_of`)."""
Holds: TypeAlias = Callable[[Json, Frame], bool]


@dataclass(slots=True, frozen=True)
class Judge:
    """A compiled `when`."""

    predicate: Predicate
    clauses: tuple[tuple[str, Predicate], ...]
    """The clauses that must hold, in order, each as a person would write it."""
    paths: tuple[Path, ...]
    """All paths that it reads."""

    @property
    def of_record(self) -> bool:
        """True where it reads nothing but the record or element itself."""
        return all(path.root == RECORD for path in self.paths)


CompileConditions: TypeAlias = Callable[[Value, Problems, int], Judge]
"""Returns the judge of a condition tree at this depth of `each`."""


def holds(judge: Judge) -> Holds:
    """Return the condition as a function of the record or element."""
    predicate = judge.predicate
    event, user = nothing()
    if judge.of_record:
        return lambda here, frame: predicate(event, user, {RECORD: here})
    return lambda here, frame: predicate(event, user, scope_of(frame))


def failing(judge: Judge, frame: Frame) -> tuple[int, str]:
    """Return how many clauses hold before the first that fails, and that clause's text."""
    scope = scope_of(frame)
    for number, (text, predicate) in enumerate(judge.clauses):
        if not predicate(*nothing(), scope):
            return number, text
    return len(judge.clauses), ""
