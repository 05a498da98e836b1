"""Words for a person who mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LIKENESS = 0.6
"""How like the known word must be, from 0 to 1: one letter of two may be another one."""


def did_you_mean(word: str, known: Iterable[str], likeness: float = LIKENESS) -> str | None:
    """Return the known word that was probably meant, in whatever case it was written, or None."""
    by_fold = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_fold, n=1, cutoff=likeness)
    return by_fold[close[0]] if close else None


def likeness(word: str, other: str) -> float:
    """Return how like two words are, from 0 to 1."""
    return difflib.SequenceMatcher(None, word, other).ratio()
