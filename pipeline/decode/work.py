"""The work of reading one record, counted like that of conditions (language/work.py) but for no event."""

from __future__ import annotations

from typing import Final

from pipeline.language.work import begin_next, spend
from pipeline.model.records import Event, Origin, User

_NOBODY: Final = User(None, None, False)
_NOTHING: Final = Event(None, "", "", None, None, None, None, None, {}, {}, Origin("", 0))
"""Work is counted for an event and a user. Of a record there are none yet."""

TOO_EXPENSIVE: Final = "too-expensive: reading this record takes more steps than it may"


def begin_work() -> None:
    """Give the next record the whole budget of work."""
    begin_next(_NOTHING, _NOBODY)


def spend_work(size: int) -> None:
    """Count work of this record. Raises TooExpensive."""
    spend(_NOTHING, _NOBODY, size)


def nothing() -> tuple[Event, User]:
    """Return what conditions are asked with, since they want an event and a user."""
    return _NOTHING, _NOBODY
