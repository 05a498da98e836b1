"""YAML syntax errors: libyaml's message, the likely mistake, and how to write it instead."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yaml import MarkedYAMLError, YAMLError

from pipeline.config.yaml.document import Document, Span
from pipeline.config.yaml.slips import HASH, no_blank, quote, slip_in, split_value
from pipeline.model.findings import Finding


class UnquotedTemplate(YAMLError):
    """``{{ x }}`` without quotes: YAML reads a map whose key is a map."""

    def __init__(self, line: int, column: int) -> None:
        super().__init__("a template without quotes is read as a map")
        self.line = line
        self.column = column


@dataclass(slots=True, frozen=True)
class Fault:
    """A syntax error; ``repair`` is the line as it was probably meant (None: unknown)."""

    finding: Finding
    line: int
    repair: str | None = None


_FLOW_TEMPLATE = re.compile(r"\{\{.*?\}\}[^,\]}]*")
_CONFLICT = re.compile(r"<{7}( |$)")
"""What Git writes above the first of two versions of the same lines."""
_LOOKBACK = 3
"""libyaml notices some mistakes only at the next token, a few lines further down."""


def explain(document: Document, error: YAMLError, repaired: set[int]) -> Fault:
    """Return the finding for a parser's error, with a repair where the mistake is a known one."""
    if isinstance(error, UnquotedTemplate):
        return _unquoted_template(document, error)
    mark = error.problem_mark if isinstance(error, MarkedYAMLError) else None
    line = min(mark.line, max(0, len(document.lines) - 1)) if mark is not None else 0
    column = mark.column if mark is not None else 0
    message = _message(error)
    known = (
        _conflict(document, line)
        or _unclosed(document, error, message, repaired)
        or _odd_indent(document, line, message)
        or _escape(document, message, line, column)
    )
    if known is not None:
        return known
    for number in range(line, max(-1, line - 1 - _LOOKBACK), -1):
        if number in repaired:
            continue
        slip = slip_in(document.lines[number], column if number == line else None)
        if slip is None and number < line and any(sign in message for sign in _NO_MAP):
            slip = no_blank(document.lines[number])
        if slip is not None:
            span = Span(number, slip.start, number, slip.start + len(slip.text))
            return Fault(document.finding(span, "yaml-syntax", message, hint=slip.hint), number, slip.repair)
    span = Span(line, column, line, column + 1)
    sign = _stray_sign(document.lines[line], column, message)
    if sign is not None:
        return Fault(document.finding(span, "yaml-syntax", message, hint=sign[0]), line, sign[1])
    remedy = _general(message)
    before = document.lines[line][:column].rstrip()[-1:]
    if remedy is None and before in ("'", '"'):
        inner = '\\"' if before == '"' else "''"
        remedy = f"the text ends at the {before} before; write a quote inside it as {inner}"
    return Fault(document.finding(span, "yaml-syntax", message, hint=remedy), line)


def _stray_sign(source: str, column: int, message: str) -> tuple[str, str] | None:
    """Return the remedy of a sign too many, or of a comma that is missing, and the line without the fault."""
    char, without = source[column : column + 1], source[:column] + source[column + 1 :]
    if char in ("]", "}") and "did not find expected key" in message:
        return f"this {char} closes nothing: take it away", without
    if char == "," and "did not find expected node content" in message:
        return "one comma is enough", without
    key = re.search(r"\s([\w$.-]+)$", source[:column])
    if char == ":" and "did not find expected ','" in message and key is not None:
        return f"a comma is missing before `{key[1]}`", source[: key.start()] + "," + source[key.start() :]
    return None


def _conflict(document: Document, line: int) -> Fault | None:
    """What a merge could not decide, and left to a person."""
    for number, source in enumerate(document.lines[: line + _LOOKBACK]):
        if _CONFLICT.match(source):
            span = Span(number, 0, number, len(source.rstrip()))
            hint = "keep one of the two versions, and delete the lines of <, = and >"
            found = document.finding(span, "yaml-syntax", "a merge left its conflict", hint=hint)
            return Fault(found, number)
    return None


_OPENED = {"while parsing a flow sequence": "]", "while parsing a flow mapping": "}"}


def _unclosed(document: Document, error: YAMLError, message: str, repaired: set[int]) -> Fault | None:
    """An unmatched bracket or quote: libyaml stumbles lines later, but its start is what a person
    looks for.
    """
    if not isinstance(error, MarkedYAMLError) or error.context_mark is None or error.problem_mark is None:
        return None
    line, column = error.context_mark.line, error.context_mark.column
    if line >= len(document.lines) or line in repaired:
        return None
    source, end = document.lines[line], None
    if line == error.problem_mark.line and "end of stream" not in message:
        end = error.problem_mark.column
        if source[end : end + 1] not in ("]", "}"):
            return None
    opened = source[column : column + 1]
    if error.context in _OPENED:
        close = _OPENED[error.context]
        hash_ = HASH.search(source, column)
        if hash_ is not None:
            span = Span(line, hash_.start(), line, hash_.end())
            hint = f"a blank and `#` begin a comment; quote it: {quote(hash_[0])}"
            fixed = f"{source[: hash_.start()]}{quote(hash_[0])}{source[hash_.end() :]}"
            return Fault(document.finding(span, "yaml-syntax", message, hint=hint), line, fixed)
        quoted = _open_quote(source, column)
        if quoted is not None:
            column, close = quoted, source[quoted]
    elif error.context == "while scanning a quoted scalar":
        close = opened
    else:
        return None
    opened = source[column : column + 1]
    if (
        opened == close
        and source.rstrip().endswith(("]", "}"))
        and ("[" in source[:column] or "{" in source[:column])
    ):
        end = len(source.rstrip().rstrip("]}"))
    span = Span(line, column, line, column + 1)
    finding = document.finding(span, "yaml-syntax", message, hint=f"this {opened} is not closed by {close}")
    # Repaired only where the next line starts something else.
    following = document.lines[line + 1] if line + 1 < len(document.lines) else ""
    repair = f"{source.rstrip()}{close}" if re.match(r"\s*(-\s+)?[\w$.-]+:(\s|$)", following) else None
    if end is not None:
        wrong, outer = source[end : end + 1], source[:column]
        # A bracket more than are open stands in the place of the right one.
        opener, rest = ("[" if wrong == "]" else "{"), source[end:]
        surplus = wrong in _OPENED.values() and (outer + rest).count(opener) < (outer + rest).count(wrong)
        repair = f"{source[:end]}{close}{source[end + surplus :]}"
    return Fault(finding, line, repair)


