"""YAML texts that are valid but probably not meant: each with code, message and remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from pipeline.config.yaml import scalars

Suspicion: TypeAlias = tuple[str, str, str]

_NO_BLANK: Final = re.compile(r"[\w$.-]+:(?:[^\W\d]|[\u00a0\u200b\"'\[{])")
TYPOGRAPHIC: Final = "\u201c\u201e\u201d\u2018\u201a\u00ab"
_CLOSING: Final = "\u201d\u201c\u2019\u2018\u00bb"
_UNSEEN: Final = "\u00a0\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
"""Unusual blanks, and zero-width characters, from web pages and word processors."""
_SHOWN: Final = 40


def of_text(text: str) -> Iterator[Suspicion]:
    """Yield what is suspicious in an unquoted text."""
    meant = scalars.LOOKS_LIKE.get(text)
    if meant is not None:
        hint = f'write `{meant}`, or "{text}" in quotes if the text is meant'
        yield "looks-like-constant", f"`{text}` is a text here, not {meant}", hint
    if text.isascii():
        return
    if text[0] in TYPOGRAPHIC and text[-1] in _CLOSING:
        hint = "put it between straight quotes instead, or around these to keep them"
        yield "looks-like-quotes", f"`{text[:_SHOWN]}` keeps its typographic quotes", hint
    if (invisible := unseen(text)) is not None:
        yield invisible


def unseen(text: str) -> Suspicion | None:
    """Return the warning for an unquoted text, or a key, with an invisible character at an end."""
    if text.isascii():
        return None
    found = next((char for char in (text[:1], text[-1:]) if char and char in _UNSEEN), None)
    if found is None:
        return None
    message = (
        f"`{text.strip(_UNSEEN)[:_SHOWN]}` begins or ends with the invisible character U+{ord(found):04X}"
    )
    return "invisible-character", message, "take it away, or put quotes around to keep it"


def no_map(text: str) -> Suspicion | None:
    """Return the warning for a text on a line of its own below a key: ``a:b`` is not a map."""
    if _NO_BLANK.match(text) is None:
        return None
    message = f"`{text[:_SHOWN]}` is one text: in a map a blank follows the colon"
    return "looks-like-map", message, "quote the value if the text is meant"


def empty_block(written: str) -> Suspicion:
    """Return the warning for an empty block: ``>5`` and ``|`` start one."""
    mark = written.partition(" #")[0].strip()
    hint = f'quote the value: "{mark}"' if len(mark) > 1 else 'write "" for an empty text'
    return "empty-block", f"`{mark}` begins a block of text that has no lines", hint
