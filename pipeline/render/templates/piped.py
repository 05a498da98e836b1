"""Expressions that are a path or constant with filters, parsed without python-liquid.

Nearly all templates are of this kind, and loading python-liquid takes a fifth of a `check`'s time. Anything
more complex, or wrong, is left to it: it reports the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Final, NamedTuple, TypeAlias

from pipeline.language.paths import Getter
from pipeline.model.json import Value
from pipeline.render.templates.applying import Constant
from pipeline.render.templates.calls import (
    MAX_CHAIN,
    Argument,
    Names,
    apply,
    literal,
)
from pipeline.render.templates.output import Encode, Literal, content, in_order, output, running
from pipeline.render.templates.parsing.names import TemplateError, compile_name
from pipeline.render.templates.parsing.tokens import WORD, Word, tokenize

_EXPRESSION: Final = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_MORE: Final = re.compile(r"\{%|\{\{-|-\}\}")
"""Tags, and whitespace control around an expression."""
_LONGEST_INTEGER: Final = 21
"""Maximum digits; a longer integer exceeds 64 bits."""


class _Call(NamedTuple):
    """A filter and its arguments: options' names (None without), and tokens."""

    name: Word
    given: list[tuple[Word | None, Word]]


class Piped(NamedTuple):
    """One expression."""

    left: Word
    calls: list[_Call]

    def compile(self, names: Names) -> Getter:
        """Return the function that evaluates it; raises TemplateError for unknown names."""
        get = _primary(self.left, names)
        for name, given in self.calls:
            arguments = [
                Argument(
                    None if option is None else option.text,
                    (option or word).at,
                    partial(_primary, word, names),
                )
                for option, word in given
            ]
            get = apply(get, name.text, name.at, arguments, names)
        return get


Parts: TypeAlias = "Sequence[tuple[int, str | Piped]]"
"""Literal texts and expressions, each with its place."""


def read(text: str) -> Parts | None:
    """Return the parts of a text; None where it holds anything else."""
    return _read(text) if len(text) > _SHORT else _known(text)


def _read(text: str) -> Parts | None:
    if _MORE.search(text) is not None:
        return None
    parts: list[tuple[int, str | Piped]] = []
    end = 0
    for match in _EXPRESSION.finditer(text):
        try:
            piped = _parse(list(tokenize(match.group(1), match.start(1))))
        except TemplateError:
            return None
        if piped is None:
            return None
        if match.start() > end:
            parts.append((end, text[end : match.start()]))
        parts.append((match.start(), piped))
        end = match.end()
    if end < len(text):
        parts.append((end, text[end:]))
    return parts


_SHORT: Final = 100
"""Only texts up to this length are cached: a thousand webhooks mostly have the same ones."""
_known: Final = lru_cache(maxsize=2048)(_read)


def compile_piped(parts: Parts, names: Names, encode: Encode | None, literal_text: Literal) -> Getter:
    """Return the function that writes texts and expressions in order."""
    return running(
        in_order(
            [
                content(literal_text(part, at))
                if isinstance(part, str)
                else output(part.compile(names), encode)
                for at, part in parts
            ]
        )
    )


def _parse(words: list[Word]) -> Piped | None:
    ahead = iter(words)
    left = next(ahead, None)
    if left is None or not _is_primary(left):
        return None
    calls: list[_Call] = []
    word = next(ahead, None)
    while word is not None:
        name = next(ahead, None)
        if word.kind != "pipe" or name is None or name.kind != WORD or len(calls) == MAX_CHAIN:
            return None
        call = _Call(name, [])
        word = next(ahead, None)
        if word is not None and word.kind == "colon":
            word = _arguments(ahead, call)
            if not call.given:
                return None
        calls.append(call)
    return Piped(left, calls)


def _arguments(ahead: Iterator[Word], call: _Call) -> Word | None:
    """Add a filter's arguments and return the next token; adds nothing where they are not simple."""
    while True:
        option, word = None, next(ahead, None)
        after = next(ahead, None)
        if after is not None and after.kind == "colon":
            option, word, after = word, next(ahead, None), next(ahead, None)
        if word is None or not _is_primary(word) or (option is not None and option.kind != WORD):
            call.given.clear()
            return None
        call.given.append((option, word))
        if after is None or after.kind != "comma":
            return after


def _is_primary(word: Word) -> bool:
    return word.kind in _PRIMARIES and not (word.kind == "integer" and len(word.text) > _LONGEST_INTEGER)


def _primary(word: Word, names: Names) -> Getter:
    if word.kind == WORD:
        return compile_name(word.text, word.at, names.roots, names.vars)
    return Constant(literal(_PRIMARIES[word.kind](word.text), word.at))


_PRIMARIES: Final[dict[str, Callable[[str], Value]]] = {
    WORD: str,
    "string": str,
    "integer": int,
    "float": float,
    "true": lambda word: True,
    "false": lambda word: False,
    "nil": lambda word: None,
    "null": lambda word: None,
}
