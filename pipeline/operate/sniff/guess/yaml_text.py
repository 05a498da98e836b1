"""Writes a shape file the way a person would."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pipeline.config.edit.writing import Writer
from pipeline.model.printable import one_line
from pipeline.operate.sniff.guess.entries import Entry

_WIDTH: Final = 80
_REMARK_AT: Final = 34
_flow: Final = Writer(None, "").inline


def shape_text(name: str, entries: Sequence[Entry], origin: str) -> str:
    """Return the file's text. origin: what it was made from, for the first line."""
    lines = [
        "# yaml-language-server: $schema=../schema/shape.json",
        f"# Proposed by `hookline sniff` from {one_line(origin)}.",
        "# Read it, and mend what it guessed wrong: docs/shapes.md has the language.",
        f"name: {_flow(name)}",
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
                lines += [f"        {_flow(key)}: {_flow(one)}" for key, one in source.items()]
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
