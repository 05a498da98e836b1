"""Text forms: numbers read from text, parts found by a pattern, lower case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

import re2

from pipeline.decode.mapped.frame import Frame, Source
from pipeline.decode.mapped.values.prices import (
    costs_to_match,
    program_of,
    search_price,
    spend_lowered,
    spend_match,
    spend_search,
)
from pipeline.model.json import Json, Value
from pipeline.model.records import MISSING, Missing

Wrong: TypeAlias = Callable[[str, str | None], object]
"""Reports an error and its remedy."""

_MAX_PATTERN: Final = 1_000


def as_text(value: Json | Missing) -> str | None:
    """Return a text or a number as text, booleans as words; None for anything else."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int:
        return str(value)
    if type(value) is float:
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None


def found_in(source: Source, pattern: Value, wrong: Wrong) -> Source:
    """Return the reader of a pattern's group, searched in a source's text."""
    search = _search(pattern, wrong)

    def found(here: Json, frame: Frame) -> Json | Missing:
        text = as_text(source(here, frame))
        group = None if text is None else search(text)
        return MISSING if group is None else group

    return found


def _search(pattern: Value, wrong: Wrong) -> Callable[[str], str | None]:
    if type(pattern) is not str or len(pattern) > _MAX_PATTERN:
        wrong(f"`find` is a pattern of at most {_MAX_PATTERN} characters", None)
        return lambda text: None
    try:
        compiled = program_of(pattern)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else "invalid"
        told = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        wrong(f"invalid pattern: {told}", "patterns are RE2's: no look-around, no back-references")
        return lambda text: None
    if compiled.groups != 1:
        hint = "put ( ) around what is wanted, and (?: ) around other groups"
        wrong(f"a pattern of `find` has one group, this one has {compiled.groups}", hint)
        return lambda text: None
    size = compiled.programsize
    price = search_price(size)

    def search(text: str) -> str | None:
        spend_search(price, len(text))
        try:
            match = compiled.search(text.encode())
        except UnicodeEncodeError:
            return None  # half a character never matches
        if match is None:
            return None
        if costs_to_match(size, len(text)):
            spend_match(size, len(match[0]))
        group = match[1]
        return None if group is None else group.decode("utf-8", "replace")

    return search


def lowered(source: Source) -> Source:
    """Return the reader of a source's text in lower case; other values are unchanged."""

    def small(here: Json, frame: Frame) -> Json | Missing:
        found = source(here, frame)
        if type(found) is not str:
            return found
        spend_lowered(found)
        return found.lower()

    return small
