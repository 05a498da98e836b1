"""The body as rows of key, kind and value; and rows turned back into a body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from pipeline.console.forms.fields.constants import comes_back, meant, normal, shown
from pipeline.console.forms.fields.rows import (
    CONSTANT,
    EVENT,
    LIST,
    LOCKED,
    OBJECT,
    TEMPLATE,
    USER,
    FieldError,
    FormRow,
)
from pipeline.console.forms.fields.scalars import written
from pipeline.console.forms.fields.trees import Node, kept
from pipeline.language.path_syntax import PathError, parse_path
from pipeline.model.json import Value
from pipeline.render.keys import DIRECTIVES

MAX_DEPTH: Final = 40
"""Objects in objects that the form shows; what lies deeper is a locked row."""
_ONE_PATH = re.compile(r"\{\{-?\s*((?:[^{}'\"]|'[^']*'|\"[^\"]*\")+?)\s*-?\}\}")
_SHORT: Final = {EVENT: "event.properties.", USER: "user.properties."}
_ROOTS: Final = ("event", "user", "vars")


def is_template(text: str) -> bool:
    """Return whether a text is rendered for each event."""
    return "{{" in text or "{%" in text


def rows_of(body: Node) -> Iterator[FormRow]:
    """Yield the rows of a body that is a map or a list, in the order of the file."""
    return _rows(body, 0)


def _rows(outer: Node, depth: int) -> Iterator[FormRow]:
    for node in outer.children:
        row = FormRow(node.key or "", OBJECT, "", depth, node.key is not None, node=node)
        if node.key in DIRECTIVES or (node.kind != "leaf" and depth >= MAX_DEPTH):
            yield replace(row, kind=LOCKED, value=written(node.value))
        elif node.key is not None and not comes_back(node.key):
            yield replace(row, key=json.dumps(node.key), kind=LOCKED, value=written(node.value))
        elif node.kind != "leaf":
            yield replace(row, kind=OBJECT if node.kind == "map" else LIST)
            yield from _rows(node, depth + 1)
        else:
            kind, text = leaf_text(node.leaf)
            yield replace(row, kind=kind, value=text)


def leaf_text(value: Value) -> tuple[str, str]:
    """Return the kind of a single value, and how it is typed."""
    if not isinstance(value, str) or not is_template(value):
        return CONSTANT, shown(value)
    found = _ONE_PATH.fullmatch(value)
    if found is not None and (known := _property(found[1])) is not None:
        return known
    if not comes_back(value, lines=True) or not value.strip():
        return LOCKED, written(value)
    return TEMPLATE, value


def _property(text: str) -> tuple[str, str] | None:
    try:
        path = parse_path(text)
    except PathError:
        return None
    if path.has_any or path.root not in (EVENT, USER) or not comes_back(text):
        return None
    short = text.removeprefix(_SHORT[path.root])
    return path.root, short if short and path_text(path.root, short) == text else text


def path_text(kind: str, text: str) -> str:
    """Return the path that a person means by a property: ``amount``, ``Sales Rep``, ``event.id``, ``event``.

    Raises ValueError where it cannot be one.
    """
    text = text.strip()
    if not text:
        raise ValueError("a property is missing: name one, such as amount")
    if is_template(text) or " | " in text:
        raise ValueError("that is more than a property: choose the kind Template for it")
    if re.match(rf"({'|'.join(_ROOTS)})($|[.\[])", text):
        return text  # a typing error in it is found by the check of the whole file
    prefix = _SHORT[kind]
    for path in (prefix + text, prefix[:-1] + text if text[0] == "[" else ""):
        try:
            return parse_path(path).text
        except PathError:
            continue
    quoted = json.dumps(text, ensure_ascii=False) if "'" in text or "\\" in text else f"'{text}'"
    return f"{prefix[:-1]}[{quoted}]"


def leaf_value(kind: str, text: str) -> Value:
    """Return the value that a row of one value means. Raises ValueError."""
    if kind in _SHORT:
        return f"{{{{ {path_text(kind, text)} }}}}"
    if kind == TEMPLATE:
        if not text.strip():
            raise ValueError("a template is missing, such as {{ event.properties.amount }}")
        return normal(text)
    return meant(text)


@dataclass(slots=True)
class Grown:
    """A body made of rows."""

    root: Node
    errors: list[FieldError] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    """The rows that are in it, in order; the others wait until they are complete."""


def grow(kind: str, rows: Sequence[FormRow], before: Node | None) -> Grown:
    """Return the body that rows mean. before: that of the text, whose nodes the rows with `at` are."""
    root = Node(None, "list" if kind == LIST else "map", was=before)
    grown = Grown(root)
    outer: list[Node | None] = [root]
    """The containers that are open, outermost first; None: one that is not in the body."""
    unchanged = _unchanged(rows)
    for index, row in enumerate(rows):
        del outer[min(row.depth, MAX_DEPTH) + 1 :]
        if outer[-1] is None or len(outer) <= row.depth:
            outer += [None]
            continue
        node = _node(index, row, outer[-1], rows, unchanged[index], grown)
        if node is not None:
            outer[-1].children.append(node)
            grown.rows.append(index)
        outer.append(node if node is not None and node.kind != "leaf" and not row.is_locked else None)
    return grown


def _unchanged(rows: Sequence[FormRow]) -> list[set[str]]:
    """Return for each row which keys its neighbours have had before: no other may take them."""
    found: list[set[str]] = []
    open_: list[set[str]] = [set()]
    for row in rows:
        del open_[row.depth + 1 :]
        found.append(open_[-1])
        if row.node is not None and row.node.key == row.key:
            open_[-1].add(row.key)
        open_.append(set())
    return found


def _node(
    index: int, row: FormRow, outer: Node, rows: Sequence[FormRow], unchanged: set[str], grown: Grown
) -> Node | None:
    """Return the node of a row; where it is at fault what the text has, or None."""
    if row.is_locked:
        return None if row.node is None else kept(row.node)
    if row.is_blank:
        return None
    key: str | None = None
    if outer.kind == "map":
        key = row.key
        taken = {str(one.key) for one in outer.children}
        own = row.node is not None and row.node.key == key
        problem = _key_problem(key, own, taken if own else taken | unchanged)
        if problem is not None:
            grown.errors.append(FieldError(f"body-{index}-key", problem))
            key = None if row.node is None else row.node.key
            if key is None or key in taken:
                return None
    holds = index + 1 < len(rows) and rows[index + 1].depth > row.depth
    if row.kind in (OBJECT, LIST):
        return Node(key, "map" if row.kind == OBJECT else "list", was=row.node)
    if holds:
        message = "it holds others: take them out first, or choose Object or List"
        grown.errors.append(FieldError(f"body-{index}-kind", message))
        if row.node is not None and row.node.kind != "leaf":
            return Node(key, row.node.kind, was=row.node)
        return None
    if row.node is not None and row.node.kind == "leaf" and leaf_text(row.node.leaf) == (row.kind, row.value):
        return Node(key, "leaf", row.node.leaf, was=row.node)
    try:
        return Node(key, "leaf", leaf_value(row.kind, row.value), was=row.node)
    except ValueError as error:
        grown.errors.append(FieldError(f"body-{index}-value", str(error)))
        if row.node is None:
            return None
        return Node(key, row.node.kind, row.node.leaf, [kept(one) for one in row.node.children], row.node)


def _key_problem(key: str, own: bool, taken: set[str]) -> str | None:
    if not key and not own:
        return "a key is missing"
    if key in taken:
        return f"there is a key `{key}` already"
    if key in DIRECTIVES and not own:
        return f"`{key}` is a directive: write it in the YAML; a key of that name is `${key}`"
    if is_template(key):
        return "a key is constant: it cannot hold a template"
    return None
