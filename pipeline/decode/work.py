"""The work of reading one record, counted like that of conditions (language/work.py) but for no event."""

from __future__ import annotations

from typing import Final

from pipeline.language.work import begin_next, spend
from pipeline.model.records import Event, Origin, User

_NOBODY: Final = User(None, None, False)
_NOTHING: Final = Event(None, "", "", None, None, None, None, None, {}, {}, Origin("", 0))
"""Work is counted per event and user, which a raw record does not have yet."""

TOO_EXPENSIVE: Final = "too-expensive: reading this record takes more steps than it may"


def begin_work() -> None:
    """Give the next record the whole budget."""
    begin_next(_NOTHING, _NOBODY)


def spend_work(size: int) -> None:
    """Count work for this record. Raises TooExpensive."""
    spend(_NOTHING, _NOBODY, size)


def nothing() -> tuple[Event, User]:
    """Return the placeholders passed to conditions, which take an event and a user."""
    return _NOTHING, _NOBODY
