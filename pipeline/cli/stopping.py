"""Long verbs end cleanly: the first SIGTERM or Ctrl-C sets a flag, the second one ends the process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from pipeline.model.stop import forget, note, requested


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

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        forget()
