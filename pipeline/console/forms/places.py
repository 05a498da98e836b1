"""Maps a place in the text to the form field that shows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.config.yaml.document import Node, Span, locate
from pipeline.config.yaml.loader import parse_yaml
from pipeline.console.forms.fields.rows import FormRow, WebhookForm
from pipeline.console.forms.fields.scalars import FIELDS
from pipeline.console.forms.read import BODY, BODY_TEXT, HEADERS, WHERE


class Fields:
    """The places of a form's fields in the text that it is of."""

    def __init__(self, text: str, form: WebhookForm) -> None:
        root = parse_yaml(text, "").root
        self._places = [] if root is None else list(_places(root, form))

    def at(self, line: int, column: int) -> str | None:
        """Return the name of the field at a line and column, both from 1; None where there is none."""
        at = (line - 1, column - 1)
        found = [one for one in self._places if one.covers(at)]
        return min(found, key=lambda one: one.size).field if found else None


class _Place(NamedTuple):
    field: str
    span: Span

    def covers(self, at: tuple[int, int]) -> bool:
        return self.span[:2] <= at <= self.span[2:]

    @property
    def size(self) -> tuple[int, int]:
        span = self.span
        lines = span.end_line - span.line
        return lines, span.end_column - (span.column if not lines else 0)


def _places(root: Node, form: WebhookForm) -> Iterator[_Place]:
    for field in FIELDS:
        yield from _place(root, field.path, field.name, field.name)
    yield from _place(root, BODY, BODY_TEXT if form.body_kind == "text" else "body-kind", "body-kind")
    yield from _place(root, ("trigger",), form.fields["trigger"], form.fields["trigger"])
    for index, row in enumerate(form.headers):
        if row.at is not None and row.node is not None:
            key = str(row.node.key)
            yield from _place(root, (*HEADERS, key), f"header-{index}-value", f"header-{index}-name")
    for index, row in enumerate(form.conditions):
        if row.node is not None:
            yield from _condition(root, index, row)
    for index, path in _paths(form.body):
        yield from _place(root, (*BODY, *path), f"body-{index}-value", f"body-{index}-key")


def _condition(root: Node, index: int, row: FormRow) -> Iterator[_Place]:
    node = row.node
    assert node is not None  # it was read
    name = f"where-{index}-"
    if node.key is not None:
        yield from _place(root, (*WHERE, node.key), f"{name}value", f"{name}path")
    elif row.at is not None:
        path: KeyPath = (*WHERE, row.at)
        yield from _place(root, path, f"{name}value", f"{name}value")
        if not row.is_locked:
            yield from _place(root, (*path, str(node.children[0].key)), f"{name}value", f"{name}path")


def _paths(rows: tuple[FormRow, ...]) -> Iterator[tuple[int, KeyPath]]:
    """Yield the place of each row that is in the text."""
    outer: list[KeyPath | None] = [()]
    counts: dict[KeyPath, int] = {}
    for index, row in enumerate(rows):
        del outer[row.depth + 1 :]
        within = outer[-1]
        if row.at is None or row.node is None or within is None:
            outer.append(None)
            continue
        number = counts.get(within, 0)
        counts[within] = number + 1
        path = (*within, number if row.node.key is None else row.node.key)
        yield index, path
        outer.append(path)


def _place(root: Node, path: KeyPath, field: str, on_key: str) -> Iterator[_Place]:
    found = locate(root, path)
    if not found.complete:
        return
    yield _Place(field, found.node.span)
    if found.key is not None:
        yield _Place(on_key, found.key)
