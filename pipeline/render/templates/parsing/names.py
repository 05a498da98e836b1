"""Names in templates: the roots there are, and how the path behind one is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pipeline.language.path_syntax import PathError, parse_path
from pipeline.language.paths import Getter, compile_path
from pipeline.language.vars import unknown_var
from pipeline.model.errors import Misspelt
from pipeline.model.json import Value
from pipeline.render.templates.parsing.slips import unknown_root, unquoted

MAX_TEMPLATE: Final = 1 << 16
_OPEN: Final = re.compile(r"\{[{%]")
_SPECIAL: Final = re.compile(r"\{%-?\s*(raw|doc)\s*-?%\}")
_ENDRAW: Final = re.compile(r"\{%-?\s*endraw\s*-?%\}")
_DOTTED: Final = re.compile(r"(?!\d)\w[\w$-]*(?:\.[\w$-]+)*")
_WORD: Final = re.compile(r"[\w$-]+")
_STEPS: Final = re.compile(r"(?:\.[\w$-]+)+")


class TemplateError(Misspelt):
    """An invalid template."""


def secret_inside(at: int) -> TemplateError:
    """Return the message about a secret inside an expression."""
    return TemplateError(
        "a secret cannot be used inside an expression: it is put in when the request is sent",
        at,
        "place `${NAME}` in the text outside of `{{ }}`",
    )


def check_closed(text: str) -> None:
    """Raise TemplateError where `{{` or `{%` is not closed.

    Checked here in one pass: python-liquid's lexer scans to the end of the text at each of them.
    """
    at = 0
    while opened := _OPEN.search(text, at):
        start, sign = opened.start(), opened.group()
        close = text.find("}}" if sign == "{{" else "%}", start + 2)
        if close < 0:
            raise TemplateError(f"`{sign}` is not closed", start, "close it by `}}` or `%}`", 2)
        at = close + 2
        if sign == "{%" and (special := _SPECIAL.match(text, start)):
            if special.group(1) == "doc":
                raise TemplateError("there is no tag `doc`", special.start(1), "use `comment`", 3)
            ended = _ENDRAW.search(text, at)
            if ended is None:
                raise TemplateError("`endraw` is missing", start)
            at = ended.end()
    if at and len(text) > MAX_TEMPLATE:
        raise TemplateError(f"a template has at most {MAX_TEMPLATE:,} characters", 0)


def scan_path(text: str, start: int) -> int:
    """Return where the path that starts at ``start`` ends: names, dots, brackets and their contents."""
    named = _DOTTED.match(text, start)
    if named is None:
        return start
    at = named.end()
    while text[at : at + 1] == "[":
        at = _bracket_end(text, at)
        if steps := _STEPS.match(text, at):
            at = steps.end()
    return at


def _bracket_end(text: str, start: int) -> int:
    depth, at = 0, start
    while at < len(text):
        if text[at] in "\"'":
            quote = text[at]
            at += 1
            while at < len(text) and text[at] != quote:
                at += 2 if text[at] == "\\" else 1
        elif text[at] == "[":
            depth += 1
        elif text[at] == "]":
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    raise TemplateError("a bracket is not closed", start, "add `]`")


def compile_name(text: str, offset: int, roots: tuple[str, ...], vars: Mapping[str, Value]) -> Getter:
    """Return the reader of a path; raises TemplateError where it is invalid or leads nowhere."""
    try:
        path = parse_path(text, roots)
        wrong = unknown_var(path, vars)
        if wrong is not None:
            raise wrong
    except PathError as error:
        word = _WORD.match(text, error.offset)
        length = len(word.group()) if word is not None else None
        hint = error.hint if error.offset else unknown_root(text) or unquoted(text, error.hint)
        raise TemplateError(error.message, offset + error.offset, hint, length) from None
    if path.has_any:
        at = offset + text.index("[*]")
        raise TemplateError("`[*]` works in conditions only", at, "use `| map: 'field'`", 3)
    return compile_path(path, vars)
