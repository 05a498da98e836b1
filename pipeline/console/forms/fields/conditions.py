"""Conditions as rows of path, operator and value. Anything more complex becomes a locked row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from pipeline.console.forms.fields.constants import comes_back, meant, meant_list, shown, shown_list
from pipeline.console.forms.fields.rows import LOCKED, FieldError, FormRow
from pipeline.console.forms.fields.scalars import written
from pipeline.console.forms.fields.trees import Node, kept, node_of
from pipeline.match.operators.table import OPERATORS
from pipeline.model.json import Value

_GROUPS: Final = frozenset({"all", "any", "not", "any_element", "label"})
_LISTS: Final = ("list", "range")


def rows_of(where: Node) -> Iterator[FormRow]:
    """Yield one row for each condition of a list or map."""
    for child in where.children:
        one = child if where.kind == "map" else child.children[0] if len(child.children) == 1 else None
        found = None if one is None or (where.kind == "list" and child.kind != "map") else _plain(one)
        if found is None:
            value = {child.key: child.value} if where.kind == "map" else child.value
            yield FormRow("", LOCKED, written(value), node=child)
        else:
            yield FormRow(*found, node=child)


def _plain(node: Node) -> tuple[str, str, str] | None:
    """Return path, operator and value of a condition that a row can hold."""
    path, value = node.key, node.value
    if path is None or path in _GROUPS or not path.strip() or not comes_back(path):
        return None
    if isinstance(value, dict):
        if len(value) != 1:
            return None
        operator, operand = next(iter(value.items()))
    else:
        operator, operand = "in" if isinstance(value, list) else "eq", value
    text = _operand_text(operator, operand)
    return None if text is None else (path, operator, text)


def _operand_text(operator: str, operand: Value) -> str | None:
    known = OPERATORS.get(operator)
    if known is None or isinstance(operand, dict):
        return None
    if known.wants in _LISTS:
        plain = isinstance(operand, list) and not any(isinstance(one, (dict, list)) for one in operand)
        return shown_list(operand) if plain else None
    if isinstance(operand, list):
        return None
    if known.wants == "text" and isinstance(operand, str):
        return operand if operand and comes_back(operand) and operand == operand.strip() else None
    text = shown(operand)
    return text if comes_back(text) else None


def _operand(operator: str, text: str) -> Value:
    """Return what a person means. Raises ValueError."""
    wants = OPERATORS[operator].wants
    if wants in _LISTS:
        return meant_list(text)
    if not text.strip():
        if wants == "flag":
            return True
        raise ValueError('a value is missing; an empty text is ""')
    return text.strip() if wants == "text" else meant(text)


def grow(rows: Sequence[FormRow], before: Node | None) -> tuple[Node | None, list[FieldError], list[int]]:
    """Return the conditions that rows mean, what is wrong with them, and which rows are in it.

    None: there are none. before: those of the text.
    """
    as_map = before is not None and before.kind == "map"
    root = Node(None, "map" if as_map else "list", was=before)
    errors: list[FieldError] = []
    used: list[int] = []
    unchanged = {row.node.key for row in rows if row.node is not None and row.node.key == row.key}
    for index, row in enumerate(rows):
        node = row.node
        taken = {one.key for one in root.children} if as_map else set()
        if row.is_locked:
            made = None if node is None else kept(node)
        elif not row.key.strip() and not row.value.strip() and node is None:
            continue
        else:
            made = _grown(index, row, as_map, errors)
            others = taken | unchanged if node is None or node.key != row.key else taken
            if as_map and made is not None and made.key in others:
                message = f"there is a condition on `{made.key}` already"
                errors.append(FieldError(f"where-{index}-path", message))
                made = None if node is None or node.key in taken else kept(node)
        if made is not None:
            root.children.append(made)
            used.append(index)
    return (root if root.children else None), errors, used


def _grown(index: int, row: FormRow, as_map: bool, errors: list[FieldError]) -> Node | None:
    node = row.node
    inner = node if node is None or as_map else node.children[0]
    if inner is not None and _plain(inner) == (row.key, row.kind, row.value):
        return None if node is None else kept(node)
    path = row.key.strip()
    if not path or path in _GROUPS or "{{" in path or "{%" in path:
        message = "a path is missing, such as event.properties.amount"
        if path:
            message = f"`{path}` is no path: write this condition in the YAML"
        errors.append(FieldError(f"where-{index}-path", message))
        return None if node is None else kept(node)
    if row.kind not in OPERATORS:
        errors.append(FieldError(f"where-{index}-op", f"`{row.kind}` is no operator"))
        return None if node is None else kept(node)
    try:
        operand = _operand(row.kind, row.value)
    except ValueError as error:
        errors.append(FieldError(f"where-{index}-value", str(error)))
        return None if node is None else kept(node)
    made = _condition(path, row.kind, operand, inner)
    if as_map:
        return made
    return Node(None, "map", None, [made], node)


def _condition(path: str, operator: str, operand: Value, before: Node | None) -> Node:
    """Return a condition in the spelling of the one before: `plan: pro` stays short."""
    if before is not None and before.kind == "map":
        known = before.children[0]
        return Node(path, "map", None, [Node(operator, "leaf", operand, was=known)], before)
    short = operator == ("in" if isinstance(operand, list) else "eq")
    made = node_of(operand if short else {operator: operand}, path)
    made.was = before
    return made
