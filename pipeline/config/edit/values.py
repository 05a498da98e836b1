"""Values of a YAML file: which it can hold, what stands at a path, and when two are equal."""

from __future__ import annotations

import math
from typing import Final

from pipeline.config.edit.paths import show_path
from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.errors import ConfigError
from pipeline.model.findings import Finding
from pipeline.model.json import Value


class Absent:
    """The type of ABSENT: there is no such place."""


ABSENT: Final = Absent()


def value_at(data: Value, path: KeyPath) -> Value:
    """Return what stands at a path, ABSENT where nothing does."""
    for step in path:
        if isinstance(data, dict):
            data = data.get(step, ABSENT)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return ABSENT
    return data


def same(one: Value, other: Value) -> bool:
    """Return whether two values are identical, including types and the order of keys: 1 is not
    1.0, nor true.
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(inner, other[key]) for key, inner in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    return bool(one == other)


def require_writable(value: Value, path: KeyPath, file: str) -> None:
    """Raise ConfigError for a value that our YAML files cannot hold."""
    todo = [(value, path)]
    while todo:
        one, at = todo.pop()
        problem = None
        if isinstance(one, dict):
            todo += [(inner, (*at, key)) for key, inner in one.items()]
            problem = next((f"the key {key!r} is no text" for key in one if not isinstance(key, str)), None)
            if any("{{" in str(key) or "{%" in str(key) for key in one):
                problem = "a key cannot hold a template"
        elif isinstance(one, list):
            todo += [(inner, (*at, index)) for index, inner in enumerate(one)]
        elif isinstance(one, float) and not math.isfinite(one):
            problem = f"the number {one} has no form in JSON"
        elif isinstance(one, int) and not isinstance(one, bool) and not -(2**63) <= one < 2**64:
            problem = (
                f"the integer {str(one)[:20]} needs more than 64 bits: write it in quotes to keep it a text"
            )
        elif isinstance(one, str) and not one.isascii() and any("\ud800" <= char <= "\udfff" for char in one):
            problem = "a text holds half a character (a lone surrogate)"
        elif not isinstance(one, (str, int, float, bool, type(None))):
            problem = f"a {type(one).__name__} is no value of a YAML file"
        if problem is not None:
            raise ConfigError([Finding(file, 0, 0, "wrong-value", f"`{show_path(at)}`: {problem}")])
