"""Globs and regular expressions, both in linear time whatever the pattern and the value."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import re2

_TOKEN: Final = re.compile(r"\\[*\\]|\*\*+|\*|[^*\\]+|\\")
_META: Final = re.compile(r"([\\.^$|?*+()\[\]{}])")
_MAX_PATTERN: Final = 10_000


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    # Only whether it matches is asked: groups would cost time.
    options.never_capture = True
    return options


_OPTIONS: Final = _options()


@lru_cache(maxsize=4096)
def compile_regex(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return a search (unanchored) in RE2's syntax; raises PatternError."""
    if len(pattern) > _MAX_PATTERN:
        raise PatternError(f"the pattern is longer than {_MAX_PATTERN} characters")
    try:
        search = re2.compile(("(?i)" if ignore_case else "") + pattern, _OPTIONS).search
    except UnicodeEncodeError:
        raise PatternError("the pattern holds half a character (a lone surrogate)") from None
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(text) from None

    def matches(text: str) -> bool:
        try:
            # Bytes, because for text the library counts its characters as well.
            return search(text.encode()) is not None
        except UnicodeEncodeError:
            return False  # a lone surrogate is no text that a pattern could describe

    return matches


def compile_glob(pattern: str) -> Callable[[str], bool]:
    r"""Return a test of the whole text: ``*`` is all but ``/``, ``**`` is anything, ``\*`` a star itself."""
    tokens = _TOKEN.findall(pattern)
    literals = [token.replace("\\*", "*").replace("\\\\", "\\") for token in tokens]
    stars = [token for token in tokens if token.startswith("*")]
    if not stars:
        whole = "".join(literals)
        return lambda text: text == whole
    if len(stars) == 1:
        at = tokens.index(stars[0])
        return _one_star("".join(literals[:at]), "".join(literals[at + 1 :]), slashes=len(stars[0]) > 1)
    regex = "".join(
        ".*" if token.startswith("**") else "[^/]*" if token == "*" else _META.sub(r"\\\1", literal)
        for token, literal in zip(tokens, literals, strict=True)
    )
    return compile_regex(rf"(?s)\A{regex}\z")


def _one_star(start: str, end: str, *, slashes: bool) -> Callable[[str], bool]:
    """Return the test for the commonest globs, such as ``/docs/**`` or ``*.pdf``, without RE2."""
    first, least = len(start), len(start) + len(end)
    if slashes:
        return lambda text: len(text) >= least and text.startswith(start) and text.endswith(end)

    def matches(text: str) -> bool:
        return (
            len(text) >= least
            and text.startswith(start)
            and text.endswith(end)
            and "/" not in text[first : len(text) - len(end)]
        )

    return matches
