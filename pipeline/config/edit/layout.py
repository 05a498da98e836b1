"""Where the parts of a YAML file stand, as offsets in its text: where edits cut and paste.

The parser's marks are exact for scalars and flow collections; a block collection ends with its last value,
since its own mark lies after the comments that follow.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.config.yaml.document import Node
from pipeline.model.json import Value

_BREAK = re.compile("\r\n|\r|\n")
_HEADER = re.compile(r"[|>][-+0-9]*")
_BLANK = " \t\r\n"


@dataclass(slots=True, eq=False)
class Part:
    """One value as written."""

    value: Value
    start: int
    end: int
    """After its last character; never at the start of a line, so that the line's end is that of the value."""
    raw_end: int
    """Where the parser ends it: for a block text including its last line end and blank lines."""
    column: int
    kind: str
    """map, list, or "" for a scalar."""
    flow: bool
    """In braces or brackets, or nested in such."""
    style: str
    """Of a scalar: "" plain, ' and " quoted, | literal, > folded."""
    entries: list[Entry] = field(default_factory=list)

    @property
    def is_block(self) -> bool:
        """Whether it is a collection on lines of its own."""
        return bool(self.kind) and not self.flow


@dataclass(slots=True, eq=False)
class Entry:
    """One entry of a map or list."""

    key: str | None
    begin: int
    """The start of its key, ``?``, dash, or (in a flow list) value."""
    indicator: int
    """After its colon or dash; in a flow list its begin."""
    part: Part
    key_start: int = 0
    key_end: int = 0

    @property
    def end(self) -> int:
        """After its last character."""
        return self.part.end


class Layout:
    """The parts of one valid text."""

    def __init__(self, text: str, root: Node) -> None:
        self.text = text
        self._starts = [0, *(found.end() for found in _BREAK.finditer(text))]
        self.root = self._part(root, 0, flow=False)

    def line_start(self, at: int) -> int:
        """Return the start of an offset's line."""
        return self._starts[bisect_right(self._starts, at) - 1]

    def line_end(self, at: int) -> int:
        """Return the end of an offset's line, without the line break."""
        found = _BREAK.search(self.text, at)
        return len(self.text) if found is None else found.start()

    def next_line(self, at: int) -> int:
        """Return the start of the line after an offset's; the end of the text where there is none."""
        found = _BREAK.search(self.text, at)
        return len(self.text) if found is None else found.end()

    def begins_line(self, at: int) -> bool:
        """Return whether only blanks precede an offset in its line."""
        return not self.text[self.line_start(at) : at].strip(" \t")

    def skip(self, at: int) -> int:
        """Return where the next token begins, after blanks, line breaks and comments."""
        text = self.text
        while at < len(text):
            if text[at] in _BLANK:
                at += 1
            elif text[at] == "#" and (at == 0 or text[at - 1] in _BLANK):
                at = self.line_end(at)
            else:
                break
        return at

    def is_hollow(self, part: Part, entry: Entry | None) -> bool:
        """Return whether an entry is `{}` or `[]` with nothing inside: what fills it may take lines."""
        return entry is not None and self.text[part.start : part.end] in ("{}", "[]")

    def parts(self) -> Iterator[Part]:
        """Yield every value, outer ones first."""
        todo = [self.root]
        while todo:
            one = todo.pop()
            yield one
            todo += [entry.part for entry in reversed(one.entries)]

    def find(self, path: tuple[str | int, ...]) -> Part | None:
        """Return the part at a path, None where there is none."""
        part: Part | None = self.root
        for step in path:
            entry = None if part is None else entry_at(part, step)
            part = None if entry is None else entry.part
        return part

    def _at(self, line: int, column: int) -> int:
        return (
            min(self._starts[line] + column, len(self.text)) if line < len(self._starts) else len(self.text)
        )

    def _part(self, node: Node, empty_at: int, *, flow: bool) -> Part:
        span = node.span
        start, end = self._at(span.line, span.column), self._at(span.end_line, span.end_column)
        kind = "map" if node.items is not None else "list" if node.elements is not None else ""
        flow = flow or (bool(kind) and self.text[start : start + 1] in ("{", "["))
        part = Part(node.value, start, end, end, span.column, kind, flow, node.style)
        if kind:
            self._fill(part, node)
        elif node.style in ("|", ">"):
            part.end = self._block_end(start, end)
        elif node.value is None and start == end:
            part.start = part.end = part.raw_end = empty_at
        return part

    def _fill(self, part: Part, node: Node) -> None:
        braced = self.text[part.start : part.start + 1] in ("{", "[")
        at = part.start + 1 if part.flow and braced else part.start
        inner: list[tuple[str | None, int, Node]]
        if node.items is not None:
            inner = [(key, self._at(*span[:2]), one) for key, (span, one) in node.items.items()]
            ends = [self._at(*span[2:]) for span, _ in node.items.values()]
        else:
            inner = [(None, self._at(*one.span[:2]), one) for one in node.elements or ()]
            ends = [0] * len(inner)
        for (key, start, one), key_end in zip(inner, ends, strict=True):
            token = self.skip(at)
            if part.flow and self.text[token : token + 1] == ",":
                token = self.skip(token + 1)
            if key is None:
                begin = indicator = start if part.flow else token
                indicator += not part.flow
            else:
                begin = token if self.text[token : token + 1] == "?" and token < start else start
                colon = self.skip(key_end)
                indicator = colon + 1 if self.text[colon : colon + 1] == ":" else key_end
            value = self._part(one, indicator, flow=part.flow)
            part.entries.append(Entry(key, begin, indicator, value, start if key is not None else 0, key_end))
            at = value.end
        if part.is_block and part.entries:
            part.end, part.raw_end = part.entries[-1].end, part.entries[-1].part.raw_end

    def _block_end(self, start: int, end: int) -> int:
        """Return the end of a block text's last line; blank lines count where they are kept (``|+``)."""
        header = _HEADER.match(self.text, start)
        kept = header is not None and "+" in header[0]
        body = self.text[start:end]
        if not kept:
            return start + len(body.rstrip(_BLANK))
        for line_break in ("\r\n", "\r", "\n"):
            if body.endswith(line_break):
                return end - len(line_break)
        return end

    def header_end(self, part: Part) -> int:
        """Return the end of a block text's header (``|-``)."""
        header = _HEADER.match(self.text, part.start)
        return part.start if header is None else header.end()


def entry_at(part: Part, step: str | int) -> Entry | None:
    """Return the entry of a collection by its key or index, None where there is none."""
    if part.kind == "list":
        return part.entries[step] if isinstance(step, int) and 0 <= step < len(part.entries) else None
    return next((entry for entry in part.entries if entry.key == step), None)
