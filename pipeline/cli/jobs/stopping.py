"""Long verbs end cleanly: the first SIGTERM or Ctrl-C sets a flag, the second one ends the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.model.stop import forget, handled_by, note, requested


@contextmanager
def stop_flag() -> Iterator[Callable[[], bool]]:
    """Give a function that tells whether the verb was asked to stop; the old handlers are back afterwards."""
    asked = requested()

    def stop(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(128 + number)
        asked = True
        note(number)

    try:
        with handled_by(stop):
            yield lambda: asked
    finally:
        forget()
