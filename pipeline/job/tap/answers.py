"""How attempts end, in the words used to select them: ``503``, ``5xx``, ``timeout``."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, get_args

from pipeline.model.words import one_of

_STATUS: Final = re.compile(r"[1-5](?:[0-9]{2}|xx)")


def ends_with(statuses: Collection[str], status: int, fault: str) -> bool:
    """Return whether an attempt's outcome is one of these statuses, classes and faults."""
    word = str(status) if status else fault
    return any(
        word == one or (len(one) == 3 and one.endswith("xx") and word[:1] == one[0] and bool(status))
        for one in statuses
    )


def checked_statuses(given: Collection[str]) -> tuple[str, ...]:
    """Return statuses, classes and faults. Raises UsageError for unknown ones."""
    for one in given:
        if not _STATUS.fullmatch(one):
            from pipeline.deliver.http.attempt import Fault  # imports a client: not needed for listing

            one_of(one, get_args(Fault), "status or fault")
    return tuple(given)


def fault_of(excerpt: str) -> str:
    """Return the fault with which such an excerpt begins."""
    return excerpt.partition(":")[0]
