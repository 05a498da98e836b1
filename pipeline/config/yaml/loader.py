"""Reads one YAML file into data with positions; never raises, whatever the file contains.

libyaml's event parser reads (some 1 us per event); what it must not decide (scalars, anchors, tags, duplicate
keys, empty values) is decided here, on its events.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, partialmethod
from typing import Any

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from pipeline.config.yaml import scalars, suspects, syntax
from pipeline.config.yaml.document import Document, Node, Span
from pipeline.model.findings import Finding

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 64
_MAX_REPAIRS = 20
_LINE_BREAK = re.compile("\r\n|\r|\n")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_CUT_COMMENT = re.compile(r"(?:[ \t]|,[ \t]*)#[^\s#!]")


_make_span: Callable[[tuple[int, int, int, int]], Span] = partial(tuple.__new__, Span)
"""`Span._make` in half the time: there are sixty in a usual webhook."""

EMPTY = "empty-file"
"""The code of a file without content: not a fault for pipeline.yaml, whose fields all have defaults."""


class _Stop(Exception):
    """The rest of the file cannot be parsed; the finding is already noted."""


UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""The first bytes of files that some editors write."""


def decode_text(raw: bytes) -> str:
    """Return the file's text; a byte order mark is dropped.

    Raises ValueError, with a message for a person, for what is not UTF-8.
    """
    if raw[:2] in UTF_16:
        raise ValueError("the file is UTF-16; save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"the file is not UTF-8: byte 0x{raw[error.start]:02x} in line {line}; save it as UTF-8"
        ) from None


def parse_yaml(text: str, file: str) -> Document:
    """Parse one file. ``root`` is None where nothing could be read; every fault is in ``findings``."""
    if len(text) > MAX_FILE_BYTES:
        document = Document(file, [""])
        document.findings.append(
            document.finding(
                Span(0, 0, 0, 1), "file-too-large", f"a config file may hold {MAX_FILE_BYTES:,} characters"
            )
        )
        return document
    text = text.removeprefix("\ufeff")
    document = Document(file, _LINE_BREAK.split(text) if "\r" in text else text.split("\n"))
    bad = _FORBIDDEN.search(text)
    if bad is not None:
        document.findings.append(_forbidden(document, text, bad.start()))
        return document
    repaired: set[int] = set()
    lines = list(document.lines)
    for _ in range(_MAX_REPAIRS):
        builder = _Builder(document)
        try:
            document.root = builder.build("\n".join(lines) + "\n" if repaired else text)
        except _Stop:
            document.root = None
        except YAMLError as error:
            # A known mistake is repaired and the file read once more, so that its other faults show too.
            fault = syntax.explain(document, error, repaired)
            document.findings.append(fault.finding)
            if fault.repair is not None and fault.line not in repaired:
                repaired.add(fault.line)
                lines[fault.line] = fault.repair
                continue
            document.root = None
        document.findings.extend(f for f in builder.findings if f.line - 1 not in repaired)
        break
    if document.root is None and not document.findings:
        comments = " but for comments" if any(line.strip() for line in document.lines) else ""
        document.findings.append(
            document.finding(Span(0, 0, 0, 1), EMPTY, f"the file is empty{comments}", hint=_empty_hint(file))
        )
    return document


def _empty_hint(file: str) -> str:
    if file.startswith("labels/"):
        return "a label has a `name`, and `events`, `capture` or `where`; delete the file if it is not needed"
    if file.endswith(".test.yaml"):
        return "a test has `cases`, or `lines` and `expect`; delete the file if it is not needed"
    return "`hookline new` writes a webhook to begin with; delete the file if it is not needed"


def _forbidden(document: Document, text: str, index: int) -> Finding:
    before = _LINE_BREAK.split(text[:index])
    line, column = len(before) - 1, len(before[-1])
    char = text[index]
    escape = f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}"
    return document.finding(
        Span(line, column, line, column + 1),
        "control-character",
        f"the file holds the character U+{ord(char):04X}",
        hint=f'inside a text write "{escape}", in double quotes',
    )


@dataclass(slots=True, eq=False)
class _Frame:
    """A mapping or list that is being parsed."""

    node: Node
    is_map: bool
    flow: bool
    key: tuple[str, Span] | None = None


