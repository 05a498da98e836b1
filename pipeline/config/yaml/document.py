"""A parsed YAML file: plain data in which every node knows its file, line and column.

Positions are kept beside the data, so models and compilers see ordinary dicts and lists and name a place by
its key path; `locate` finds that path again, also through a merge of two files (`extends`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pipeline.config.yaml.diagnostics import KeyPath
from pipeline.model.findings import Finding
from pipeline.model.json import Value


class Span(NamedTuple):
    """A range of a file; lines and columns count from 0, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


UNSET: Final = object()
"""The value of a node whose setting has none: its key is omitted, so that a default applies."""


@dataclass(slots=True, eq=False, repr=False)
class Node:
    """One value with its place."""

    document: Document
    value: Value
    """Plain data."""
    span: Span
    style: str = ""
    """How a scalar was written: "" plain, ' and " quoted, | literal, > folded."""
    items: dict[str, tuple[Span, Node]] | None = None
    """The nodes of a mapping by key, with the span of the key."""
    elements: list[Node] | None = None
    """The nodes of a list."""


@dataclass(slots=True, eq=False)
class Document:
    """A parsed file: a root (None where nothing could be read) and its findings."""

    file: str
    """Name relative to the config directory: ``webhooks/big-purchase.yaml``."""
    lines: list[str]
    root: Node | None = None
    findings: list[Finding] = field(default_factory=list)
    settled: bool = False
    """True once placeholders outside secrets hold their values."""
    unset: list[KeyPath] = field(default_factory=list)
    """Places of placeholders without a value: consequences of that are not errors of their own."""
    quoted: dict[KeyPath, tuple[str, Value]] = field(default_factory=dict)
    """Places of quoted placeholders without other text: the value, and the number or constant it spells."""
    values: int = 0
    """How many values it contains, nested ones included."""

    @property
    def data(self) -> Value:
        """What it holds; None where nothing could be read."""
        return None if self.root is None else self.root.value

    @property
    def fields(self) -> dict[str, Value]:
        """What it holds where that is a map; else {}."""
        return data if isinstance(data := self.data, dict) else {}

    @property
    def is_base(self) -> bool:
        """True where others can extend it: it could be read, is a map, and extends nothing itself."""
        return self.root is not None and self.root.items is not None and "extends" not in self.root.items

    def finding(
        self,
        span: Span,
        code: str,
        message: str,
        *,
        hint: str | None = None,
        warning: bool = False,
    ) -> Finding:
        """Return a finding at this place of this file (it is not added)."""
        source = self.lines[span.line] if span.line < len(self.lines) else ""
        end = span.end_column if span.end_line == span.line else len(source.rstrip())
        return Finding(
            self.file,
            span.line + 1,
            span.column + 1,
            code,
            message,
            hint,
            warning,
            source,
            max(1, end - span.column),
        )


class Place(NamedTuple):
    """Where a key path leads: the deepest node that exists, and the span of its key if it has one."""

    node: Node
    key: Span | None
    complete: bool


def locate(root: Node, path: KeyPath) -> Place:
    """Follow a key path; where it leaves the tree, return the deepest node on the way."""
    node, key = root, None
    for part in path:
        if node.items is not None:
            entry = node.items.get(str(part))
            if entry is None:
                return Place(node, key, False)
            key, node = entry
        elif node.elements is not None and isinstance(part, int) and 0 <= part < len(node.elements):
            key, node = None, node.elements[part]
        elif part != 0 or node.items is not None or node.elements is not None:
            return Place(node, key, False)
        # A single text stands for a list of one: it is its own first element.
    return Place(node, key, True)


def text_span(node: Node, offset: int, length: int) -> Span:
    """Return where a character of a scalar's text stands in the file.

    The text and its source differ by quotes, escapes, indentation and folded lines, so both are walked in
    parallel; where they cannot be matched the span of the whole scalar is returned.
    """
    if not isinstance(node.value, str) or offset > len(node.value):
        return node.span
    lines = node.document.lines[: node.span.end_line + 1]
    walk = _literal if node.style == "|" else _folded
    line, column = walk(node, lines, node.value[:offset])
    if line >= len(lines):
        return node.span
    return Span(line, column, line, min(column + length, max(len(lines[line]), column + 1)))


def _literal(node: Node, lines: list[str], before: str) -> tuple[int, int]:
    """A literal block: every line of the text is one of the file, after the block's indentation."""
    line = node.span.line + 1 + before.count("\n")
    return line, _block_indent(node, lines) + len(before) - before.rfind("\n") - 1


def _block_indent(node: Node, lines: list[str]) -> int:
    """Return the columns before a block's text: blanks that `|2` leaves in the text are none of them."""
    written = next(filter(str.strip, lines[node.span.line + 1 :]), "")
    return _indent(written) - _indent(next(filter(str.strip, node.value.split("\n")), ""))


def _indent(source: str) -> int:
    return len(source) - len(source.lstrip(" \t"))


def _folded(node: Node, lines: list[str], before: str) -> tuple[int, int]:
    """Any other style: line ends fold to blanks, escapes take several characters."""
    line, column, style = node.span.line, node.span.column, node.style
    block = style == ">"
    indent = _block_indent(node, lines) if block else None

    def at_end() -> bool:
        return not lines[line][column:].strip() or (style == '"' and lines[line][column:] == "\\")

    def next_line() -> None:
        nonlocal line, column
        line += 1
        if line < len(lines):
            column = _indent(lines[line]) if indent is None else min(indent, len(lines[line]))

    if block:
        next_line()
    elif style:
        column += 1
    for char in before:
        if line < len(lines) and at_end() and char in " \n" and not lines[line].endswith("\\"):
            next_line()
            continue
        while line < len(lines) and at_end():
            next_line()
        if line >= len(lines):
            return line, column
        column += _source_width(lines[line], column, char, style)
    while line < len(lines) and at_end():
        next_line()
    return line, column


_ESCAPE_WIDTHS = {"x": 4, "u": 6, "U": 10}


def _source_width(source: str, column: int, wanted: str, style: str) -> int:
    """Return how many characters of the source line represent one character of the text."""
    if style == '"' and source[column] == "\\" and column + 1 < len(source):
        return _ESCAPE_WIDTHS.get(source[column + 1], 2)
    if style == "'" and wanted == "'":
        return 2
    return 1
