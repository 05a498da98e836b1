"""How the last attempt of a stored request ended."""

from __future__ import annotations

from typing import Final

from pipeline.job.tap.answers import ends_with, fault_of
from pipeline.outbox.handover import Progress

UNTRIED: Final = "not tried yet"


def has_ended(progress: Progress, ways: tuple[str, ...]) -> bool:
    """Return whether the last attempt ended in one of these ways: ``503``, ``5xx``, ``timeout``."""
    return bool(progress.attempt) and ends_with(ways, progress.status, fault_of(progress.excerpt))


def last_answer(progress: Progress) -> str:
    """Return it in one word: ``503``, ``timeout``, or that there was none."""
    if not progress.attempt:
        return UNTRIED
    return str(progress.status) if progress.status else fault_of(progress.excerpt) or "no answer"
