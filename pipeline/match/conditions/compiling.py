"""What the compiler of a condition tree hands down: the current place, and what is known there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from pipeline.config.yaml.diagnostics import KeyPath, Problems
from pipeline.language.path_syntax import Path, PathError, like_index, parse_path
from pipeline.language.vars import unknown_var
from pipeline.match.conditions.nodes import Node
from pipeline.match.operators.synonyms import OTHER_GROUPS
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value
from pipeline.model.words import did_you_mean

GROUPS: Final = ("all", "any", "not", "any_element", "label")
_NEGATED: Final = re.compile(r"(?:not\s|!)\s*([\w$-]+[.\[].*)")
ELEMENT: Final = "element"
"""The root of paths inside `any_element`, which start at the element."""


class LabelSource(Protocol):
    """What conditions need of the labels: each one's node, and their names for hints."""

    def node(self, name: str) -> Node | None:
        """Return the label's condition, or None where there is no such label."""

    def names(self) -> Collection[str]:
        """Return all names."""


@dataclass(slots=True, eq=False)
class Context:
    """The context in which a condition is compiled; `at` goes one step down the tree."""

    problems: Problems
    labels: LabelSource | None
    lists: Mapping[str, Collection[str]]
    vars: Mapping[str, Value]
    roots: Collection[str]
    in_element: bool = False
    in_label: bool = False
    depth: int = 0
    parse: Callable[[str], Path] | None = None
    """Returns the path of a text, for custom shapes; raises PathError. None: paths start at `roots`."""

    def at(self, *parts: str | int) -> Context:
        """Return the context of a part of the tree."""
        # Written out: `replace` takes five times as long, for each part of each condition.
        return Context(
            self.problems.at(*parts),
            self.labels,
            self.lists,
            self.vars,
            self.roots,
            self.in_element,
            self.in_label,
            self.depth + 1,
            self.parse,
        )

    def wrong(
        self, place: KeyPath, message: str, hint: str | None = None, *, code: str = "wrong-operand"
    ) -> None:
        """Report an error; at a key of this map it is about the key, not its value."""
        self.problems.error(place, code, message, hint=hint, on_key=bool(place))


def checked_path(key: Value, context: Context, *, on_key: bool = True) -> Path | None:
    """Return the path that a key (or operand) says; None, with a problem, where it is invalid."""
    place = (key,) if on_key else ()
    if type(key) is not str:
        context.problems.error(place, "wrong-path", f"{describe(key)} is no path", on_key=on_key)
        return None
    shift = 0
    try:
        if context.in_element and on_key:
            prefix = ELEMENT + ("" if key.startswith("[") else ".")
            shift = len(prefix)
            path = parse_path(prefix + key, (ELEMENT,))
            _warn_absolute(key, context)
            _warn_index(key, context, place, on_key=on_key)
            return Path(path.root, path.parts, key)
        path = parse_path(key, context.roots) if context.parse is None else context.parse(key)
    except PathError as error:
        hint = _group_hint(key) if on_key else None
        offset = max(error.offset - shift, 0)
        context.problems.error(
            place, "wrong-path", error.message, hint=hint or error.hint, on_key=on_key, offset=offset or None
        )
        return None
    wrong = unknown_var(path, context.vars)
    if wrong is not None:
        context.problems.error(
            place, "unknown-var", wrong.message, hint=wrong.hint, on_key=on_key, offset=wrong.offset
        )
        return None
    _warn_index(key, context, place, on_key=on_key)
    return path


def _warn_index(key: str, context: Context, place: KeyPath, *, on_key: bool) -> None:
    found = like_index(key)
    if found is not None:
        code, message, hint = found
        context.problems.warn(place, code, message, hint=hint, on_key=on_key)


def _warn_absolute(key: str, context: Context) -> None:
    if context.parse is not None:
        return  # every path there starts at a root of its own
    if key.startswith("item."):
        field, hint = "item", f"did you mean `{key[5:]}`?"
    else:
        try:
            parse_path(key, context.roots)
        except PathError:
            return
        field, hint = key, "put conditions on event and user beside `any_element`"
    message = f"inside `any_element` paths start at the element: `{field}` is a field of it here"
    context.problems.warn((key,), "path-of-element", message, hint=hint, on_key=True)


def _group_hint(key: str) -> str | None:
    if (negated := _NEGATED.fullmatch(key)) is not None:
        return f"write not: {{{negated[1]}: ...}}"
    bare = key.lstrip("$").lower()
    group = bare if bare in GROUPS else OTHER_GROUPS.get(bare)
    if group is None and "." not in key:
        group = did_you_mean(key, GROUPS)
    if group is not None:
        return f"did you mean `{group}`?"
    if bare in OPERATORS:
        return f"an operator stands below a path: event.properties.x: {{{bare}: ...}}"
    return None


def path_key(path: Path) -> str:
    """Return the same text for all paths that lead to the same place."""
    return f"{path.root}{path.parts!r}"


def describe(value: Value) -> str:
    """Return what a value is, for messages."""
    if value is None:
        return "nothing"
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is list:
        return "a list"
    return "a map" if type(value) is dict else repr(value)
