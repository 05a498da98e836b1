"""Writes new values as YAML, in the style of the file they go into."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import Final

from pipeline.config.edit.layout import Layout, Part
from pipeline.config.yaml import scalars
from pipeline.model.json import Value

_INDICATORS = "-?:,[]{}#&*!|>'\"%@`=<"
_OTHER_TYPES = re.compile(
    r"(?i)true|false|null|~|yes|no|on|off|y|n|\.nan|[-+]?\.inf"
    r"|[-+]?[0-9][0-9_,]*(\.[0-9_]*)?(e[-+]?[0-9]+)?|[-+]?\.[0-9_]+(e[-+]?[0-9]+)?|0[xob][0-9a-f_]+"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*|[-+]?[0-9]+(:[0-9]+)+(\.[0-9]*)?"
)
"""Texts that other YAML readers, and people, take for something else."""
_PLACEHOLDER = re.compile(r"\$\{[^{}\s]*\}")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0"}
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ESCAPED = re.compile(f'["\\\\]|{_CONTROL.pattern}')
_LONG = 90
"""Maximum length of a flow collection that is still easy to read."""


class Writer:
    """Writes values in the style of a file: quotes, indentation, line breaks, flow or block collections."""

    def __init__(self, layout: Layout | None, text: str, outer: Part | None = None) -> None:
        """outer: the collection that receives the value."""
        found = re.search("\r\n|\r|\n", text)
        self.newline = found[0] if found is not None else "\n"
        parts = list(layout.parts()) if layout is not None else []
        quotes = Counter(part.style for part in parts if part.style in ("'", '"'))
        self.quote = "'" if quotes["'"] > quotes['"'] else '"'
        steps, list_steps = Counter[int](), Counter[int]()
        for part in parts:
            for entry in part.entries if part.is_block and part.kind == "map" else ():
                inner = entry.part
                if inner.is_block:
                    (steps if inner.kind == "map" else list_steps)[inner.column - part.column] += 1
        usual = [step for step, _ in (steps + list_steps).most_common() if step > 0]
        self.step = usual[0] if usual else 2
        self.list_step = list_steps.most_common(1)[0][0] if list_steps else self.step
        self._flows = {kind: self._prefers_flow(parts, kind) for kind in ("map", "list")}
        self._outer = outer

    @staticmethod
    def _prefers_flow(parts: list[Part], kind: str) -> bool:
        """Whether this file writes collections of scalars on one line; lists do by default."""
        leaves = [part for part in parts if part.kind == kind and part.entries]
        leaves = [part for part in leaves if not any(entry.part.kind for entry in part.entries)]
        flows = sum(part.flow for part in leaves)
        return flows * 2 >= len(leaves) if leaves else kind == "list"

    def scalar(self, value: Value, *, flow: bool, style: str = "") -> str:
        """Return a scalar on one line. style: the quoting of a text, where possible."""
        if not isinstance(value, str):
            return _number_or_constant(value)
        if style not in ("'", '"'):
            if is_plain(value, flow=flow):
                return value
            style = self.quote
        if style == "'" and not _CONTROL.search(value):
            return "'" + value.replace("'", "''") + "'"
        return double_quoted(value)

    def key(self, key: str, *, flow: bool, style: str = "") -> str:
        """Return a key."""
        return self.scalar(key, flow=flow, style=style)

    def inline(self, value: Value, *, style: str = "") -> str:
        """Return any value on one line."""
        if isinstance(value, dict):
            inner = (f"{self.key(key, flow=True)}: {self.inline(one)}" for key, one in value.items())
            return "{" + ", ".join(inner) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.inline, value)) + "]"
        return self.scalar(value, flow=True, style=style)

    def prefers_flow(self, value: Value) -> bool:
        """Return whether a collection is written on one line, as in this file."""
        if not isinstance(value, (dict, list)) or not value:
            return True
        inner = list(value.values()) if isinstance(value, dict) else value
        if any(isinstance(one, (dict, list)) and one for one in inner):
            return False
        if any(isinstance(one, str) and ("\n" in one or _PLACEHOLDER.fullmatch(one)) for one in inner):
            return False  # on one line a placeholder needs quotes, and would no longer be a number
        return self._flows["map" if isinstance(value, dict) else "list"] and len(self.inline(value)) <= _LONG

    def _like_beside(self, value: Value, column: int) -> bool:
        """Return whether a collection may be on one line: not if all of its siblings are blocks."""
        if self._outer is None or self._outer.column != column or not value:
            return True
        kind = "map" if isinstance(value, dict) else "list"
        beside = [one.part.flow for one in self._outer.entries if one.part.kind == kind and one.part.entries]
        return not beside or any(beside)

    def block(self, value: Value, column: int, *, literal: bool = True) -> str:
        """Return a collection in lines; the first one without its indentation, the last without
        its line end.
        """
        indent = self.newline + " " * column
        if isinstance(value, dict):
            lines = [self.entry(key, one, column, literal=literal) for key, one in value.items()]
        else:
            lines = [self.element(one, column, literal=literal) for one in value]
        return indent.join(lines)

    def entry(
        self,
        key: str,
        value: Value,
        column: int,
        *,
        literal: bool = True,
        key_style: str = "",
        style: str = "",
    ) -> str:
        """Return an entry of a block map whose keys are in this column."""
        written = self.key(key, flow=False, style=key_style)
        return f"{written}:{self.after_key(value, column, literal=literal, style=style)}"

    def after_key(self, value: Value, column: int, *, literal: bool, style: str = "") -> str:
        """Return what follows a colon."""
        on_one_line = self.prefers_flow(value) and self._like_beside(value, column)
        if isinstance(value, (dict, list)) and not on_one_line:
            inner = column + (self.step if isinstance(value, dict) else self.list_step)
            return f"{self.newline}{' ' * inner}{self.block(value, inner, literal=literal)}"
        return " " + self.value(value, column, literal=literal, style=style)

    def element(self, value: Value, column: int, *, literal: bool = True, style: str = "") -> str:
        """Return an element of a block list whose dashes are in this column."""
        if isinstance(value, (dict, list)) and not self.prefers_flow(value):
            return "- " + self.block(value, column + 2, literal=literal)
        return "- " + self.value(value, column, literal=literal, style=style)

    def value(self, value: Value, column: int, *, literal: bool = True, style: str = "") -> str:
        """Return a value that needs no lines of its own, or a multi-line text as a block."""
        if isinstance(value, (dict, list)):
            return self.inline(value)
        if literal and isinstance(value, str) and _fits_literal(value):
            return "".join(self.literal(value, column))
        return self.scalar(value, flow=False, style=style)

    def literal(self, value: str, column: int) -> tuple[str, str]:
        """Return the header and the lines of a literal block, nested in this column."""
        indent = " " * (column + self.step)
        lines = value.removesuffix("\n").split("\n")
        body = "".join(self.newline + (indent + line if line else "") for line in lines)
        return ("|" if value.endswith("\n") else "|-"), body


def _fits_literal(value: str) -> bool:
    body = value.removesuffix("\n")
    plain = not _CONTROL.search(body.replace("\n", "").replace("\t", ""))
    lines = body.split("\n")
    return (
        "\n" in value
        and plain
        and bool(lines[0].strip())
        and bool(lines[-1].strip())
        and lines[0][0] not in " \t"
        and not any(line and not line.strip() for line in lines)
    )


def _number_or_constant(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else text + ".0"
    return str(value)


def is_plain(text: str, *, flow: bool) -> bool:
    """Return whether a text needs no quotes, for any reader and for people."""
    if _PLACEHOLDER.fullmatch(text):
        return not flow
    if not text or text != text.strip() or not text.isprintable() or "\ufeff" in text:
        return False
    if _OTHER_TYPES.fullmatch(text) or text in scalars.LOOKS_LIKE:
        return False
    if text[0] in _INDICATORS or text[-1] == ":" or ": " in text or " #" in text or "{{" in text:
        return False
    return not (flow and any(char in text for char in ",[]{}"))


def double_quoted(text: str) -> str:
    """Return a text in double quotes."""
    return '"' + _ESCAPED.sub(lambda found: _escape(found[0]), text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    return _ESCAPES.get(char) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")
