"""Problems with their places: sorted, and rendered for a person (file, line, column, source, remedy)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.model.printable import printable

_WIDTH = 150
"""Longest part of a source line that is shown."""


@dataclass(slots=True, frozen=True)
class Finding:
    """One problem at one place. Lines and columns count from 1; line 0 means the file as a whole."""

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str | None = None
    warning: bool = False
    source: str = ""
    length: int = 1

    def to_json(self) -> dict[str, str | int | None]:
        """Return place, severity, code, message and hint."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "severity": "warning" if self.warning else "error",
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by file, line and column, without duplicates.

    Several webhooks that extend one base report its faults several times.
    """
    unique = dict.fromkeys(findings)
    return sorted(unique, key=lambda f: (f.file, f.line, f.column, f.warning, f.code, f.message))


def errors_in(findings: Iterable[Finding]) -> int:
    """Return how many of the findings are errors."""
    return sum(not finding.warning for finding in findings)


def check_json(findings: Sequence[Finding], webhooks: int, labels: int) -> dict[str, object]:
    """Return what `hookline check --json` prints: whether all is well, the counts, the findings in order."""
    errors = errors_in(findings)
    return {
        "ok": not errors,
        "errors": errors,
        "warnings": len(findings) - errors,
        "webhooks": webhooks,
        "labels": labels,
        "findings": [finding.to_json() for finding in in_order(findings)],
    }


def render_finding(finding: Finding, *, root: str = "") -> str:
    """Return the message with its place, the source line and carets; no trailing newline."""
    place = _join(root, finding.file)
    kind = "warning" if finding.warning else "error"
    if finding.line:
        place = f"{place}:{finding.line}:{finding.column}"
    head = f"{place}: {kind}[{finding.code}]: {_told(finding.message)}"
    if not finding.line or not finding.source.strip():
        return f"{head}\n      | {_told(finding.hint)}" if finding.hint else head
    source, start, length = _window(finding.source, finding.column - 1, finding.length)
    gap = "".join("\t" if c == "\t" else " " * _cells(c) for c in source[:start])
    marks = "^" * max(1, sum(_cells(c) for c in source[start : start + length]))
    hint = f" {_told(finding.hint)}" if finding.hint else ""
    return f"{head}\n{finding.line:>5} | {_shown(source)}\n      | {gap}{marks}{hint}"


def summary(findings: Iterable[Finding]) -> str:
    """Return the closing line: ``2 problems in 1 file (1 error, 1 warning)``."""
    found = list(findings)
    warnings = sum(f.warning for f in found)
    errors = len(found) - warnings
    parts = [_count(errors, "error")] * bool(errors) + [_count(warnings, "warning")] * bool(warnings)
    files = len({f.file for f in found})
    detail = f" ({', '.join(parts)})" if parts else ""
    return f"{_count(len(found), 'problem')} in {_count(files, 'file')}{detail}"


def render(findings: Iterable[Finding], *, root: str = "") -> str:
    """Return every finding and the closing line; "" where there is none."""
    found = in_order(findings)
    if not found:
        return ""
    return "\n".join([*(render_finding(f, root=root) for f in found), summary(found)])


def _told(text: str) -> str:
    """Return a text made safe for a terminal: what a config contains is shown, never obeyed."""
    return printable(text, kept="\n")


def _shown(source: str) -> str:
    return "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in source)


def _join(root: str, file: str) -> str:
    if not root or root == "." or file.startswith(("environment ", "flag ")):
        return _told(file)
    return _told(root if not file else f"{root.rstrip('/')}/{file}")


def _window(source: str, start: int, length: int) -> tuple[str, int, int]:
    source = source.rstrip()
    if len(source) <= _WIDTH:
        return source, start, max(1, min(length, len(source) - start))
    left = max(0, start - 40)
    cut = source[left : left + _WIDTH]
    lead = "..." if left else ""
    tail = "..." if left + _WIDTH < len(source) else ""
    inside = start - left
    return lead + cut + tail, inside + len(lead), max(1, min(length, len(cut) - inside))


def _cells(char: str) -> int:
    """Return how many terminal columns a character takes."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