def _open_quote(source: str, start: int) -> int | None:
    """Return where the quoted text begins that a line leaves open; None where none is."""
    quoted: int | None = None
    for at in range(start, len(source)):
        if quoted is not None:
            quoted = None if source[at] == source[quoted] and source[at - 1] != "\\" else quoted
        elif source[at] in "\"'" and source[at - 1] in " ,[{:":
            quoted = at
    return quoted


_PAIR = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ESCAPED = re.compile(r"\\([^0abtnvfre \"/\\N_LPxuU\t])|\\.")
"""An escape in double quotes; with a group where YAML has no such escape."""


def _escape(document: Document, message: str, line: int, column: int) -> Fault | None:
    r"""An escape that YAML does not have: ``\d`` of a pattern, an emoji in two halves as JSON writes it."""
    source = document.lines[line]
    start = source.rfind("\\", 0, column + 1)
    if "escape" not in message or start < 0:
        return None
    if "Unicode" not in message:
        span = Span(line, start, line, start + 2)
        hint = f"in double quotes write \\{source[start : start + 2]}; in single quotes it stands as it is"
        repair = _ESCAPED.sub(lambda found: "\\" * (found[1] is not None) + found[0], source)
        return Fault(document.finding(span, "yaml-syntax", message, hint=hint), line, repair)
    pair = _PAIR.match(source, start)
    span = Span(line, start, line, start + 6 if pair is None else pair.end())
    if pair is None:
        hint = "half of a surrogate pair is no character"
        return Fault(document.finding(span, "yaml-syntax", message, hint=hint), line)
    char = chr(0x10000 + ((int(pair[1], 16) & 0x3FF) << 10) + (int(pair[2], 16) & 0x3FF))
    hint = f'write the character itself, {char}, or "\\U{ord(char):08X}"'
    return Fault(document.finding(span, "yaml-syntax", message, hint=hint), line, _PAIR.sub("?", source))


def _unquoted_template(document: Document, error: UnquotedTemplate) -> Fault:
    source = document.lines[error.line]
    column = error.column
    parts = split_value(source)
    if parts is not None and len(parts[0]) == column:
        value, prefix = parts[1], "quote the value"
    else:
        found = _FLOW_TEMPLATE.match(source, column)
        value, prefix = (found[0].rstrip() if found is not None else source[column:].strip()), "quote it"
    repair = source[:column] + quote(value) + source[column + len(value) :]
    span = Span(error.line, column, error.line, column + len(value))
    message = "a template without quotes is read as a map"
    finding = document.finding(span, "unquoted-template", message, hint=f"{prefix}: {quote(value)}")
    return Fault(finding, error.line, repair)


def _message(error: YAMLError) -> str:
    if not isinstance(error, MarkedYAMLError):
        return str(error).splitlines()[0] if str(error) else "the file is not YAML"
    problem = error.problem or "the file is not YAML"
    context = error.context
    if context and error.context_mark is not None and error.problem_mark is not None:
        if error.context_mark.line != error.problem_mark.line:
            return f"{context} that begins in line {error.context_mark.line + 1}: {problem}"
        return f"{context}: {problem}"
    return problem


def _odd_indent(document: Document, line: int, message: str) -> Fault | None:
    """A tab, or a blank from a web page, which libyaml takes for a letter: it stumbles over the next line."""
    for number in range(line, max(-1, line - 2), -1):
        source = document.lines[number]
        indent = source[: len(source) - len(source.lstrip())]
        odd = next((at for at, char in enumerate(indent) if char != " "), None)
        if odd is not None and (number == line or indent[odd] != "\t"):
            what = "YAML allows no tabs there" if indent[odd] == "\t" else f"this is U+{ord(indent[odd]):04X}"
            finding = document.finding(
                Span(number, odd, number, odd + 1),
                "yaml-syntax",
                message,
                hint=f"indent with spaces: {what}",
            )
            spaced = None if "\t" in indent else " " * len(indent) + source[len(indent) :]
            return Fault(finding, number, spaced)
    return None


_NO_MAP = ("mapping values are not allowed", "could not find expected ':'")
_MISPLACED = (
    "did not find expected key",
    "did not find expected '-' indicator",
    "mapping values are not allowed",
)


def _general(message: str) -> str | None:
    if "could not find expected ':'" in message:
        return "a key needs a `:` after it"
    if any(sign in message for sign in _MISPLACED):
        return "is it indented like its neighbours?"
    return None
