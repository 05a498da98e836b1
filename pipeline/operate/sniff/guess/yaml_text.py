"""Writes a shape file the way a person would."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

from pipeline.model.json import Value
from pipeline.model.printable import one_line
from pipeline.operate.sniff.guess.entries import Entry

_PLAIN: Final = re.compile(r"[^\W\d][\w.$-]*|[$^][\w.^$-]+")
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_WIDTH: Final = 80
_REMARK_AT: Final = 34


def shape_text(name: str, entries: Sequence[Entry], origin: str) -> str:
    """Return the file's text. origin: what it was made from, for the first line."""
    lines = [
        "# yaml-language-server: $schema=../schema/shape.json",
        f"# Proposed by `hookline sniff` from {one_line(origin)}.",
        "# Read it, and mend what it guessed wrong: docs/shapes.md has the language.",
        f"name: {_scalar(name)}",
        "records:" + ("" if len(entries) < 2 else "  # the first entry that fits reads the record"),
    ]
    for entry in entries:
        lines += _entry(entry)
    return "\n".join(lines) + "\n"


def _entry(entry: Entry) -> list[str]:
    lines: list[str] = []
    for name, value in entry.fields.items():
        lead = "  - " if not lines else "    "
        if not isinstance(value, dict):
            lines.append(_remarked(f"{lead}{name}: {_flow(value)}", entry.remarks.get(("", name))))
            continue
        lines.append(_remarked(f"{lead}{name}:", entry.remarks.get((name, "when"))))
        for inner, source in value.items():
            text = f"      {inner}: {_flow(source)}"
            if len(text) > _WIDTH and isinstance(source, dict):
                lines.append(f"      {inner}:")
                lines += [f"        {_scalar(str(key))}: {_flow(one)}" for key, one in source.items()]
            else:
                lines.append(_remarked(text, entry.remarks.get((name, inner))))
    return lines


def _remarked(line: str, remark: str | None) -> str:
    if not remark:
        return line
    beside = f"{line:<{_REMARK_AT}}  # {one_line(remark)}"
    if len(beside) <= _WIDTH or line.startswith("  - "):
        return beside
    indent = " " * (len(line) - len(line.lstrip()))
    return f"{indent}# {one_line(remark)}\n{line}"


def _flow(value: Value) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(str(key))}: {_flow(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return _scalar(str(value))


def _scalar(text: str) -> str:
    """Return a text as YAML, plain where it cannot be mistaken for something else."""
    if (_PLAIN.fullmatch(text) and text.lower() not in _WORDS) or text == ".":
        return text
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False)
