"""Globs and regular expressions, both in linear time for every pattern and value."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

from pipeline.language.work import FEW_STATES, PER_INSTRUCTION

_TOKEN: Final = re.compile(r"\\[*\\]|\*\*+|\*|[^*\\]+|\\")
_META: Final = re.compile(r"([\\.^$|?*+()\[\]{}])")
_MAX_PATTERN: Final = 10_000


class PatternError(ValueError):
    """A pattern that cannot be used; the text says why."""


@cache
def _options() -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    # Only whether it matches is needed: groups would cost time.
    options.never_capture = True
    return options


_PER_STEP: Final = 8
"""Work per 16 characters where all states of a program fit into memory."""


def regex_price(pattern: str, *, ignore_case: bool = False) -> int:
    """Return the work of a pattern per 16 characters of text; raises PatternError."""
    size = _program(pattern, ignore_case).programsize
    return _PER_STEP if size <= FEW_STATES else PER_INSTRUCTION * size


def glob_price(pattern: str) -> int:
    """Return the work of a glob per 16 characters of text."""
    regex = _glob_regex(pattern)
    return 1 if regex is None else regex_price(regex)


@lru_cache(maxsize=4096)
def compile_regex(pattern: str, *, ignore_case: bool = False) -> Callable[[str], bool]:
    """Return a search (unanchored) in RE2's syntax; raises PatternError."""
    search = _program(pattern, ignore_case).search

    def matches(text: str) -> bool:
        try:
            # Bytes: for str the library also counts characters.
            return search(text.encode()) is not None
        except UnicodeEncodeError:
            return False  # a lone surrogate cannot be described by a pattern

    return matches


@lru_cache(maxsize=4096)
def _program(pattern: str, ignore_case: bool) -> Any:
    if len(pattern) > _MAX_PATTERN:
        raise PatternError(f"the pattern is longer than {_MAX_PATTERN} characters")
    import re2  # imported here: most configs do not need it

    try:
        return re2.compile(("(?i)" if ignore_case else "") + pattern, _options())
    except UnicodeEncodeError:
        raise PatternError("the pattern holds half a character (a lone surrogate)") from None
    except re2.error as error:
        reason = error.args[0] if error.args else "invalid"
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise PatternError(text) from None


def compile_glob(pattern: str) -> Callable[[str], bool]:
    r"""Return a test of the whole text: ``*`` is anything but ``/``, ``**`` is anything, ``\*`` a literal
    star.
    """
    tokens = _TOKEN.findall(pattern)
    literals = [token.replace("\\*", "*").replace("\\\\", "\\") for token in tokens]
    stars = [token for token in tokens if token.startswith("*")]
    if not stars:
        whole = "".join(literals)
        return lambda text: text == whole
    if len(stars) == 1:
        at = tokens.index(stars[0])
        return _one_star("".join(literals[:at]), "".join(literals[at + 1 :]), slashes=len(stars[0]) > 1)
    regex = _glob_regex(pattern)
    assert regex is not None
    return compile_regex(regex)


def _glob_regex(pattern: str) -> str | None:
    """Return the regex of a glob with several stars; None for others, which need none."""
    tokens = _TOKEN.findall(pattern)
    if sum(token.startswith("*") for token in tokens) < 2:
        return None
    literals = [token.replace("\\*", "*").replace("\\\\", "\\") for token in tokens]
    regex = "".join(
        ".*" if token.startswith("**") else "[^/]*" if token == "*" else _META.sub(r"\\\1", literal)
        for token, literal in zip(tokens, literals, strict=True)
    )
    return rf"(?s)\A{regex}\z"


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
