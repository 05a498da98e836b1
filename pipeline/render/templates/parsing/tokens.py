"""Splits one Liquid expression into tokens; a whole path is one token."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from pipeline.render.templates.parsing import slips
from pipeline.render.templates.parsing.names import TemplateError, scan_path, secret_inside

WORD: Final = "word"
_KEYWORDS: Final = frozenset(
    (
        *("true", "false", "nil", "null", "empty", "blank", "and", "or", "contains", "not", "in", "offset"),
        *("limit", "reversed", "cols", "continue", "with", "for", "as", "if", "else", "required"),
    )
)
_OPERATORS: Final = {
    **{"==": "eq", "!=": "ne", "<>": "ltgt", "<=": "le", ">=": "ge", "..": "range", "||": "dpipe"},
    **{"<": "lt", ">": "gt", "=": "assign", "|": "pipe", ":": "colon", ",": "comma", ")": "rparen"},
}
_QUOTED: Final = re.compile(r'"[^"]*"|\'[^\']*\'')
_FLOAT: Final = re.compile(r"-?\d+\.(?!\.)\d*")
_INTEGER: Final = re.compile(r"-?\d+\b")
_RANGE: Final = re.compile(r"\((?=[^()]+?\.\.)")
_SPACE: Final = re.compile(r"\s+")


class Word(NamedTuple):
    """One token of an expression."""

    kind: str
    """A keyword, an operator's name, `word` (a path or a name), `string`, `integer`, `float`, ..."""
    text: str
    at: int
    """Its offset in the template."""


def tokenize(text: str, base: int) -> Iterator[Word]:
    """Yield the tokens of one expression, from ``base`` on; raises TemplateError for an invalid one."""
    at = 0

    def token(kind: str, value: str) -> Word:
        return Word(kind, value, base + at)

    while at < len(text):
        char = text[at]
        if space := _SPACE.match(text, at):
            at = space.end()
            continue
        if char.isalpha() or char == "_":
            try:
                end = scan_path(text, at)
            except TemplateError as error:
                raise TemplateError(error.message, base + error.offset, error.hint) from None
            word = text[at:end]
            yield token(word if word in _KEYWORDS else WORD, word)
        elif quoted := _QUOTED.match(text, at):
            end = quoted.end()
            yield token("string", text[at + 1 : end - 1])
        elif number := _FLOAT.match(text, at):
            end = number.end()
            yield token("float", number.group())
        elif number := _INTEGER.match(text, at):
            end = number.end()
            yield token("integer", number.group())
        elif _RANGE.match(text, at):
            end = at + 1
            yield token("rangeexpression", "(")
        elif char == "(":
            end = at + 1
            yield token("lparen", "(")
        elif text[at : at + 2] in _OPERATORS:
            end = at + 2
            yield token(_OPERATORS[text[at:end]], text[at:end])
        elif char in _OPERATORS:
            end = at + 1
            yield token(_OPERATORS[char], char)
        else:
            raise _unexpected(text, at, base)
        at = end


def _unexpected(text: str, at: int, base: int) -> TemplateError:
    if text[at] in "\"'":
        return TemplateError(f"the quote {text[at]} is not closed", base + at, "add the closing quote")
    if text[at : at + 2] == "${":
        return secret_inside(base + at)
    return TemplateError(f"{text[at]!r} is not expected here", base + at, slips.unexpected(text, at))