class _Builder:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []
        self.stack: list[_Frame] = []
        self.root: Node | None = None

    def error(
        self, span: Span, code: str, message: str, hint: str | None = None, *, warning: bool = False
    ) -> None:
        self.findings.append(self.document.finding(span, code, message, hint=hint, warning=warning))

    warn = partialmethod(error, warning=True)

    def build(self, text: str) -> Node | None:
        parser = CParser(text)
        try:
            documents = 0
            while True:
                event: Any = parser.get_event()  # one of many classes, distinguished by `kind`
                if event is None:
                    return self.root
                kind = type(event)
                if kind is ScalarEvent:
                    self._scalar(event)
                elif kind is MappingStartEvent or kind is SequenceStartEvent:
                    self._open(event, kind is MappingStartEvent)
                elif kind is MappingEndEvent or kind is SequenceEndEvent:
                    node = self.stack.pop().node
                    line, column, _, _ = node.span
                    end = event.end_mark
                    node.span = _make_span((line, column, end.line, end.column))
                    self._add(node)
                elif kind is AliasEvent:
                    span = _span(event)
                    self.error(span, "alias", f"aliases (`*{event.anchor}`) are not supported", _NO_ANCHORS)
                    self._add(Node(self.document, None, span))
                elif kind is DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        span = _span(event)
                        rest = self.document.lines[span.line + 1 :]
                        blank = all(not line.strip() or line.lstrip().startswith("#") for line in rest)
                        self.error(
                            span,
                            "several-documents",
                            "one file holds one document; `---` begins a second one",
                            "leave it out" if blank else "move what follows into a file of its own",
                        )
                        raise _Stop
        finally:
            parser.dispose()

    def _open(self, event: Any, is_map: bool) -> None:
        span = _span(event)
        self._refuse_extras(event, span)
        if len(self.stack) >= MAX_DEPTH:
            self.error(span, "too-deep", f"more than {MAX_DEPTH} levels of nesting")
            raise _Stop
        top = self.stack[-1] if self.stack else None
        if top is not None and top.is_map and top.key is None:
            if top.flow and event.flow_style and span.column:
                raise syntax.UnquotedTemplate(span.line, span.column - 1)
            self.error(span, "key-not-text", "a key must be a text, not a map or a list")
            raise _Stop
        node = Node(self.document, {} if is_map else [], span)
        if is_map:
            node.items = {}
        else:
            node.elements = []
        self.stack.append(_Frame(node, is_map, bool(event.flow_style)))

    def _scalar(self, event: Any) -> None:
        mark, end = event.start_mark, event.end_mark
        span = _make_span((mark.line, mark.column, end.line, end.column))
        if event.anchor is not None or event.tag is not None:
            self._refuse_extras(event, span)
        text = event.value
        style = event.style or ""
        top = self.stack[-1] if self.stack else None
        if top is not None and top.is_map and top.key is None:
            self._key(text, span, style, top)
            return
        if style:
            if not text and style in "|>":
                written = self.document.lines[span.line][span.column :]
                self.warn(span, *suspects.empty_block(written))
            self._add(Node(self.document, text, span, style))
            return
        if not text:
            self._empty(span, top)
            self._add(Node(self.document, None, span))
            return
        value: Any = text
        try:
            value = scalars.resolve(text)
        except ValueError as error:
            self.error(
                span, "number-too-large", str(error), f'write "{text[:40]}" in quotes to keep it a text'
            )
        if value is text:
            self._check_plain(text, span)
            alone = top is not None and top.key is not None and span.line > top.key[1].line
            if alone and (found := suspects.no_map(text)) is not None:
                self.warn(span, *found)
        self._add(Node(self.document, value, span))

    def _check_plain(self, text: str, span: Span) -> None:
        for found in suspects.of_text(text):
            self.warn(span, *found)
        line = self.document.lines[span.end_line] if span.end_line < len(self.document.lines) else ""
        if "#" in line and _CUT_COMMENT.match(line, span.end_column):
            rest = line[span.end_column :].strip()
            if rest[0] == ",":
                told, hint = f"`{rest[1:].strip()[:40]}` is a comment", "quote it if it is a value"
            else:
                told = f"the value ends before the comment `{rest[:40]}`"
                hint = "quote the value if the `#` belongs to it"
            self.warn(span, "comment-cuts-value", told, hint)

    def _key(self, text: str, span: Span, style: str, top: _Frame) -> None:
        items = top.node.items
        assert items is not None  # a frame with is_map
        if text == "<<" and not style:
            self.error(span, "merge-key", "merge keys (`<<`) are not supported", _NO_ANCHORS)
        elif "{{" in text or "{%" in text:
            self.error(
                span,
                "template-in-key",
                "a key cannot hold a template",
                "write the key out, or use `$spread` to copy keys from the event",
            )
        elif text in items:
            first = items[text][0].line + 1
            self.error(span, "duplicate-key", f"the key `{text}` is already given in line {first}")
        if not style and (unseen := suspects.unseen(text)) is not None:
            self.warn(span, *unseen)
        top.key = (text, span)

    def _empty(self, span: Span, top: _Frame | None) -> None:
        if top is None:
            return
        at = top.key[1] if top.key is not None else span
        line_number = top.key[1].end_line if top.key is not None else span.line
        start = top.key[1].end_column if top.key is not None else span.column
        line = self.document.lines[line_number] if line_number < len(self.document.lines) else ""
        comment = re.match(r"['\"]?\s*[:?-]?\s+(#.*)", line[start:])
        name = f"`{top.key[0]}`" if top.key is not None else "the list element"
        if comment is not None:
            told = comment[1].strip()
            self.error(
                at,
                "empty-value",
                f"{name} has no value: `{told[:60]}` is a comment",
                f'write "{told[:60]}" in quotes if it is the value',
            )
        elif top.flow and top.key is not None and ":" not in line[start : start + 3]:
            hint = f"write `{top.key[0]}: value`, or quote the text"
            for number in _THOUSANDS.finditer(line):
                if number.start() < start <= number.end():
                    hint = f"a comma ends a value: write {number[0].replace(',', '')}"
            self.error(at, "empty-value", f"{name} has no value", hint)
        else:
            hint = 'give it a value, or remove it; `null` and "" are values'
            self.error(at, "empty-value", f"{name} has no value", hint)

    def _add(self, node: Node) -> None:
        self.document.values += 1
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if not top.is_map:
            assert top.node.elements is not None  # a frame without is_map
            top.node.elements.append(node)
            top.node.value.append(node.value)
        elif top.key is None:
            self.error(node.span, "key-not-text", "a key must be a text")
            raise _Stop
        else:
            key, span = top.key
            assert top.node.items is not None  # a frame with is_map
            top.node.items[key] = (span, node)
            top.node.value[key] = node.value
            top.key = None

    def _refuse_extras(self, event: Any, span: Span) -> None:
        if event.anchor is not None:
            self.error(span, "anchor", f"anchors (`&{event.anchor}`) are not supported", _NO_ANCHORS)
        if event.tag is not None:
            hint = "quote the value to keep it a text"
            written = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.error(span, "tag", f"tags (`{written}`) are not supported", hint)


_NO_ANCHORS = "use `vars:` or `extends:` to share parts"


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return _make_span((start.line, start.column, end.line, end.column))
