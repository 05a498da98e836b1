"""From a problem (a key path) to a finding (a place in a file)."""

from __future__ import annotations

from pipeline.config.yaml.diagnostics import Problem
from pipeline.config.yaml.document import Document, Node, Span, locate, text_span
from pipeline.model.findings import Finding


def place(document: Document, problem: Problem, root: Node | None = None) -> Finding:
    """Return the finding at the problem's place.

    root: the tree that was checked, if it is not the document's own (two files merged by `extends`); the
    finding then names the file in which the place really is.
    """
    root = root or document.root
    if root is None:
        return Finding(document.file, 0, 0, problem.code, problem.message, problem.hint, problem.warning)
    found = locate(root, problem.path)
    node = found.node
    if problem.offset is not None and found.complete and not problem.on_key:
        span = text_span(node, problem.offset, problem.length or 1)
    elif found.key is not None and (problem.on_key or not found.complete):
        span = found.key
        if problem.offset and found.complete:
            span = _inside(node.document, span, problem.offset, problem.length)
    elif node is root or not found.complete:
        span = _head(node)
    else:
        span = node.span
    return node.document.finding(
        span, problem.code, problem.message, hint=problem.hint, warning=problem.warning
    )


def _head(node: Node) -> Span:
    """Return the first key of a map: the place to point at where a field is missing."""
    if node.items:
        return next(iter(node.items.values()))[0]
    line, column = node.span[:2]
    return Span(line, column, line, column + 1)


def _inside(document: Document, key: Span, offset: int, length: int | None) -> Span:
    """Return the part of a key that is meant; a quote before it takes one more column."""
    line = document.lines[key.line]
    column = key.column + offset + (line[key.column : key.column + 1] in ("'", '"'))
    if key.end_line != key.line or column >= key.end_column:
        return key
    end = key.end_column if length is None else min(key.end_column, column + length)
    return Span(key.line, column, key.line, end)
